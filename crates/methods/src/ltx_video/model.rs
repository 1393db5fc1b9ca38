//! The base model with its autoencoder, loaded and checked together.

use candle_core::{DType, Device};
use models::ModelFile;
use models::lora::{LoraFile, LoraStack, LoraUse};
use models::ltx::{
    Residence, Transformer, TransformerConfig, Upsampler, UpsamplerConfig, Vae, VaeConfig,
};

use super::Parts;
use crate::error::{MethodError, Result};

/// LTX-Video's networks.
#[derive(Debug, Clone)]
pub struct LtxVideo {
    pub(super) transformer: Transformer,
    pub(super) vae: Vae,
    pub(super) upsampler: Option<Upsampler>,
    pub(super) parts: Option<Parts>,
    origin: String,
}

impl LtxVideo {
    /// Loads transformer and autoencoder; of a single file, both are the same one.
    ///
    /// # Errors
    /// When a file is something else, or the two do not fit each other; keys and shapes that
    /// differ are named.
    pub fn load(
        transformer: &ModelFile,
        vae: &ModelFile,
        dtype: DType,
        device: &Device,
        residence: Residence,
    ) -> Result<Self> {
        let vae_config = VaeConfig::from_json(&vae.config()?)?;
        let config = TransformerConfig::from_json_beside(&transformer.config()?, &vae_config)?;
        let bad = |reason: String| MethodError::Config {
            origin: transformer.origin().to_owned(),
            reason,
        };
        let channels = [config.in_channels, config.out_channels];
        if channels != [vae_config.latent_channels; 2] {
            return Err(bad(format!(
                "the transformer takes and gives {channels:?} channels, latents have {}",
                vae_config.latent_channels
            )));
        }
        let transformer_network =
            Transformer::load_as(transformer, &config, dtype, device, residence)?;
        let vae_dtype = Vae::dtype_on(dtype, device);
        let vae = Vae::load(vae, &vae_config, vae_dtype, device)?;
        if !vae.has_statistics() {
            return Err(bad(
                "the autoencoder has no per_channel_statistics".to_owned()
            ));
        }
        Ok(Self {
            transformer: transformer_network,
            vae,
            upsampler: None,
            parts: None,
            origin: transformer.origin().to_owned(),
        })
    }

    /// Adds the latent upsampler, for jobs of two passes.
    ///
    /// # Errors
    /// When the file holds something else, or takes latents of another width.
    pub fn add_upsampler(&mut self, file: &ModelFile) -> Result<()> {
        let config = match file.config_if_any()? {
            Some(json) => UpsamplerConfig::from_json(&json)?,
            None => UpsamplerConfig::default(),
        };
        let channels = self.vae.config().latent_channels;
        if config.in_channels != channels || !config.spatial_upsample || config.temporal_upsample {
            return Err(MethodError::Config {
                origin: file.origin().to_owned(),
                reason: format!(
                    "the upsampler takes {} channels, latents have {channels}; it must double rows and columns only",
                    config.in_channels
                ),
            });
        }
        let device = self.transformer.device().clone();
        self.upsampler = Some(Upsampler::load(file, &config, &device)?);
        Ok(())
    }

    /// Adds `EditYourself`'s parts: then made pictures follow the sound.
    pub fn add_parts(&mut self, parts: Parts) {
        self.parts = Some(parts);
    }

    /// `EditYourself`'s parts, where they were added.
    pub fn parts(&self) -> Option<&Parts> {
        self.parts.as_ref()
    }

    /// Puts adapters beside the transformer's weights.
    ///
    /// # Errors
    /// When one belongs to another model; what does not fit is named.
    pub fn add_loras(&mut self, loras: &[(LoraFile, f64)]) -> Result<()> {
        let mut stack = LoraStack::default();
        for (file, strength) in loras {
            let how = LoraUse {
                strength: *strength,
                ..LoraUse::default()
            };
            stack.push(&mut self.transformer, file, how)?;
        }
        stack.set_time(&mut self.transformer, 1.0)?;
        Ok(())
    }

    /// The transformer's file.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn transformer(&self) -> &Transformer {
        &self.transformer
    }

    pub fn vae(&self) -> &Vae {
        &self.vae
    }
}
