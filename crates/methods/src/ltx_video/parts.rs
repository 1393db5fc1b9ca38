//! EditYourself's parts for the whole picture: what a video model needs to hear, and how it was
//! trained to be shown faces and pictures.

use candle_core::{DType, Device, Tensor};
use diffusion::ShiftedWindows;
use models::audio_projection::{AudioProjection, needed_features, windows};
use models::{ModelError, ModelFile};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use units::FrameRate;

use crate::edit_yourself::{MelSource, Stretch};
use crate::error::{MethodError, Result};
use crate::hearing::{Hearing, SoundEncoder, SoundEncoderConfig};

const PART: &str = "edit_yourself";

/// Latents whose sound is projected at once.
const AT_ONCE: usize = 8;

/// The `edit_yourself` object of an adapter that works on whole pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartsConfig {
    /// Latents that show the speaker's face to a window, at most (EditYourself 3.4).
    pub references: usize,
    /// Seconds before and behind a window from which they may come.
    pub reference_reach: f64,
    /// The distance of eq. 7, in latents.
    pub picture_distance: usize,
    /// Share of its own size by which a mask grows on every side.
    pub mask_margin: f64,
    /// What masks are filled with before encoding, in -1..1; nothing for models that were trained
    /// on pictures as they are.
    pub context_fill: Option<f64>,
    /// Weight of the sound over no sound.
    pub audio_guidance: f64,
    /// Weight of the text over the negative text; 1 is the text's own velocity.
    pub text_guidance: f64,
    pub windows: ShiftedWindows,
}

impl Default for PartsConfig {
    /// The paper's numbers.
    fn default() -> Self {
        Self {
            references: 6,
            reference_reach: 5.0,
            picture_distance: 3,
            mask_margin: 0.1,
            context_fill: None,
            audio_guidance: 1.0,
            text_guidance: 1.0,
            windows: ShiftedWindows::paper(),
        }
    }
}

impl PartsConfig {
    /// Whether a header's `edit_yourself` works on whole pictures, and not on crops of heads.
    pub fn is_for_pictures(config: &Value) -> bool {
        config.get(PART).and_then(|own| own.get("picture")) == Some(&Value::from("whole"))
    }

    /// Reads the `edit_yourself` object.
    ///
    /// # Errors
    /// When it does not parse or its numbers make no sense.
    pub fn from_json(config: &Value) -> Result<Self> {
        let own = config.get(PART).cloned().unwrap_or_default();
        let parts: Self = serde_json::from_value(own)
            .map_err(|source| ModelError::ConfigText { part: PART, source })?;
        let numbers = [
            ("reference_reach", parts.reference_reach, 0.0..=60.0),
            ("mask_margin", parts.mask_margin, 0.0..=2.0),
            (
                "context_fill",
                parts.context_fill.unwrap_or(0.0),
                -1.0..=1.0,
            ),
            ("audio_guidance", parts.audio_guidance, 0.0..=20.0),
            ("text_guidance", parts.text_guidance, 0.0..=20.0),
        ];
        for (name, value, range) in numbers {
            if !range.contains(&value) {
                return Err(bad(format!("{name} is {value}, wanted {range:?}")));
            }
        }
        if parts.windows.width == 0 {
            return Err(bad("windows of 0 latents".to_owned()));
        }
        Ok(parts)
    }
}

fn bad(reason: String) -> MethodError {
    ModelError::config(PART, reason).into()
}

/// The networks of an adapter besides its layers in the transformer.
#[derive(Debug, Clone)]
pub struct Parts {
    pub(super) config: PartsConfig,
    encoder: SoundEncoder,
    projection: AudioProjection,
}

impl Parts {
    /// Reads the parts of a base model with an adapter ([`models::ltx::with_adapter`]); the sound
    /// encoder from `sound`, where the file itself has none.
    ///
    /// # Errors
    /// When something is missing or does not fit; it is named.
    pub fn load(
        file: &ModelFile,
        sound: Option<&ModelFile>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let json = file.config()?;
        let transformer = models::ltx::TransformerConfig::from_json(&json)?;
        let Some(audio) = &transformer.audio else {
            return Err(bad("the transformer has no audio layers".to_owned()));
        };
        let encoder =
            SoundEncoderConfig::from_json(json.get("audio_encoder").unwrap_or(&Value::Null))?;
        encoder.check(audio.hidden_states, audio.channels)?;
        let held = SoundEncoder::is_in(file).then_some(file);
        let Some(weights) = held.or(sound) else {
            return Err(ModelError::config(
                "audio_encoder",
                format!("{} holds no weights of its sound encoder", file.origin()),
            )
            .into());
        };
        Ok(Self {
            config: PartsConfig::from_json(&json)?,
            encoder: SoundEncoder::load(weights, &encoder, dtype, device)?,
            projection: AudioProjection::load(file, audio, device)?,
        })
    }

    pub fn config(&self) -> &PartsConfig {
        &self.config
    }

    /// Another weight of the sound.
    pub fn set_audio_guidance(&mut self, weight: f64) {
        self.config.audio_guidance = weight;
    }

    /// Whether the sound is to come as Whisper's mel frames, before their floor.
    pub fn hears_as_whisper(&self) -> bool {
        matches!(self.encoder, SoundEncoder::Whisper(_))
    }

    /// Audio tokens `[n, s * tokens, D_a]` of all latents of a stretch, `s` frames a latent.
    ///
    /// # Errors
    /// When the sound cannot be read.
    pub(super) fn tokens(
        &self,
        stretch: &Stretch,
        mel: &dyn MelSource,
        rate: FrameRate,
        device: &Device,
    ) -> Result<Tensor> {
        let audio = self.projection.config();
        let rate = rate.per_second();
        let mut hearing = Hearing::new(&self.encoder, mel, audio.hidden_states, device)?;
        let total = hearing.count();
        let mut tokens = Vec::new();
        for start in (0..stretch.latents()).step_by(AT_ONCE) {
            let latents = start..(start + AT_ONCE).min(stretch.latents());
            let count = latents.len();
            let frames: Vec<u64> = latents.flat_map(|n| stretch.sound_frames(n)).collect();
            let ends = frames.first().copied().zip(frames.last().copied());
            let wanted = needed_features(ends.unwrap_or_default(), audio, rate, total)?;
            let features = hearing.features(&wanted)?;
            let windows = windows(&features, (wanted.start, total), &frames, audio, rate)?;
            let projected = self.projection.forward(&windows)?;
            let (frames, each, width) = projected.dims3()?;
            tokens.push(projected.reshape((count, frames / count.max(1) * each, width))?);
        }
        Ok(Tensor::cat(&tokens, 0)?)
    }
}
