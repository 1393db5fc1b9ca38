//! What a caller of [`super::LtxVideo`] gives and gets.

use std::ops::Range;

use diffusion::{CacheConfig, Pass, ShiftedWindows, State};
use units::{FrameIndex, FrameRate};

use super::mask::{Area, Made};
use crate::error::{BoxError, MethodError, Result};

/// The output's pictures by frame index, made ones included: there they are what is shown for
/// want of better, and the latents around them are encoded with it as their past.
pub trait PictureSource {
    /// Rows and columns of all pictures; in a job of two passes, multiples of twice the
    /// autoencoder's stride.
    fn size(&self) -> (usize, usize);

    /// A picture: planar `[3, rows, columns]` RGB in 0..1. Frames are asked for in order.
    ///
    /// # Errors
    /// Whatever keeps the picture from being read.
    fn picture(&mut self, frame: FrameIndex) -> std::result::Result<Vec<f32>, BoxError>;

    /// The recorded picture that lies `back` frames before the one that is shown at `frame`, for
    /// [`Order::Latents`]; none before the recording's beginning, or where `frame` shows no
    /// recorded picture.
    ///
    /// # Errors
    /// Whatever keeps the picture from being read.
    fn recorded_before(
        &mut self,
        frame: FrameIndex,
        back: u64,
    ) -> std::result::Result<Option<Vec<f32>>, BoxError> {
        let _ = (frame, back);
        Ok(None)
    }
}

/// Frames to make, and those around them that may be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanRange {
    /// Frames to make.
    pub frames: Range<FrameIndex>,
    /// Frames of the same scene, `frames` among them.
    pub available: Range<FrameIndex>,
    /// What of each of `frames` is made; the whole of all of them where this is empty.
    pub made: Vec<Made>,
    /// Where each of `available` shows the speaker's lower face as recorded, if it does; nowhere
    /// where this is empty.
    pub faces: Vec<Option<Area>>,
    /// For [`Order::Latents`], a frame at which one of the recording's latents of several frames
    /// begins; `available` then begins with a latent, or with the recording's first frame. None
    /// where the span begins one.
    pub grid: Option<u64>,
}

impl SpanRange {
    /// Frames of which nothing is recorded.
    pub fn whole(frames: Range<FrameIndex>, available: Range<FrameIndex>) -> Self {
        Self {
            frames,
            available,
            made: Vec::new(),
            faces: Vec::new(),
            grid: None,
        }
    }

    /// What of a frame is made.
    pub(super) fn made_at(&self, frame: u64) -> Made {
        if !self.frames.contains(&FrameIndex(frame)) {
            return Made::Nothing;
        }
        if self.made.is_empty() {
            return Made::Whole;
        }
        let place = (frame - self.frames.start.0) as usize;
        self.made.get(place).copied().unwrap_or(Made::Whole)
    }

    /// The recorded lower face of a frame.
    pub(super) fn face_at(&self, frame: u64) -> Option<Area> {
        let place = frame.checked_sub(self.available.start.0)?;
        self.faces.get(place as usize).copied().flatten()
    }
}

/// What a recorded latent is, and what the encoder has seen before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Eight frames as the output shows them, wherever edits fall: its frames are laid out first, and
    /// encoded as they follow each other.
    #[default]
    Pixels,
    /// One of the recording's own latents, which is encoded first and its latents moved: how the
    /// paper edits (EditYourself 3.3). Edits have to fall between latents.
    Latents,
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
    /// A pass at twice the size, from what the first one made at half of it through the latent
    /// upsampler.
    pub second: Option<Pass>,
    pub windows: ShiftedWindows,
    pub order: Order,
    pub cache: Option<CacheConfig>,
    /// Timestep that the decoder is told, 0..1.
    pub decode_timestep: f64,
    /// Share of noise in the latents that are decoded.
    pub decode_noise_scale: f64,
}

/// A made picture, or the made part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct MadePicture {
    pub frame: FrameIndex,
    /// Left edge in the source's size, pixels.
    pub left: usize,
    /// Top edge in the source's size, pixels.
    pub top: usize,
    pub columns: usize,
    pub rows: usize,
    /// Planar `[3, rows, columns]` RGB, clamped to 0..1.
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
    /// then. Without one, the last state stays the place to go on from.
    ///
    /// # Errors
    /// Ends the job; that is also how to stop it.
    fn kept(
        &mut self,
        progress: SpanProgress,
        state: Option<&State>,
    ) -> std::result::Result<(), BoxError>;
}

impl SpanJob {
    /// Steps of a span in all passes.
    ///
    /// # Errors
    /// When a pass has none.
    pub fn steps(&self) -> Result<usize> {
        let mut steps = self.pass.times()?.len();
        if let Some(second) = &self.second {
            steps += second.times()?.len();
        }
        Ok(steps)
    }

    /// Frames in all spans.
    pub fn frames(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.frames.end.since(span.frames.start))
            .sum()
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut last = 0;
        for span in &self.spans {
            let SpanRange {
                frames,
                available,
                made,
                faces,
                grid: _,
            } = span;
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
            for (what, given, of) in [
                ("masks", made.len(), frames),
                ("faces", faces.len(), available),
            ] {
                let wanted = of.end.since(of.start);
                if given > 0 && given as u64 != wanted {
                    return Err(MethodError::Job(format!(
                        "{told} has {given} {what} for {wanted} frames"
                    )));
                }
            }
            last = frames.end.0;
        }
        Ok(())
    }
}
