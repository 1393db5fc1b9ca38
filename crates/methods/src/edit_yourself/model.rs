//! The networks and their configs, loaded and checked together.

use std::path::Path;

use candle_core::{DType, Device};
use diffusion::Schedule;
use models::audio_projection::AudioProjection;
use models::ltx::{Caption, Transformer, TransformerConfig, Vae, VaeConfig};
use models::mel_encoder::{MelEncoder, MelEncoderConfig};
use models::{ModelError, ModelFile};
use serde_json::Value;

use super::cells::Cells;
use super::config::EditYourselfConfig;
use crate::error::{MethodError, Result};

/// The method with its weights.
#[derive(Debug, Clone)]
pub struct EditYourself {
    pub(super) config: EditYourselfConfig,
    pub(super) transformer: Transformer,
    pub(super) vae: Vae,
    pub(super) mel_encoder: MelEncoder,
    pub(super) audio_projection: AudioProjection,
    pub(super) caption: Caption,
    pub(super) cells: Cells,
    schedule: Schedule,
}

impl EditYourself {
    /// Loads a single file with all parts, its config in the header.
    ///
    /// # Errors
    /// When the file is something else, or parts do not fit each other; keys and shapes
    /// that differ are named.
    pub fn load(path: impl AsRef<Path>, dtype: DType, device: &Device) -> Result<Self> {
        Self::from_file(&ModelFile::open(path)?, dtype, device)
    }

    /// Loads the same from memory, such as the embedded model; `name` is for messages.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_bytes(name: &str, bytes: &[u8], dtype: DType, device: &Device) -> Result<Self> {
        Self::from_file(&ModelFile::from_bytes(name, bytes)?, dtype, device)
    }

    /// Loads from an open file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_file(file: &ModelFile, dtype: DType, device: &Device) -> Result<Self> {
        let json = file.config()?;
        let bad = |reason: String| MethodError::Config {
            origin: file.origin().to_owned(),
            reason,
        };
        let config: EditYourselfConfig = object(&json, "edit_yourself", file)?;
        if let Some(fault) = config.fault() {
            return Err(bad(format!("edit_yourself: {fault}")));
        }
        let transformer_config = TransformerConfig::from_json(&json)?;
        let vae_config = VaeConfig::from_json(&json)?;
        let mel_config: MelEncoderConfig = object(&json, "audio_encoder", file)?;
        let Some(audio) = &transformer_config.audio else {
            return Err(bad("the transformer has no audio layers".to_owned()));
        };
        if (audio.channels, audio.hidden_states) != (mel_config.channels, 1) {
            return Err(bad(format!(
                "the audio projection takes {} states of {} channels, the audio encoder gives 1 of {}",
                audio.hidden_states, audio.channels, mel_config.channels
            )));
        }
        let strides = (vae_config.temporal_stride(), vae_config.spatial_stride());
        if strides != (config.temporal_stride, config.spatial_stride) {
            return Err(bad(format!(
                "edit_yourself has strides {} and {}, the autoencoder {} and {}",
                config.temporal_stride, config.spatial_stride, strides.0, strides.1
            )));
        }
        let channels = [
            transformer_config.in_channels,
            transformer_config.out_channels,
        ];
        if channels != [vae_config.latent_channels; 2] {
            return Err(bad(format!(
                "the transformer takes and gives {channels:?} channels, latents have {}",
                vae_config.latent_channels
            )));
        }
        let audio_projection = AudioProjection::load(file, audio, device)?;
        let transformer = Transformer::load(file, &transformer_config, dtype, device)?;
        let vae = Vae::load(file, &vae_config, dtype, device)?;
        if !vae.has_statistics() {
            return Err(bad(
                "the autoencoder has no per_channel_statistics".to_owned()
            ));
        }
        let scheduler = json.get("scheduler").cloned().unwrap_or(Value::Null);
        let cells = Cells::new(&config, device)?;
        let positions = config.block_latents * cells.inside.len();
        Ok(Self {
            caption: transformer.empty_caption()?,
            mel_encoder: MelEncoder::load(file, &mel_config, device)?,
            schedule: Schedule::from_json(&scheduler, None, positions)?,
            audio_projection,
            transformer,
            vae,
            cells,
            config,
        })
    }

    pub fn config(&self) -> &EditYourselfConfig {
        &self.config
    }

    /// The schedule that the model's header asks for.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub fn vae(&self) -> &Vae {
        &self.vae
    }

    pub fn transformer(&self) -> &Transformer {
        &self.transformer
    }

    pub fn mel_encoder(&self) -> &MelEncoder {
        &self.mel_encoder
    }

    pub fn audio_projection(&self) -> &AudioProjection {
        &self.audio_projection
    }
}

fn object<T: serde::de::DeserializeOwned>(
    json: &Value,
    name: &'static str,
    file: &ModelFile,
) -> Result<T> {
    let value = json.get(name).ok_or_else(|| MethodError::Config {
        origin: file.origin().to_owned(),
        reason: format!("the config has no '{name}' object"),
    })?;
    serde_json::from_value(value.clone())
        .map_err(|source| ModelError::ConfigText { part: name, source }.into())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::edit_yourself::config::MaskCells;

    pub(in crate::edit_yourself) fn config() -> EditYourselfConfig {
        EditYourselfConfig {
            crop: 256,
            mask_cells: MaskCells {
                rows: [4, 8],
                columns: [1, 7],
            },
            context_cells: None,
            recorded_context: false,
            counterparts: false,
            change_share: 1.0,
            context_fill: 0.0,
            references: 3,
            block_latents: 9,
            block_local_times: true,
            decode_timestep: 0.05,
            decode_noise_scale: 0.0,
            spatial_stride: 32,
            temporal_stride: 4,
            carry_latents: 2,
            windows: None,
            carry: crate::edit_yourself::Carry::Noised,
            decode_before: 2,
            decode_after: 2,
            audio_guidance: 1.0,
        }
    }

    #[test]
    fn faults_are_told_with_their_values() {
        let mut other = config();
        other.mask_cells.columns = [1, 9];
        assert!(other.fault().unwrap().contains("1..9"));
        let mut other = config();
        other.carry_latents = 9;
        assert!(other.fault().is_some());
        assert!(config().fault().is_none());
    }
}
