//! Whisper's numbers, from transformers' `config.json`, a preset, or the weights' shapes.

use nn::ops::Activation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ModelError, Result};
use crate::file::{TensorShapes, conv_shapes, linear_shapes};

const PART: &str = "whisper";

/// Sizes of the encoder. Names are those of transformers' `config.json`; the decoder's are
/// not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WhisperConfig {
    pub d_model: usize,
    pub encoder_layers: usize,
    pub encoder_attention_heads: usize,
    pub encoder_ffn_dim: usize,
    pub num_mel_bins: usize,
    /// Hidden states of one window: half as many as mel frames.
    pub max_source_positions: usize,
    pub activation_function: String,
}

impl Default for WhisperConfig {
    /// Whisper tiny, the default of transformers.
    fn default() -> Self {
        Self::sized(384, 4, 6)
    }
}

impl WhisperConfig {
    fn sized(d_model: usize, encoder_layers: usize, encoder_attention_heads: usize) -> Self {
        Self {
            d_model,
            encoder_layers,
            encoder_attention_heads,
            encoder_ffn_dim: 4 * d_model,
            num_mel_bins: 80,
            max_source_positions: 1500,
            activation_function: "gelu".to_owned(),
        }
    }

    /// Whisper small, the sound encoder of `EditYourself`.
    pub fn small() -> Self {
        Self::sized(768, 12, 12)
    }

    /// A preset by name: `whisper-tiny`, `-base`, `-small`, `-medium`, `-large`,
    /// `-large-v2`, `-large-v3`.
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("whisper-")? {
            "tiny" => Self::sized(384, 4, 6),
            "base" => Self::sized(512, 6, 8),
            "small" => Self::small(),
            "medium" => Self::sized(1024, 24, 16),
            "large" | "large-v2" => Self::sized(1280, 32, 20),
            "large-v3" => Self {
                num_mel_bins: 128,
                ..Self::sized(1280, 32, 20)
            },
            _ => return None,
        })
    }

    /// Reads transformers' `config.json`.
    ///
    /// # Errors
    /// When it does not parse or asks for something that cannot be built.
    pub fn from_json(json: &Value) -> Result<Self> {
        let mut json = json.clone();
        if let Some(object) = json.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        // transformers' own defaults are those of whisper-tiny, with 1536 inside.
        let config: Self = serde_json::from_value(json)
            .map_err(|source| ModelError::ConfigText { part: PART, source })?;
        config.check()?;
        Ok(config)
    }

    /// What the shapes of an encoder under our names say; heads are 64 wide in all
    /// releases.
    pub(super) fn of_shapes(shapes: &TensorShapes) -> Option<Self> {
        let &[d_model, num_mel_bins, _] = shapes.get("conv1.weight")?.as_slice() else {
            return None;
        };
        let &[max_source_positions, _] = shapes.get("embed_positions.weight")?.as_slice() else {
            return None;
        };
        let &[encoder_ffn_dim, _] = shapes.get("layers.0.fc1.weight")?.as_slice() else {
            return None;
        };
        let encoder_layers = (0..shapes.len())
            .take_while(|n| shapes.contains_key(&format!("layers.{n}.fc1.weight")))
            .count();
        Some(Self {
            encoder_ffn_dim,
            num_mel_bins,
            max_source_positions,
            ..Self::sized(d_model, encoder_layers, d_model / 64)
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        let bad = |reason| Err(ModelError::config(PART, reason));
        for (name, value) in [
            ("d_model", self.d_model),
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("encoder_ffn_dim", self.encoder_ffn_dim),
            ("num_mel_bins", self.num_mel_bins),
            ("max_source_positions", self.max_source_positions),
        ] {
            if value == 0 {
                return bad(format!("{name} is 0"));
            }
        }
        if !self.d_model.is_multiple_of(self.encoder_attention_heads) {
            return bad(format!(
                "d_model {} is no multiple of encoder_attention_heads {}",
                self.d_model, self.encoder_attention_heads
            ));
        }
        self.activation().map(|_| ())
    }

    pub(super) fn activation(&self) -> Result<Activation> {
        match self.activation_function.as_str() {
            "gelu" => Ok(Activation::GeluErf),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
            "silu" | "swish" => Ok(Activation::Silu),
            other => Err(ModelError::config(
                PART,
                format!("activation_function is '{other}', wanted gelu, gelu_new or silu"),
            )),
        }
    }

    /// Names and shapes of all tensors of the encoder, without a prefix.
    pub fn shapes(&self) -> TensorShapes {
        let (c, wide) = (self.d_model, self.encoder_ffn_dim);
        let mut shapes = TensorShapes::new();
        conv_shapes(&mut shapes, "conv1", &[c, self.num_mel_bins, 3]);
        conv_shapes(&mut shapes, "conv2", &[c, c, 3]);
        shapes.insert(
            "embed_positions.weight".to_owned(),
            vec![self.max_source_positions, c],
        );
        let mut norms = vec!["layer_norm".to_owned()];
        for index in 0..self.encoder_layers {
            let layer = format!("layers.{index}");
            for name in ["q_proj", "v_proj", "out_proj"] {
                linear_shapes(&mut shapes, &format!("{layer}.self_attn.{name}"), c, c);
            }
            shapes.insert(format!("{layer}.self_attn.k_proj.weight"), vec![c, c]);
            linear_shapes(&mut shapes, &format!("{layer}.fc1"), c, wide);
            linear_shapes(&mut shapes, &format!("{layer}.fc2"), wide, c);
            norms.push(format!("{layer}.self_attn_layer_norm"));
            norms.push(format!("{layer}.final_layer_norm"));
        }
        for norm in norms {
            shapes.insert(format!("{norm}.weight"), vec![c]);
            shapes.insert(format!("{norm}.bias"), vec![c]);
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As counted in transformers' `WhisperEncoder`: 88,154,112 parameters.
    #[test]
    fn small_has_the_known_size() {
        let count: usize = WhisperConfig::small()
            .shapes()
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, 88_154_112);
    }

    #[test]
    fn shapes_tell_the_config() {
        for name in ["whisper-small", "whisper-large-v3"] {
            let config = WhisperConfig::preset(name).unwrap();
            assert_eq!(WhisperConfig::of_shapes(&config.shapes()), Some(config));
        }
    }
}
