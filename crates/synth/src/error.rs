//! What can go wrong.

use units::{FrameIndex, RateError, Seconds};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The picture is too small or too large to draw a head in.
    #[error("a picture of {width}x{height} pixels can't be drawn: use 32 to 4096 pixels each way")]
    Size {
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
    },
    /// The frame rate is not one.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The clip has no frames.
    #[error("a clip of {} s has no frames", .0.0)]
    Empty(Seconds),
    /// The frame is after the clip's end.
    #[error("there is no frame {}: the clip has {frames}", frame.0)]
    NoFrame {
        /// Frame asked for.
        frame: FrameIndex,
        /// Frames of the clip.
        frames: u64,
    },
}
