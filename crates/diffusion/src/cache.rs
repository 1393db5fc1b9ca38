//! When a step may use the last one's result again (`TeaCache`).
//!
//! ali-vilab/TeaCache `TeaCache4LTX-Video/teacache_ltx.py`. The change of a
//! cheap signal, through a polynomial fitted for the model, estimates the change of the
//! result; while the estimates since the last computed step sum to less than a threshold,
//! that step's result is used again.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, Result};

/// How a cache decides. Coefficients belong to one checkpoint and do not carry over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CacheConfig {
    /// Of the polynomial, highest power first.
    pub coefficients: Vec<f64>,
    /// Sum of estimates below which a result is used again; 0 is off.
    #[serde(default)]
    pub threshold: f64,
}

impl CacheConfig {
    /// Reads the file that `reword models fit-cache` writes.
    ///
    /// # Errors
    /// When it is no JSON or has no finite coefficients.
    pub fn from_json(text: &str) -> Result<Self> {
        let config: Self =
            serde_json::from_str(text).map_err(|error| DiffusionError::Cache(error.to_string()))?;
        let finite = config.coefficients.iter().all(|c| c.is_finite());
        if config.coefficients.is_empty() || !finite || config.threshold.is_nan() {
            return Err(DiffusionError::Cache(format!(
                "coefficients {:?} with threshold {}",
                config.coefficients, config.threshold
            )));
        }
        Ok(config)
    }

    /// The estimated change of the result for a change of the signal.
    pub fn estimate(&self, change: f64) -> f64 {
        self.coefficients
            .iter()
            .fold(0.0, |sum, coefficient| sum * change + coefficient)
    }
}

/// The decisions of one guidance branch in one window, step by step.
#[derive(Debug, Clone)]
pub struct Cache {
    config: CacheConfig,
    /// Steps of the schedule; the first and the last are always computed.
    steps: usize,
    step: usize,
    sum: f64,
    signal: Option<Tensor>,
    held: Option<Tensor>,
    /// Steps whose result was used again.
    pub reused: usize,
}

impl Cache {
    pub const fn new(config: CacheConfig, steps: usize) -> Self {
        Self {
            config,
            steps,
            step: 0,
            sum: 0.0,
            signal: None,
            held: None,
            reused: 0,
        }
    }

    /// Takes the next step's signal; gives what was kept, when it may be used again.
    ///
    /// # Errors
    /// When the signal has another shape than the step before.
    pub fn next(&mut self, signal: &Tensor) -> Result<Option<Tensor>> {
        let ends = self.step == 0 || self.step + 1 >= self.steps;
        self.step += 1;
        let before = self.signal.replace(signal.clone());
        let (Some(before), Some(held), false) = (before, &self.held, ends) else {
            self.sum = 0.0;
            return Ok(None);
        };
        self.sum += self.config.estimate(relative_change(signal, &before)?);
        if self.config.threshold > 0.0 && self.sum < self.config.threshold {
            self.reused += 1;
            return Ok(Some(held.clone()));
        }
        self.sum = 0.0;
        Ok(None)
    }

    /// Keeps a computed result.
    pub fn keep(&mut self, result: &Tensor) {
        self.held = Some(result.clone());
    }
}

/// `mean |a - b| / mean |b|`.
///
/// # Errors
/// When the shapes differ.
pub fn relative_change(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (a.to_dtype(DType::F32)?, b.to_dtype(DType::F32)?);
    let mean =
        |t: Tensor| -> Result<f64> { Ok(f64::from(t.abs()?.mean_all()?.to_scalar::<f32>()?)) };
    let size = mean(b.clone())?;
    Ok(mean((a - b)?)? / size.max(f64::MIN_POSITIVE))
}

/// Coefficients, highest power first, of the polynomial of that degree nearest to the pairs
/// (change of the signal, change of the result), by least squares.
///
/// # Errors
/// When there are fewer pairs than coefficients, or they do not determine them.
pub fn fit(pairs: &[(f64, f64)], degree: usize) -> Result<Vec<f64>> {
    let count = degree + 1;
    if pairs.len() < count {
        return Err(DiffusionError::Cache(format!(
            "{} pairs cannot determine {count} coefficients",
            pairs.len()
        )));
    }
    // Changes are small, so their powers are scaled to keep the system well conditioned.
    let scale = pairs.iter().map(|(x, _)| x.abs()).fold(0.0, f64::max);
    if scale <= 0.0 || !scale.is_finite() {
        return Err(DiffusionError::Cache("the signal never changes".to_owned()));
    }
    let mut rows: Vec<Vec<f64>> = pairs
        .iter()
        .map(|(x, y)| {
            let mut row: Vec<f64> = (0..count)
                .rev()
                .map(|power| (x / scale).powi(power as i32))
                .collect();
            row.push(*y);
            row
        })
        .collect();
    let solution = least_squares(&mut rows, count).ok_or_else(|| {
        DiffusionError::Cache(format!(
            "the pairs have too few different values for degree {degree}"
        ))
    })?;
    Ok(solution
        .into_iter()
        .zip((0..count).rev())
        .map(|(value, power)| value / scale.powi(power as i32))
        .collect())
}

/// Householder's reflections on rows of `count` unknowns and the right side behind them.
fn least_squares(rows: &mut [Vec<f64>], count: usize) -> Option<Vec<f64>> {
    for column in 0..count {
        let below = rows.get(column..)?;
        let norm = below
            .iter()
            .map(|row| row.get(column).map_or(0.0, |v| v * v))
            .sum::<f64>()
            .sqrt();
        let head = *rows.get(column)?.get(column)?;
        if norm < 1e-12 {
            return None;
        }
        let pivot = if head > 0.0 { -norm } else { norm };
        let mut reflector: Vec<f64> = rows
            .get(column..)?
            .iter()
            .filter_map(|row| row.get(column).copied())
            .collect();
        *reflector.first_mut()? -= pivot;
        let size: f64 = reflector.iter().map(|v| v * v).sum();
        if size <= 0.0 {
            continue;
        }
        for other in column..=count {
            let dot: f64 = rows
                .get(column..)?
                .iter()
                .zip(&reflector)
                .map(|(row, v)| row.get(other).map_or(0.0, |x| x * v))
                .sum();
            for (row, v) in rows.get_mut(column..)?.iter_mut().zip(&reflector) {
                *row.get_mut(other)? -= 2.0 * dot / size * v;
            }
        }
    }
    let mut solution = vec![0.0; count];
    for row in (0..count).rev() {
        let values = rows.get(row)?;
        let known: f64 = (row + 1..count)
            .map(|k| {
                values.get(k).copied().unwrap_or(0.0) * solution.get(k).copied().unwrap_or(0.0)
            })
            .sum();
        let diagonal = *values.get(row)?;
        if diagonal.abs() < 1e-12 {
            return None;
        }
        *solution.get_mut(row)? = (values.get(count)? - known) / diagonal;
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_polynomial_is_found_again() {
        let wanted = [
            21.470_069_4,
            -12.801_645_3,
            2.312_791_51,
            0.792_487_521,
            0.009_692_743_26,
        ];
        let config = CacheConfig {
            coefficients: wanted.to_vec(),
            threshold: 0.0,
        };
        let pairs: Vec<(f64, f64)> = (1..200)
            .map(|i| f64::from(i) * 0.002)
            .map(|x| (x, config.estimate(x)))
            .collect();
        let found = fit(&pairs, 4).unwrap();
        for (a, b) in found.iter().zip(wanted) {
            assert!((a - b).abs() < 1e-6, "{found:?}");
        }
        assert!(fit(&pairs[..4], 4).is_err());
        assert!(fit(&[(0.5, 1.0); 9], 4).is_err());
    }

    #[test]
    fn results_are_reused_until_the_estimates_sum_to_the_threshold() {
        let at = |value: f32| Tensor::new(&[value], &Device::Cpu).unwrap();
        let run = |threshold: f64| {
            let config = CacheConfig {
                coefficients: vec![1.0, 0.0],
                threshold,
            };
            let mut cache = Cache::new(config, 8);
            let mut computed = Vec::new();
            for step in 0..8 {
                if cache.next(&at(1.1_f32.powi(step))).unwrap().is_none() {
                    computed.push(step);
                    cache.keep(&at(0.0));
                }
            }
            computed
        };
        assert_eq!(run(0.0), [0, 1, 2, 3, 4, 5, 6, 7]);
        // A tenth a step: two fit below 0.25, the third is computed.
        assert_eq!(run(0.25), [0, 3, 6, 7]);
        assert_eq!(run(100.0), [0, 7]);
    }

    #[test]
    fn files_without_sense_are_refused() {
        assert!(CacheConfig::from_json(r#"{"coefficients": []}"#).is_err());
        assert!(CacheConfig::from_json("{}").is_err());
        let found = CacheConfig::from_json(r#"{"coefficients": [1, 0.5], "pairs": 3}"#).unwrap();
        assert_eq!(found.coefficients, [1.0, 0.5]);
    }

    /// Not even a signal that stands still, or an estimate below zero, lets a step be spared.
    #[test]
    fn a_threshold_of_zero_computes_every_step() {
        for coefficients in [vec![1.0, 0.0], vec![0.0], vec![1.0, -3.0]] {
            let config = CacheConfig {
                coefficients,
                threshold: 0.0,
            };
            let mut cache = Cache::new(config, 6);
            let signal = Tensor::ones(4, DType::F32, &Device::Cpu).unwrap();
            for _ in 0..6 {
                assert!(cache.next(&signal).unwrap().is_none());
                cache.keep(&signal);
            }
            assert_eq!(cache.reused, 0);
        }
    }
}
