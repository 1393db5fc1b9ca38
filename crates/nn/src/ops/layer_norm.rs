//! Layer norm over the last axis, with an affine map or a modulation.

use candle_core::{Result, Tensor};

use super::normalise;
use super::support::on_kernels;
use crate::cpu::rows::Kind;

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
    if on_kernels(x) {
        normalise::apply("layer_norm", x, Kind::Layer, eps, 0.0, weight, bias)
    } else {
        slow::layer_norm(x, weight, bias, eps)
    }
}

/// `layer_norm(x) * (1 + scale) + shift` without an affine map; shapes as in
/// [`super::rms_norm_modulate`].
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm_modulate(x: &Tensor, scale: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    if on_kernels(x) {
        normalise::apply(
            "layer_norm_modulate",
            x,
            Kind::Layer,
            eps,
            1.0,
            Some(scale),
            Some(shift),
        )
    } else {
        super::modulate(&layer_norm(x, None, None, eps)?, scale, shift)
    }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        for shape in [&[1, 1, 3][..], &[5, 32], &[2, 70, 37], &[3, 200]] {
            let width = shape[shape.len() - 1];
            let args = [noise(1, shape), noise(2, &[width]), noise(3, &[width])];
            check(
                &format!("layer_norm {shape:?}"),
                &args,
                &|t| layer_norm(&t[0], Some(&t[1]), Some(&t[2]), 1e-5),
                &|t| slow::layer_norm(&t[0], Some(&t[1]), Some(&t[2]), 1e-5),
            );
            check(
                &format!("layer_norm, shifted only {shape:?}"),
                &[args[0].clone(), args[2].clone()],
                &|t| layer_norm(&t[0], None, Some(&t[1]), 1e-5),
                &|t| slow::layer_norm(&t[0], None, Some(&t[1]), 1e-5),
            );
        }
    }

    #[test]
    fn modulation_follows_the_norm() {
        let args = [
            noise(1, &[2, 9, 20]),
            noise(2, &[2, 1, 20]),
            noise(3, &[2, 1, 20]),
        ];
        check(
            "layer_norm_modulate",
            &args,
            &|t| layer_norm_modulate(&t[0], &t[1], &t[2], 1e-6),
            &|t| {
                super::super::modulate::slow::modulate(
                    &slow::layer_norm(&t[0], None, None, 1e-6)?,
                    &t[1],
                    &t[2],
                )
            },
        );
    }
}
