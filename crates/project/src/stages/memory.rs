//! `--memory`: what a job needs at least, and what it gets beyond that.
//!
//! Nothing in a job grows with the clip's length but a few numbers a frame. What decides is the size of the pictures:
//! the decoding child, the encoder and the model's crops hold some of them, and decoded source frames are kept for
//! footage that is shown again. The last is what gives way.

use crate::ProjectError;
use media::VideoInfo;

/// Bytes of decoded pictures that are kept where nobody asks for less.
pub(crate) const FRAMES: usize = 384 << 20;

/// The program, the embedded model and its work on one block, measured and rounded up.
const BASE: u64 = 640 << 20;

/// Pictures in the encoder, in the child and on their way, measured and rounded up.
const PICTURES: u64 = 36;

/// Decoded pictures that are always kept: a seam mixes two places.
const LEAST: u64 = 4;

/// How many bytes of decoded pictures may be kept with `memory` bytes in all.
pub(crate) fn plan(memory: Option<u64>, video: &VideoInfo) -> Result<usize, ProjectError> {
    let Some(memory) = memory else {
        return Ok(FRAMES);
    };
    let picture = picture(video);
    let fixed = BASE + PICTURES * picture;
    let needed = fixed + LEAST * picture;
    if memory < needed {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(ProjectError::usage(format!(
            "pictures of {}x{} need {} MiB of memory, --memory allows {} MiB",
            video.width,
            video.height,
            mebibytes(needed),
            mebibytes(memory)
        ))
        .with_hint(format!("give at least --memory {}MiB", mebibytes(needed))));
    }
    Ok(usize::try_from(memory - fixed)
        .unwrap_or(FRAMES)
        .min(FRAMES))
}

/// Bytes of the pictures that any job holds at once.
pub(crate) fn pictures(video: &VideoInfo) -> u64 {
    (PICTURES + LEAST) * picture(video)
}

/// Bytes of a decoded picture.
fn picture(video: &VideoInfo) -> u64 {
    let (width, height) = (video.coded_width as usize, video.coded_height as usize);
    let samples: usize = (0..video.format.chroma.planes())
        .map(|plane| {
            let (columns, rows) = video.format.plane_size(plane, width, height);
            columns * rows
        })
        .sum();
    samples as u64 * if video.format.bits > 8 { 2 } else { 1 }
}
