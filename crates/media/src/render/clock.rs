//! When output frames start, in ticks.

use crate::info::{TimeBase, VideoInfo};
use std::collections::VecDeque;
use units::{FrameIndex, FrameRate, Seconds};

/// Hands out start times of consecutive frames and remembers the last of them.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    base: TimeBase,
    /// Ticks of every frame, where the rate is constant.
    fixed: Option<i64>,
    /// Ticks of a frame that says nothing, where it is not; fractions add up.
    nominal: f64,
    carry: f64,
    start: i64,
    next: i64,
    /// Starts of the frames from `first` on.
    recent: VecDeque<i64>,
    first: u64,
}

/// How many starts are remembered: beyond any codec's reordering and encoder's delay.
const REMEMBERED: usize = 4096;

impl Clock {
    /// A constant rate, in ticks that divide its frames exactly.
    pub(super) fn constant(rate: FrameRate, start: Seconds) -> Self {
        let mut denominator = rate.numerator();
        let mut ticks = rate.denominator();
        // Fine ticks, so that the first frame can start almost anywhere.
        while denominator < 10_000 && ticks < u32::MAX / 2 {
            denominator *= 2;
            ticks *= 2;
        }
        let base = TimeBase {
            numerator: 1,
            denominator,
        };
        Self::new(base, Some(i64::from(ticks)), f64::from(ticks), start)
    }

    /// A source's own rate, and its own ticks where that varies.
    pub(super) fn of_clip(video: &VideoInfo, start: Seconds) -> Self {
        if !video.variable {
            return Self::constant(video.rate, start);
        }
        let base = video.times.base();
        let nominal = video.rate.frame_duration().0 / base.tick();
        Self::new(base, None, nominal, start)
    }

    fn new(base: TimeBase, fixed: Option<i64>, nominal: f64, start: Seconds) -> Self {
        let start = base.ticks(start);
        Self {
            base,
            fixed,
            nominal,
            carry: 0.0,
            start,
            next: start,
            recent: VecDeque::new(),
            first: 0,
        }
    }

    pub(super) fn base(&self) -> TimeBase {
        self.base
    }

    /// Where `frames` frames would end, counted from the next one; where the rate varies, about there.
    pub(super) fn after(&self, frames: u64) -> Seconds {
        let each = self.fixed.map_or(self.nominal, |ticks| ticks as f64);
        self.base.seconds(self.next) + Seconds(frames as f64 * each * self.base.tick())
    }

    /// The next frame's start, for a frame of the source.
    pub(super) fn source(&mut self, video: &VideoInfo, frame: FrameIndex) -> i64 {
        let ticks = self
            .fixed
            .unwrap_or_else(|| video.times.duration_ticks(frame));
        self.push(ticks)
    }

    /// The next frame's start, for a made frame.
    pub(super) fn made(&mut self, duration: Seconds) -> i64 {
        let ticks = self.fixed.unwrap_or_else(|| {
            let exact = if duration.0 > 0.0 {
                duration.0 / self.base.tick()
            } else {
                self.nominal
            } + self.carry;
            let ticks = exact.round().max(1.0);
            self.carry = exact - ticks;
            ticks as i64
        });
        self.push(ticks)
    }

    /// The next frame's start, for a frame whose length is known from an earlier run.
    pub(super) fn again(&mut self, duration: i64) -> i64 {
        self.push(duration)
    }

    /// What rounding left over for the next made frame.
    pub(super) fn carry(&self) -> f64 {
        self.carry
    }

    /// Takes up what an earlier run left over.
    pub(super) fn set_carry(&mut self, carry: f64) {
        self.carry = carry;
    }

    fn push(&mut self, duration: i64) -> i64 {
        let start = self.next;
        self.recent.push_back(start);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
            self.first += 1;
        }
        self.next += duration;
        start
    }

    /// The start of a frame that was handed out not long ago; before the first frame, times go
    /// on backwards.
    pub(super) fn start_of(&self, frame: i64) -> i64 {
        if let Ok(frame) = u64::try_from(frame) {
            let at = frame.saturating_sub(self.first) as usize;
            return self.recent.get(at).copied().unwrap_or(self.next);
        }
        let step = self.fixed.unwrap_or(1);
        self.start + frame * step
    }

    /// A frame's length, for a frame that was handed out not long ago.
    pub(super) fn duration_of(&self, frame: u64) -> i64 {
        self.start_of(frame as i64 + 1) - self.start_of(frame as i64)
    }

    /// Where the last frame handed out ends.
    pub(super) fn end(&self) -> Seconds {
        self.base.seconds(self.next)
    }

    /// Where the first frame starts.
    pub(super) fn first_start(&self) -> Seconds {
        self.base.seconds(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_never_drifts() {
        let rate = FrameRate::new(30000, 1001).unwrap();
        let mut clock = Clock::constant(rate, Seconds::ZERO);
        for _ in 0..30_000 {
            clock.made(Seconds(0.5));
        }
        assert!((clock.end().0 - 1001.0).abs() < 1e-9);
        assert_eq!(clock.duration_of(29_999), 1001);
        assert_eq!(clock.start_of(-2), -2002);
    }

    #[test]
    fn slow_rates_get_fine_ticks() {
        let clock = Clock::constant(FrameRate::new(25, 1).unwrap(), Seconds(0.033));
        assert!((clock.first_start().0 - 0.033).abs() < 1e-4);
    }
}
