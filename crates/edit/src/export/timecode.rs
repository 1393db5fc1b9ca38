//! SMPTE timecode, drop-frame included.

use std::fmt;
use units::FrameRate;

/// A frame count as `hh:mm:ss:ff`. Rates of 29.97 and 59.94 count in drop-frame: the first 2 (or 4)
/// numbers of every minute but each tenth are left out, so that the count keeps up with the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timecode {
    frame: u64,
    base: u64,
    drop: u64,
}

impl Timecode {
    /// The timecode of a frame, counted from zero.
    pub fn new(frame: u64, rate: FrameRate) -> Self {
        let base = (rate.per_second().round() as u64).max(1);
        Self {
            frame,
            base,
            drop: dropped(rate),
        }
    }

    /// True when a rate counts in drop-frame.
    pub fn is_drop_frame(rate: FrameRate) -> bool {
        dropped(rate) > 0
    }
}

fn dropped(rate: FrameRate) -> u64 {
    match (rate.numerator(), rate.denominator()) {
        (30_000, 1001) => 2,
        (60_000, 1001) => 4,
        _ => 0,
    }
}

impl fmt::Display for Timecode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.frame;
        if self.drop > 0 {
            let minute = self.base * 60 - self.drop;
            let ten = minute * 10 + self.drop;
            let (tens, rest) = (self.frame / ten, self.frame % ten);
            // The first minute of ten is whole.
            let minutes = rest.saturating_sub(self.drop) / minute;
            number += self.drop * (9 * tens + minutes);
        }
        let (seconds, frames) = (number / self.base, number % self.base);
        let separator = if self.drop > 0 { ';' } else { ':' };
        write!(
            formatter,
            "{:02}:{:02}:{:02}{separator}{frames:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(frame: u64, numerator: u32, denominator: u32) -> String {
        Timecode::new(frame, FrameRate::new(numerator, denominator).unwrap()).to_string()
    }

    #[test]
    fn whole_rates_count_every_frame() {
        assert_eq!(at(0, 25, 1), "00:00:00:00");
        assert_eq!(at(90_061, 25, 1), "01:00:02:11");
        assert_eq!(at(24, 24_000, 1001), "00:00:01:00");
    }

    #[test]
    fn drop_frame_keeps_up_with_the_clock() {
        assert_eq!(at(1_799, 30_000, 1001), "00:00:59;29");
        assert_eq!(at(1_800, 30_000, 1001), "00:01:00;02");
        assert_eq!(at(17_981, 30_000, 1001), "00:09:59;29");
        assert_eq!(at(17_982, 30_000, 1001), "00:10:00;00");
        assert_eq!(at(107_892, 30_000, 1001), "01:00:00;00");
        assert_eq!(at(3_600, 60_000, 1001), "00:01:00;04");
        assert_eq!(at(215_784, 60_000, 1001), "01:00:00;00");
    }

    #[test]
    fn no_two_frames_share_a_timecode() {
        let codes: std::collections::BTreeSet<String> =
            (0..40_000).map(|frame| at(frame, 30_000, 1001)).collect();
        assert_eq!(codes.len(), 40_000);
        assert!(!codes.contains("00:01:00;00") && !codes.contains("00:01:00;01"));
        assert!(codes.contains("00:20:00;00"));
    }
}
