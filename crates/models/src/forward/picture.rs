//! The networks of LTX-Video on saved tensors.

use super::{Call, Tensors, one};
use crate::error::Result;
use crate::ltx::vae::{Vae, VaeConfig};
use crate::ltx::{
    Inputs, Residence, Rope, Transformer, TransformerConfig, Upsampler, UpsamplerConfig,
};

pub(super) fn transformer(call: &Call<'_>) -> Result<Tensors> {
    let config = call.resolve(
        "ltx transformer",
        "ltx-2b and ltx-13b",
        TransformerConfig::preset,
        TransformerConfig::from_json,
        || None,
    )?;
    // One pass uses each block once, so there is nothing to gain from keeping them.
    let residence = if call.device.is_cpu() {
        Residence::File
    } else {
        Residence::Memory
    };
    let model = Transformer::load_as(call.weights, &config, call.dtype, call.device, residence)?;
    let coords = call.input("coords")?;
    let latents = call.input("latents")?;
    let mask = call.inputs.get("caption_mask");
    let caption = match call.inputs.get("caption") {
        Some(caption) => model.caption(caption, mask)?,
        None => model.empty_caption()?,
    };
    let velocity = model.forward(&Inputs {
        latents,
        timestep: call.input("timestep")?,
        rope: &Rope::of_coords(&config, coords)?,
        caption: &caption,
        audio: None,
        context: None,
        perturbation: None,
        self_bias: None,
    })?;
    Ok(one("velocity", velocity))
}

fn vae(call: &Call<'_>) -> Result<Vae> {
    let config = call.resolve(
        "ltx vae",
        "ltx-2b and ltx-13b, which have one autoencoder",
        VaeConfig::preset,
        VaeConfig::from_json,
        || None,
    )?;
    let dtype = Vae::dtype_on(call.dtype, call.device);
    Vae::load(call.weights, &config, dtype, call.device)
}

pub(super) fn vae_encode(call: &Call<'_>) -> Result<Tensors> {
    let vae = vae(call)?;
    let mean = vae.encode(call.input("video")?)?;
    let mut outputs = Tensors::new();
    if vae.has_statistics() {
        outputs.insert("latents".to_owned(), vae.normalise(&mean)?);
    }
    outputs.insert("mean".to_owned(), mean);
    Ok(outputs)
}

pub(super) fn vae_decode(call: &Call<'_>) -> Result<Tensors> {
    let vae = vae(call)?;
    let latents = call.input("latents")?;
    let timestep = call.input("timestep")?.flatten_all()?;
    let batch = latents.dim(0)?;
    let timestep = if timestep.dim(0)? == batch {
        timestep
    } else {
        timestep.broadcast_as(batch)?.contiguous()?
    };
    Ok(one("video", vae.decode(latents, &timestep)?))
}

pub(super) fn upsampler(call: &Call<'_>) -> Result<Tensors> {
    let config = call.resolve(
        "ltx upsampler",
        "ltx-spatial-upscaler and ltx-temporal-upscaler",
        UpsamplerConfig::preset,
        UpsamplerConfig::from_json,
        || UpsamplerConfig::of_shapes(&call.weights.shapes()),
    )?;
    let model = Upsampler::load(call.weights, &config, call.device)?;
    Ok(one("latents", model.forward(call.input("latents")?)?))
}
