//! The autoencoder's posterior.

use candle_core::Tensor;

use crate::error::Result;

/// `0.5 mean(mean^2 + var - 1 - log var)`: how far the posterior is from a standard normal.
///
/// `mean` `[B, C, f, h, w]`, `log_variance` `[B, 1 or C, f, h, w]`.
///
/// # Errors
/// When shapes do not fit.
pub fn kl_divergence(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
    let spread = ((log_variance.exp()? - log_variance)? - 1.0)?;
    Ok((mean.sqr()?.broadcast_add(&spread)?.mean_all()? * 0.5)?)
}

/// `mean + exp(log_variance / 2) noise`.
///
/// # Errors
/// When shapes do not fit.
pub fn posterior_sample(mean: &Tensor, log_variance: &Tensor, noise: &Tensor) -> Result<Tensor> {
    let deviation = (log_variance * 0.5)?.exp()?;
    Ok((mean + noise.broadcast_mul(&deviation)?)?)
}
