//! The video autoencoder (`CausalVideoAutoencoder`), 0.9.0 to 0.9.8, and smaller ones of
//! the same make.
//!
//! LTX-Video `ltx_video/models/autoencoders/causal_video_autoencoder.py`. The encoder is causal and can
//! be fed in pieces ([`Vae::encoder`] `.stream()`); the decoder looks both ways and can
//! be asked for a part of the picture ([`Vae::decode_region`]), which costs that part
//! and what its receptive field needs, stage by stage.

mod config;
mod conv;
mod decoder;
mod encoder;
mod patches;
mod region;
mod tiles;

use candle_core::{DType, Device, Tensor};

pub use config::{Stage, VaeConfig};
pub use decoder::Decoder;
pub use encoder::{EncodeStream, Encoder};
pub use region::{Region, Span};
pub use tiles::{Halo, decode_frames, decode_in_windows};

use super::keys;
use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// Encoder, decoder and the statistics of the latents.
#[derive(Debug, Clone)]
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    decoder: Decoder,
    statistics: Option<Statistics>,
}

/// Mean and standard deviation of every latent channel, `[1, C, 1, 1, 1]`.
#[derive(Debug, Clone)]
struct Statistics {
    mean: Tensor,
    deviation: Tensor,
}

const STATISTICS: &str = "per_channel_statistics.";

impl Vae {
    /// In which numbers a video model's autoencoder should compute where `dtype` is asked for. Between
    /// its layers values of 16 bit lose up to a fiftieth of the result in narrow networks, more than
    /// the transformer does, which adds up in 32 bit; so on a processor it has 32. The embedded
    /// model's was measured in 16, which is twice as fast.
    pub fn dtype_on(dtype: DType, device: &Device) -> DType {
        if device.is_cpu() { DType::F32 } else { dtype }
    }

    /// Reads the weights of a file in either layout.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for; all differences are named.
    pub fn load(
        file: &ModelFile,
        config: &VaeConfig,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Self::check(file, config)?;
        let file = file.renamed(&keys::vae_keys(file, config))?;
        let view = file.view(dtype, device)?;
        let channels = config.latent_channels;
        let numbers = view.with_dtype(DType::F32).at("per_channel_statistics");
        let statistics = if numbers.contains("mean-of-means") {
            let vector = |name: &str| -> Result<Tensor> {
                Ok(numbers
                    .get(channels, name)?
                    .reshape((1, channels, 1, 1, 1))?)
            };
            Some(Statistics {
                mean: vector("mean-of-means")?,
                deviation: vector("std-of-means")?,
            })
        } else {
            None
        };
        Ok(Self {
            encoder: Encoder::load(&view.at("encoder"), config)?,
            decoder: Decoder::load(&view.at("decoder"), config)?,
            config: config.clone(),
            statistics,
        })
    }

    /// Compares a file with a config, without reading the weights.
    ///
    /// # Errors
    /// [`ModelError::Differences`], one sentence for each.
    pub fn check(file: &ModelFile, config: &VaeConfig) -> Result<()> {
        let file = file.renamed(&keys::vae_keys(file, config))?;
        file.check(&config.shapes(), |name| {
            name.starts_with(STATISTICS)
                // Strengths of noise inside of 0.9.1's decoder, which is left out: the same
                // latents give the same pictures.
                || name.contains(".per_channel_scale")
                || !(name.starts_with("encoder.") || name.starts_with("decoder."))
        })
    }

    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Whether the file has statistics of the latents.
    pub fn has_statistics(&self) -> bool {
        self.statistics.is_some()
    }

    /// Means of the posterior, un-normalised: `video` `[B, 3, F, H, W]` in -1..1 to
    /// `[B, C, f, h, w]`, `f32`. F is one more than a multiple of the temporal stride.
    ///
    /// # Errors
    /// When the sizes do not fit the strides.
    pub fn encode(&self, video: &Tensor) -> Result<Tensor> {
        let frames = video.dim(2)?;
        let stride = self.config.temporal_stride();
        if frames % stride != 1 % stride {
            return Err(ModelError::input(
                "video",
                format!("{frames} frames, wanted a multiple of {stride} plus 1"),
            ));
        }
        self.encoder.forward(video)
    }

    /// Means `[B, C, f, h, w]` and the log variance `[B, 1, f, h, w]` that all channels share, un-normalised,
    /// gradients tracked: what training takes.
    ///
    /// # Errors
    /// When the sizes do not fit the strides.
    pub fn posterior(&self, video: &Tensor) -> Result<(Tensor, Tensor)> {
        let both = self.encoder.stream().push_whole(video)?;
        let channels = self.config.latent_channels;
        Ok((
            both.narrow(1, 0, channels)?.contiguous()?,
            both.narrow(1, channels, 1)?.contiguous()?,
        ))
    }

    /// `(z - mean) / deviation` per channel; latents are `[B, C, f, h, w]`.
    ///
    /// # Errors
    /// When the file had no statistics.
    pub fn normalise(&self, latents: &Tensor) -> Result<Tensor> {
        let statistics = self.statistics()?;
        Ok(latents
            .broadcast_sub(&statistics.mean)?
            .broadcast_div(&statistics.deviation)?)
    }

    /// `z * deviation + mean` per channel, the inverse of [`Self::normalise`].
    ///
    /// # Errors
    /// When the file had no statistics.
    pub fn unnormalise(&self, latents: &Tensor) -> Result<Tensor> {
        let statistics = self.statistics()?;
        Ok(latents
            .broadcast_mul(&statistics.deviation)?
            .broadcast_add(&statistics.mean)?)
    }

    fn statistics(&self) -> Result<&Statistics> {
        self.statistics.as_ref().ok_or_else(|| {
            ModelError::config("ltx vae", "the weights have no per_channel_statistics")
        })
    }

    /// Un-normalised latents `[B, C, f, h, w]` to video `[B, 3, F, H, W]` around -1..1,
    /// `f32`; `timestep` `[B]` in 0..1.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn decode(&self, latents: &Tensor, timestep: &Tensor) -> Result<Tensor> {
        let whole = self.decoder.whole(latents)?;
        self.decode_region(latents, timestep, whole)
    }

    /// The part `wanted` of [`Self::decode`]: frames, rows and columns in pixels, rows
    /// and columns on multiples of the patch size. Equal to cutting it out of the whole.
    ///
    /// # Errors
    /// When the region lies outside of the video or off the patch grid.
    pub fn decode_region(
        &self,
        latents: &Tensor,
        timestep: &Tensor,
        wanted: Region,
    ) -> Result<Tensor> {
        self.decoder.forward(latents, timestep, wanted)
    }
}
