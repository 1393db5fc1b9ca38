//! Layer norm over the last axis, with an affine map or a modulation.

use candle_core::{Result, Tensor};

/// `(x - mean) / sqrt(var + eps) * weight + bias` over the last axis; the
/// variance is the biased one. `weight` and `bias` are `[width]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    slow::layer_norm(x, weight, bias, eps)
}

/// `layer_norm(x) * (1 + scale) + shift` without an affine map; shapes as in
/// [`super::rms_norm_modulate`].
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm_modulate(x: &Tensor, scale: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    super::modulate(&layer_norm(x, None, None, eps)?, scale, shift)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{D, DType, Result, Tensor};

    /// See [`super::layer_norm`].
    pub fn layer_norm(
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let mut y = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
        if let Some(weight) = weight {
            y = y.broadcast_mul(&weight.to_dtype(DType::F32)?)?;
        }
        if let Some(bias) = bias {
            y = y.broadcast_add(&bias.to_dtype(DType::F32)?)?;
        }
        y.to_dtype(dtype)
    }
}
