//! Frame rates (exact fractions) and sample rates, with the conversions to and from seconds.

use crate::{FrameIndex, SampleIndex, Seconds};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A rate that no clip can have.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RateError {
    /// A frame rate whose numerator or denominator is zero.
    #[error("a frame rate of {numerator}/{denominator} is not a rate")]
    Frame {
        /// Frames.
        numerator: u32,
        /// Per this many seconds.
        denominator: u32,
    },
    /// A sample rate of zero.
    #[error("a sample rate of 0 Hz is not a rate")]
    Sample,
}

/// Frames per second as an exact fraction (30000/1001 for NTSC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    numerator: u32,
    denominator: u32,
}

impl FrameRate {
    /// `numerator / denominator` frames per second; both above zero.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, RateError> {
        if numerator == 0 || denominator == 0 {
            return Err(RateError::Frame {
                numerator,
                denominator,
            });
        }
        Ok(Self {
            numerator,
            denominator,
        })
    }

    /// Frames.
    pub fn numerator(self) -> u32 {
        self.numerator
    }

    /// Per this many seconds.
    pub fn denominator(self) -> u32 {
        self.denominator
    }

    /// Frames per second.
    pub fn per_second(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// How long one frame is shown.
    pub fn frame_duration(self) -> Seconds {
        Seconds(f64::from(self.denominator) / f64::from(self.numerator))
    }

    /// When a frame starts.
    pub fn start_of(self, frame: FrameIndex) -> Seconds {
        Seconds(frame.0 as f64 * f64::from(self.denominator) / f64::from(self.numerator))
    }

    /// The frame boundary nearest to a time; times before zero give frame zero.
    pub fn nearest(self, time: Seconds) -> FrameIndex {
        FrameIndex((time.0 * self.per_second()).round().max(0.0) as u64)
    }

    /// The frame that is shown at a time; times before zero give frame zero.
    pub fn at(self, time: Seconds) -> FrameIndex {
        // A boundary computed in floating point may fall a hair below its frame.
        FrameIndex((time.0 * self.per_second() + 1e-6).floor().max(0.0) as u64)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            write!(formatter, "{} fps", self.numerator)
        } else {
            write!(formatter, "{:.3} fps", self.per_second())
        }
    }
}

/// Samples per second of each channel, in Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SampleRate(u32);

impl SampleRate {
    /// What speech models listen to.
    pub const SPEECH: Self = Self(16_000);

    /// A rate in Hz, above zero.
    pub fn new(hertz: u32) -> Result<Self, RateError> {
        if hertz == 0 {
            return Err(RateError::Sample);
        }
        Ok(Self(hertz))
    }

    /// The rate in Hz.
    pub fn hertz(self) -> u32 {
        self.0
    }

    /// When a sample sounds.
    pub fn start_of(self, sample: SampleIndex) -> Seconds {
        Seconds(sample.0 as f64 / f64::from(self.0))
    }

    /// The sample nearest to a time; times before zero give sample zero.
    pub fn nearest(self, time: Seconds) -> SampleIndex {
        SampleIndex((time.0 * f64::from(self.0)).round().max(0.0) as u64)
    }

    /// How many samples a duration has, rounded.
    pub fn samples_in(self, duration: Seconds) -> u64 {
        self.nearest(duration).0
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} Hz", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_frame_start_maps_back_to_its_frame(
            frame in 0_u64..10_000_000,
            numerator in 1_u32..120_000,
            denominator in 1_u32..2_000,
        ) {
            let rate = FrameRate::new(numerator, denominator).unwrap();
            prop_assert_eq!(rate.nearest(rate.start_of(FrameIndex(frame))), FrameIndex(frame));
            prop_assert_eq!(rate.at(rate.start_of(FrameIndex(frame))), FrameIndex(frame));
        }

        #[test]
        fn every_sample_start_maps_back_to_its_sample(sample in 0_u64..1_000_000_000, hertz in 1_u32..400_000) {
            let rate = SampleRate::new(hertz).unwrap();
            prop_assert_eq!(rate.nearest(rate.start_of(SampleIndex(sample))), SampleIndex(sample));
        }
    }

    #[test]
    fn a_zero_rate_is_refused() {
        assert!(FrameRate::new(25, 0).is_err());
        assert!(FrameRate::new(0, 1).is_err());
        assert!(SampleRate::new(0).is_err());
    }
}
