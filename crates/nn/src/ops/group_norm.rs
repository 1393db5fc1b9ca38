//! Group norm over `[B, C, ..]`.

use candle_core::{Result, Tensor, bail};

use super::channels::{ChannelNorm, Over};
use super::support::on_kernels;

/// Normalises each of `groups` equal groups of channels over its channels and all
/// positions of one sample, then `* weight + bias` per channel (`[C]` each).
/// `x` is `[B, C, ..]` with any number of further axes.
///
/// # Errors
/// When the shapes do not fit.
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    check(x, groups)?;
    run(x, groups, weight, bias, eps, false)
}

/// [`group_norm`] followed by [`super::silu()`].
///
/// # Errors
/// When the shapes do not fit.
pub fn group_norm_silu(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    check(x, groups)?;
    run(x, groups, weight, bias, eps, true)
}

fn run(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
    silu: bool,
) -> Result<Tensor> {
    if !on_kernels(x) {
        let y = slow::group_norm(x, groups, weight, bias, eps)?;
        return if silu { super::silu(&y) } else { Ok(y) };
    }
    let norm = ChannelNorm {
        over: Over::Groups(groups),
        eps,
        silu,
        offset: 0.0,
    };
    let channels = x.dim(1)?;
    let fill = |value: f32| Tensor::full(value, channels, x.device());
    match (weight, bias) {
        (None, None) => norm.apply(x, None),
        (Some(weight), Some(bias)) => norm.apply(x, Some((weight, bias))),
        (Some(weight), None) => norm.apply(x, Some((weight, &fill(0.0)?))),
        (None, Some(bias)) => norm.apply(x, Some((&fill(1.0)?, bias))),
    }
}

fn check(x: &Tensor, groups: usize) -> Result<()> {
    if x.rank() < 2 || groups == 0 || !x.dim(1)?.is_multiple_of(groups) {
        bail!(
            "group_norm: x is {:?}, which has no {groups} equal groups of channels",
            x.dims()
        );
    }
    Ok(())
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{D, DType, Result, Tensor};

    /// See [`super::group_norm`].
    pub fn group_norm(
        x: &Tensor,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        let channels = x.dim(1)?;
        let mut affine = vec![1; x.rank()];
        affine[1] = channels;
        let grouped = x.to_dtype(DType::F32)?.reshape((x.dim(0)?, groups, ()))?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let mut y = centred
            .broadcast_div(&(variance + eps)?.sqrt()?)?
            .reshape(x.shape())?;
        if let Some(weight) = weight {
            y = y.broadcast_mul(&weight.to_dtype(DType::F32)?.reshape(affine.as_slice())?)?;
        }
        if let Some(bias) = bias {
            y = y.broadcast_add(&bias.to_dtype(DType::F32)?.reshape(affine.as_slice())?)?;
        }
        y.to_dtype(x.dtype())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        for (shape, groups) in [
            (&[2, 6, 5][..], 3),
            (&[1, 8, 3, 7], 1),
            (&[2, 4, 2, 3, 5], 4),
            (&[1, 32, 200], 8),
        ] {
            let args = [
                noise(1, shape),
                noise(2, &shape[1..2]),
                noise(3, &shape[1..2]),
            ];
            let slow =
                |t: &[Tensor]| slow::group_norm(&t[0], groups, Some(&t[1]), Some(&t[2]), 1e-5);
            check(
                "group_norm",
                &args,
                &|t| group_norm(&t[0], groups, Some(&t[1]), Some(&t[2]), 1e-5),
                &slow,
            );
            let silu = |t: &[Tensor]| super::super::silu::slow::silu(&slow(t)?);
            check(
                "group_norm_silu",
                &args,
                &|t| group_norm_silu(&t[0], groups, Some(&t[1]), Some(&t[2]), 1e-5),
                &silu,
            );
            check(
                "group_norm, plain",
                &args[..1],
                &|t| group_norm(&t[0], groups, None, None, 1e-5),
                &|t| slow::group_norm(&t[0], groups, None, None, 1e-5),
            );
        }
        assert!(group_norm(&noise(1, &[1, 6, 2]), 4, None, None, 1e-5).is_err());
    }

    #[test]
    fn a_large_mean_does_not_drown_the_variance() {
        let x = (noise(1, &[1, 2, 5000]) + 1000.0).unwrap();
        let y = group_norm(&x, 1, None, None, 1e-5).unwrap();
        let variance = y
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!((variance - 1.0).abs() < 1e-3, "{variance}");
    }
}
