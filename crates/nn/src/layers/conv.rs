//! Convolutions with their weights.

use candle_core::{Result, Tensor};

use crate::ops::{self, Conv1dOptions, Conv2dOptions, Conv3dOptions};
use crate::weights::{View, WeightsError};

macro_rules! conv_layer {
    ($(#[$doc:meta])* $name:ident, $options:ident, $op:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            weight: Tensor,
            bias: Option<Tensor>,
            options: $options,
        }

        impl $name {
            /// From a weight `[outputs, inputs / groups, ..kernel]` and a bias `[outputs]`.
            pub fn new(weight: Tensor, bias: Option<Tensor>, options: $options) -> Self {
                Self { weight, bias, options }
            }

            /// `weight` of the given shape and, where the view has one, `bias`.
            ///
            /// # Errors
            /// When the weight is missing or a shape is wrong.
            pub fn load(view: &View, shape: &[usize], options: $options) -> std::result::Result<Self, WeightsError> {
                let weight = view.get(shape, "weight")?;
                let outputs = shape.first().copied().unwrap_or(0);
                let bias = if view.contains("bias") { Some(view.get(outputs, "bias")?) } else { None };
                Ok(Self::new(weight, bias, options))
            }

            pub fn weight(&self) -> &Tensor {
                &self.weight
            }

            pub fn bias(&self) -> Option<&Tensor> {
                self.bias.as_ref()
            }

            /// Applies the convolution.
            ///
            /// # Errors
            /// When the shapes do not fit.
            pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
                $op(x, &self.weight, self.bias.as_ref(), &self.options)
            }

            /// Applies the convolution with other options, such as another time padding.
            ///
            /// # Errors
            /// When the shapes do not fit.
            pub fn forward_with(&self, x: &Tensor, options: &$options) -> Result<Tensor> {
                $op(x, &self.weight, self.bias.as_ref(), options)
            }
        }
    };
}

conv_layer!(
    /// [`ops::conv3d`] over `[B, C, T, H, W]`.
    Conv3d,
    Conv3dOptions,
    ops::conv3d
);
conv_layer!(
    /// [`ops::conv2d`] over `[B, C, H, W]`.
    Conv2d,
    Conv2dOptions,
    ops::conv2d
);
conv_layer!(
    /// [`ops::conv1d`] over `[B, C, L]`.
    Conv1d,
    Conv1dOptions,
    ops::conv1d
);
