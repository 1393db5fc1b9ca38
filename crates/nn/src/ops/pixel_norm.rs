//! `x / sqrt(mean over channels of x^2 + eps)` over `[B, C, ..]`, as in the LTX
//! autoencoder, alone or fused with a modulation and `SiLU`.

use candle_core::{Result, Tensor};

use super::channels::{ChannelNorm, Over};
use super::support::on_kernels;

/// Normalises every position over its channels; `x` is `[B, C, ..]`.
///
/// # Errors
/// When `x` has no channel axis.
pub fn pixel_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    if on_kernels(x) {
        norm(eps, false).apply(x, None)
    } else {
        slow::pixel_norm(x, eps)
    }
}

/// `silu(pixel_norm(x))`.
///
/// # Errors
/// When `x` has no channel axis.
pub fn pixel_norm_silu(x: &Tensor, eps: f64) -> Result<Tensor> {
    if on_kernels(x) {
        norm(eps, true).apply(x, None)
    } else {
        super::silu(&slow::pixel_norm(x, eps)?)
    }
}

const fn norm(eps: f64, silu: bool) -> ChannelNorm {
    ChannelNorm {
        over: Over::Channels,
        eps,
        silu,
        offset: 1.0,
    }
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
    if on_kernels(x) {
        norm(eps, true).apply(x, Some((scale, shift)))
    } else {
        slow::pixel_norm_modulate_silu(x, scale, shift, eps)
    }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        for shape in [&[1, 3, 1][..], &[2, 5, 3, 7], &[1, 12, 2, 9, 11]] {
            let x = [noise(1, shape)];
            check("pixel_norm", &x, &|t| pixel_norm(&t[0], 1e-8), &|t| {
                slow::pixel_norm(&t[0], 1e-8)
            });
            check(
                "pixel_norm_silu",
                &x,
                &|t| pixel_norm_silu(&t[0], 1e-8),
                &|t| super::super::silu::slow::silu(&slow::pixel_norm(&t[0], 1e-8)?),
            );
            for table in [&[shape[1]][..], &shape[..2], &[1, shape[1]]] {
                let args = [noise(1, shape), noise(2, table), noise(3, table)];
                check(
                    "pixel_norm_modulate_silu",
                    &args,
                    &|t| pixel_norm_modulate_silu(&t[0], &t[1], &t[2], 1e-8),
                    &|t| slow::pixel_norm_modulate_silu(&t[0], &t[1], &t[2], 1e-8),
                );
            }
        }
        let x = noise(1, &[2, 5, 3]);
        assert!(pixel_norm_modulate_silu(&x, &noise(2, &[4]), &noise(3, &[5]), 1e-8).is_err());
    }
}
