//! What a caller gives and gets.

use std::ops::Range;
use std::time::Duration;

use diffusion::{Schedule, State};
use units::{FrameIndex, FrameRate};

use super::mouth::SaidMouths;
use super::references::References;
use crate::error::{BoxError, MethodError, Result};

/// Head crops by frame index.
pub trait CropSource {
    /// The crop of a frame: planar `[3, crop, crop]` RGB in 0..1, rows from the top.
    /// Frames are asked for nearly in order, some of them twice.
    ///
    /// # Errors
    /// Whatever keeps the crop from being read.
    fn crop(&mut self, frame: FrameIndex) -> std::result::Result<Vec<f32>, BoxError>;

    /// The same crop with the lips of another moment laid over, for models that are shown
    /// counterparts; the recorded crop where a frame keeps its lips.
    ///
    /// # Errors
    /// As [`CropSource::crop`].
    fn counterpart(&mut self, frame: FrameIndex) -> std::result::Result<Vec<f32>, BoxError> {
        self.crop(frame)
    }
}

/// The new sound as log-mel frames at 100 Hz; frame 0 is at the first output frame's time.
pub trait MelSource {
    /// How many mel frames there are.
    fn frames(&self) -> usize;

    /// The bands of some of them, frame after frame.
    ///
    /// # Errors
    /// Whatever keeps the sound from being read.
    fn read(&self, frames: Range<usize>) -> std::result::Result<Vec<f32>, BoxError>;
}

impl MelSource for [[f32; 80]] {
    fn frames(&self) -> usize {
        self.len()
    }

    fn read(&self, frames: Range<usize>) -> std::result::Result<Vec<f32>, BoxError> {
        let range = format!("mel frames {frames:?} of {}", self.len());
        Ok(self.get(frames).ok_or(range)?.as_flattened().to_vec())
    }
}

impl MelSource for Vec<[f32; 80]> {
    fn frames(&self) -> usize {
        self.len()
    }

    fn read(&self, frames: Range<usize>) -> std::result::Result<Vec<f32>, BoxError> {
        self.as_slice().read(frames)
    }
}

/// Frames to make, and those around them that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LipRange {
    /// Frames to make.
    pub frames: Range<FrameIndex>,
    /// Frames that have a crop, `frames` among them. Those outside of `frames` keep their
    /// recorded mouth and lead the made ones in and out.
    pub available: Range<FrameIndex>,
}

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct LipJob {
    /// Ranges in rising order, apart from each other.
    pub ranges: Vec<LipRange>,
    /// Frames a second of the output.
    pub rate: FrameRate,
    /// Frames that show the speaker's own mouth and teeth; as many are used as the model takes.
    pub references: References,
    /// Mouths that the sound is made to say, in rising order of frames: those of the counterparts'
    /// plan, and the recorded ones beside what is made. Elsewhere the sound says its own.
    pub said: Vec<SaidMouths>,
    pub seed: u64,
    /// Other than the model's own schedule.
    pub schedule: Option<Schedule>,
    /// Other than the model's own weight of the sound.
    pub audio_guidance: Option<f64>,
    /// Pixels of the crop around the masked box that are decoded too, for feathering.
    pub margin: usize,
}

/// The made part of one frame's crop.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeCrop {
    pub frame: FrameIndex,
    /// Left edge in the crop, pixels.
    pub x: usize,
    /// Top edge in the crop, pixels.
    pub y: usize,
    pub width: usize,
    pub height: usize,
    /// Planar `[3, height, width]` RGB, clamped to 0..1; from a model that is shown counterparts
    /// what it changes about them, -1..1.
    pub pixels: Vec<f32>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Blocks done, and of how many.
    pub blocks: (usize, usize),
    /// Frames handed over, and of how many.
    pub frames: (u64, u64),
}

/// Takes results and progress.
pub trait LipObserver {
    /// The next made crop; frames come in rising order.
    ///
    /// # Errors
    /// Ends the job.
    fn crop(&mut self, made: MadeCrop) -> std::result::Result<(), BoxError>;

    /// A block is done. With `state` as bytes ([`State::to_bytes`]), a later run goes on
    /// here, with the same results; all crops handed over before must be kept by then.
    ///
    /// # Errors
    /// Ends the job; that is also how to stop it.
    fn block(&mut self, progress: Progress, state: &State) -> std::result::Result<(), BoxError> {
        let _ = (progress, state);
        Ok(())
    }

    /// A denoising step within a block is done; `steps` is steps done, and of how many.
    fn step(&mut self, steps: (usize, usize)) {
        let _ = steps;
    }
}

/// Time spent by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Getting crops from the source.
    pub read: Duration,
    /// The autoencoder's encoder.
    pub encode: Duration,
    /// The audio encoder and projection.
    pub sound: Duration,
    /// The context's keys and values.
    pub context: Duration,
    /// The denoising steps.
    pub denoise: Duration,
    /// The autoencoder's decoder.
    pub decode: Duration,
    /// Handing results over.
    pub sink: Duration,
}

/// What a job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LipReport {
    /// Frames made, those before a resume included.
    pub frames: u64,
    /// Blocks denoised in this run.
    pub blocks: usize,
    pub timings: Timings,
}

impl LipJob {
    /// Frames in all ranges.
    pub fn frames(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.frames.end.since(range.frames.start))
            .sum()
    }

    pub(super) fn check(&self, mel: usize) -> Result<()> {
        let mut last = 0;
        for LipRange { frames, available } in &self.ranges {
            if frames.start >= frames.end {
                return Err(MethodError::Job(format!(
                    "the range {}..{} is empty",
                    frames.start.0, frames.end.0
                )));
            }
            if frames.start.0 < last {
                return Err(MethodError::Job(format!(
                    "the range {}..{} starts before frame {last}, where the one before it ends",
                    frames.start.0, frames.end.0
                )));
            }
            if available.start > frames.start || available.end < frames.end {
                return Err(MethodError::Job(format!(
                    "frames {}..{} are to be made, but only {}..{} have crops",
                    frames.start.0, frames.end.0, available.start.0, available.end.0
                )));
            }
            last = frames.end.0;
        }
        if !self.ranges.is_empty() && mel < 2 {
            return Err(MethodError::Job(format!(
                "the sound has {mel} mel frames, wanted at least 2"
            )));
        }
        Ok(())
    }
}
