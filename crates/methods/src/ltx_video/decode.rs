//! From latents to the made pictures, or the made parts of them, a few frames at a time.

use std::ops::Range;

use candle_core::Tensor;
use diffusion::Purpose;
use models::ltx::VaeConfig;
use models::ltx::vae::{Span, decode_frames};
use units::FrameIndex;

use super::encode::made_of;
use super::job::{MadePicture, SpanRange};
use super::mask::{Area, Made};
use super::model::LtxVideo;
use super::sequence::Grid;
use super::span::Run;
use crate::edit_yourself::Stretch;
use crate::error::{MethodError, Result};

/// Latents that are decoded at once, and those around them that are read with them.
const DECODED: usize = 2;
pub(super) const HALO: usize = 3;

/// Pixels that are decoded at once: larger pictures are decoded in bands of rows, each equal to its part of the whole.
const BAND: usize = 1 << 19;

/// Rows above and below a band that the last layers read with it, about.
const BAND_MARGIN: usize = 96;

/// Rows and columns of a picture that are decoded, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Part {
    /// What is made, out to the borders of the cells that it touches.
    fn of(made: Made, size: (usize, usize), stride: usize) -> Option<Self> {
        let area = match made {
            Made::Nothing => return None,
            Made::Whole => Area {
                left: 0.0,
                top: 0.0,
                right: 1.0,
                bottom: 1.0,
            },
            Made::Part(area) => area,
        };
        let (rows, columns) = area.pixels(size);
        if rows.is_empty() || columns.is_empty() {
            return None;
        }
        let cells = |range: Range<usize>, size: usize| {
            range.start / stride * stride..range.end.next_multiple_of(stride).min(size)
        };
        Some(Self {
            rows: cells(rows, size.0),
            columns: cells(columns, size.1),
        })
    }

    fn enclosing(self, other: &Self) -> Self {
        let join = |a: Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        Self {
            rows: join(self.rows, &other.rows),
            columns: join(self.columns, &other.columns),
        }
    }
}

impl Run<'_> {
    /// Decodes latents `[n, cells, C]` and hands over what was made of them.
    pub(super) fn decode(
        &mut self,
        span: &SpanRange,
        stretch: &Stretch,
        grid: &Grid,
        latents: &Tensor,
    ) -> Result<()> {
        let scale = self.job.decode_noise_scale;
        let channels = latents.dim(2)?;
        let size = self.source.size();
        let stride = grid.spatial_stride;
        let mut start = stretch.made.start;
        while start < stretch.made.end {
            let end = (start + DECODED).min(stretch.made.end);
            let own = start..end;
            let held = start.saturating_sub(HALO)..(end + HALO).min(stretch.latents());
            let parts: Vec<Option<Part>> = own
                .clone()
                .map(|latent| Part::of(made_of(span, stretch, latent), size, stride))
                .collect();
            start = end;
            let Some(whole) = parts
                .iter()
                .flatten()
                .cloned()
                .reduce(|all, part| all.enclosing(&part))
            else {
                continue;
            };
            let frames = stretch.frames_of(own.start).start..stretch.frames_of(own.end - 1).end;
            let frames = frames.start.max(stretch.frames.start)..frames.end.min(stretch.frames.end);
            if frames.is_empty() {
                continue;
            }
            let mut part = latents.narrow(0, held.start, held.len())?;
            if scale > 0.0 {
                // Before the latents are un-normalised, as LTX-Video's pipeline does (diffusers'
                // does it after).
                let noise = self.normal(Purpose::Decode, stretch, held.clone(), grid)?;
                part = ((part * (1.0 - scale))? + (noise * scale)?)?;
            }
            let part = part.permute((2, 0, 1))?.contiguous()?.reshape((
                1,
                channels,
                held.len(),
                grid.rows,
                grid.columns,
            ))?;
            // In the middle of a video, the first latent held gives one frame only: where it is wanted
            // whole, it stands twice.
            let (part, held) = if stretch.place() == 1 && held.start == own.start {
                (
                    Tensor::cat(&[&part.narrow(2, 0, 1)?, &part], 2)?,
                    held.start..held.end + 1,
                )
            } else {
                (
                    part,
                    held.start + stretch.place()..held.end + stretch.place(),
                )
            };
            let video = self.decoded(stretch, grid, &part, held, frames.clone(), &whole)?;
            for frame in frames.clone() {
                let latent = stretch.latent_of(frame);
                let own = latent.checked_sub(own.start).and_then(|n| parts.get(n));
                if let (Some(Some(own)), true) = (own, span.made_at(frame) != Made::Nothing) {
                    let picture = video.narrow(2, (frame - frames.start) as usize, 1)?;
                    self.hand_over(frame, &picture, &whole, own)?;
                }
            }
        }
        Ok(())
    }

    /// Frames of a part of the picture, `[1, 3, F, H, W]` in 0..1; `held` are the places of the latents
    /// in a video that begins with one of one frame.
    fn decoded(
        &self,
        stretch: &Stretch,
        grid: &Grid,
        latents: &Tensor,
        held: Range<usize>,
        frames: Range<u64>,
        part: &Part,
    ) -> Result<Tensor> {
        let vae = &self.model.vae;
        let timestep = [self.job.decode_timestep as f32];
        let timestep = Tensor::new(&timestep, latents.device())?;
        let patch = vae.config().patch_size;
        let latents = vae.unnormalise(latents)?;
        let local = |frame: u64| (frame - stretch.first) as usize + stretch.place();
        // Parts begin at cells, which are whole patches.
        let across = Span {
            start: part.columns.start,
            end: part.columns.end.next_multiple_of(patch),
            total: grid.columns * grid.spatial_stride,
        };
        let bottom = part.rows.end.next_multiple_of(patch);
        let height = band(part.rows.len(), part.columns.len()).next_multiple_of(patch);
        let mut bands = Vec::new();
        for top in (part.rows.start..bottom).step_by(height) {
            let down = Span {
                start: top,
                end: (top + height).min(bottom),
                total: grid.rows * grid.spatial_stride,
            };
            let frames = local(frames.start)..local(frames.end);
            bands.push(decode_frames(
                vae,
                &latents,
                held.clone(),
                frames,
                (down, across),
                &timestep,
            )?);
        }
        Ok(Tensor::cat(&bands, 3)?.affine(0.5, 0.5)?.clamp(0.0, 1.0)?)
    }

    /// `picture` `[1, 3, 1, H, W]` is the part `of` the frame; the part `own` is handed over.
    fn hand_over(&mut self, frame: u64, picture: &Tensor, of: &Part, own: &Part) -> Result<()> {
        let pixels = picture
            .narrow(3, own.rows.start - of.rows.start, own.rows.len())?
            .narrow(4, own.columns.start - of.columns.start, own.columns.len())?
            .flatten_all()?
            .to_vec1::<f32>()?;
        self.observer
            .picture(MadePicture {
                frame: FrameIndex(frame),
                left: own.columns.start,
                top: own.rows.start,
                columns: own.columns.len(),
                rows: own.rows.len(),
                pixels,
            })
            .map_err(MethodError::Sink)?;
        self.frames += 1;
        Ok(())
    }
}

/// Rows that are decoded at once.
fn band(rows: usize, columns: usize) -> usize {
    (BAND / columns.max(1)).clamp(64, rows.max(64))
}

impl LtxVideo {
    /// About how many values the decoder holds at once for pictures of rows and columns `size`: its last layers, where
    /// pictures are largest, on the frames that a window reads there.
    pub fn decode_values(vae: &VaeConfig, (rows, columns): (usize, usize)) -> u64 {
        // A residual block's input, normed, convolved twice, and rows laid out for the kernels.
        const COPIES: usize = 6;
        let patch = vae.patch_size.max(1);
        let frames = DECODED * vae.temporal_stride() + 24;
        let read = (band(rows, columns) + 2 * BAND_MARGIN).min(rows.max(64));
        let cells = read.div_ceil(patch) * columns.div_ceil(patch);
        (frames * cells * vae.decoder_base_channels * COPIES) as u64
    }
}
