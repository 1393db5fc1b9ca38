//! The nominal frame rate, and whether frames follow it.

use crate::info::TimeBase;
use units::FrameRate;

/// Rates that cameras and editors use.
const USUAL: [(u32, u32); 14] = [
    (24000, 1001),
    (24, 1),
    (25, 1),
    (30000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60000, 1001),
    (60, 1),
    (15, 1),
    (12, 1),
    (10, 1),
    (120, 1),
    (20, 1),
];

/// The rate that frames starting at `ticks` follow, and true where they follow none (the rate is
/// then their mean). `said` are the container's own claims, tried first.
pub(super) fn nominal(
    base: TimeBase,
    ticks: &[i64],
    end: i64,
    said: &[(i32, i32)],
) -> (FrameRate, bool) {
    let said = said.iter().filter_map(|&(numerator, denominator)| {
        Some((
            u32::try_from(numerator).ok()?,
            u32::try_from(denominator).ok()?,
        ))
    });
    let found = said
        .chain(USUAL)
        .filter_map(|(numerator, denominator)| FrameRate::new(numerator, denominator).ok())
        .find(|&rate| follows(base, ticks, end, rate));
    if let Some(rate) = found {
        return (rate, false);
    }
    if let Some(rate) = even(base, ticks) {
        return (rate, false);
    }
    let first = ticks.first().copied().unwrap_or(0);
    let length = (end - first) as f64 * base.tick();
    let mean = ticks.len() as f64 / length.max(1e-9);
    (thousandths(mean), true)
}

/// The exact rate of frames that are all the same number of ticks apart.
fn even(base: TimeBase, ticks: &[i64]) -> Option<FrameRate> {
    let (first, second) = (*ticks.first()?, *ticks.get(1)?);
    let step = second - first;
    let same = ticks
        .iter()
        .zip(ticks.iter().skip(1))
        .all(|(one, two)| two - one == step);
    let long = u64::try_from(step).ok()? * u64::from(base.numerator);
    let divisor = common_divisor(long, u64::from(base.denominator));
    if !same || divisor == 0 {
        return None;
    }
    FrameRate::new(
        u32::try_from(u64::from(base.denominator) / divisor).ok()?,
        u32::try_from(long / divisor).ok()?,
    )
    .ok()
}

/// True where every frame starts within a tick (or a millisecond and a half, for containers
/// that round) of the rate's own grid.
fn follows(base: TimeBase, ticks: &[i64], end: i64, rate: FrameRate) -> bool {
    let step = rate.frame_duration().0;
    let length = (end - ticks.first().copied().unwrap_or(0)) as f64 * base.tick();
    // One frame alone: its duration decides.
    if ticks.len() < 2 {
        return (length - step).abs() <= tolerance(base);
    }
    on_grid(base, ticks, step)
}

fn on_grid(base: TimeBase, ticks: &[i64], step: f64) -> bool {
    let first = ticks.first().copied().unwrap_or(0);
    let allowed = tolerance(base).min(step * 0.2);
    ticks.iter().enumerate().all(|(index, &start)| {
        let ideal = index as f64 * step;
        let real = (start - first) as f64 * base.tick();
        (ideal - real).abs() <= allowed
    })
}

fn tolerance(base: TimeBase) -> f64 {
    base.tick().clamp(1e-6, 1.5e-3) + 1e-6
}

/// A rate as thousandths.
fn thousandths(rate: f64) -> FrameRate {
    let rounded = (rate * 1000.0).round().clamp(1.0, 1e9) as u64;
    let divisor = common_divisor(rounded, 1000);
    let rate = FrameRate::new((rounded / divisor) as u32, (1000 / divisor) as u32);
    rate.unwrap_or_else(|_| unreachable!("both parts are at least one"))
}

fn common_divisor(one: u64, two: u64) -> u64 {
    let mut pair = (one, two);
    while pair.1 != 0 {
        pair = (pair.1, pair.0 % pair.1);
    }
    pair.0.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECONDS: TimeBase = TimeBase {
        numerator: 1,
        denominator: 1000,
    };

    #[test]
    fn rounded_times_still_follow_their_rate() {
        let ticks: Vec<i64> = (0..300)
            .map(|n| (f64::from(n) * 1001.0 / 30.0).round() as i64)
            .collect();
        let (rate, variable) = nominal(MILLISECONDS, &ticks, 10_010, &[(0, 0)]);
        assert_eq!(
            (rate.numerator(), rate.denominator(), variable),
            (30000, 1001, false)
        );
    }

    #[test]
    fn irregular_times_have_a_mean_rate() {
        let (rate, variable) = nominal(MILLISECONDS, &[0, 40, 120, 160], 200, &[(25, 1)]);
        assert!(variable);
        assert!((rate.per_second() - 20.0).abs() < 1e-6);
    }

    #[test]
    fn an_unusual_but_even_rate_is_constant() {
        let base = TimeBase {
            numerator: 1,
            denominator: 90_000,
        };
        let ticks: Vec<i64> = (0..50).map(|n| n * 7000).collect();
        let (rate, variable) = nominal(base, &ticks, 350_000, &[]);
        assert!(!variable);
        assert_eq!((rate.numerator(), rate.denominator()), (90, 7));
    }

    #[test]
    fn one_frame_has_the_rate_of_its_duration() {
        let (rate, variable) = nominal(MILLISECONDS, &[0], 40, &[(0, 1)]);
        assert_eq!(
            (rate.numerator(), rate.denominator(), variable),
            (25, 1, false)
        );
    }
}
