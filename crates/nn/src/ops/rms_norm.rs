//! `x * rsqrt(mean(x^2) + eps)`, with a weight or with a modulation.

use candle_core::{Result, Tensor};

/// RMS norm over the last axis; `weight` is `[width]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm(x: &Tensor, weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    slow::rms_norm(x, weight, eps)
}

/// `rms_norm(x) * (1 + scale) + shift`; `x` is `[B, N, width]`, `scale` and `shift`
/// broadcast to it (`[width]`, `[B, 1, width]` or `[B, N, width]`).
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm_modulate(x: &Tensor, scale: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    super::modulate(&rms_norm(x, None, eps)?, scale, shift)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{D, DType, Result, Tensor};

    /// See [`super::rms_norm`].
    pub fn rms_norm(x: &Tensor, weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        let mut y = x.broadcast_div(&(mean + eps)?.sqrt()?)?;
        if let Some(weight) = weight {
            y = y.broadcast_mul(&weight.to_dtype(DType::F32)?)?;
        }
        y.to_dtype(dtype)
    }
}
