//! The networks that hear, on saved tensors.

use candle_core::{DType, Tensor};

use super::{Call, Tensors, one};
use crate::audio_projection::{self, AudioProjection};
use crate::error::{ModelError, Result};
use crate::ltx::AudioConfig;
use crate::mel_encoder::{MelEncoder, MelEncoderConfig};
use crate::whisper::{WhisperConfig, WhisperEncoder};

pub(super) fn whisper(call: &Call<'_>) -> Result<Tensors> {
    let config = call.resolve(
        "whisper",
        "whisper-tiny, -base, -small, -medium, -large, -large-v2 and -large-v3",
        WhisperConfig::preset,
        WhisperConfig::from_json,
        || WhisperEncoder::detect(call.weights),
    )?;
    let model = WhisperEncoder::load(call.weights, &config, call.dtype, call.device)?;
    let states = model.hidden_states(call.input("mel")?)?;
    Ok(one("hidden_states", states))
}

pub(super) fn projection(call: &Call<'_>) -> Result<Tensors> {
    let json = call.config()?;
    let audio = json
        .pointer("/transformer/audio")
        .or_else(|| json.get("audio"))
        .unwrap_or(&json);
    let mut config: AudioConfig =
        serde_json::from_value(audio.clone()).map_err(|source| ModelError::ConfigText {
            part: "audio projection",
            source,
        })?;
    config.feature_rate = call.scalar("feature_rate")?;
    let frame_rate = call.scalar("frame_rate")?;
    let frames = call.scalar("frames")?;
    if !(config.feature_rate > 0.0 && frame_rate > 0.0 && (1.0..1e9).contains(&frames)) {
        return Err(ModelError::input(
            "frames",
            "rates and the number of frames must be above zero",
        ));
    }
    let model = AudioProjection::load(call.weights, &config, call.device)?;
    let features = call.input("features")?.to_dtype(DType::F32)?;
    let (batch, count, _, _) = features.dims4()?;
    let frames: Vec<u64> = (0..frames as u64).collect();
    let mut tokens = Vec::with_capacity(batch);
    for sample in 0..batch {
        let features = features.get(sample)?;
        let windows =
            audio_projection::windows(&features, (0, count), &frames, &config, frame_rate)?;
        tokens.push(model.forward(&windows)?);
    }
    Ok(one("tokens", Tensor::stack(&tokens, 0)?))
}

pub(super) fn mel(call: &Call<'_>) -> Result<Tensors> {
    let json = call.config()?;
    let own = json.get("audio_encoder").unwrap_or(&json);
    let config: MelEncoderConfig =
        serde_json::from_value(own.clone()).map_err(|source| ModelError::ConfigText {
            part: "mel encoder",
            source,
        })?;
    let model = MelEncoder::load(call.weights, &config, call.device)?;
    Ok(one("features", model.forward(call.input("mel")?)?))
}
