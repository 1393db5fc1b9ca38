//! Sound as features for the audio projection, from either encoder: the small one on mel frames,
//! of which any stretch can be encoded alone, or Whisper's, through overlapping windows.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use models::mel_encoder::{MelEncoder, MelEncoderConfig};
use models::whisper::{LongSound, WhisperConfig, WhisperEncoder};
use models::{ModelError, ModelFile};
use nn::weights::KeyMap;
use serde_json::Value;

use crate::edit_yourself::MelSource;
use crate::edit_yourself::SoundOf;
use crate::error::{MethodError, Result};

const PART: &str = "audio_encoder";
const PREFIX: &str = "audio_encoder.";

/// Whisper's floor: eight decades below the loudest value of a window, in mel frames' units.
const FLOOR: f32 = 2.0;

/// A network from mel frames to features 50 times a second.
#[derive(Debug, Clone)]
pub enum SoundEncoder {
    /// One state a feature, from the mel frames that the embedded model takes.
    Mel(Box<MelEncoder>),
    /// A state of every block a feature, from Whisper's mel frames before their floor.
    Whisper(Box<WhisperEncoder>),
}

/// Sizes of a sound encoder, as a header's `audio_encoder` has them.
#[derive(Debug, Clone)]
pub enum SoundEncoderConfig {
    Mel(MelEncoderConfig),
    Whisper(WhisperConfig),
}

impl SoundEncoderConfig {
    /// A preset's name such as `whisper-small`, transformers' config of a Whisper, or that of the
    /// small encoder.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn from_json(json: &Value) -> Result<Self> {
        if let Some(name) = json.as_str() {
            return WhisperConfig::preset(name)
                .map(Self::Whisper)
                .ok_or_else(|| {
                    ModelError::config(PART, format!("there is no sound encoder '{name}'")).into()
                });
        }
        if json.get("d_model").is_some() {
            return Ok(Self::Whisper(WhisperConfig::from_json(json)?));
        }
        serde_json::from_value(json.clone())
            .map(Self::Mel)
            .map_err(|source| ModelError::ConfigText { part: PART, source }.into())
    }

    /// Whether a projection of `states` states of `channels` channels fits.
    ///
    /// # Errors
    /// With both numbers, when it does not.
    pub fn check(&self, states: usize, channels: usize) -> Result<()> {
        let (own, fits) = match self {
            Self::Mel(config) => (
                format!("1 state of {}", config.channels),
                (states, channels) == (1, config.channels),
            ),
            Self::Whisper(config) => {
                let layers = config.encoder_layers;
                (
                    format!("{layers} or {} states of {}", layers + 1, config.d_model),
                    (states == layers || states == layers + 1) && channels == config.d_model,
                )
            }
        };
        if fits {
            return Ok(());
        }
        Err(ModelError::config(
            PART,
            format!("the audio projection takes {states} states of {channels} channels, the encoder gives {own}"),
        )
        .into())
    }
}

impl SoundEncoder {
    /// Reads the weights from a single file under `audio_encoder.`, or from one of their own.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for.
    pub fn load(
        file: &ModelFile,
        config: &SoundEncoderConfig,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Ok(match config {
            SoundEncoderConfig::Mel(config) => {
                Self::Mel(Box::new(MelEncoder::load(file, config, device)?))
            }
            SoundEncoderConfig::Whisper(config) => {
                let single = file.shapes().keys().any(|name| name.starts_with(PREFIX));
                let own = if single {
                    file.renamed(&KeyMap::new().prefix(PREFIX, ""))?
                } else {
                    file.clone()
                };
                Self::Whisper(Box::new(WhisperEncoder::load(&own, config, dtype, device)?))
            }
        })
    }

    /// Whether a file holds a sound encoder's weights beside others.
    pub fn is_in(file: &ModelFile) -> bool {
        file.shapes().keys().any(|name| name.starts_with(PREFIX))
    }
}

/// A sound on its way through an encoder.
pub(crate) struct Hearing<'a> {
    encoder: &'a SoundEncoder,
    sound: SoundOf<'a>,
    /// States a feature that the projection takes.
    states: usize,
    device: Device,
    /// The last window of Whisper's, with the features that it gives.
    window: Option<(Range<usize>, Tensor)>,
}

impl<'a> Hearing<'a> {
    /// Looks at the whole sound, if the encoder wants its mean spectrum taken out.
    pub(crate) fn new(
        encoder: &'a SoundEncoder,
        mel: &'a dyn MelSource,
        states: usize,
        device: &Device,
    ) -> Result<Self> {
        let sound = match encoder {
            SoundEncoder::Mel(encoder) => SoundOf::new(mel, encoder)?,
            SoundEncoder::Whisper(_) => SoundOf::plain(mel),
        };
        Ok(Self {
            encoder,
            sound,
            states,
            device: device.clone(),
            window: None,
        })
    }

    /// Features that the sound has.
    pub(crate) fn count(&self) -> usize {
        self.sound.features()
    }

    /// Some of them, `[wanted, B, C]`, `f32`. Neighbouring ranges are cheap in rising order.
    pub(crate) fn features(&mut self, wanted: &Range<usize>) -> Result<Tensor> {
        match self.encoder {
            SoundEncoder::Mel(encoder) => Ok(self.sound.encode(encoder, wanted)?.unsqueeze(1)?),
            SoundEncoder::Whisper(encoder) => self.through_windows(encoder, wanted),
        }
    }

    fn through_windows(
        &mut self,
        encoder: &WhisperEncoder,
        wanted: &Range<usize>,
    ) -> Result<Tensor> {
        let long = LongSound::new(encoder.config().max_source_positions);
        let mut parts = Vec::new();
        for piece in long.pieces(self.count()) {
            let from = wanted.start.max(piece.gives.start);
            let to = wanted.end.min(piece.gives.end);
            if from >= to {
                continue;
            }
            let held = self
                .window
                .take()
                .filter(|(gives, _)| *gives == piece.gives);
            let given = if let Some((_, given)) = held {
                given
            } else {
                let all = self.window_states(encoder, piece.start)?;
                let skipped = piece.gives.start - piece.start;
                all.narrow(0, skipped, piece.gives.len())?.contiguous()?
            };
            parts.push(given.narrow(0, from - piece.gives.start, to - from)?);
            self.window = Some((piece.gives, given));
        }
        if parts.is_empty() {
            return Err(MethodError::Job(format!(
                "features {wanted:?} of a sound of {}",
                self.count()
            )));
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// All features of the window that begins at a feature, `[window, B, C]`. What lies behind the
    /// sound's end is silence.
    fn window_states(&self, encoder: &WhisperEncoder, start: usize) -> Result<Tensor> {
        let config = encoder.config();
        let (bands, length) = (config.num_mel_bins, 2 * config.max_source_positions);
        let range = 2 * start..(2 * start + length).min(self.sound.frames());
        let mut mel = self.sound.read(range)?;
        let held = mel.len() / bands.max(1);
        let floor = mel.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b)) - FLOOR;
        for value in &mut mel {
            *value = value.max(floor);
        }
        mel.resize(bands * length, floor);
        let mel = Tensor::from_vec(mel, (length, bands), &self.device)?;
        let mel = mel.t()?.unsqueeze(0)?.contiguous()?;
        debug_assert!(held <= length);
        let states = if self.states == config.encoder_layers {
            encoder.block_outputs(&mel)?
        } else {
            encoder.hidden_states(&mel)?
        };
        Ok(states.squeeze(0)?.transpose(0, 1)?.contiguous()?)
    }
}
