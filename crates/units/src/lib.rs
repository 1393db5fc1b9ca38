//! Newtypes for the quantities that get mixed up: seconds, frames, samples, latents, tokens.
//!
//! Every conversion between two of them lives in this crate and nowhere else.
//! Index ranges are half-open, as everywhere in the project.

mod index;
mod rate;
mod seconds;
mod stride;

pub use index::{FrameIndex, LatentIndex, SampleIndex, TokenIndex};
pub use rate::{FrameRate, RateError, SampleRate};
pub use seconds::Seconds;
pub use stride::{StrideError, TemporalStride};
