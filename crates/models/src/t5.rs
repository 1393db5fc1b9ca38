//! T5's encoder: prompts to embeddings (T5 v1.1 XXL in LTX-Video; any T5, v1.1 or umT5 size).
//!
//! transformers `models/t5/modeling_t5.py`. A prompt is encoded once per job,
//! so the encoder keeps no weights: each block is read from the file, used and dropped,
//! and the memory needed is that of one block and of the embedding table. For the same reason
//! blocks compute in `f32`: scores are not scaled down, and 16 bit would show.

mod attention;
mod config;
mod keys;

use candle_core::{DType, Device, Tensor};
use nn::layers::Linear;
use nn::ops;
use nn::weights::View;

pub use config::{FeedForward, T5Activation, T5Config};

use self::attention::SelfAttention;
use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// T5's encoder over a weight file.
#[derive(Debug, Clone)]
pub struct T5Encoder {
    config: T5Config,
    file: ModelFile,
    dtype: DType,
    device: Device,
}

impl T5Encoder {
    /// Checks the weights of a file: transformers' layout, with or without a decoder, or
    /// llama.cpp's GGUF.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for; all differences are named.
    pub fn load(
        file: &ModelFile,
        config: &T5Config,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Self::check(file, config)?;
        Ok(Self {
            config: config.clone(),
            file: file.renamed(&keys::encoder_keys(file, config))?,
            dtype,
            device: device.clone(),
        })
    }

    /// Compares a file with a config, without reading the weights.
    ///
    /// # Errors
    /// [`ModelError::Differences`], one sentence for each.
    pub fn check(file: &ModelFile, config: &T5Config) -> Result<()> {
        config.check()?;
        let file = file.renamed(&keys::encoder_keys(file, config))?;
        file.check(&config.shapes(), keys::is_ignored)
    }

    /// The config that the shapes in a file say, where it is a T5 encoder.
    pub fn detect(file: &ModelFile) -> Option<T5Config> {
        let gated = file
            .shapes()
            .keys()
            .any(|name| name.contains(".wi_0.") || name.contains(".ffn_gate."));
        let file = file.renamed(&keys::keys(file, gated)).ok()?;
        T5Config::of_shapes(&file.shapes())
    }

    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// Token numbers `[B, L]` and a mask `[B, L]`, 1 where a token counts, to hidden states
    /// `[B, L, d_model]`, `f32`, after the final norm. Masked positions have values too,
    /// which mean nothing.
    ///
    /// # Errors
    /// When a token lies outside of the vocabulary or the shapes do not fit.
    pub fn forward(&self, input_ids: &Tensor, attention_mask: Option<&Tensor>) -> Result<Tensor> {
        let (batch, length) = input_ids.dims2()?;
        let mask = match attention_mask {
            Some(mask) if mask.dims() != [batch, length] => {
                return Err(ModelError::input(
                    "attention_mask",
                    format!("shape {:?}, wanted [{batch}, {length}]", mask.dims()),
                ));
            }
            Some(mask) => mask.to_dtype(DType::F32)?,
            None => Tensor::ones((batch, length), DType::F32, &self.device)?,
        };
        let mask = attention::mask_bias(&mask)?;
        // The sum over the blocks stays `f32`: it grows to where 16 bit lose what a block adds.
        let mut x = self.embed(input_ids)?.to_dtype(DType::F32)?;
        let mut positions = None;
        for index in 0..self.config.num_layers {
            let view =
                self.file
                    .part(&format!("encoder.block.{index}."), DType::F32, &self.device)?;
            let block = Block::load(&view, &self.config)?;
            if let Some(table) = &block.relative_attention_bias {
                positions = Some(attention::position_bias(table, length, &self.config)?);
            }
            let positions = positions.as_ref().ok_or_else(|| {
                ModelError::config("t5", "block 0 has no relative_attention_bias")
            })?;
            x = block.forward(&x, positions, &mask)?;
        }
        let view = self
            .file
            .part("encoder.final_layer_norm.", DType::F32, &self.device)?;
        let weight = view.get(self.config.d_model, "weight")?;
        Ok(ops::rms_norm(
            &x,
            Some(&weight),
            self.config.layer_norm_epsilon,
        )?)
    }

    fn embed(&self, input_ids: &Tensor) -> Result<Tensor> {
        let (batch, length) = input_ids.dims2()?;
        let config = &self.config;
        let ids = input_ids
            .to_dtype(DType::F64)?
            .flatten_all()?
            .to_vec1::<f64>()?;
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            if id.fract() != 0.0 || !(0.0..config.vocab_size as f64).contains(&id) {
                return Err(ModelError::input(
                    "input_ids",
                    format!("token {id}, wanted 0..{}", config.vocab_size),
                ));
            }
            rows.push(id as u32);
        }
        let table = self
            .file
            .part("shared.", self.dtype, &self.device)?
            .get((config.vocab_size, config.d_model), "weight")?;
        let rows = Tensor::from_vec(rows, batch * length, &self.device)?;
        Ok(table
            .index_select(&rows, 0)?
            .reshape((batch, length, config.d_model))?)
    }
}

/// Self-attention and feed-forward, each behind a norm and beside a residual.
struct Block {
    attention: SelfAttention,
    relative_attention_bias: Option<Tensor>,
    norms: [Tensor; 2],
    gate: Option<Linear>,
    inner: Linear,
    outer: Linear,
    activation: T5Activation,
    eps: f64,
}

impl Block {
    fn load(view: &View, config: &T5Config) -> Result<Self> {
        let (d, ff) = (config.d_model, config.d_ff);
        let attention = view.at("layer.0.SelfAttention");
        let dense = view.at("layer.1.DenseReluDense");
        let bias = "relative_attention_bias.weight";
        let relative_attention_bias = if attention.contains(bias) {
            let shape = (config.relative_attention_num_buckets, config.num_heads);
            Some(attention.get(shape, bias)?)
        } else {
            None
        };
        let (gate, inner) = if config.feed_forward.gated {
            (Some(Linear::load(&dense.at("wi_0"), d, ff)?), "wi_1")
        } else {
            (None, "wi")
        };
        Ok(Self {
            attention: SelfAttention::load(&attention, config)?,
            relative_attention_bias,
            norms: [
                view.get(d, "layer.0.layer_norm.weight")?,
                view.get(d, "layer.1.layer_norm.weight")?,
            ],
            gate,
            inner: Linear::load(&dense.at(inner), d, ff)?,
            outer: Linear::load(&dense.at("wo"), ff, d)?,
            activation: config.feed_forward.activation,
            eps: config.layer_norm_epsilon,
        })
    }

    /// `x` `[B, L, d_model]`, `f32`, to the same.
    fn forward(&self, x: &Tensor, positions: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let [first, second] = &self.norms;
        let normed = ops::rms_norm(x, Some(first), self.eps)?;
        let x = (x + self.attention.forward(&normed, positions, mask)?)?;
        let normed = ops::rms_norm(&x, Some(second), self.eps)?;
        let hidden = match &self.gate {
            Some(gate) => {
                (self.activation.apply(&gate.forward(&normed)?)? * self.inner.forward(&normed)?)?
            }
            None => self.activation.apply(&self.inner.forward(&normed)?)?,
        };
        Ok((x + self.outer.forward(&hidden)?)?)
    }
}
