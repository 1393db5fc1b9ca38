//! The moving average of the trained parameters: what is shipped and looked at.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::error::{Result, TrainError};
use crate::gradients::values;
use crate::params::Parameters;

/// Exponential moving average with a warm-up: the decay of update `n` is
/// `min(decay, (1 + n) / (10 + n))`, so that first values are soon forgotten.
#[derive(Debug, Clone)]
pub struct Average {
    decay: f64,
    updates: u64,
    values: BTreeMap<String, Vec<f32>>,
}

impl Average {
    /// Starts at the present values; `decay` 0 follows the parameters.
    ///
    /// # Errors
    /// When values can't be read.
    pub fn new(parameters: &Parameters, decay: f64) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (name, var) in parameters.trained() {
            all.insert(name.clone(), values(var.as_tensor())?);
        }
        Ok(Self {
            decay,
            updates: 0,
            values: all,
        })
    }

    /// Moves towards the present values.
    ///
    /// # Errors
    /// When values can't be read.
    pub fn update(&mut self, parameters: &Parameters) -> Result<()> {
        self.updates += 1;
        let n = self.updates as f64;
        let share = (1.0 - self.decay.min((1.0 + n) / (10.0 + n))) as f32;
        for (name, var) in parameters.trained() {
            let Some(average) = self.values.get_mut(name) else {
                continue;
            };
            let present = values(var.as_tensor())?;
            average
                .par_iter_mut()
                .zip(&present)
                .with_min_len(1 << 14)
                .for_each(|(average, value)| *average += (value - *average) * share);
        }
        Ok(())
    }

    /// The average as tensors in the parameters' shapes.
    ///
    /// # Errors
    /// When a tensor can't be made.
    pub fn tensors(&self, parameters: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        for (name, data) in &self.values {
            if let Some(var) = parameters.trained().get(name) {
                let tensor = Tensor::from_slice(data, var.shape(), &Device::Cpu)?;
                all.insert(name.clone(), tensor);
            }
        }
        Ok(all)
    }

    /// Takes over what a checkpoint holds.
    ///
    /// # Errors
    /// When a tensor is missing or has another size.
    pub fn restore(&mut self, tensors: &BTreeMap<String, Tensor>, updates: u64) -> Result<()> {
        for (name, data) in &mut self.values {
            let found = tensors.get(name).map(values).transpose()?;
            *data = found.filter(|f| f.len() == data.len()).ok_or_else(|| {
                TrainError::Recipe(format!("the checkpoint has no average of '{name}'"))
            })?;
        }
        self.updates = updates;
        Ok(())
    }

    /// Updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }
}
