//! Smoothing over time without delay: symmetric kernels, so that nothing lags behind the face.

use std::ops::Range;

/// The stretches of `values` without `None`.
pub(super) fn runs<T>(values: &[Option<T>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (i, value) in values.iter().enumerate() {
        match (value.is_some(), start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                found.push(from..i);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        found.push(from..values.len());
    }
    found
}

/// A Gaussian of `sigma` frames, cut at four sigma; beyond the ends the first and the last value
/// count on. A `sigma` of 0 (or less) changes nothing.
pub fn gaussian<const N: usize>(values: &[[f64; N]], sigma: f64) -> Vec<[f64; N]> {
    let Some(last) = values.len().checked_sub(1) else {
        return Vec::new();
    };
    if sigma <= 0.0 {
        return values.to_vec();
    }
    let radius = (4.0 * sigma) as i64;
    let weights: Vec<f64> = (-radius..=radius)
        .map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    (0..values.len() as i64)
        .map(|at| {
            let mut sum = [0.0; N];
            for (weight, offset) in weights.iter().zip(-radius..=radius) {
                let near = (at + offset).clamp(0, last as i64) as usize;
                if let Some(value) = values.get(near) {
                    for (s, v) in sum.iter_mut().zip(value) {
                        *s += weight / total * v;
                    }
                }
            }
            sum
        })
        .collect()
}
