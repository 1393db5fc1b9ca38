//! Means, medians, percentiles, correlations and bootstrap intervals.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Arithmetic mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The value below which a share (0..1) of the values lies, interpolated linearly (numpy's default); `None` without
/// values.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (below, part) = (position.floor(), position.fract());
    let low = *sorted.get(below as usize)?;
    let high = sorted.get(below as usize + 1).copied().unwrap_or(low);
    Some(low + (high - low) * part)
}

/// The middle value; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 0.5)
}

/// Pearson's correlation; `None` with fewer than `least` pairs, or where one side stands still.
pub fn correlation(pairs: &[(f64, f64)], least: usize) -> Option<f64> {
    if pairs.len() < least.max(2) {
        return None;
    }
    let count = pairs.len() as f64;
    let (sum_a, sum_b) = pairs
        .iter()
        .fold((0.0, 0.0), |(a, b), pair| (a + pair.0, b + pair.1));
    let (mean_a, mean_b) = (sum_a / count, sum_b / count);
    let (mut both, mut a, mut b) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (da, db) = (pair.0 - mean_a, pair.1 - mean_b);
        both += da * db;
        a += da * da;
        b += db * db;
    }
    let size = (a * b).sqrt();
    (size > 1e-12).then(|| (both / size).clamp(-1.0, 1.0))
}

/// A mean with the interval in which it lies in 95 % of the samples drawn anew.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Mean of the values.
    pub mean: f64,
    /// 2.5 % of the means drawn lie below; `None` where nothing can be drawn.
    pub low: Option<f64>,
    /// 2.5 % of the means drawn lie above.
    pub high: Option<f64>,
}

impl Interval {
    /// A number without an interval: of a single value, or a distance of whole sets.
    pub fn alone(mean: f64) -> Self {
        Self {
            mean,
            low: None,
            high: None,
        }
    }
}

/// How often values are drawn anew.
pub const RESAMPLES: usize = 10_000;

/// The percentile bootstrap over clips (Efron 1979): [`RESAMPLES`] samples of as many values, drawn with replacement
/// from a seeded `ChaCha8` stream. `None` without values; a single value has no interval: it says nothing of others.
pub fn bootstrap(values: &[f64], seed: u64) -> Option<Interval> {
    let centre = mean(values)?;
    if values.len() < 2 {
        return Some(Interval::alone(centre));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len())
                .filter_map(|_| values.get(random.random_range(0..values.len())))
                .sum();
            sum / values.len() as f64
        })
        .collect();
    Some(Interval {
        mean: centre,
        low: percentile(&means, 0.025),
        high: percentile(&means, 0.975),
    })
}

#[cfg(test)]
mod tests {
    use super::{bootstrap, correlation, median, percentile};

    #[test]
    fn percentiles_are_those_of_numpy() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert_eq!(median(&values), Some(2.5));
        assert!((percentile(&values, 0.95).unwrap() - 8.95).abs() < 1e-12);
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[4.0], 0.9), Some(4.0));
    }

    #[test]
    fn correlation_is_one_for_a_line_and_missing_for_a_constant() {
        let line: Vec<(f64, f64)> = (0..20)
            .map(|n| (f64::from(n), 3.0 * f64::from(n) - 2.0))
            .collect();
        assert!((correlation(&line, 10).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(correlation(&line[..5], 10), None);
        assert_eq!(correlation(&[(1.0, 2.0); 20], 10), None);
    }

    #[test]
    fn intervals_shrink_with_the_root_of_the_count_and_repeat_with_the_seed() {
        let values: Vec<f64> = (0..400).map(|n| f64::from(n % 20)).collect();
        let (few, many) = (
            bootstrap(&values[..100], 1).unwrap(),
            bootstrap(&values, 1).unwrap(),
        );
        let width = |i: &super::Interval| i.high.unwrap() - i.low.unwrap();
        assert!((width(&few) / width(&many) - 2.0).abs() < 0.15);
        // 1.96 standard errors on either side.
        assert!(
            (width(&many) - 2.0 * 1.96 * 5.766 / 20.0).abs() < 0.05,
            "{many:?}"
        );
        assert_eq!(bootstrap(&values, 1), bootstrap(&values, 1));
        assert_ne!(bootstrap(&values, 1), bootstrap(&values, 2));
        assert_eq!(bootstrap(&[2.0], 1), Some(super::Interval::alone(2.0)));
        assert_eq!(bootstrap(&[], 1), None);
    }
}
