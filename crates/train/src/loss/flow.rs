//! Masked flow matching, `EditYourself` eq. 8.

use candle_core::Tensor;

use crate::error::{Result, TrainError};

/// Mean of the squared error over masked elements: `|M (v - u)|^2 / |M|`.
///
/// `predicted` and `target` `[B, N, C]`; `mask` `[B, N]` or `[1, N]` of zeros and ones, none when all
/// tokens are masked ones.
///
/// # Errors
/// When shapes do not fit, or the mask is empty.
pub fn masked_flow(predicted: &Tensor, target: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    weighted_mean(&squared_error(predicted, target)?, mask)
}

/// `(a - b)^2`, element by element.
///
/// # Errors
/// When shapes differ.
pub fn squared_error(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok((a - b)?.sqr()?)
}

/// Mean of `errors` `[B, N, C]` with a weight for every token, over the sum of the weights.
///
/// # Errors
/// When shapes do not fit, or all weights are zero.
pub fn weighted_mean(errors: &Tensor, weights: Option<&Tensor>) -> Result<Tensor> {
    let Some(weights) = weights else {
        return Ok(errors.mean_all()?);
    };
    let (batch, tokens, channels) = errors.dims3()?;
    let weights = weights.broadcast_as((batch, tokens))?;
    let total = weights.sum_all()?.to_scalar::<f32>()? * channels as f32;
    if total <= 0.0 {
        return Err(TrainError::Data(
            "no token of the batch has a weight in the loss".to_owned(),
        ));
    }
    let sum = errors.broadcast_mul(&weights.unsqueeze(2)?)?.sum_all()?;
    Ok((sum / f64::from(total))?)
}
