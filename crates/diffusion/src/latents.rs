//! What happens to latents between two passes and before they are decoded.
//!
//! LTX-Video `ltx_video/pipelines/pipeline_ltx_video.py` (`LTXMultiScalePipeline`,
//! `adain_filter_latent`, `tone_map_latents`); diffusers
//! `pipelines/ltx/pipeline_ltx_latent_upsample.py`. Latents are `[B, C, f, h, w]`.

use candle_core::{DType, Tensor};

use crate::error::Result;

/// Gives every channel of every sample the mean and spread that it has in `reference`
/// (`AdaIN`), by a share of `factor`.
///
/// # Errors
/// When batch or channels differ.
pub fn adain(latents: &Tensor, reference: &Tensor, factor: f64) -> Result<Tensor> {
    let (mean, deviation) = moments(latents)?;
    let (wanted_mean, wanted_deviation) = moments(reference)?;
    let moved = latents
        .to_dtype(DType::F32)?
        .broadcast_sub(&mean)?
        .broadcast_div(&deviation)?
        .broadcast_mul(&wanted_deviation)?
        .broadcast_add(&wanted_mean)?;
    let latents = latents.to_dtype(DType::F32)?;
    Ok((&latents + ((moved - &latents)? * factor)?)?)
}

/// Mean and unbiased standard deviation of each channel, `[B, C, 1, 1, 1]`.
fn moments(latents: &Tensor) -> Result<(Tensor, Tensor)> {
    let (batch, channels, ..) = latents.dims5()?;
    let rows = latents.to_dtype(DType::F32)?.flatten_from(2)?;
    let count = rows.dim(2)?;
    let mean = rows.mean_keepdim(2)?;
    let squares = rows.broadcast_sub(&mean)?.sqr()?.sum_keepdim(2)?;
    let deviation = (squares / count.saturating_sub(1).max(1) as f64)?.sqrt()?;
    let shape = (batch, channels, 1, 1, 1);
    Ok((mean.reshape(shape)?, deviation.reshape(shape)?))
}

/// Takes large values back, smoothly; `ratio` 0 changes nothing, 1 most.
///
/// # Errors
/// When the tensor is no float.
pub fn tone_map(latents: &Tensor, ratio: f64) -> Result<Tensor> {
    let scale = 0.75 * ratio;
    let steep = ((latents.abs()? - 1.0)? * (4.0 * scale))?;
    // A sigmoid by what every device has.
    let sigmoid = (steep.neg()?.exp()? + 1.0)?.recip()?;
    Ok((latents * sigmoid.affine(-0.8 * scale, 1.0)?)?)
}
