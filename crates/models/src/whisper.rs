//! Whisper's encoder with the outputs of all its blocks.
//!
//! transformers `models/whisper/modeling_whisper.py` `WhisperEncoder`.

mod config;
mod keys;
mod windows;

use candle_core::{DType, Device, Tensor};
use nn::layers::{Conv1d, Linear};
use nn::ops::{self, Activation, AttentionOptions, Conv1dOptions};
use nn::weights::View;

pub use config::WhisperConfig;
pub use windows::{FEATURES_PER_SECOND, LongSound, Piece};

use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// Epsilon of all layer norms, which no config changes.
const EPS: f64 = 1e-5;

/// Mel frames to hidden states.
#[derive(Debug, Clone)]
pub struct WhisperEncoder {
    config: WhisperConfig,
    conv1: Conv1d,
    conv2: Conv1d,
    embed_positions: Tensor,
    layers: Vec<Layer>,
    layer_norm: Norm,
    dtype: DType,
}

#[derive(Debug, Clone)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

#[derive(Debug, Clone)]
struct Layer {
    self_attn_layer_norm: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    final_layer_norm: Norm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    activation: Activation,
}

impl WhisperEncoder {
    /// Reads the weights: transformers' layout with or without `model.` and a decoder, or
    /// `OpenAI`'s.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for; all differences are named.
    pub fn load(
        file: &ModelFile,
        config: &WhisperConfig,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Self::check(file, config)?;
        let file = file.renamed(&keys::encoder_keys(file))?;
        let view = file.view(dtype, device)?;
        let (c, bands) = (config.d_model, config.num_mel_bins);
        let conv = |name: &str, inputs, stride| {
            Conv1d::load(
                &view.at(name),
                &[c, inputs, 3],
                Conv1dOptions::new(stride, 1),
            )
        };
        let mut layers = Vec::with_capacity(config.encoder_layers);
        for index in 0..config.encoder_layers {
            layers.push(Layer::load(&view.at("layers").at(index), config)?);
        }
        Ok(Self {
            conv1: conv("conv1", bands, 1)?,
            conv2: conv("conv2", c, 2)?,
            embed_positions: view
                .with_dtype(DType::F32)
                .get((config.max_source_positions, c), "embed_positions.weight")?,
            layers,
            layer_norm: Norm::load(&view.at("layer_norm"), c)?,
            config: config.clone(),
            dtype,
        })
    }

    /// Compares a file with a config, without reading the weights.
    ///
    /// # Errors
    /// [`ModelError::Differences`], one sentence for each.
    pub fn check(file: &ModelFile, config: &WhisperConfig) -> Result<()> {
        config.check()?;
        let file = file.renamed(&keys::encoder_keys(file))?;
        file.check(&config.shapes(), keys::is_ignored)
    }

    /// The config that the shapes in a file say, where it is a Whisper encoder.
    pub fn detect(file: &ModelFile) -> Option<WhisperConfig> {
        let file = file.renamed(&keys::encoder_keys(file)).ok()?;
        WhisperConfig::of_shapes(&file.shapes())
    }

    pub fn config(&self) -> &WhisperConfig {
        &self.config
    }

    /// Log-mel frames `[B, bands, T]` of exactly one window to the stack of hidden states
    /// `[B, layers + 1, T / 2, C]`, `f32`: the embedding, the output of every block but the
    /// last, and the last one behind the final norm, as transformers'
    /// `output_hidden_states` gives them.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn hidden_states(&self, mel: &Tensor) -> Result<Tensor> {
        let (mut states, last) = self.states(mel)?;
        states.push(self.layer_norm.forward(&last)?);
        Ok(Tensor::stack(&states, 1)?)
    }

    /// The same mel frames to the outputs of all blocks `[B, layers, T / 2, C]`, `f32`, the last
    /// one before the final norm: the B block outputs of `EditYourself` 3.2.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn block_outputs(&self, mel: &Tensor) -> Result<Tensor> {
        let (mut states, last) = self.states(mel)?;
        states.push(last);
        // In front of the first block's output stands the embedding.
        Ok(Tensor::stack(states.get(1..).unwrap_or_default(), 1)?)
    }

    /// Embedding and outputs of all blocks but the last, and the last one's.
    fn states(&self, mel: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        let config = &self.config;
        let (_, bands, frames) = mel.dims3()?;
        let wanted = 2 * config.max_source_positions;
        if (bands, frames) != (config.num_mel_bins, wanted) {
            return Err(ModelError::input(
                "mel",
                format!(
                    "shape {:?}, wanted [B, {}, {wanted}]",
                    mel.dims(),
                    config.num_mel_bins
                ),
            ));
        }
        let mel = mel.to_dtype(self.dtype)?.contiguous()?;
        let x = ops::gelu_erf(&self.conv1.forward(&mel)?)?;
        let x = ops::gelu_erf(&self.conv2.forward(&x)?)?;
        // The sum over the blocks stays `f32`.
        let mut x = x
            .transpose(1, 2)?
            .contiguous()?
            .to_dtype(DType::F32)?
            .broadcast_add(&self.embed_positions)?;
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        for layer in &self.layers {
            states.push(x.clone());
            x = layer.forward(&x, self.dtype)?;
        }
        Ok((states, x))
    }
}

impl Norm {
    fn load(view: &View, width: usize) -> Result<Self> {
        let view = view.with_dtype(DType::F32);
        Ok(Self {
            weight: view.get(width, "weight")?,
            bias: view.get(width, "bias")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::layer_norm(
            x,
            Some(&self.weight),
            Some(&self.bias),
            EPS,
        )?)
    }
}

impl Layer {
    fn load(view: &View, config: &WhisperConfig) -> Result<Self> {
        let (c, wide) = (config.d_model, config.encoder_ffn_dim);
        let attention = view.at("self_attn");
        Ok(Self {
            self_attn_layer_norm: Norm::load(&view.at("self_attn_layer_norm"), c)?,
            q_proj: Linear::load(&attention.at("q_proj"), c, c)?,
            // The only projection without a bias.
            k_proj: Linear::load(&attention.at("k_proj"), c, c)?,
            v_proj: Linear::load(&attention.at("v_proj"), c, c)?,
            out_proj: Linear::load(&attention.at("out_proj"), c, c)?,
            final_layer_norm: Norm::load(&view.at("final_layer_norm"), c)?,
            fc1: Linear::load(&view.at("fc1"), c, wide)?,
            fc2: Linear::load(&view.at("fc2"), wide, c)?,
            heads: config.encoder_attention_heads,
            activation: config.activation()?,
        })
    }

    /// `x` `[B, T, C]`, `f32`, to the same; the layers between compute in `dtype`.
    fn forward(&self, x: &Tensor, dtype: DType) -> Result<Tensor> {
        let normed = self.self_attn_layer_norm.forward(x)?.to_dtype(dtype)?;
        let mixed = ops::attention(
            &self.q_proj.forward(&normed)?,
            &self.k_proj.forward(&normed)?,
            &self.v_proj.forward(&normed)?,
            &AttentionOptions::heads(self.heads),
        )?;
        let x = (x + self.out_proj.forward(&mixed)?.to_dtype(DType::F32)?)?;
        let normed = self.final_layer_norm.forward(&x)?.to_dtype(dtype)?;
        let hidden = self.fc1.forward_act(&normed, self.activation)?;
        Ok((x + self.fc2.forward(&hidden)?.to_dtype(DType::F32)?)?)
    }
}
