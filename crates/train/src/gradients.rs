//! Gradients by name: taken from autograd, summed, measured, clipped.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor};
use rayon::prelude::*;

use crate::error::Result;
use crate::params::Parameters;

/// Gradients of trained parameters, flat `f32` values by name.
///
/// A parameter that the loss does not touch has no entry, and the optimiser leaves it alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gradients(pub BTreeMap<String, Vec<f32>>);

impl Gradients {
    /// Takes the gradients of all trained parameters out of `store`.
    ///
    /// # Errors
    /// When values can't be read.
    pub fn take(store: &GradStore, parameters: &Parameters) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (name, var) in parameters.trained() {
            if let Some(gradient) = store.get(var.as_tensor()) {
                all.insert(name.clone(), values(gradient)?);
            }
        }
        Ok(Self(all))
    }

    /// Adds `other` times `weight`.
    pub fn add(&mut self, other: &Self, weight: f32) {
        for (name, values) in &other.0 {
            if let Some(sum) = self.0.get_mut(name) {
                sum.par_iter_mut()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += weight * value);
            } else {
                let scaled = values.iter().map(|value| weight * value).collect();
                self.0.insert(name.clone(), scaled);
            }
        }
    }

    /// Multiplies everything by `factor`.
    pub fn scale(&mut self, factor: f32) {
        for values in self.0.values_mut() {
            values.par_iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// Euclidean norm over all values, summed in `f64` in the order of names.
    pub fn norm(&self) -> f64 {
        let squares: f64 = self
            .0
            .values()
            .map(|values| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>())
            .sum();
        squares.sqrt()
    }

    /// Scales down to the norm `most` where it is larger, as `torch.nn.utils.clip_grad_norm_`
    /// does; the norm before.
    pub fn clip(&mut self, most: f64) -> f64 {
        let norm = self.norm();
        let factor = most / (norm + 1e-6);
        if factor < 1.0 {
            self.scale(factor as f32);
        }
        norm
    }
}

/// The values of a tensor, row by row.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor
        .to_dtype(DType::F32)?
        .flatten_all()?
        .to_vec1::<f32>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_clips() {
        let one = |a: &[f32]| Gradients(BTreeMap::from([("w".to_owned(), a.to_vec())]));
        let mut sum = one(&[3.0, 0.0]);
        sum.add(&one(&[0.0, 8.0]), 0.5);
        assert!((sum.norm() - 5.0).abs() < 1e-12);
        assert!((sum.clip(10.0) - 5.0).abs() < 1e-12);
        assert_eq!(sum, one(&[3.0, 4.0]));
        sum.clip(1.0);
        assert!((sum.norm() - 1.0).abs() < 1e-5);
    }
}
