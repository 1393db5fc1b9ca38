//! When every source frame is shown, and where the sound's samples lie on the same time axis.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;
use units::{FrameIndex, FrameRate, SampleIndex, SampleRate, Seconds};

/// A clock that can't be one.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ClockError {
    /// A clip without frames.
    #[error("the clip has no frames")]
    NoFrames,
    /// A frame that does not start after the one before it.
    #[error("frame {frame} starts at {start:.6}, which is not after {before:.6}")]
    NotIncreasing {
        /// Which frame (for the last frame's end, the frame count).
        frame: u64,
        /// Its start.
        start: Seconds,
        /// The start before.
        before: Seconds,
    },
    /// A start that is negative, infinite or not a number.
    #[error("frame {frame} starts at {start:?}, which is no time of a clip")]
    Time {
        /// Which frame.
        frame: u64,
        /// Its start in seconds.
        start: f64,
    },
}

/// The start of every frame in presentation order, and the end of the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameClock {
    starts: Vec<Seconds>,
    end: Seconds,
    rate: FrameRate,
}

impl FrameClock {
    /// A clock of given starts. `nominal` is how long a made frame is shown.
    pub fn new(starts: Vec<Seconds>, end: Seconds, nominal: FrameRate) -> Result<Self, ClockError> {
        let mut before: Option<Seconds> = None;
        for (index, &start) in starts.iter().chain(std::iter::once(&end)).enumerate() {
            if !start.is_finite() || start < Seconds::ZERO {
                return Err(ClockError::Time {
                    frame: index as u64,
                    start: start.0,
                });
            }
            if let Some(before) = before
                && start <= before
            {
                return Err(ClockError::NotIncreasing {
                    frame: index as u64,
                    start,
                    before,
                });
            }
            before = Some(start);
        }
        if starts.is_empty() {
            return Err(ClockError::NoFrames);
        }
        Ok(Self {
            starts,
            end,
            rate: nominal,
        })
    }

    /// `frames` frames at a constant rate, the first at zero.
    pub fn constant(rate: FrameRate, frames: u64) -> Result<Self, ClockError> {
        let starts = (0..frames)
            .map(|frame| rate.start_of(FrameIndex(frame)))
            .collect();
        Self::new(starts, rate.start_of(FrameIndex(frames)), rate)
    }

    /// Number of frames.
    pub fn frames(&self) -> u64 {
        self.starts.len() as u64
    }

    /// When a frame starts; for the frame count, when the last one ends.
    pub fn start_of(&self, frame: FrameIndex) -> Seconds {
        self.starts
            .get(frame.as_usize())
            .copied()
            .unwrap_or(self.end)
    }

    /// How long a frame is shown; zero past the end.
    pub fn duration_of(&self, frame: FrameIndex) -> Seconds {
        self.start_of(frame.next()) - self.start_of(frame)
    }

    /// When the last frame ends.
    pub fn end(&self) -> Seconds {
        self.end
    }

    /// When the first frame starts (later than zero where the sound starts first).
    pub fn start(&self) -> Seconds {
        self.start_of(FrameIndex::ZERO)
    }

    /// How long a made frame is shown.
    pub fn nominal(&self) -> Seconds {
        self.rate.frame_duration()
    }

    /// The nominal rate; the true one where [`FrameClock::is_constant`].
    pub fn rate(&self) -> FrameRate {
        self.rate
    }

    /// The starts in order.
    pub fn starts(&self) -> &[Seconds] {
        &self.starts
    }

    /// The frame boundary nearest to a time, 0 to the frame count; the earlier of two as near.
    pub fn nearest(&self, time: Seconds) -> FrameIndex {
        let after = self.starts.partition_point(|&start| start < time);
        let Some(before) = after.checked_sub(1) else {
            return FrameIndex::ZERO;
        };
        let (before, after) = (FrameIndex::from(before), FrameIndex::from(after));
        // A hair of slack, so that rounding errors don't decide between two as near.
        if time - self.start_of(before) <= self.start_of(after) - time + Seconds(1e-9) {
            before
        } else {
            after
        }
    }

    /// The frame shown at a time, clamped to the clip.
    pub fn at(&self, time: Seconds) -> FrameIndex {
        let after = self
            .starts
            .partition_point(|&start| start <= time + Seconds(1e-9));
        FrameIndex::from(after.saturating_sub(1))
    }

    /// True when every frame is shown for the nominal time, to the microsecond.
    pub fn is_constant(&self) -> bool {
        (0..self.frames()).all(|frame| {
            (self.duration_of(FrameIndex(frame)) - self.nominal()).abs() < Seconds(1e-6)
        })
    }
}

/// The clip's sound track on the clip's time axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoundClock {
    /// Samples a second of each channel.
    pub rate: SampleRate,
    /// Samples of each channel.
    pub samples: u64,
    /// When sample 0 sounds on the axis of [`FrameClock`]; may be negative.
    pub start: Seconds,
}

impl SoundClock {
    /// The samples between two times, and how many samples of silence stand for the part before
    /// the track's start and after its end.
    pub(crate) fn between(&self, times: &Range<Seconds>) -> Cut {
        let position =
            |time: Seconds| ((time - self.start).0 * f64::from(self.rate.hertz())).round();
        let (from, to) = (position(times.start), position(times.end));
        let total = self.samples as f64;
        let (inside_from, inside_to) = (from.clamp(0.0, total), to.clamp(0.0, total));
        if inside_from >= inside_to {
            return Cut {
                before: (to - from).max(0.0) as u64,
                samples: SampleIndex::ZERO..SampleIndex::ZERO,
                after: 0,
            };
        }
        Cut {
            before: (inside_from - from) as u64,
            samples: SampleIndex(inside_from as u64)..SampleIndex(inside_to as u64),
            after: (to - inside_to) as u64,
        }
    }

    /// When the track ends.
    pub fn end(&self) -> Seconds {
        self.start + self.rate.start_of(SampleIndex(self.samples))
    }
}

/// A piece of a track, with what is missing at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) before: u64,
    pub(crate) samples: Range<SampleIndex>,
    pub(crate) after: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_and_at_find_frames() {
        let clock = FrameClock::new(
            vec![Seconds(0.0), Seconds(0.1), Seconds(0.5)],
            Seconds(0.6),
            FrameRate::new(10, 1).unwrap(),
        )
        .unwrap();
        assert_eq!(clock.nearest(Seconds(0.29)), FrameIndex(1));
        assert_eq!(clock.nearest(Seconds(0.31)), FrameIndex(2));
        assert_eq!(clock.nearest(Seconds(9.0)), FrameIndex(3));
        assert_eq!(clock.nearest(Seconds(-1.0)), FrameIndex(0));
        assert_eq!(clock.at(Seconds(0.49)), FrameIndex(1));
        assert_eq!(clock.at(Seconds(0.5)), FrameIndex(2));
        assert_eq!(clock.at(Seconds(7.0)), FrameIndex(2));
        assert!(!clock.is_constant());
    }

    #[test]
    fn clocks_that_run_backwards_are_refused() {
        let rate = FrameRate::new(10, 1).unwrap();
        let clock = |starts: &[f64], end| {
            FrameClock::new(
                starts.iter().copied().map(Seconds).collect(),
                Seconds(end),
                rate,
            )
        };
        assert!(matches!(
            clock(&[0.0, 0.0], 1.0),
            Err(ClockError::NotIncreasing { frame: 1, .. })
        ));
        assert!(matches!(
            clock(&[0.0], 0.0),
            Err(ClockError::NotIncreasing { frame: 1, .. })
        ));
        assert!(matches!(
            clock(&[f64::NAN], 0.0),
            Err(ClockError::Time { frame: 0, .. })
        ));
        assert!(matches!(clock(&[], 1.0), Err(ClockError::NoFrames)));
    }

    #[test]
    fn a_track_shorter_than_the_picture_is_padded() {
        let sound = SoundClock {
            rate: SampleRate::new(1000).unwrap(),
            samples: 900,
            start: Seconds(0.05),
        };
        let cut = sound.between(&(Seconds(0.0)..Seconds(1.0)));
        assert_eq!((cut.before, cut.after), (50, 50));
        assert_eq!(cut.samples, SampleIndex(0)..SampleIndex(900));
        let outside = sound.between(&(Seconds(0.96)..Seconds(1.0)));
        assert_eq!((outside.before, outside.after), (40, 0));
    }
}
