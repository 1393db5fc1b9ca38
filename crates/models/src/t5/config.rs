//! T5's numbers, from transformers' `config.json`, a preset, or the weights' shapes.

use candle_core::Tensor;
use nn::ops;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{ModelError, Result};
use crate::file::TensorShapes;

const PART: &str = "t5";

/// What stands between the layers of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum T5Activation {
    Relu,
    GeluErf,
    GeluTanh,
    Silu,
}

impl T5Activation {
    /// transformers' `ACT2FN` names.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "relu" => Self::Relu,
            "gelu" => Self::GeluErf,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Self::GeluTanh,
            "silu" | "swish" => Self::Silu,
            _ => return None,
        })
    }

    pub(super) fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Relu => x.relu()?,
            Self::GeluErf => ops::gelu_erf(x)?,
            Self::GeluTanh => ops::gelu_tanh(x)?,
            Self::Silu => ops::silu(x)?,
        })
    }
}

/// The kind of feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedForward {
    /// Whether the activated layer is multiplied by a second one (v1.1 and later).
    pub gated: bool,
    pub activation: T5Activation,
}

/// Sizes of a T5 encoder. Names are those of transformers' `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct T5Config {
    pub vocab_size: usize,
    pub d_model: usize,
    /// Width of a head.
    pub d_kv: usize,
    pub d_ff: usize,
    pub num_layers: usize,
    pub num_heads: usize,
    pub relative_attention_num_buckets: usize,
    pub relative_attention_max_distance: usize,
    pub layer_norm_epsilon: f64,
    pub feed_forward: FeedForward,
    /// Whether every block has a table of distances (umT5) instead of the first alone.
    pub bias_in_every_block: bool,
}

/// As the file has it; the defaults are transformers'.
#[derive(Deserialize)]
#[serde(default)]
struct Stored {
    model_type: Option<String>,
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_heads: usize,
    relative_attention_num_buckets: usize,
    relative_attention_max_distance: usize,
    layer_norm_epsilon: f64,
    feed_forward_proj: Option<String>,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            model_type: None,
            vocab_size: 32_128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: None,
        }
    }
}

impl T5Config {
    /// T5 v1.1 XXL, the text encoder of LTX-Video (PixArt-alpha/PixArt-XL-2-1024-MS,
    /// `text_encoder/config.json`).
    pub const fn xxl() -> Self {
        Self {
            vocab_size: 32_128,
            d_model: 4096,
            d_kv: 64,
            d_ff: 10_240,
            num_layers: 24,
            num_heads: 64,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward: FeedForward {
                gated: true,
                activation: T5Activation::GeluTanh,
            },
            bias_in_every_block: false,
        }
    }

    /// A preset by name: `t5-xxl`.
    pub fn preset(name: &str) -> Option<Self> {
        matches!(name, "t5-xxl" | "t5-v1_1-xxl").then(Self::xxl)
    }

    /// Reads transformers' `config.json`.
    ///
    /// # Errors
    /// When it does not parse or names an activation that is not known.
    pub fn from_json(json: &Value) -> Result<Self> {
        let mut json = json.get("text_encoder").unwrap_or(json).clone();
        if let Some(object) = json.as_object_mut() {
            object.retain(|_, value| !value.is_null());
            // Newer files use the names that all models share.
            for (general, own) in [
                ("hidden_size", "d_model"),
                ("num_attention_heads", "num_heads"),
                ("num_hidden_layers", "num_layers"),
                ("head_dim", "d_kv"),
            ] {
                if !object.contains_key(own)
                    && let Some(value) = object.get(general).cloned()
                {
                    object.insert(own.to_owned(), value);
                }
            }
        }
        let stored: Stored = serde_json::from_value(json)
            .map_err(|source| ModelError::ConfigText { part: PART, source })?;
        let every = stored.model_type.as_deref() == Some("umt5");
        let default = if every { "gated-gelu" } else { "relu" };
        let config = Self {
            vocab_size: stored.vocab_size,
            d_model: stored.d_model,
            d_kv: stored.d_kv,
            d_ff: stored.d_ff,
            num_layers: stored.num_layers,
            num_heads: stored.num_heads,
            relative_attention_num_buckets: stored.relative_attention_num_buckets,
            relative_attention_max_distance: stored.relative_attention_max_distance,
            layer_norm_epsilon: stored.layer_norm_epsilon,
            feed_forward: feed_forward(stored.feed_forward_proj.as_deref().unwrap_or(default))?,
            bias_in_every_block: every,
        };
        config.check()?;
        Ok(config)
    }

    /// What the shapes of an encoder under transformers' names say. The activation is taken
    /// to be the one of its generation: `relu` without a gate, `gelu_new` with one.
    pub fn of_shapes(shapes: &TensorShapes) -> Option<Self> {
        let shape = |name: &str| match shapes.get(name)?.as_slice() {
            &[rows, columns] => Some((rows, columns)),
            _ => None,
        };
        let (vocab_size, d_model) = shape("shared.weight")?;
        let bias = |block| {
            format!("encoder.block.{block}.layer.0.SelfAttention.relative_attention_bias.weight")
        };
        let (buckets, num_heads) = shape(&bias(0))?;
        let (inner, _) = shape("encoder.block.0.layer.0.SelfAttention.q.weight")?;
        let (_, d_ff) = shape("encoder.block.0.layer.1.DenseReluDense.wo.weight")?;
        let gated = shapes.contains_key("encoder.block.0.layer.1.DenseReluDense.wi_0.weight");
        let num_layers = (0..shapes.len())
            .take_while(|n| {
                shapes.contains_key(&format!("encoder.block.{n}.layer.0.layer_norm.weight"))
            })
            .count();
        Some(Self {
            vocab_size,
            d_model,
            d_kv: inner.checked_div(num_heads)?,
            d_ff,
            num_layers,
            num_heads,
            relative_attention_num_buckets: buckets,
            feed_forward: FeedForward {
                gated,
                activation: if gated {
                    T5Activation::GeluTanh
                } else {
                    T5Activation::Relu
                },
            },
            bias_in_every_block: shapes.contains_key(&bias(1)),
            ..Self::xxl()
        })
    }

    /// Heads times their width.
    pub const fn inner_width(&self) -> usize {
        self.num_heads * self.d_kv
    }

    pub(super) fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1),
            ("d_model", self.d_model, 1),
            ("d_kv", self.d_kv, 1),
            ("d_ff", self.d_ff, 1),
            ("num_layers", self.num_layers, 1),
            ("num_heads", self.num_heads, 1),
            // Fewer leave no exact distance, and the logarithm no base.
            (
                "relative_attention_num_buckets",
                self.relative_attention_num_buckets,
                4,
            ),
            (
                "relative_attention_max_distance",
                self.relative_attention_max_distance,
                self.relative_attention_num_buckets / 4 + 1,
            ),
        ];
        for (name, value, least) in sizes {
            if value < least {
                return Err(ModelError::config(
                    PART,
                    format!("{name} is {value}, wanted at least {least}"),
                ));
            }
        }
        Ok(())
    }

    /// Names and shapes of all tensors of the encoder.
    pub fn shapes(&self) -> TensorShapes {
        let (d, inner, ff) = (self.d_model, self.inner_width(), self.d_ff);
        let mut shapes = TensorShapes::new();
        let mut add = |name: String, shape: &[usize]| {
            shapes.insert(format!("{name}.weight"), shape.to_vec());
        };
        add("shared".to_owned(), &[self.vocab_size, d]);
        add("encoder.final_layer_norm".to_owned(), &[d]);
        for index in 0..self.num_layers {
            let block = format!("encoder.block.{index}");
            let attention = format!("{block}.layer.0.SelfAttention");
            for name in ["q", "k", "v"] {
                add(format!("{attention}.{name}"), &[inner, d]);
            }
            add(format!("{attention}.o"), &[d, inner]);
            if index == 0 || self.bias_in_every_block {
                add(
                    format!("{attention}.relative_attention_bias"),
                    &[self.relative_attention_num_buckets, self.num_heads],
                );
            }
            add(format!("{block}.layer.0.layer_norm"), &[d]);
            add(format!("{block}.layer.1.layer_norm"), &[d]);
            let dense = format!("{block}.layer.1.DenseReluDense");
            let inputs: &[&str] = if self.feed_forward.gated {
                &["wi_0", "wi_1"]
            } else {
                &["wi"]
            };
            for name in inputs {
                add(format!("{dense}.{name}"), &[ff, d]);
            }
            add(format!("{dense}.wo"), &[d, ff]);
        }
        shapes
    }
}

/// `feed_forward_proj`: an activation, or `gated-` and one. `gated-gelu` means the tanh
/// form, by a convention of transformers.
fn feed_forward(text: &str) -> Result<FeedForward> {
    let (gated, name) = match text.split_once('-') {
        Some(("gated", "gelu")) => (true, "gelu_new"),
        Some(("gated", name)) => (true, name),
        Some(_) => (false, ""),
        None => (false, text),
    };
    let activation = T5Activation::named(name).ok_or_else(|| {
        ModelError::config(
            PART,
            format!(
                "feed_forward_proj is '{text}', wanted relu, gelu, gelu_new or silu, or gated- and one of them"
            ),
        )
    })?;
    Ok(FeedForward { gated, activation })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As counted in transformers' `T5EncoderModel`: about 4.76 billion parameters.
    #[test]
    fn xxl_has_the_known_size() {
        let count: usize = T5Config::xxl()
            .shapes()
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, 4_762_310_656);
    }

    #[test]
    fn shapes_tell_the_config() {
        assert_eq!(
            T5Config::of_shapes(&T5Config::xxl().shapes()),
            Some(T5Config::xxl())
        );
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        for (json, wanted) in [
            (
                serde_json::json!({"feed_forward_proj": "gated-mish"}),
                "gated-mish",
            ),
            (
                serde_json::json!({"relative_attention_num_buckets": 2}),
                "relative_attention_num_buckets is 2",
            ),
            (
                serde_json::json!({"relative_attention_max_distance": 8}),
                "relative_attention_max_distance is 8",
            ),
        ] {
            let error = T5Config::from_json(&json).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
