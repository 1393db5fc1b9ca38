//! Flow matching measured where it shows: in the one-step estimate of the clean latents.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::flow::squared_error;
use crate::error::{Result, TrainError};

/// How the estimate's error is weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EstimateWeights {
    /// Weights of the masked cells in row-major order, brought to a mean of one; empty for equal ones.
    pub cells: Vec<f64>,
    /// Errors are divided by what the shown mouth would leave and this: so clips with much motion do not drown the
    /// others, and clips without any do not count endlessly.
    pub floor: f64,
}

impl Default for EstimateWeights {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            floor: 0.08,
        }
    }
}

impl EstimateWeights {
    /// Weights of `cells` cells `[1, 1, cells, 1]`.
    ///
    /// # Errors
    /// When the recipe names another number of cells.
    pub fn map(&self, cells: usize) -> Result<Tensor> {
        if self.cells.is_empty() {
            return Ok(Tensor::ones(
                (1, 1, cells, 1),
                candle_core::DType::F32,
                &Device::Cpu,
            )?);
        }
        let mean = self.cells.iter().sum::<f64>() / self.cells.len() as f64;
        if self.cells.len() != cells || mean <= 0.0 {
            return Err(TrainError::Recipe(format!(
                "objective.estimate.cells has {} weights of mean {mean}, but the model makes {cells} cells",
                self.cells.len()
            )));
        }
        let weights: Vec<f32> = self.cells.iter().map(|w| (w / mean) as f32).collect();
        Ok(Tensor::from_vec(weights, (1, 1, cells, 1), &Device::Cpu)?)
    }
}

/// Mean over samples of `|t (v - u)|^2` with weights by cell, over twice the sample's `floor + base`.
///
/// `predicted` and `target` `[B, L * cells, C]`, `times` `[B, 1, 1]`, `map` of [`EstimateWeights::map`]; `base` `[B]`
/// is the mean squared difference between the shown mouth and the true one.
///
/// # Errors
/// When shapes do not fit.
pub fn estimate_flow(
    predicted: &Tensor,
    target: &Tensor,
    times: &Tensor,
    map: &Tensor,
    base: &Tensor,
    floor: f64,
) -> Result<Tensor> {
    let (batch, tokens, channels) = predicted.dims3()?;
    let cells = map.dim(2)?;
    let errors = squared_error(predicted, target)?
        .broadcast_mul(&times.sqr()?)?
        .reshape((batch, tokens / cells, cells, channels))?
        .broadcast_mul(map)?;
    let each = errors.flatten_from(1)?.mean(1)?;
    let scale = ((base + floor)?.recip()? * 0.5)?;
    Ok((each * scale)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_clips_count_as_still_ones_and_cells_by_their_weights() {
        let device = Device::Cpu;
        let weights = EstimateWeights {
            cells: vec![1.0, 3.0],
            floor: 0.5,
        };
        let map = weights.map(2).unwrap();
        let zero = Tensor::zeros((2, 2, 1), candle_core::DType::F32, &device).unwrap();
        // Sample 0 errs by 2 in its first cell, sample 1 by 2 in its second.
        let wrong = Tensor::new(&[[[2.0_f32], [0.0]], [[0.0], [2.0]]], &device).unwrap();
        let times = Tensor::new(&[[[1.0_f32]], [[0.5]]], &device).unwrap();
        let base = Tensor::new(&[0.5_f32, 1.5], &device).unwrap();
        let loss = estimate_flow(&wrong, &zero, &times, &map, &base, 0.5).unwrap();
        // (4 * 0.5 / 2 cells) / 2 / 1 and (4 / 4 * 1.5 / 2) / 2 / 2.
        let wanted = f32::midpoint(0.5, 0.1875);
        assert!((loss.to_scalar::<f32>().unwrap() - wanted).abs() < 1e-6);
        assert!(weights.map(3).is_err());
    }
}
