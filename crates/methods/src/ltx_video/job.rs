//! What a caller of [`super::LtxVideo`] gives and gets.

use std::ops::Range;

use diffusion::{CacheConfig, Pass, ShiftedWindows, State};
use units::{FrameIndex, FrameRate};

use crate::error::{BoxError, MethodError, Result};

/// The output's pictures by frame index, made ones included: there they are what is shown for
/// want of better, and the latents around them are encoded with it as their past.
pub trait PictureSource {
    /// Rows and columns of all pictures.
    fn size(&self) -> (usize, usize);

    /// A picture: planar `[3, rows, columns]` RGB in 0..1. Frames are asked for in order.
    ///
    /// # Errors
    /// Whatever keeps the picture from being read.
    fn picture(&mut self, frame: FrameIndex) -> std::result::Result<Vec<f32>, BoxError>;
}

/// Frames to make, and those around them that may be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRange {
    /// Frames to make.
    pub frames: Range<FrameIndex>,
    /// Frames of the same scene, `frames` among them.
    pub available: Range<FrameIndex>,
}

/// What to make, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanJob {
    /// In rising order, apart from each other.
    pub spans: Vec<SpanRange>,
    /// Frames a second of the output.
    pub rate: FrameRate,
    pub seed: u64,
    pub pass: Pass,
    pub windows: ShiftedWindows,
    pub cache: Option<CacheConfig>,
    /// Timestep that the decoder is told, 0..1.
    pub decode_timestep: f64,
    /// Share of noise in the latents that are decoded.
    pub decode_noise_scale: f64,
}

/// A made picture.
#[derive(Debug, Clone, PartialEq)]
pub struct MadePicture {
    pub frame: FrameIndex,
    /// Planar `[3, rows, columns]` RGB, clamped to 0..1, in the source's size.
    pub pixels: Vec<f32>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanProgress {
    /// Denoising steps of the present span done, and of how many.
    pub steps: (usize, usize),
    /// Frames handed over, and of how many.
    pub frames: (u64, u64),
}

/// Takes results and progress.
pub trait SpanObserver {
    /// The next made picture; frames come in rising order.
    ///
    /// # Errors
    /// Ends the job.
    fn picture(&mut self, made: MadePicture) -> std::result::Result<(), BoxError>;

    /// A step or a span is done. With `state` as bytes ([`State::to_bytes`]), a later run
    /// goes on here, with the same results; all pictures handed over before must be kept by
    /// then.
    ///
    /// # Errors
    /// Ends the job; that is also how to stop it.
    fn kept(&mut self, progress: SpanProgress, state: &State) -> std::result::Result<(), BoxError>;
}

impl SpanJob {
    /// Frames in all spans.
    pub fn frames(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.frames.end.since(span.frames.start))
            .sum()
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut last = 0;
        for SpanRange { frames, available } in &self.spans {
            let told = format!("the span {}..{}", frames.start.0, frames.end.0);
            if frames.start >= frames.end {
                return Err(MethodError::Job(format!("{told} is empty")));
            }
            if frames.start.0 < last {
                return Err(MethodError::Job(format!(
                    "{told} starts before frame {last}, where the one before it ends"
                )));
            }
            if available.start > frames.start || available.end < frames.end {
                return Err(MethodError::Job(format!(
                    "{told} does not lie within the frames {}..{} that can be read",
                    available.start.0, available.end.0
                )));
            }
            last = frames.end.0;
        }
        Ok(())
    }
}
