//! A linear layer with optional low-rank additions.

use candle_core::{Result, Tensor};

use crate::ops::linear::linear_lora_cached;
use crate::ops::pack_cache::PackCache;
use crate::ops::{Activation, Lora};
use crate::weights::{View, WeightsError};

/// `y = x W^T + b`, plus low-rank additions.
///
/// A weight that is no variable is packed for the kernels once and kept, within a
/// budget of memory for the process; it must not be changed in place afterwards.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    loras: Vec<Lora>,
    cache: PackCache,
}

impl Linear {
    /// From `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            loras: Vec::new(),
            cache: PackCache::default(),
        }
    }

    /// `weight` and, where the view has one, `bias`.
    ///
    /// # Errors
    /// When the weight is missing or a shape is wrong.
    pub fn load(
        view: &View,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, WeightsError> {
        let weight = view.get((outputs, inputs), "weight")?;
        let bias = if view.contains("bias") {
            Some(view.get(outputs, "bias")?)
        } else {
            None
        };
        Ok(Self::new(weight, bias))
    }

    /// Adds a low-rank addition.
    pub fn push_lora(&mut self, lora: Lora) {
        self.loras.push(lora);
    }

    /// Removes all low-rank additions.
    pub fn clear_loras(&mut self) {
        self.loras.clear();
    }

    /// The low-rank additions in force.
    pub fn loras(&self) -> &[Lora] {
        &self.loras
    }

    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// `[.., inputs]` to `[.., outputs]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_act(x, Activation::None)
    }

    /// [`Self::forward`] with an activation in the same pass.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_act(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        linear_lora_cached(
            x,
            &self.weight,
            self.bias.as_ref(),
            activation,
            &self.loras,
            Some(&self.cache),
        )
    }
}
