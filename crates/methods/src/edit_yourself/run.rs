//! A job from crops and sound to made crops, block by block, in bounded memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use diffusion::{ChaChaNoise, DiffusionError, NoiseSource, State};
use models::ltx::vae::EncodeStream;
use units::FrameIndex;

use super::denoise::BlockInput;
use super::job::{CropSource, LipJob, LipObserver, LipReport, MelSource, Progress, Timings};
use super::model::EditYourself;
use super::plan::{Block, Stretch};
use super::sound::Sound;
use super::store::Store;
use crate::error::{MethodError, Result};

/// Latents that are encoded in front of a range, for the encoder's past.
pub(super) const WARM_UP: usize = 8;

/// Everything that a job's parts share.
pub(super) struct Run<'a> {
    pub(super) model: &'a EditYourself,
    pub(super) job: &'a LipJob,
    pub(super) crops: &'a mut dyn CropSource,
    pub(super) mel: Sound<'a>,
    pub(super) observer: &'a mut dyn LipObserver,
    pub(super) noise: &'a dyn NoiseSource,
    pub(super) times: Vec<f64>,
    pub(super) guidance: f64,
    /// The references of the last block, with their tokens.
    pub(super) references: (Vec<FrameIndex>, Option<Tensor>),
    pub(super) timings: Timings,
    pub(super) progress: Progress,
    pub(super) fingerprint: String,
}

/// A stretch in progress: what a state keeps.
pub(super) struct Cursor<'a> {
    pub(super) encoder: EncodeStream<'a>,
    /// Latents whose outside is encoded.
    pub(super) encoded: usize,
    /// Blocks of the stretch that are done.
    pub(super) block: usize,
    /// The next frame to hand over.
    pub(super) next_frame: u64,
    pub(super) store: Store,
}

/// Adds the time that some work took.
pub(super) fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work();
    *spent += start.elapsed();
    result
}

impl EditYourself {
    /// Makes new lips for all ranges of a job.
    ///
    /// With `resume`, the bytes of a state that an earlier run of the same job handed to
    /// [`LipObserver::block`], it goes on there, with the same results.
    ///
    /// # Errors
    /// When the job makes no sense, its source or observer fails, or the state belongs to
    /// another job.
    pub fn run(
        &self,
        job: &LipJob,
        crops: &mut dyn CropSource,
        mel: &dyn MelSource,
        observer: &mut dyn LipObserver,
        resume: Option<&[u8]>,
    ) -> Result<LipReport> {
        let noise = ChaChaNoise::new(job.seed);
        self.run_with_noise(job, crops, mel, observer, resume, &noise)
    }

    /// [`Self::run`] with noise from elsewhere; the job's seed is not used.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_noise(
        &self,
        job: &LipJob,
        crops: &mut dyn CropSource,
        mel: &dyn MelSource,
        observer: &mut dyn LipObserver,
        resume: Option<&[u8]>,
        noise: &dyn NoiseSource,
    ) -> Result<LipReport> {
        job.check(mel.frames())?;
        let config = self.config();
        let schedule = job.schedule.as_ref().unwrap_or_else(|| self.schedule());
        let guidance = job.audio_guidance.unwrap_or(config.audio_guidance);
        let stretches: Vec<Stretch> = job
            .ranges
            .iter()
            .map(|range| {
                let plain = |r: &Range<FrameIndex>| r.start.0..r.end.0;
                Stretch::new(
                    plain(&range.frames),
                    plain(&range.available),
                    config.temporal_stride,
                    config.carry_latents,
                    WARM_UP,
                )
            })
            .collect();
        let blocks: Vec<Vec<Block>> = stretches
            .iter()
            .map(|s| s.blocks(config.block_latents, config.carry_latents))
            .collect();
        let mut run = Run {
            model: self,
            job,
            crops,
            mel: Sound::new(mel, &self.mel_encoder)?,
            observer,
            noise,
            times: schedule.times()?,
            guidance,
            references: (Vec::new(), None),
            timings: Timings::default(),
            progress: Progress {
                blocks: (0, blocks.iter().map(Vec::len).sum()),
                frames: (0, job.frames()),
            },
            fingerprint: fingerprint(&format!(
                "{job:?} {schedule:?} {guidance} {} {config:?}",
                mel.frames()
            )),
        };
        let state = resume.map(State::from_bytes).transpose()?;
        let first = match &state {
            Some(state) => run.resume(state)?,
            None => 0,
        };
        let mut state = state;
        let mut done = 0;
        for (index, (stretch, blocks)) in stretches.iter().zip(&blocks).enumerate().skip(first) {
            done += run.stretch(index, stretch, blocks, state.take().as_ref())?;
        }
        Ok(LipReport {
            frames: run.progress.frames.0,
            blocks: done,
            timings: run.timings,
        })
    }
}

/// What a job is, in a few characters: its text holds a mouth a frame.
fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x} {}", hasher.finish(), text.len())
}

impl Run<'_> {
    /// Reads what a state says about the job, and gives its range.
    fn resume(&mut self, state: &State) -> Result<usize> {
        if state.text("job")? != self.fingerprint {
            return Err(DiffusionError::State("it belongs to another job".to_owned()).into());
        }
        self.progress.blocks.0 = state.number("blocks_done")? as usize;
        self.progress.frames.0 = state.number("frames_done")?;
        Ok(state.number("range")? as usize)
    }

    pub(super) fn device(&self) -> &Device {
        self.model.transformer.device()
    }

    /// Makes one range; gives the number of blocks done.
    fn stretch(
        &mut self,
        index: usize,
        stretch: &Stretch,
        blocks: &[Block],
        state: Option<&State>,
    ) -> Result<usize> {
        if let Some(windows) = self.model.config.windows {
            return self.shifted(index, stretch, windows, blocks.len());
        }
        let mut cursor = self.cursor(self.model, stretch, state)?;
        let mut done = 0;
        while let Some(block) = blocks.get(cursor.block) {
            self.encode_to(stretch, &mut cursor, block.latents.end)?;
            self.block(stretch, &mut cursor, block)?;
            cursor.block += 1;
            done += 1;
            let last = cursor.block == blocks.len();
            self.decode(stretch, &mut cursor, block.make.end, last)?;
            if let Some(next) = blocks.get(cursor.block) {
                let undecoded = stretch.latent_of(cursor.next_frame);
                let before = undecoded.saturating_sub(self.model.config.decode_before.max(1));
                cursor.store.forget_before(before.min(next.latents.start));
            }
            self.progress.blocks.0 += 1;
            let state = self.save(index, &cursor, last)?;
            let progress = self.progress;
            self.observer
                .block(progress, &state)
                .map_err(MethodError::Sink)?;
        }
        Ok(done)
    }

    fn block(&mut self, stretch: &Stretch, cursor: &mut Cursor<'_>, block: &Block) -> Result<()> {
        let latents = block.latents.clone();
        let sound = self.sound(stretch, latents.clone())?;
        let frames = stretch.frames_of(latents.start).start..stretch.frames_of(latents.end - 1).end;
        self.show_references(&frames)?;
        let model = self.model;
        let input = BlockInput {
            first: latents.start,
            outside: cursor.store.outside(latents.clone())?,
            shown: if model.config.recorded_context {
                Some(cursor.store.shown(latents.clone())?)
            } else {
                None
            },
            known: latents
                .clone()
                .map(|n| cursor.store.inside_of(n).cloned())
                .collect(),
            references: self.references.1.as_ref(),
            sound,
            // Noise belongs to a place in the clip, however ranges and blocks lie.
            noise: latents
                .clone()
                .map(|n| stretch.frames_of(n).end - 1)
                .collect(),
            rate: self.job.rate.per_second(),
        };
        let prepared = timed(&mut self.timings.context, || model.prepare(&input))?;
        let (times, guidance, noise) = (&self.times, self.guidance, self.noise);
        let observer = &mut *self.observer;
        let mut steps = 0;
        let made = timed(&mut self.timings.denoise, || {
            model.denoise(&input, &prepared, times, guidance, noise, |count| {
                steps += count;
                observer.step((steps, times.len()));
            })
        })?;
        let own = made.narrow(0, block.make.start - latents.start, block.make.len())?;
        cursor.store.put_inside(block.make.start, &own)
    }
}
