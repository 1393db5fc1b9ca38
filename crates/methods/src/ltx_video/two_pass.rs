//! From the first pass's latents to the second one's start: upsampled, in the first one's
//! spread, and noised again (LTX-Video `pipeline_ltx_video.py`, `LTXMultiScalePipeline`).

use candle_core::Tensor;
use diffusion::{Pass, latents};
use models::ltx::{Upsampler, Vae};

use super::noised_start;
use crate::error::Result;

/// What the second pass starts from.
#[derive(Debug, Clone)]
pub struct SecondPass {
    /// Normalised latents `[B, C, f, h, w]`, before noise.
    pub latents: Tensor,
    /// The same noised to the second pass's first timestep.
    pub start: Tensor,
}

/// `first` are normalised latents `[B, C, f, h, w]`; `noise` gives normal values of the
/// larger shape.
///
/// # Errors
/// When the upsampler does not fit, or the autoencoder has no statistics.
pub fn second_pass(
    first: &Tensor,
    vae: &Vae,
    upsampler: &Upsampler,
    pass: &Pass,
    noise: impl FnOnce(&[usize]) -> Result<Tensor>,
) -> Result<SecondPass> {
    let larger = upsampler.forward(&vae.unnormalise(first)?)?;
    let larger = latents::adain(&vae.normalise(&larger)?, first, 1.0)?;
    let noise = noise(larger.dims())?;
    Ok(SecondPass {
        start: noised_start(&larger, &noise, pass)?,
        latents: larger,
    })
}
