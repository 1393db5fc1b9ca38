//! What the sound encoder learns first: to follow the mouth.

use candle_core::{D, Tensor};

use crate::error::Result;

/// Correlation along the last axis: `[.., T]` to `[..]`.
///
/// # Errors
/// When shapes differ.
pub fn correlation(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let centred = |x: &Tensor| x.broadcast_sub(&x.mean_keepdim(D::Minus1)?);
    let (a, b) = (centred(a)?, centred(b)?);
    let dot = (&a * &b)?.sum(D::Minus1)?;
    // The bound keeps a constant signal, such as a closed mouth, from dividing by zero.
    let length = |x: &Tensor| (x.sqr()?.sum(D::Minus1)? + 1e-12)?.sqrt();
    Ok((dot / ((length(&a)? * length(&b)?)? + 1e-6)?)?)
}

/// `1 - correlation`, averaged over what `keep` `[..]` keeps.
///
/// # Errors
/// When shapes do not fit.
pub fn correlation_loss(a: &Tensor, b: &Tensor, keep: Option<&Tensor>) -> Result<Tensor> {
    let loss = correlation(a, b)?.affine(-1.0, 1.0)?;
    match keep {
        None => Ok(loss.mean_all()?),
        Some(keep) => {
            let count = keep.sum_all()?.to_scalar::<f32>()?.max(1.0);
            Ok(((loss * keep)?.sum_all()? / f64::from(count))?)
        }
    }
}

/// Huber's loss with its knee at 1, averaged: `torch.nn.functional.smooth_l1_loss`.
///
/// # Errors
/// When shapes differ.
pub fn smooth_l1(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let distance = (a - b)?.abs()?;
    // min(d, 1)^2 / 2 + (d - min(d, 1)) is both branches in one.
    let near = distance.minimum(1.0)?;
    Ok(((near.sqr()? * 0.5)? + (distance - near)?)?.mean_all()?)
}
