//! When frames start and end, exactly as the file says.

use serde::{Deserialize, Serialize};
use units::{FrameIndex, Seconds};

/// The length of a tick: `numerator / denominator` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBase {
    /// Seconds.
    pub numerator: u32,
    /// Divided by this.
    pub denominator: u32,
}

impl TimeBase {
    /// A number of ticks in seconds.
    pub fn seconds(self, ticks: i64) -> Seconds {
        Seconds(ticks as f64 * f64::from(self.numerator) / f64::from(self.denominator))
    }

    /// The tick nearest to a time.
    pub fn ticks(self, time: Seconds) -> i64 {
        (time.0 * f64::from(self.denominator) / f64::from(self.numerator)).round() as i64
    }

    /// Seconds of one tick.
    pub fn tick(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// The start of every frame in presentation order, and the end of the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameTimes {
    base: TimeBase,
    /// The clip's zero, in seconds of the file's own clock.
    zero: Seconds,
    /// Ticks of the file's own clock, strictly ascending.
    starts: Vec<i64>,
    end: i64,
}

impl FrameTimes {
    /// Times from ticks of the file's clock; `None` unless they ascend strictly and end later.
    pub fn new(base: TimeBase, zero: Seconds, starts: Vec<i64>, end: i64) -> Option<Self> {
        let ascending = starts
            .iter()
            .zip(starts.iter().skip(1))
            .all(|(one, two)| one < two);
        let ends = starts.last().is_none_or(|&last| last < end);
        (ascending && ends && base.numerator > 0 && base.denominator > 0).then_some(Self {
            base,
            zero,
            starts,
            end,
        })
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// True without any frame.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The tick that the times count in.
    pub fn base(&self) -> TimeBase {
        self.base
    }

    /// When a frame starts; frames past the last start at the end.
    pub fn start(&self, frame: FrameIndex) -> Seconds {
        self.base.seconds(self.ticks(frame)) - self.zero
    }

    /// When a frame ends: where the next one starts, or where the last one's duration is over.
    pub fn end_of(&self, frame: FrameIndex) -> Seconds {
        self.start(frame.next())
    }

    /// How long a frame is shown.
    pub fn duration(&self, frame: FrameIndex) -> Seconds {
        self.base.seconds(self.duration_ticks(frame))
    }

    /// When the last frame ends.
    pub fn end(&self) -> Seconds {
        self.base.seconds(self.end) - self.zero
    }

    /// Every frame's start.
    pub fn starts(&self) -> impl ExactSizeIterator<Item = Seconds> + '_ {
        self.starts
            .iter()
            .map(|&ticks| self.base.seconds(ticks) - self.zero)
    }

    /// The frame that is shown at a time, clamped to the clip.
    pub fn at(&self, time: Seconds) -> FrameIndex {
        // A boundary computed in floating point may fall a hair below its frame.
        let ticks = (time + self.zero).0 / self.base.tick() + 1e-3;
        let after = self.starts.partition_point(|&start| start as f64 <= ticks);
        FrameIndex::from(after.saturating_sub(1))
    }

    /// The frame boundary nearest to a time: the frame that starts there, or the frame count.
    pub fn nearest(&self, time: Seconds) -> FrameIndex {
        let frame = self.at(time);
        if frame.as_usize() >= self.len() {
            return frame;
        }
        let before = (time - self.start(frame)).abs();
        let after = (self.end_of(frame) - time).abs();
        if after.0 < before.0 {
            frame.next()
        } else {
            frame
        }
    }

    /// A frame's start in ticks of the file's own clock.
    pub(crate) fn ticks(&self, frame: FrameIndex) -> i64 {
        self.starts
            .get(frame.as_usize())
            .copied()
            .unwrap_or(self.end)
    }

    /// How long a frame is shown, in ticks.
    pub(crate) fn duration_ticks(&self, frame: FrameIndex) -> i64 {
        self.ticks(frame.next()) - self.ticks(frame)
    }

    /// Every start in ticks of the file's own clock.
    pub(crate) fn all_ticks(&self) -> &[i64] {
        &self.starts
    }

    /// Moves the clip's zero.
    pub(crate) fn set_zero(&mut self, zero: Seconds) {
        self.zero = zero;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> FrameTimes {
        let base = TimeBase {
            numerator: 1,
            denominator: 1000,
        };
        FrameTimes::new(base, Seconds(0.5), vec![500, 540, 600, 620], 660).unwrap()
    }

    #[test]
    fn times_count_from_zero_and_end_with_the_last_duration() {
        let times = times();
        assert!((times.start(FrameIndex(1)).0 - 0.04).abs() < 1e-9);
        assert!((times.duration(FrameIndex(1)).0 - 0.06).abs() < 1e-9);
        assert!((times.duration(FrameIndex(3)).0 - 0.04).abs() < 1e-9);
        assert!((times.end().0 - 0.16).abs() < 1e-9);
    }

    #[test]
    fn a_time_finds_its_frame() {
        let times = times();
        for frame in 0..4 {
            assert_eq!(times.at(times.start(FrameIndex(frame))), FrameIndex(frame));
            assert_eq!(
                times.nearest(times.start(FrameIndex(frame))),
                FrameIndex(frame)
            );
        }
        assert_eq!(times.at(Seconds(-1.0)), FrameIndex(0));
        assert_eq!(times.at(Seconds(9.0)), FrameIndex(3));
        assert_eq!(times.at(Seconds(0.099)), FrameIndex(1));
        assert_eq!(times.nearest(Seconds(0.099)), FrameIndex(2));
        assert_eq!(times.nearest(times.end()), FrameIndex(4));
    }

    #[test]
    fn times_that_do_not_ascend_are_refused() {
        let base = TimeBase {
            numerator: 1,
            denominator: 25,
        };
        assert!(FrameTimes::new(base, Seconds::ZERO, vec![0, 0], 1).is_none());
        assert!(FrameTimes::new(base, Seconds::ZERO, vec![0, 1], 1).is_none());
    }
}
