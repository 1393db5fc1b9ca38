//! Decoding a long video window by window.

use std::ops::Range;

use candle_core::Tensor;

use super::Vae;
use super::region::{Region, Span};
use crate::error::{ModelError, Result};

/// Latents that a window reads before and behind its own.
///
/// With [`Halo::exact`] the windows together equal the whole; smaller halos are an
/// approximation whose error falls with every latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halo {
    pub before: usize,
    pub after: usize,
}

impl Halo {
    /// The decoder's receptive field in time.
    pub fn exact(vae: &Vae) -> Self {
        // One frame in the middle of a video that no receptive field fills.
        const LATENTS: usize = 1 << 16;
        let stride = vae.config().temporal_stride();
        let total = stride * (LATENTS - 1) + 1;
        let latent = LATENTS / 2;
        let space = vae.config().spatial_stride();
        let wanted = Region {
            frames: Span {
                start: stride * (latent - 1) + 1,
                end: stride * latent + 1,
                total,
            },
            rows: Span::whole(space),
            columns: Span::whole(space),
        };
        let read = vae.decoder().reads(wanted).frames;
        Self {
            before: latent - read.start,
            after: read.end - latent - 1,
        }
    }
}

/// Frames `frames` of what all latents decode to, computed from latents `held`, of which
/// `latents` `[B, C, f, h, w]` are the tensor. Rows and columns of `wanted` say which part
/// of the picture; its frames are ignored.
///
/// # Errors
/// When the frames are not all made of held latents.
pub fn decode_frames(
    vae: &Vae,
    latents: &Tensor,
    held: Range<usize>,
    frames: Range<usize>,
    (rows, columns): (Span, Span),
    timestep: &Tensor,
) -> Result<Tensor> {
    let stride = vae.config().temporal_stride();
    // The first held latent stands for one frame here: the last of its own.
    let first = stride * held.start;
    let total = vae.decoder().whole(latents)?.frames.total;
    let start = frames.start.checked_sub(first);
    let (Some(start), true) = (start, frames.end <= first + total) else {
        return Err(ModelError::input(
            "frames",
            format!(
                "{}..{}, but latents {}..{} make {first}..{}",
                frames.start,
                frames.end,
                held.start,
                held.end,
                first + total
            ),
        ));
    };
    let region = Region {
        frames: Span {
            start,
            end: frames.end - first,
            total,
        },
        rows,
        columns,
    };
    vae.decode_region(latents, timestep, region)
}

/// Decodes all of `latents` `[B, C, f, h, w]` in windows of `window` latents, in order;
/// `sink` gets the first frame's index and `[B, 3, F, H, W]`.
///
/// # Errors
/// When the shapes do not fit, or the sink fails.
pub fn decode_in_windows(
    vae: &Vae,
    latents: &Tensor,
    timestep: &Tensor,
    window: usize,
    halo: Halo,
    mut sink: impl FnMut(usize, Tensor) -> Result<()>,
) -> Result<()> {
    let count = latents.dim(2)?;
    let stride = vae.config().temporal_stride();
    let whole = vae.decoder().whole(latents)?;
    let mut start = 0;
    while start < count {
        let end = (start + window.max(1)).min(count);
        let held = start.saturating_sub(halo.before.max(1))..(end + halo.after).min(count);
        let part = latents.narrow(2, held.start, held.len())?.contiguous()?;
        let first = if start == 0 {
            0
        } else {
            stride * (start - 1) + 1
        };
        let frames = first..stride * (end - 1) + 1;
        let area = (whole.rows, whole.columns);
        sink(
            first,
            decode_frames(vae, &part, held, frames, area, timestep)?,
        )?;
        start = end;
    }
    Ok(())
}
