//! Frames that do not exist, made by the base model alone: what stands before and behind them
//! is encoded and stays clean, what touches a frame to make is denoised between.
//!
//! This is the temporal inpainting of LTX-Video (fact sheet 4.6), in the order of pixel
//! frames (methods.md, edits): the output's frames are laid out first, and a span begins with
//! a latent of its own. Spans longer than a block are walked by windows.

use std::ops::Range;

use candle_core::{DType, Tensor};
use diffusion::{ChaChaNoise, DiffusionError, NoiseKey, NoiseSource, Purpose, State};
use models::ltx::vae::{Span, decode_frames};
use models::ltx::{Caption, VaeConfig};
use units::FrameIndex;

use super::job::{MadePicture, PictureSource, SpanJob, SpanObserver, SpanProgress, SpanRange};
use super::model::LtxVideo;
use super::sequence::{Grid, Sequence};
use crate::edit_yourself::Stretch;
use crate::error::{MethodError, Result};

/// Clean latents at either side of a span: as many as the block has room for, within these.
const CONTEXT: std::ops::RangeInclusive<usize> = 2..=6;

/// Latents that are decoded at once, and those around them that are read with them.
const DECODED: usize = 2;
const HALO: usize = 3;

/// Pixels that are decoded at once: larger pictures are decoded in bands of rows, each equal to its part of the whole.
const BAND: usize = 1 << 19;

/// Rows above and below a band that the last layers read with it, about.
const BAND_MARGIN: usize = 96;

/// A text as the transformer takes it.
#[derive(Debug, Clone)]
pub struct Captions {
    pub positive: Caption,
    /// For steps with guidance; without it they run unguided.
    pub negative: Option<Caption>,
}

impl LtxVideo {
    /// Makes all spans of a job.
    ///
    /// With `resume`, the bytes of a state that an earlier run of the same job handed to
    /// [`SpanObserver::kept`], it goes on there, with the same results.
    ///
    /// # Errors
    /// When the job makes no sense, its source or observer fails, or the state belongs to
    /// another job.
    pub fn fill(
        &self,
        job: &SpanJob,
        captions: &Captions,
        source: &mut dyn PictureSource,
        observer: &mut dyn SpanObserver,
        resume: Option<&[u8]>,
    ) -> Result<()> {
        job.check()?;
        let mut run = Run {
            model: self,
            job,
            captions,
            source,
            observer,
            noise: ChaChaNoise::new(job.seed),
            fingerprint: format!("{job:?} {}", self.origin()),
            frames: 0,
        };
        let state = resume.map(State::from_bytes).transpose()?;
        let mut first = 0;
        if let Some(state) = &state {
            if state.text("job")? != run.fingerprint {
                return Err(DiffusionError::State("it belongs to another job".to_owned()).into());
            }
            first = state.number("span")? as usize;
            run.frames = state.number("frames")?;
        }
        let mut state = state.filter(|state| state.has_tensor("x"));
        for (index, span) in job.spans.iter().enumerate().skip(first) {
            run.span(index, span, state.take().as_ref())?;
        }
        Ok(())
    }
}

struct Run<'a> {
    model: &'a LtxVideo,
    job: &'a SpanJob,
    captions: &'a Captions,
    source: &'a mut dyn PictureSource,
    observer: &'a mut dyn SpanObserver,
    noise: ChaChaNoise,
    fingerprint: String,
    /// Frames handed over.
    frames: u64,
}

/// How a span lies in latents: the first one of the stretch is the first one encoded, so that
/// a sequence begins as those do that the model knows.
pub(super) fn stretch_of(span: &SpanRange, stride: usize, block: usize) -> Stretch {
    let length = span.frames.end.since(span.frames.start) as usize;
    let made = length.div_ceil(stride) + 1;
    let context = (block.saturating_sub(made) / 2).clamp(*CONTEXT.start(), *CONTEXT.end());
    let plain = |range: &Range<FrameIndex>| range.start.0..range.end.0;
    Stretch::new(
        plain(&span.frames),
        plain(&span.available),
        stride,
        context,
        context - 1,
    )
}

impl Run<'_> {
    fn span(&mut self, index: usize, span: &SpanRange, state: Option<&State>) -> Result<()> {
        let config = self.model.vae.config();
        let stretch = stretch_of(span, config.temporal_stride(), self.job.windows.width);
        let (rows, columns) = self.source.size();
        let space = config.spatial_stride();
        let grid = Grid {
            rows: rows.div_ceil(space),
            columns: columns.div_ceil(space),
            spatial_stride: space,
            temporal_stride: config.temporal_stride(),
            rate: self.job.rate.per_second(),
        };
        let clean = self.encode(&stretch, &grid)?;
        let known: Vec<bool> = (0..stretch.latents())
            .map(|latent| !stretch.made.contains(&latent))
            .collect();
        let noise = self.normal(Purpose::Start, &stretch, 0..known.len(), &grid)?;
        let sequence = Sequence {
            transformer: &self.model.transformer,
            positive: &self.captions.positive,
            negative: self.captions.negative.as_ref(),
            pass: &self.job.pass,
            windows: self.job.windows,
            grid,
            clean: &clean,
            known: &known,
            keyframes: true,
            cache: self.job.cache.as_ref(),
        };
        let steps = self.job.pass.times()?.len();
        let made = sequence.run(&noise, state, |walk| {
            // What a cache holds is not kept, so a run with one goes on from a span's start.
            if self.job.cache.is_some() {
                return self.keep(index, (walk.step(), steps), State::default());
            }
            self.keep(index, (walk.step(), steps), walk.save())
        })?;
        self.decode(&stretch, &grid, &made)?;
        self.keep(index + 1, (0, steps), State::default())
    }

    /// `span` is the one that a later run begins or goes on with.
    fn keep(&mut self, span: usize, steps: (usize, usize), mut state: State) -> Result<()> {
        state.set_text("job", self.fingerprint.clone());
        state.set_number("span", span as u64);
        state.set_number("frames", self.frames);
        let progress = SpanProgress {
            steps,
            frames: (self.frames, self.job.frames()),
        };
        self.observer
            .kept(progress, &state)
            .map_err(MethodError::Sink)
    }

    /// Normalised latents `[n, cells, C]`, zero where they are made.
    fn encode(&mut self, stretch: &Stretch, grid: &Grid) -> Result<Tensor> {
        let vae = &self.model.vae;
        let mut stream = vae.encoder().stream();
        let device = self.model.transformer.device().clone();
        let channels = vae.config().latent_channels;
        let empty = Tensor::zeros((grid.cells(), channels), DType::F32, &device)?;
        let last = if stretch.trail > 0 {
            stretch.latents()
        } else {
            stretch.made.start
        };
        let mut latents = Vec::with_capacity(stretch.latents());
        for latent in 0..last {
            let frames = stretch.frames_of(latent);
            let count = (frames.end - frames.start) as usize;
            let mut pictures = Vec::with_capacity(count);
            for frame in frames {
                let frame = frame.min(stretch.available.end - 1);
                pictures.push(self.padded(FrameIndex(frame), grid)?);
            }
            let video = Tensor::stack(&pictures, 1)?
                .unsqueeze(0)?
                .to_device(&device)?;
            let encoded = vae.normalise(&stream.push(&video)?)?;
            latents.push(if stretch.made.contains(&latent) {
                empty.clone()
            } else {
                encoded
                    .flatten_from(1)?
                    .reshape((channels, grid.cells()))?
                    .t()?
                    .contiguous()?
            });
        }
        latents.resize(stretch.latents(), empty);
        Ok(Tensor::stack(&latents, 0)?)
    }

    /// A picture `[3, H, W]` in -1..1, its last row and column repeated up to whole cells.
    fn padded(&mut self, frame: FrameIndex, grid: &Grid) -> Result<Tensor> {
        let (rows, columns) = self.source.size();
        let pixels = self
            .source
            .picture(frame)
            .map_err(|source| MethodError::Source { frame, source })?;
        let mut picture = Tensor::from_vec(pixels, (3, rows, columns), &candle_core::Device::Cpu)?;
        for (axis, size, wanted) in [
            (1, rows, grid.rows * grid.spatial_stride),
            (2, columns, grid.columns * grid.spatial_stride),
        ] {
            if wanted > size {
                let border = picture.narrow(axis, size - 1, 1)?;
                let border = if axis == 1 {
                    border.repeat((1, wanted - size, 1))?
                } else {
                    border.repeat((1, 1, wanted - size))?
                };
                picture = Tensor::cat(&[&picture, &border], axis)?;
            }
        }
        Ok(picture.affine(2.0, -1.0)?)
    }

    /// Noise `[n, cells, C]`. It belongs to a place in the output, however spans lie.
    fn normal(
        &self,
        purpose: Purpose,
        stretch: &Stretch,
        latents: Range<usize>,
        grid: &Grid,
    ) -> Result<Tensor> {
        let channels = self.model.vae.config().latent_channels;
        let device = self.model.transformer.device();
        let noise = latents
            .map(|latent| {
                let key = NoiseKey {
                    purpose,
                    index: stretch.frames_of(latent).end - 1,
                };
                self.noise.normal(key, &[grid.cells(), channels], device)
            })
            .collect::<diffusion::Result<Vec<Tensor>>>()?;
        Ok(Tensor::stack(&noise, 0)?)
    }

    fn decode(&mut self, stretch: &Stretch, grid: &Grid, latents: &Tensor) -> Result<()> {
        let vae = &self.model.vae;
        let scale = self.job.decode_noise_scale;
        let timestep = [self.job.decode_timestep as f32];
        let timestep = Tensor::new(&timestep, latents.device())?;
        let (rows, columns) = self.source.size();
        let patch = vae.config().patch_size;
        let across = Span {
            start: 0,
            end: columns.next_multiple_of(patch),
            total: grid.columns * grid.spatial_stride,
        };
        let bottom = rows.next_multiple_of(patch);
        let height = band(rows, columns).next_multiple_of(patch);
        let channels = latents.dim(2)?;
        let mut start = stretch.made.start;
        while start < stretch.made.end {
            let end = (start + DECODED).min(stretch.made.end);
            let held = start.saturating_sub(HALO)..(end + HALO).min(stretch.latents());
            let mut part = latents.narrow(0, held.start, held.len())?;
            if scale > 0.0 {
                // In normalised space (fact sheet 2.7).
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
            let frames = stretch.frames_of(start).start..stretch.frames_of(end - 1).end;
            let frames = frames.start.max(stretch.frames.start)..frames.end.min(stretch.frames.end);
            start = end;
            if frames.is_empty() {
                continue;
            }
            let local = |frame: u64| (frame - stretch.first) as usize;
            let part = vae.unnormalise(&part)?;
            let mut bands = Vec::new();
            for top in (0..bottom).step_by(height) {
                let down = Span {
                    start: top,
                    end: (top + height).min(bottom),
                    total: grid.rows * grid.spatial_stride,
                };
                let frames = local(frames.start)..local(frames.end);
                let area = (down, across);
                bands.push(decode_frames(
                    vae,
                    &part,
                    held.clone(),
                    frames,
                    area,
                    &timestep,
                )?);
            }
            self.hand_over(frames, &Tensor::cat(&bands, 3)?)?;
        }
        Ok(())
    }

    fn hand_over(&mut self, frames: Range<u64>, video: &Tensor) -> Result<()> {
        let (rows, columns) = self.source.size();
        let video = video
            .squeeze(0)?
            .narrow(2, 0, rows)?
            .narrow(3, 0, columns)?
            .affine(0.5, 0.5)?
            .clamp(0.0, 1.0)?;
        for (index, frame) in frames.enumerate() {
            let pixels = video.narrow(1, index, 1)?.flatten_all()?.to_vec1::<f32>()?;
            self.observer
                .picture(MadePicture {
                    frame: FrameIndex(frame),
                    pixels,
                })
                .map_err(MethodError::Sink)?;
            self.frames += 1;
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_span_starts_on_a_latent_of_its_own_between_clean_ones(
            before in 0_u64..80, length in 1_u64..200, after in 0_u64..80, start in 0_u64..100,
        ) {
            let frames = start + before..start + before + length;
            let span = SpanRange {
                frames: FrameIndex(frames.start)..FrameIndex(frames.end),
                available: FrameIndex(start)..FrameIndex(frames.end + after),
            };
            let stretch = stretch_of(&span, 8, 17);
            prop_assert!(stretch.first >= start);
            // All latents in front are clean context, and none is there for nothing.
            prop_assert_eq!(stretch.lead, stretch.made.start);
            prop_assert!(stretch.lead <= 6 && stretch.trail <= 6);
            prop_assert_eq!(stretch.frames_of(stretch.made.start).start, frames.start);
            if length <= 8 * 10 {
                prop_assert!(stretch.latents() <= 17, "{:?}", stretch);
            }
        }
    }
}
