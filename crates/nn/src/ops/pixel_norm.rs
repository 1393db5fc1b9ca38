//! `x / sqrt(mean over channels of x^2 + eps)` over `[B, C, ..]`, as in the LTX
//! autoencoder, alone or fused with a modulation and `SiLU`.

use candle_core::{Result, Tensor};

/// Normalises every position over its channels; `x` is `[B, C, ..]`.
///
/// # Errors
/// When `x` has no channel axis.
pub fn pixel_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    slow::pixel_norm(x, eps)
}

/// `silu(pixel_norm(x))`.
///
/// # Errors
/// When `x` has no channel axis.
pub fn pixel_norm_silu(x: &Tensor, eps: f64) -> Result<Tensor> {
    super::silu(&pixel_norm(x, eps)?)
}

/// `silu(pixel_norm(x) * (1 + scale) + shift)`; `scale` and `shift` are `[B, C]`
/// or `[C]`, one value a channel.
///
/// # Errors
/// When the shapes do not fit.
pub fn pixel_norm_modulate_silu(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    slow::pixel_norm_modulate_silu(x, scale, shift, eps)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{DType, Result, Tensor, bail};

    /// See [`super::pixel_norm`].
    pub fn pixel_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let mean = x.sqr()?.mean_keepdim(1)?;
        x.broadcast_div(&(mean + eps)?.sqrt()?)?.to_dtype(dtype)
    }

    /// See [`super::pixel_norm_modulate_silu`].
    pub fn pixel_norm_modulate_silu(
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        eps: f64,
    ) -> Result<Tensor> {
        let y = pixel_norm(&x.to_dtype(DType::F32)?, eps)?;
        let channels = x.dim(1)?;
        let per_channel = |t: &Tensor| -> Result<Tensor> {
            let batch = match *t.dims() {
                [c] if c == channels => 1,
                [b, c] if c == channels => b,
                _ => bail!(
                    "pixel_norm: modulation is {:?} for {channels} channels",
                    t.dims()
                ),
            };
            let mut shape = vec![1; x.rank()];
            shape[0] = batch;
            shape[1] = channels;
            t.to_dtype(DType::F32)?.reshape(shape)
        };
        y.broadcast_mul(&(per_channel(scale)? + 1.0)?)?
            .broadcast_add(&per_channel(shift)?)?
            .silu()?
            .to_dtype(x.dtype())
    }
}
