//! Group norm over `[B, C, ..]`.

use candle_core::{Result, Tensor, bail};

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
    slow::group_norm(x, groups, weight, bias, eps)
}

/// [`group_norm`] followed by [`super::silu`].
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
    super::silu(&group_norm(x, groups, weight, bias, eps)?)
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
