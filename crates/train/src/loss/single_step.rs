//! Losses through the one-step estimate of the clean latents (X-Dub eq. 3, 8-12).

use candle_core::{D, Tensor};

use crate::error::Result;

/// The estimate `x_0 + (u - v) min(t, most)`, which is `x_t - t v` where `t` is at most `most`
/// (X-Dub eq. 11: 0.6; 1 does not clip). `t` broadcasts to the tokens.
///
/// # Errors
/// When shapes do not fit.
pub fn single_step(
    clean: &Tensor,
    target: &Tensor,
    predicted: &Tensor,
    t: &Tensor,
    most: f64,
) -> Result<Tensor> {
    let t = t.minimum(most)?;
    Ok((clean + (target - predicted)?.broadcast_mul(&t)?)?)
}

/// `1 - cos` of the angle between features `[.., C]`, averaged: eq. 12 as a loss, and the identity loss.
/// What `keep` `[..]` says 0 to does not count.
///
/// # Errors
/// When shapes do not fit.
pub fn cosine_loss(a: &Tensor, b: &Tensor, keep: Option<&Tensor>) -> Result<Tensor> {
    let dot = (a * b)?.sum(D::Minus1)?;
    let length = |x: &Tensor| (x.sqr()?.sum(D::Minus1)? + 1e-12)?.sqrt();
    let loss = (dot / (length(a)? * length(b)?)?)?.affine(-1.0, 1.0)?;
    match keep {
        None => Ok(loss.mean_all()?),
        Some(keep) => {
            let count = keep.sum_all()?.to_scalar::<f32>()?.max(1.0);
            Ok(((loss * keep)?.sum_all()? / f64::from(count))?)
        }
    }
}
