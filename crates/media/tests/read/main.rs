//! Reading: what is in a clip, exact frames, exact samples.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "helpers of tests are tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod kinds;
mod sound;
mod times;

use crate::common::{raw, reference_frames, reference_sound};
use media::{Clip, OpenOptions};
use std::path::Path;
use units::{FrameIndex, SampleIndex};

pub(crate) const X264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
];

pub(crate) fn open(path: &Path) -> Clip {
    Clip::open(path, &OpenOptions::default()).unwrap()
}

/// Every frame read in one go, and single frames and short runs read by seeking, equal what the
/// `ffmpeg` program decodes.
pub(crate) fn check_frames(path: &Path) {
    let clip = open(path);
    let video = clip.video().unwrap().clone();
    let all: Vec<Vec<u8>> = clip
        .all_frames()
        .unwrap()
        .map(|frame| raw(&frame.unwrap()))
        .collect();
    assert_eq!(all.len() as u64, video.frames, "{}", path.display());
    let expected = reference_frames(path, all[0].len()).unwrap();
    assert_eq!(all.len(), expected.len(), "{}", path.display());
    for (index, (one, two)) in all.iter().zip(&expected).enumerate() {
        assert!(one == two, "{}: frame {index} differs", path.display());
    }
    let count = all.len() as u64;
    for start in [1, count / 3, count / 2, count * 2 / 3 + 1, count - 1] {
        let start = start.min(count - 1);
        let end = (start + 3).min(count);
        let mut reader = clip.frames(FrameIndex(start)..FrameIndex(end)).unwrap();
        for (index, frame) in (start..end).zip(&mut reader) {
            let frame = frame.unwrap();
            assert_eq!(frame.time, video.times.start(FrameIndex(index)));
            assert!(
                raw(&frame) == expected[index as usize],
                "{}: frame {index} after a seek",
                path.display()
            );
        }
        assert_eq!(reader.repaired(), 0);
    }
}

/// All samples, and a stretch from the middle, equal what the `ffmpeg` program decodes.
pub(crate) fn check_sound(path: &Path) {
    let clip = open(path);
    let audio = clip.sound().unwrap().clone();
    let channels = usize::from(audio.channels);
    let block = clip.all_audio().unwrap().read_to_end().unwrap();
    assert_eq!(block.len() as u64, audio.samples);
    let expected = reference_sound(path).unwrap();
    let length = expected.len() / channels;
    // ffmpeg pads or keeps the codec's last block differently; the track itself must agree.
    assert!(
        length.abs_diff(block.len()) <= 2048,
        "{length} {}",
        block.len()
    );
    for (index, frame) in expected
        .chunks_exact(channels)
        .take(block.len())
        .enumerate()
    {
        for (channel, value) in frame.iter().enumerate() {
            let ours = block.channels[channel][index];
            assert!(
                (ours - value).abs() < 1e-4,
                "{}: sample {index}: {ours} {value}",
                path.display()
            );
        }
    }
    let middle = audio.samples / 2;
    let range = SampleIndex(middle)..SampleIndex((middle + 5000).min(audio.samples));
    let part = clip.audio(range.clone()).unwrap().read_to_end().unwrap();
    for channel in 0..channels {
        assert_eq!(
            part.channels[channel],
            block.channels[channel][range.start.as_usize()..range.end.as_usize()]
        );
    }
}
