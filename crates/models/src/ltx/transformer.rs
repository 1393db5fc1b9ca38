//! The transformer: from tokens to velocities, dense or one-way.
//!
//! Dense is LTX-Video's own forward pass. One-way is for models trained so: context
//! tokens attend to context only, so [`Transformer::context`] computes their keys and
//! values once, and every step costs the noised tokens alone.

use candle_core::{DType, Device, Tensor};
use nn::layers::Linear;
use nn::ops::{self, Activation};

use super::TransformerConfig;
use super::again;
use super::block::{Pass, Perturbation, SkipMode};
use super::blocks::{Blocks, Residence};
use super::inputs::{AudioMemory, AudioQueries, Caption, ContextGroup, ContextMemory, Inputs};
use super::keys;
use super::rope::{Position, Rope};
use super::times::{AdaLayerNormSingle, Times};
use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::lora::HasLinears;

/// LTX-Video's transformer.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the checkpoint's names")]
pub struct Transformer {
    config: TransformerConfig,
    patchify_proj: Linear,
    adaln_single: AdaLayerNormSingle,
    caption_projection: [Linear; 2],
    empty_caption: Option<Tensor>,
    transformer_blocks: Blocks,
    scale_shift_table: Tensor,
    proj_out: Linear,
    dtype: DType,
    device: Device,
    /// Whether blocks are run again in a backward pass.
    again: bool,
}

impl Transformer {
    /// Reads the weights of a file in either layout.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for; all differences are named.
    pub fn load(
        file: &ModelFile,
        config: &TransformerConfig,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Self::load_as(file, config, dtype, device, Residence::Memory)
    }

    /// [`Self::load`], with the blocks in memory or left in the file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_as(
        file: &ModelFile,
        config: &TransformerConfig,
        dtype: DType,
        device: &Device,
        residence: Residence,
    ) -> Result<Self> {
        let file = file.renamed(&keys::transformer_keys(file))?;
        file.check(&config.shapes(), |name| {
            name == "empty_caption"
                || name.starts_with("audio_projection.")
                || name.starts_with(keys::VAE_PREFIX)
                || name.starts_with(keys::AUDIO_ENCODER_PREFIX)
        })?;
        let view = file.view(dtype, device)?;
        let width = config.width();
        let edges = view.with_dtype(sums(dtype, device));
        let captions = edges.at("caption_projection");
        let empty_caption = match view.shape("empty_caption") {
            Some(shape) if matches!(*shape, [_, channels] if channels == config.caption_channels) => {
                Some(view.get_any("empty_caption")?.unsqueeze(0)?)
            }
            Some(shape) => {
                return Err(ModelError::config(
                    "ltx transformer",
                    format!(
                        "empty_caption is {shape:?}, wanted [L, {}]",
                        config.caption_channels
                    ),
                ));
            }
            None => None,
        };
        Ok(Self {
            patchify_proj: Linear::load(&edges.at("patchify_proj"), config.in_channels, width)?,
            adaln_single: AdaLayerNormSingle::load(&edges, config)?,
            caption_projection: [
                Linear::load(&captions.at("linear_1"), config.caption_channels, width)?,
                Linear::load(&captions.at("linear_2"), width, width)?,
            ],
            empty_caption,
            transformer_blocks: Blocks::load(&file, config, dtype, device, residence)?,
            scale_shift_table: view
                .with_dtype(DType::F32)
                .get((2, width), "scale_shift_table")?,
            proj_out: Linear::load(&edges.at("proj_out"), width, config.out_channels)?,
            config: config.clone(),
            dtype,
            device: device.clone(),
            again: false,
        })
    }

    /// Whether a backward pass is to run blocks again instead of remembering what they computed: a step then holds
    /// one block's intermediate results instead of all blocks', for a third more arithmetic.
    pub fn set_checkpointing(&mut self, on: bool) {
        self.again = on;
    }

    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Tables for tokens at these places.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn rope(&self, positions: &[Position]) -> Result<Rope> {
        Rope::new(&self.config, positions, &self.device)
    }

    /// Projects a caption `[B, L, caption_channels]`; `mask` `[B, L]` is 1 where a token
    /// counts.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn caption(&self, caption: &Tensor, mask: Option<&Tensor>) -> Result<Caption> {
        let (batch, length, _) = caption.dims3()?;
        if let Some(mask) = mask
            && mask.dims() != [batch, length]
        {
            return Err(ModelError::input(
                "caption_mask",
                format!("shape {:?}, wanted [{batch}, {length}]", mask.dims()),
            ));
        }
        let [first, second] = &self.caption_projection;
        let hidden = second
            .forward(&first.forward_act(
                &caption.to_dtype(first.weight().dtype())?,
                Activation::GeluTanh,
            )?)?
            .to_dtype(self.dtype)?;
        let bias = match mask {
            Some(mask) => Some(mask.to_dtype(DType::F32)?.affine(10_000.0, -10_000.0)?),
            None => None,
        };
        Ok(Caption { hidden, bias })
    }

    /// The learned caption that stands for "no text".
    ///
    /// # Errors
    /// When the model has none.
    pub fn empty_caption(&self) -> Result<Caption> {
        let caption = self.empty_caption.as_ref().ok_or_else(|| {
            ModelError::config("ltx transformer", "the weights have no empty_caption")
        })?;
        self.caption(caption, None)
    }

    /// Keys and values of audio tokens `[B, latents, tokens, D_a]` in every block.
    ///
    /// # Errors
    /// When the model has no audio layers or the shapes do not fit.
    pub fn audio(&self, tokens: &Tensor) -> Result<AudioMemory> {
        let (batch, latents, each, width) = tokens.dims4()?;
        let tokens = tokens
            .to_dtype(self.dtype)?
            .reshape((batch * latents, each, width))?;
        let mut blocks = Vec::with_capacity(self.transformer_blocks.len());
        for index in 0..self.transformer_blocks.len() {
            let memory = self
                .transformer_blocks
                .with(index, |block| block.audio_memory(&tokens))?;
            blocks.push(memory.ok_or_else(|| {
                ModelError::config("ltx transformer", "the model has no audio layers")
            })?);
        }
        Ok(AudioMemory { blocks })
    }

    /// Keys and values of clean tokens `[B, N, in_channels]` at timestep 0 in every block.
    ///
    /// `groups` says which neighbouring tokens share a latent; their counts sum to N.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn context(
        &self,
        latents: &Tensor,
        rope: &Rope,
        caption: &Caption,
        groups: &[ContextGroup],
    ) -> Result<ContextMemory> {
        let (batch, tokens, _) = latents.dims3()?;
        let grouped: usize = groups.iter().map(|group| group.tokens).sum();
        if grouped != tokens {
            return Err(ModelError::input(
                "context",
                format!("{tokens} tokens in groups of {grouped} together"),
            ));
        }
        let caption = &caption.for_batch(batch)?;
        let timestep = Tensor::zeros(batch, DType::F32, &self.device)?;
        let times = self.adaln_single.forward(&timestep, batch, tokens)?;
        let pass = Pass {
            times: &times,
            rope,
            caption,
            skip: None,
            memory: None,
            audio: None,
            self_bias: None,
        };
        let mut x = self.embedded(latents)?;
        let mut blocks = Vec::with_capacity(self.transformer_blocks.len());
        let count = self.transformer_blocks.len();
        for index in 0..count {
            let last = index + 1 == count;
            let window = self.config.context_window;
            let (kv, next) = self.transformer_blocks.with(index, |block| {
                if self.again {
                    again::context(block, &x, &pass, groups, window, last)
                } else {
                    block.context(&x, &pass, groups, window, last)
                }
            })?;
            blocks.push(kv);
            if let Some(next) = next {
                x = next;
            }
        }
        Ok(ContextMemory { blocks })
    }

    /// Latents `[B, N, in_channels]` as the blocks take them.
    fn embedded(&self, latents: &Tensor) -> Result<Tensor> {
        let latents = latents.to_dtype(self.patchify_proj.weight().dtype())?;
        Ok(self.patchify_proj.forward(&latents)?)
    }

    /// Velocities `[B, N, out_channels]`, `f32`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, inputs: &Inputs<'_>) -> Result<Tensor> {
        self.forward_cached(inputs, None)
    }

    /// [`Self::forward`], where a cache may say that the blocks would add what they added
    /// before (ali-vilab/TeaCache `TeaCache4LTX-Video/teacache_ltx.py`).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_cached(
        &self,
        inputs: &Inputs<'_>,
        cache: Option<&mut dyn StepCache>,
    ) -> Result<Tensor> {
        let (batch, tokens, _) = inputs.latents.dims3()?;
        Self::check_audio(inputs, batch, tokens)?;
        let caption = inputs.caption.for_batch(batch)?;
        let times = self.adaln_single.forward(inputs.timestep, batch, tokens)?;
        let first = self.embedded(inputs.latents)?;
        let x = match cache {
            None => self.blocks(inputs, first, &times, &caption)?,
            Some(cache) => {
                let signal = self
                    .transformer_blocks
                    .with(0, |block| block.signal(&first, &times))?;
                if let Some(residual) = cache.reuse(&signal)? {
                    (first + residual)?
                } else {
                    let x = self.blocks(inputs, first.clone(), &times, &caption)?;
                    cache.keep(&(&x - first)?)?;
                    x
                }
            }
        };
        let [shift, scale] = times.last(&self.scale_shift_table)?;
        // The reference implementations fix this epsilon, whatever the config says.
        let x = ops::layer_norm_modulate(&x, &scale, &shift, 1e-6)?;
        Ok(self.proj_out.forward(&x)?.to_dtype(DType::F32)?)
    }

    fn blocks(
        &self,
        inputs: &Inputs<'_>,
        mut x: Tensor,
        times: &Times,
        caption: &Caption,
    ) -> Result<Tensor> {
        for index in 0..self.transformer_blocks.len() {
            let audio = inputs
                .audio
                .and_then(|(memory, queries)| Some((memory.blocks.get(index)?, queries)));
            let pass = Pass {
                times,
                rope: inputs.rope,
                caption,
                skip: skip_of(inputs.perturbation, index),
                memory: inputs.context.and_then(|memory| memory.blocks.get(index)),
                audio,
                self_bias: inputs.self_bias,
            };
            x = self.transformer_blocks.with(index, |block| {
                if self.again {
                    again::forward(block, &x, &pass)
                } else {
                    block.forward(&x, &pass)
                }
            })?;
        }
        Ok(x)
    }

    fn check_audio(inputs: &Inputs<'_>, batch: usize, tokens: usize) -> Result<()> {
        let Some((memory, queries)) = inputs.audio else {
            return Ok(());
        };
        let latents = queries.latents();
        let folded = memory
            .blocks
            .first()
            .map_or(0, |kv| kv.keys.dims().first().copied().unwrap_or(0));
        let uneven = matches!(queries, AudioQueries::Folded { latents } if *latents == 0 || !tokens.is_multiple_of(*latents));
        if folded != batch * latents || uneven {
            return Err(ModelError::input(
                "audio",
                format!(
                    "sound of {folded} latents for {batch} samples of {tokens} tokens in {latents} latents"
                ),
            ));
        }
        Ok(())
    }
}

/// What remembers the sum that the blocks added to their input, from step to step. One
/// belongs to one guidance branch and one window of tokens.
pub trait StepCache {
    /// The sum to use again, when the first block's modulated input `signal` `[B, N, D]` says
    /// that it would come out nearly the same.
    ///
    /// # Errors
    /// When the shapes differ from those of the step before.
    fn reuse(&mut self, signal: &Tensor) -> Result<Option<Tensor>>;

    /// The sum as it was computed, after [`Self::reuse`] gave none.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn keep(&mut self, residual: &Tensor) -> Result<()>;
}

impl HasLinears for Transformer {
    fn each_linear(&mut self, f: &mut dyn FnMut(&str, &mut Linear) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        let mut visit = |name: &str, linear: &mut Linear| {
            if result.is_ok() {
                result = f(name, linear);
            }
        };
        visit("patchify_proj", &mut self.patchify_proj);
        self.adaln_single
            .each_linear(|name, linear| visit(&format!("adaln_single.{name}"), linear));
        let [first, second] = &mut self.caption_projection;
        visit("caption_projection.linear_1", first);
        visit("caption_projection.linear_2", second);
        result?;
        self.transformer_blocks.each_linear(f)?;
        f("proj_out", &mut self.proj_out)
    }
}

/// The dtype of what the blocks add up, and of the last layer: on a CPU `f32`, which costs next to
/// nothing there and takes away most of what 16 bit loses; on a GPU that of the weights, since
/// its time goes to reading and writing.
fn sums(dtype: DType, device: &Device) -> DType {
    if device.is_cpu() { DType::F32 } else { dtype }
}

fn skip_of(perturbation: Option<&Perturbation>, layer: usize) -> Option<SkipMode> {
    perturbation
        .filter(|p| p.layers.contains(&layer))
        .map(|p| p.mode)
}
