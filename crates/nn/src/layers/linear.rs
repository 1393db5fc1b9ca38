//! A linear layer with optional low-rank additions.

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use crate::ops::linear::add_loras;
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
    /// The weight in 8 bits, which then stands for `weight`.
    #[cfg(feature = "cuda")]
    eight_bits: Option<crate::cuda::ops::linear::EightBits>,
}

impl Linear {
    /// From `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            loras: Vec::new(),
            cache: PackCache::default(),
            #[cfg(feature = "cuda")]
            eight_bits: None,
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

    /// The layer with its weight in 8 bits (e4m3, a scale for each output), on a GPU.
    ///
    /// Low-rank additions stay beside it in their own dtype. There is no gradient.
    /// [`Self::weight`] then has the weight's shape and nothing else of it; see
    /// [`Self::restored_weight`].
    ///
    /// # Errors
    /// When the weight is not on a GPU.
    #[cfg(feature = "cuda")]
    pub fn in_eight_bits(&self) -> Result<Self> {
        let eight_bits = crate::cuda::ops::linear::EightBits::new(&self.weight)?;
        let shape = self.weight.shape();
        Ok(Self {
            // Only shape and dtype are asked of it, so one number stands for all.
            weight: Tensor::zeros(1, self.weight.dtype(), self.weight.device())?
                .broadcast_as(shape)?,
            bias: self.bias.clone(),
            loras: self.loras.clone(),
            cache: PackCache::default(),
            eight_bits: Some(eight_bits),
        })
    }

    /// The weight as it is used: that of the codes where it is in 8 bits.
    ///
    /// # Errors
    /// When the device refuses.
    #[cfg(feature = "cuda")]
    pub fn restored_weight(&self) -> Result<Tensor> {
        match &self.eight_bits {
            Some(eight_bits) => eight_bits.restored(),
            None => Ok(self.weight.clone()),
        }
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
        #[cfg(feature = "cuda")]
        if let Some(eight_bits) = &self.eight_bits {
            let sum = eight_bits.linear(x, self.bias.as_ref())?;
            return activation.apply(&add_loras(sum, x, &self.loras)?);
        }
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
