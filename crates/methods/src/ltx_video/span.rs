//! Frames, or parts of frames, that are made: what stands before, behind and around them is
//! encoded and stays clean, what touches something to make is denoised between.
//!
//! By the base model alone this is the temporal inpainting of LTX-Video (`pipeline_ltx_video.py`,
//! `prepare_conditioning`); with EditYourself's parts, what is made follows the sound (eq. 5, 6). A
//! span begins with a latent of its own; spans longer than a block are walked by windows. With a
//! second pass, everything is done at half the size first.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use candle_core::Tensor;
use diffusion::{ChaChaNoise, DiffusionError, NoiseKey, NoiseSource, Pass, Purpose, State};
use models::ltx::Caption;
use units::FrameIndex;

use super::beside::{Beside, Faces};
use super::decode::HALO;
use super::encode::{Encoded, Encoding, face_cells};
use super::job::{Order, PictureSource, SpanJob, SpanObserver, SpanProgress, SpanRange};
use super::model::LtxVideo;
use super::sequence::{Grid, Sequence, SequenceSound};
use super::two_pass::second_pass;
use crate::edit_yourself::{MelSource, Stretch};
use crate::error::{MethodError, Result};

/// Clean latents at either side of a span: as many as the block has room for, within these.
const CONTEXT: std::ops::RangeInclusive<usize> = 2..=6;

/// A text as the transformer takes it.
#[derive(Debug, Clone)]
pub struct Captions {
    pub positive: Caption,
    /// For steps with guidance; without it they run unguided.
    pub negative: Option<Caption>,
}

/// What a job is made from.
pub struct SpanInputs<'a> {
    pub captions: &'a Captions,
    pub source: &'a mut dyn PictureSource,
    /// The new sound as mel frames, for models that hear.
    pub sound: Option<&'a dyn MelSource>,
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
        inputs: SpanInputs<'_>,
        observer: &mut dyn SpanObserver,
        resume: Option<&[u8]>,
    ) -> Result<()> {
        job.check()?;
        let SpanInputs {
            captions,
            source,
            sound,
        } = inputs;
        if job.second.is_some() {
            self.check_second(source.size())?;
        }
        let heard = sound.map_or(0, MelSource::frames);
        let told = format!(
            "{job:?} {} {:?} {heard}",
            self.origin(),
            self.parts().map(super::Parts::config)
        );
        let mut run = Run {
            model: self,
            job,
            captions,
            source,
            sound,
            observer,
            noise: ChaChaNoise::new(job.seed),
            fingerprint: fingerprint(&told),
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

    fn check_second(&self, (rows, columns): (usize, usize)) -> Result<()> {
        let cell = 2 * self.vae.config().spatial_stride();
        if self.upsampler.is_none() {
            return Err(MethodError::Job(
                "a second pass takes a latent upsampler".to_owned(),
            ));
        }
        if !rows.is_multiple_of(cell) || !columns.is_multiple_of(cell) {
            return Err(MethodError::Job(format!(
                "two passes take pictures of multiples of {cell} pixels, not {columns} x {rows}"
            )));
        }
        Ok(())
    }
}

/// What a job is, in a few characters: its text holds an area a frame.
fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x} {}", hasher.finish(), text.len())
}

/// A job while it runs.
pub(super) struct Run<'a> {
    pub(super) model: &'a LtxVideo,
    pub(super) job: &'a SpanJob,
    captions: &'a Captions,
    pub(super) source: &'a mut dyn PictureSource,
    sound: Option<&'a dyn MelSource>,
    pub(super) observer: &'a mut dyn SpanObserver,
    noise: ChaChaNoise,
    fingerprint: String,
    /// Frames handed over.
    pub(super) frames: u64,
}

/// A span on its way.
struct Place<'a> {
    index: usize,
    span: &'a SpanRange,
    stretch: &'a Stretch,
    /// Audio tokens of all latents.
    sound: Option<&'a Tensor>,
    /// Steps of passes that are done.
    done: usize,
    steps: usize,
}

/// How a span lies in latents. By frames, the first one of the stretch is the first one encoded, so
/// that a sequence begins as those do that the model knows; by latents, all are the recording's, and
/// the decoder reads as many of them around what is made as it needs.
pub(super) fn stretch_of(span: &SpanRange, stride: usize, block: usize, order: Order) -> Stretch {
    let length = span.frames.end.since(span.frames.start) as usize;
    let made = length.div_ceil(stride) + 1;
    let context = (block.saturating_sub(made) / 2).clamp(*CONTEXT.start(), *CONTEXT.end());
    let plain = |range: &Range<FrameIndex>| range.start.0..range.end.0;
    if let (Order::Latents, Some(grid)) = (order, span.grid) {
        let context = context.max(HALO);
        return Stretch::on_grid(
            plain(&span.frames),
            plain(&span.available),
            grid,
            stride,
            context,
        );
    }
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
        let model = self.model;
        let stretch = stretch_of(
            span,
            model.vae.config().temporal_stride(),
            self.job.windows.width,
            self.job.order,
        );
        let device = model.transformer.device();
        let sound = match (&model.parts, self.sound) {
            (Some(parts), Some(mel)) => Some(parts.tokens(&stretch, mel, self.job.rate, device)?),
            _ => None,
        };
        let mut place = Place {
            index,
            span,
            stretch: &stretch,
            sound: sound.as_ref(),
            done: 0,
            steps: self.job.steps()?,
        };
        let Some(second) = &self.job.second else {
            let grid = self.grid(place.stretch, 1);
            let start = self.normal(Purpose::Start, &stretch, 0..stretch.latents(), &grid)?;
            let made = self.pass(&place, &self.job.pass, 1, &start, state)?;
            return self.finish(&place, &grid, &made);
        };
        let first_steps = self.job.pass.times()?.len();
        let in_second = state.filter(|state| state.has_text("second"));
        let grid = self.grid(place.stretch, 1);
        let start = if let Some(state) = in_second {
            // The walk goes on from what the state holds.
            state.tensor("x")?.to_device(device)?
        } else {
            let small = self.grid(place.stretch, 2);
            let noise = self.normal(Purpose::Start, &stretch, 0..stretch.latents(), &small)?;
            let first = self.pass(&place, &self.job.pass, 2, &noise, state)?;
            self.upsampled(&stretch, &first, (&small, &grid), second)?
        };
        place.done = first_steps;
        let made = self.pass(&place, second, 1, &start, in_second)?;
        self.finish(&place, &grid, &made)
    }

    fn finish(&mut self, place: &Place<'_>, grid: &Grid, made: &Tensor) -> Result<()> {
        self.decode(place.span, place.stretch, grid, made)?;
        self.keep(place.index + 1, (0, place.steps), Some(State::default()))
    }

    /// The grid of a stretch of pictures that are `shrink` times smaller than the source's.
    fn grid(&self, stretch: &Stretch, shrink: usize) -> Grid {
        let config = self.model.vae.config();
        let (rows, columns) = self.source.size();
        let space = config.spatial_stride();
        Grid {
            rows: (rows / shrink).div_ceil(space),
            columns: (columns / shrink).div_ceil(space),
            spatial_stride: space,
            temporal_stride: config.temporal_stride(),
            first: stretch.place(),
            rate: self.job.rate.per_second(),
        }
    }

    /// One denoise of a span, from `start` `[n, cells, C]`, on pictures that are `shrink` times
    /// smaller than the source's.
    fn pass(
        &mut self,
        place: &Place<'_>,
        pass: &Pass,
        shrink: usize,
        start: &Tensor,
        state: Option<&State>,
    ) -> Result<Tensor> {
        let model = self.model;
        let grid = self.grid(place.stretch, shrink);
        let parts = model.parts.as_ref().map(super::Parts::config);
        let Encoded {
            clean,
            recorded,
            masks,
        } = Encoding {
            vae: &model.vae,
            device: model.transformer.device(),
            grid,
            shrink,
            order: self.job.order,
            fill: parts.and_then(|parts| parts.context_fill),
        }
        .run(place.span, place.stretch, self.source)?;
        let (rows, columns) = self.source.size();
        let faces = parts
            .filter(|parts| parts.references > 0)
            .map(|parts| Faces {
                recorded: recorded.unwrap_or_else(|| clean.clone()),
                cells: face_cells(
                    place.span,
                    place.stretch,
                    &masks,
                    (rows / shrink, columns / shrink),
                    &grid,
                ),
                count: parts.references,
                reach: (parts.reference_reach * grid.rate / grid.temporal_stride as f64).round()
                    as usize,
            });
        let sequence = Sequence {
            transformer: &model.transformer,
            positive: &self.captions.positive,
            negative: self.captions.negative.as_ref(),
            pass,
            windows: self.job.windows,
            grid,
            clean: &clean,
            masks: &masks,
            beside: parts.map_or(Beside::Keyframes, |parts| {
                Beside::ForwardBackward(parts.picture_distance)
            }),
            faces: faces.as_ref(),
            sound: place.sound.map(|tokens| SequenceSound {
                tokens,
                guidance: parts.map_or(1.0, |parts| parts.audio_guidance),
            }),
            cache: self.job.cache.as_ref(),
        };
        sequence.run(start, state, |walk, resumable| {
            let steps = (place.done + walk.step(), place.steps);
            let state = resumable.then(|| {
                let mut state = walk.save();
                if place.done > 0 {
                    state.set_text("second", "yes");
                }
                state
            });
            self.keep(place.index, steps, state)
        })
    }

    /// What the second pass starts from, `[n, cells, C]`.
    fn upsampled(
        &self,
        stretch: &Stretch,
        first: &Tensor,
        (small, grid): (&Grid, &Grid),
        pass: &Pass,
    ) -> Result<Tensor> {
        let Some(upsampler) = &self.model.upsampler else {
            return Err(MethodError::Job("there is no latent upsampler".to_owned()));
        };
        let (count, _, channels) = first.dims3()?;
        let video = first.permute((2, 0, 1))?.contiguous()?.reshape((
            1,
            channels,
            count,
            small.rows,
            small.columns,
        ))?;
        let second = second_pass(&video, &self.model.vae, upsampler, pass, |shape| {
            let noise = self.normal(Purpose::SecondPass, stretch, 0..count, grid)?;
            Ok(noise.permute((2, 0, 1))?.contiguous()?.reshape(shape)?)
        })?;
        Ok(second
            .start
            .reshape((channels, count, grid.cells()))?
            .permute((1, 2, 0))?
            .contiguous()?)
    }

    /// `span` is the one that a later run begins or goes on with.
    fn keep(&mut self, span: usize, steps: (usize, usize), state: Option<State>) -> Result<()> {
        let state = state.map(|mut state| {
            state.set_text("job", self.fingerprint.clone());
            state.set_number("span", span as u64);
            state.set_number("frames", self.frames);
            state
        });
        let progress = SpanProgress {
            steps,
            frames: (self.frames, self.job.frames()),
        };
        self.observer
            .kept(progress, state.as_ref())
            .map_err(MethodError::Sink)
    }

    /// Noise `[n, cells, C]`. It belongs to a place in the output, however spans lie.
    pub(super) fn normal(
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
            let span = SpanRange::whole(
                FrameIndex(frames.start)..FrameIndex(frames.end),
                FrameIndex(start)..FrameIndex(frames.end + after),
            );
            let stretch = stretch_of(&span, 8, 17, Order::Pixels);
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
