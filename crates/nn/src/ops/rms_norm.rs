//! `x * rsqrt(mean(x^2) + eps)`, with a weight or with a modulation.

use candle_core::{Result, Tensor};

use super::normalise;
use super::support::on_kernels;
use crate::cpu::rows::Kind;

/// RMS norm over the last axis; `weight` is `[width]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm(x: &Tensor, weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    if on_kernels(x) {
        normalise::apply("rms_norm", x, Kind::Rms, eps, 0.0, weight, None)
    } else {
        slow::rms_norm(x, weight, eps)
    }
}

/// `rms_norm(x) * (1 + scale) + shift`; `x` is `[B, N, width]`, `scale` and `shift`
/// broadcast to it (`[width]`, `[B, 1, width]` or `[B, N, width]`).
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm_modulate(x: &Tensor, scale: &Tensor, shift: &Tensor, eps: f64) -> Result<Tensor> {
    if on_kernels(x) {
        normalise::apply(
            "rms_norm_modulate",
            x,
            Kind::Rms,
            eps,
            1.0,
            Some(scale),
            Some(shift),
        )
    } else {
        super::modulate(&rms_norm(x, None, eps)?, scale, shift)
    }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        for shape in [&[1, 1, 3][..], &[5, 32], &[2, 70, 37], &[3, 200]] {
            let width = shape[shape.len() - 1];
            let args = [noise(1, shape), noise(2, &[width])];
            check(
                &format!("rms_norm {shape:?}"),
                &args,
                &|t| rms_norm(&t[0], Some(&t[1]), 1e-5),
                &|t| slow::rms_norm(&t[0], Some(&t[1]), 1e-5),
            );
            check(
                &format!("rms_norm {shape:?}"),
                &args[..1],
                &|t| rms_norm(&t[0], None, 1e-5),
                &|t| slow::rms_norm(&t[0], None, 1e-5),
            );
        }
    }

    #[test]
    fn modulation_broadcasts() {
        for table in [
            &[20][..],
            &[1, 1, 20],
            &[2, 1, 20],
            &[2, 9, 20],
            &[1, 9, 20],
            &[9, 20],
        ] {
            let args = [noise(1, &[2, 9, 20]), noise(2, table), noise(3, table)];
            check(
                &format!("rms_norm_modulate {table:?}"),
                &args,
                &|t| rms_norm_modulate(&t[0], &t[1], &t[2], 1e-6),
                &|t| {
                    super::super::modulate::slow::modulate(
                        &slow::rms_norm(&t[0], None, 1e-6)?,
                        &t[1],
                        &t[2],
                    )
                },
            );
        }
        let x = noise(1, &[2, 9, 20]);
        assert!(rms_norm_modulate(&x, &noise(2, &[3, 1, 20]), &noise(2, &[20]), 1e-6).is_err());
    }
}
