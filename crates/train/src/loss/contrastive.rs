//! Contrastive flow matching (Stoica et al. 2025): away from other samples' velocities.

use candle_core::Tensor;

use super::flow::{squared_error, weighted_mean};
use crate::error::Result;

/// `|v - u|^2 - lambda |v - u'|^2`, where `u'` is the target of the next sample of the batch.
///
/// With one sample there is no other, and the second term is left out. `mask` as in
/// [`super::masked_flow`].
///
/// # Errors
/// When shapes do not fit.
pub fn contrastive_flow(
    predicted: &Tensor,
    target: &Tensor,
    lambda: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let own = weighted_mean(&squared_error(predicted, target)?, mask)?;
    let batch = target.dim(0)?;
    if batch < 2 || lambda == 0.0 {
        return Ok(own);
    }
    let other = Tensor::cat(
        &[target.narrow(0, 1, batch - 1)?, target.narrow(0, 0, 1)?],
        0,
    )?;
    let away = weighted_mean(&squared_error(predicted, &other)?, mask)?;
    Ok((own - (away * lambda)?)?)
}
