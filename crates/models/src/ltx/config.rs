//! The transformer's numbers, from the official header or diffusers' `config.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::vae::VaeConfig;
use crate::error::{ModelError, Result};
use crate::file::{TensorShapes, linear_shapes};

const PART: &str = "ltx transformer";

/// EditYourself's audio branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// Width `D_a` of the audio tokens.
    pub dim: usize,
    /// Features W in the window of a frame (eq. 3).
    pub window: usize,
    /// Encoder outputs B that are mixed.
    pub hidden_states: usize,
    /// Channels C of a feature.
    pub channels: usize,
    /// Features a second.
    pub feature_rate: f64,
}

/// How the angles of the rotary positions are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// Rounded to `f32` after each operation, as LTX-Video and diffusers do and its released
    /// weights were trained: at the highest frequency, 15,708 radians a unit, this moves an
    /// angle by about a thousandth.
    #[serde(rename = "float32")]
    Float32,
    /// In `f64` up to the cosine.
    #[serde(rename = "float64")]
    Float64,
}

/// Sizes and constants of the transformer. Names are those of the official header;
/// diffusers uses the same for what it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransformerConfig {
    pub num_layers: usize,
    pub num_attention_heads: usize,
    pub attention_head_dim: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub caption_channels: usize,
    pub cross_attention_dim: usize,
    /// Epsilon of the block norms and the last norm.
    pub norm_eps: f64,
    pub positional_embedding_theta: f64,
    /// Seconds, rows and columns (pixels) that the positions are divided by.
    pub positional_embedding_max_pos: [f64; 3],
    /// A key of later headers. Configs without it mean `f32`, except our own.
    pub frequencies_precision: Precision,
    /// What a timestep in 0..1 is multiplied by.
    pub timestep_scale_multiplier: f64,
    /// Whether latent times are those of the causal autoencoder's first frames: so from 0.9.5 on.
    /// diffusers' configs do not have the key, as its `LTXConditionPipeline` always does so; for them
    /// see [`Self::from_json_beside`], too.
    pub causal_temporal_positioning: bool,
    /// Whether queries, keys and values have biases, and the projection behind them.
    pub attention_bias: bool,
    pub attention_out_bias: bool,
    /// EditYourself's audio cross-attention, where the model has it.
    pub audio: Option<AudioConfig>,
    /// Whether context tokens attend to context only.
    pub one_way_attention: bool,
    /// Latents around its own time that a context token attends to.
    pub context_window: usize,
}

impl Default for TransformerConfig {
    /// The 2B model's numbers, which are the defaults of both reference implementations.
    fn default() -> Self {
        Self {
            num_layers: 28,
            num_attention_heads: 32,
            attention_head_dim: 64,
            in_channels: 128,
            out_channels: 128,
            caption_channels: 4096,
            cross_attention_dim: 2048,
            norm_eps: 1e-6,
            positional_embedding_theta: 10_000.0,
            positional_embedding_max_pos: [20.0, 2048.0, 2048.0],
            frequencies_precision: Precision::Float64,
            timestep_scale_multiplier: 1000.0,
            causal_temporal_positioning: false,
            attention_bias: true,
            attention_out_bias: true,
            audio: None,
            one_way_attention: false,
            context_window: 17,
        }
    }
}

/// Options of the reference implementations of which only one value occurs in LTX-Video.
const FIXED: [(&str, &[&str]); 9] = [
    (
        "activation_fn",
        &["\"gelu-approximate\"", "\"gelu-approximate\""],
    ),
    ("qk_norm", &["\"rms_norm\"", "\"rms_norm_across_heads\""]),
    ("standardization_norm", &["\"rms_norm\""]),
    ("adaptive_norm", &["\"single_scale_shift\""]),
    ("norm_elementwise_affine", &["false"]),
    ("positional_embedding_type", &["\"rope\""]),
    ("double_self_attention", &["false"]),
    ("patch_size", &["1"]),
    ("patch_size_t", &["1"]),
];

impl TransformerConfig {
    /// LTX-Video 2B, 0.9.5 to 0.9.8.
    pub fn ltx_2b() -> Self {
        Self {
            causal_temporal_positioning: true,
            frequencies_precision: Precision::Float32,
            ..Self::default()
        }
    }

    /// LTX-Video 13B, 0.9.7 and 0.9.8.
    pub fn ltx_13b() -> Self {
        Self {
            num_layers: 48,
            attention_head_dim: 128,
            cross_attention_dim: 4096,
            causal_temporal_positioning: true,
            frequencies_precision: Precision::Float32,
            ..Self::default()
        }
    }

    /// A preset by name: `ltx-2b` or `ltx-13b`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "ltx-2b" => Some(Self::ltx_2b()),
            "ltx-13b" => Some(Self::ltx_13b()),
            _ => None,
        }
    }

    /// Reads the `transformer` object of an official header, or diffusers' `config.json`.
    ///
    /// # Errors
    /// When it does not parse, or asks for something that LTX-Video does not have.
    pub fn from_json(json: &Value) -> Result<Self> {
        let json = json.get("transformer").unwrap_or(json);
        for (key, allowed) in FIXED {
            if let Some(value) = json.get(key).filter(|v| !v.is_null()) {
                let text = value.to_string();
                if !allowed.contains(&text.as_str()) {
                    return Err(ModelError::config(
                        PART,
                        format!(
                            "{key} is {text}, but only {} can be built",
                            allowed.join(" or ")
                        ),
                    ));
                }
            }
        }
        let mut json = json.clone();
        if let Some(object) = json.as_object_mut() {
            // Both write null for "the default".
            object.retain(|_, value| !value.is_null());
            let ours = ["audio", "one_way_attention", "context_window"];
            if !object.contains_key("frequencies_precision")
                && !ours.iter().any(|key| object.contains_key(*key))
            {
                object.insert("frequencies_precision".to_owned(), "float32".into());
            }
            if is_diffusers(object) {
                object
                    .entry("causal_temporal_positioning")
                    .or_insert(Value::Bool(true));
            }
            if !object.contains_key("out_channels")
                && let Some(channels) = object.get("in_channels").cloned()
            {
                object.insert("out_channels".to_owned(), channels);
            }
        }
        let config: Self = serde_json::from_value(json)
            .map_err(|source| ModelError::ConfigText { part: PART, source })?;
        config.check()?;
        Ok(config)
    }

    /// [`Self::from_json`] of a model whose autoencoder is known: diffusers' config of a transformer
    /// is the same for 0.9.0, which counted time otherwise, and for later ones; the autoencoders
    /// differ.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_json_beside(json: &Value, vae: &VaeConfig) -> Result<Self> {
        let mut config = Self::from_json(json)?;
        let own = json.get("transformer").unwrap_or(json).as_object();
        let silent = own.is_some_and(|own| {
            is_diffusers(own) && !own.contains_key("causal_temporal_positioning")
        });
        if silent && vae.has_strides() {
            config.causal_temporal_positioning = false;
        }
        Ok(config)
    }

    /// Inner width D.
    pub fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(ModelError::config(PART, reason));
        let width = self.width();
        if width == 0 || self.num_layers == 0 || self.in_channels == 0 || self.out_channels == 0 {
            return bad("layers, heads, head width and channels must be above zero".to_owned());
        }
        if !width.is_multiple_of(2) || width < 6 {
            return bad(format!(
                "heads times head width is {width}, but rotary positions need an even number of at least 6"
            ));
        }
        if self.cross_attention_dim != width {
            return bad(format!(
                "cross_attention_dim is {}, but captions are projected to {width}",
                self.cross_attention_dim
            ));
        }
        if self.positional_embedding_max_pos.iter().any(|p| *p <= 0.0) {
            return bad(format!(
                "positional_embedding_max_pos {:?} must be above zero",
                self.positional_embedding_max_pos
            ));
        }
        if self.context_window == 0 {
            return bad("context_window is 0 latents".to_owned());
        }
        Ok(())
    }

    /// Names and shapes of all tensors, without the audio projection's and the empty caption.
    pub fn shapes(&self) -> TensorShapes {
        let width = self.width();
        let mut shapes = TensorShapes::new();
        linear_shapes(&mut shapes, "patchify_proj", self.in_channels, width);
        let embedder = "adaln_single.emb.timestep_embedder";
        linear_shapes(&mut shapes, &format!("{embedder}.linear_1"), 256, width);
        linear_shapes(&mut shapes, &format!("{embedder}.linear_2"), width, width);
        linear_shapes(&mut shapes, "adaln_single.linear", width, 6 * width);
        let captions = self.caption_channels;
        linear_shapes(&mut shapes, "caption_projection.linear_1", captions, width);
        linear_shapes(&mut shapes, "caption_projection.linear_2", width, width);
        shapes.insert("scale_shift_table".to_owned(), vec![2, width]);
        linear_shapes(&mut shapes, "proj_out", width, self.out_channels);
        for index in 0..self.num_layers {
            let block = format!("transformer_blocks.{index}");
            shapes.insert(format!("{block}.scale_shift_table"), vec![6, width]);
            let attentions = [
                Some(("attn1", width)),
                Some(("attn2", width)),
                self.audio.as_ref().map(|audio| ("audio_attn", audio.dim)),
            ];
            for (name, context) in attentions.into_iter().flatten() {
                for norm in ["q_norm", "k_norm"] {
                    shapes.insert(format!("{block}.{name}.{norm}.weight"), vec![width]);
                }
                for (linear, inputs, bias) in [
                    ("to_q", width, self.attention_bias),
                    ("to_k", context, self.attention_bias),
                    ("to_v", context, self.attention_bias),
                    ("to_out.0", width, self.attention_out_bias),
                ] {
                    let linear = format!("{block}.{name}.{linear}");
                    shapes.insert(format!("{linear}.weight"), vec![width, inputs]);
                    if bias {
                        shapes.insert(format!("{linear}.bias"), vec![width]);
                    }
                }
            }
            linear_shapes(
                &mut shapes,
                &format!("{block}.ff.net.0.proj"),
                width,
                4 * width,
            );
            linear_shapes(&mut shapes, &format!("{block}.ff.net.2"), 4 * width, width);
        }
        shapes
    }
}

/// Whether diffusers wrote a config.
fn is_diffusers(config: &serde_json::Map<String, Value>) -> bool {
    config.get("_class_name").and_then(Value::as_str) == Some("LTXVideoTransformer3DModel")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As counted in LTX-Video's `Transformer3DModel`: 1215 tensors, 13,042,569,344 parameters.
    #[test]
    fn the_13b_preset_has_the_known_size() {
        let count = |config: TransformerConfig| {
            let shapes = config.shapes();
            let parameters: usize = shapes.values().map(|s| s.iter().product::<usize>()).sum();
            (shapes.len(), parameters)
        };
        assert_eq!(count(TransformerConfig::ltx_13b()), (1215, 13_042_569_344));
        assert_eq!(count(TransformerConfig::ltx_2b()).1, 1_923_385_472);
    }

    #[test]
    fn options_that_ltx_lacks_are_refused_by_name() {
        let json = serde_json::json!({"qk_norm": "layer_norm"});
        let error = TransformerConfig::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("qk_norm is \"layer_norm\""), "{error}");
        let json = serde_json::json!({"num_attention_heads": 3, "attention_head_dim": 5});
        assert!(TransformerConfig::from_json(&json).is_err());
    }

    /// Times of diffusers' folders are those of the version that the autoencoder tells.
    #[test]
    fn diffusers_configs_count_time_as_their_version_does() {
        let json = serde_json::json!({
            "_class_name": "LTXVideoTransformer3DModel", "num_layers": 28, "attention_head_dim": 64,
            "qk_norm": "rms_norm_across_heads",
        });
        let official = serde_json::json!({"num_layers": 28});
        let newer = VaeConfig::ltx();
        let older = VaeConfig {
            encoder_blocks: vec![super::super::vae::Stage::Strided { factors: [2; 3] }],
            ..VaeConfig::ltx()
        };
        let causal = |json, vae| {
            let config = TransformerConfig::from_json_beside(json, vae).unwrap();
            config.causal_temporal_positioning
        };
        assert!(
            TransformerConfig::from_json(&json)
                .unwrap()
                .causal_temporal_positioning
        );
        assert!(causal(&json, &newer));
        assert!(!causal(&json, &older));
        assert!(!causal(&official, &newer));
        // As it is when an adapter was joined to it.
        assert!(!causal(&serde_json::json!({"transformer": json}), &older));
    }
}
