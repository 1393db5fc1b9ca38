//! One transformer block.
//!
//! Order of operations: LTX-Video `ltx_video/models/transformers/attention.py`,
//! `BasicTransformerBlock.forward`; the audio cross-attention stands between the text
//! cross-attention and the feed-forward part, and is added to masked tokens only
//! (EditYourself eq. 6).

use candle_core::{DType, Tensor};
use nn::layers::{Attention, KeysValues, Linear};
use nn::ops::{self, Activation};
use nn::weights::View;

use super::TransformerConfig;
use super::inputs::{AudioQueries, Caption, ContextGroup};
use super::rope::Rope;
use super::times::Times;
use crate::error::Result;

/// Epsilon of the query and key norms, which differs from the block norms'.
const QK_EPS: f64 = 1e-5;

/// What a perturbed guidance branch (STG) leaves out in a block (LTX-Video
/// `ltx_video/utils/skip_layer_strategy.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipMode {
    /// Self-attention gives the values instead of their mixture.
    AttentionValues,
    /// Self-attention gives its input.
    AttentionSkip,
    /// The block gives its input.
    TransformerBlock,
    /// No effect in LTX-Video; it is there because presets name it.
    Residual,
}

/// Blocks that a guidance branch perturbs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perturbation {
    pub mode: SkipMode,
    /// Indices of blocks.
    pub layers: Vec<usize>,
}

/// What every block of one pass gets.
pub(super) struct Pass<'a> {
    pub(super) times: &'a Times,
    pub(super) rope: &'a Rope,
    pub(super) caption: &'a Caption,
    pub(super) skip: Option<SkipMode>,
    /// Keys and values of the context, in front of the tokens' own.
    pub(super) memory: Option<&'a KeysValues>,
    /// Keys and values of the sound, folded to `[B * latents, tokens, D]`.
    pub(super) audio: Option<(&'a KeysValues, &'a AudioQueries)>,
    /// `[N, N]`, added to the scores: the slow twin of one-way attention.
    pub(super) self_bias: Option<&'a Tensor>,
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    scale_shift_table: Tensor,
    attn1: Attention,
    attn2: Attention,
    audio_attn: Option<Attention>,
    ff_in: Linear,
    ff_out: Linear,
    heads: usize,
    eps: f64,
}

impl Block {
    pub(super) fn load(view: &View, config: &TransformerConfig) -> Result<Self> {
        let width = config.width();
        let heads = config.num_attention_heads;
        let attention = |name: &str, context| {
            Attention::load(&view.at(name), width, context, width, heads, QK_EPS)
        };
        let tables = view.with_dtype(DType::F32);
        Ok(Self {
            scale_shift_table: tables.get((6, width), "scale_shift_table")?,
            attn1: attention("attn1", width)?,
            attn2: attention("attn2", width)?,
            audio_attn: match &config.audio {
                Some(audio) => Some(attention("audio_attn", audio.dim)?),
                None => None,
            },
            ff_in: Linear::load(&view.at("ff.net.0.proj"), width, 4 * width)?,
            ff_out: Linear::load(&view.at("ff.net.2"), 4 * width, width)?,
            heads,
            eps: config.norm_eps,
        })
    }

    /// See [`crate::lora::HasLinears`].
    pub(super) fn each_linear(&mut self, mut f: impl FnMut(&str, &mut Linear)) {
        let attentions = [
            ("attn1", Some(&mut self.attn1)),
            ("attn2", Some(&mut self.attn2)),
            ("audio_attn", self.audio_attn.as_mut()),
        ];
        for (name, attention) in attentions {
            let Some(attention) = attention else {
                continue;
            };
            f(&format!("{name}.to_q"), &mut attention.to_q);
            f(&format!("{name}.to_k"), &mut attention.to_k);
            f(&format!("{name}.to_v"), &mut attention.to_v);
            f(&format!("{name}.to_out.0"), &mut attention.to_out);
        }
        f("ff.net.0.proj", &mut self.ff_in);
        f("ff.net.2", &mut self.ff_out);
    }

    /// The modulated input of self-attention, which changes between steps about as much as
    /// the block's result.
    pub(super) fn signal(&self, x: &Tensor, times: &Times) -> Result<Tensor> {
        let [shift, scale, ..] = times.block(&self.scale_shift_table)?;
        self.modulated(x, &scale, &shift)
    }

    /// The norm of `x` with scale and shift, in the dtype of the weights: `x` may have more bits.
    fn modulated(&self, x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
        let normed = ops::rms_norm_modulate(x, scale, shift, self.eps)?;
        Ok(ops::cast(&normed, self.ff_in.weight().dtype())?)
    }

    /// `x` `[B, N, D]` to the same.
    ///
    /// Parts are computed in the dtype of the weights and added up in that of `x`.
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        if pass.skip == Some(SkipMode::TransformerBlock) {
            return Ok(x.clone());
        }
        let [shift, scale, gate, shift_mlp, scale_mlp, gate_mlp] =
            pass.times.block(&self.scale_shift_table)?;
        let normed = self.modulated(x, &scale, &shift)?;
        let attended = match pass.skip {
            Some(SkipMode::AttentionSkip) => normed,
            Some(SkipMode::AttentionValues) => self.attn1.to_v.forward(&normed)?,
            _ => self.self_attention(&normed, pass)?,
        };
        let mut x = gate_add(x, &gate, &self.attn1.project(&attended)?)?;
        x = self.text(&x, pass.caption)?;
        if let (Some(attention), Some((memory, queries))) = (&self.audio_attn, pass.audio) {
            x = queries.add_attention(&x, attention, memory)?;
        }
        self.feed_forward(&x, [&shift_mlp, &scale_mlp, &gate_mlp])
    }

    fn self_attention(&self, normed: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        let rope = Some(pass.rope.tables());
        let queries = self.attn1.queries(normed, rope)?;
        let mut kv = self.attn1.keys_values(normed, rope)?;
        if let Some(memory) = pass.memory {
            kv = joined(memory, &kv)?;
        }
        if let Some(bias) = pass.self_bias {
            return slow::attention(&queries, &kv, bias, self.heads);
        }
        Ok(self.attn1.attend(&queries, &kv, None)?)
    }

    /// Cross-attention to the caption: no norm, no modulation, no gate.
    fn text(&self, x: &Tensor, caption: &Caption) -> Result<Tensor> {
        if caption.hidden.dim(1)? == 1 {
            // One key: its softmax is 1 whatever the query, so the value is the answer.
            let value = self.attn2.to_v.forward(&caption.hidden)?;
            let added = self.attn2.project(&value)?.to_dtype(x.dtype())?;
            return Ok(x.broadcast_add(&added)?);
        }
        let bias = caption.bias.as_ref();
        let queries = ops::cast(x, caption.hidden.dtype())?;
        let added = self
            .attn2
            .forward(&queries, Some(&caption.hidden), None, bias)?;
        Ok(ops::add(x, &ops::cast(&added, x.dtype())?)?)
    }

    fn feed_forward(&self, x: &Tensor, [shift, scale, gate]: [&Tensor; 3]) -> Result<Tensor> {
        let normed = self.modulated(x, scale, shift)?;
        let inner = self.ff_in.forward_act(&normed, Activation::GeluTanh)?;
        gate_add(x, gate, &self.ff_out.forward(&inner)?)
    }

    /// Context tokens through the block: their keys and values, and, unless this is
    /// the `last` block, the tokens for the next.
    pub(super) fn context(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        groups: &[ContextGroup],
        window: usize,
        last: bool,
    ) -> Result<(KeysValues, Option<Tensor>)> {
        let [shift, scale, gate, shift_mlp, scale_mlp, gate_mlp] =
            pass.times.block(&self.scale_shift_table)?;
        let normed = self.modulated(x, &scale, &shift)?;
        let rope = Some(pass.rope.tables());
        let kv = self.attn1.keys_values(&normed, rope)?;
        if last {
            return Ok((kv, None));
        }
        let queries = self.attn1.queries(&normed, rope)?;
        let attended = self.windowed(&queries, &kv, groups, window)?;
        let x = gate_add(x, &gate, &self.attn1.project(&attended)?)?;
        let x = self.text(&x, pass.caption)?;
        let x = self.feed_forward(&x, [&shift_mlp, &scale_mlp, &gate_mlp])?;
        Ok((kv, Some(x)))
    }

    /// Each group of queries with the keys of the groups that it sees.
    fn windowed(
        &self,
        queries: &Tensor,
        kv: &KeysValues,
        groups: &[ContextGroup],
        window: usize,
    ) -> Result<Tensor> {
        if ContextGroup::all_see_all(groups, window) {
            return Ok(self.attn1.attend(queries, kv, None)?);
        }
        let mut parts = Vec::with_capacity(groups.len());
        let mut start = 0;
        for group in groups {
            let mut keys = Vec::new();
            let mut values = Vec::new();
            let mut from = 0;
            for other in groups {
                if group.sees(other, window) {
                    keys.push(kv.keys.narrow(1, from, other.tokens)?);
                    values.push(kv.values.narrow(1, from, other.tokens)?);
                }
                from += other.tokens;
            }
            let seen = KeysValues {
                keys: Tensor::cat(&keys, 1)?,
                values: Tensor::cat(&values, 1)?,
            };
            let own = queries.narrow(1, start, group.tokens)?.contiguous()?;
            parts.push(self.attn1.attend(&own, &seen, None)?);
            start += group.tokens;
        }
        Ok(Tensor::cat(&parts, 1)?)
    }

    /// Keys and values of audio tokens `[B * latents, tokens, D_a]`.
    pub(super) fn audio_memory(&self, tokens: &Tensor) -> Result<Option<KeysValues>> {
        Ok(match &self.audio_attn {
            Some(attention) => Some(attention.keys_values(tokens, None)?),
            None => None,
        })
    }
}

/// `x + gate * y` in the dtype of `x`.
fn gate_add(x: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
    Ok(ops::gate_add(x, gate, &ops::cast(y, x.dtype())?)?)
}

/// `first` and then `second`, along the tokens.
fn joined(first: &KeysValues, second: &KeysValues) -> Result<KeysValues> {
    let spread = |t: &Tensor| -> Result<Tensor> {
        let (batch, tokens, width) = t.dims3()?;
        let wanted = second.keys.dim(0)?;
        Ok(if batch == wanted {
            t.clone()
        } else {
            t.broadcast_as((wanted, tokens, width))?.contiguous()?
        })
    };
    Ok(KeysValues {
        keys: ops::concat(&spread(&first.keys)?, &second.keys, 1)?,
        values: ops::concat(&spread(&first.values)?, &second.values, 1)?,
    })
}

mod slow {
    use candle_core::{D, DType, Tensor};
    use nn::layers::KeysValues;

    use crate::error::Result;

    /// Attention with a dense bias `[N, N]`, all scores in memory.
    pub(super) fn attention(
        queries: &Tensor,
        kv: &KeysValues,
        bias: &Tensor,
        heads: usize,
    ) -> Result<Tensor> {
        let split = |t: &Tensor| -> Result<Tensor> {
            let (b, n, width) = t.dims3()?;
            Ok(t.to_dtype(DType::F32)?
                .reshape((b, n, heads, width / heads))?
                .transpose(1, 2)?
                .contiguous()?)
        };
        let (b, n, width) = queries.dims3()?;
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let scores = (split(queries)?.matmul(&split(&kv.keys)?.t()?.contiguous()?)? * scale)?
            .broadcast_add(bias)?;
        let weights = scores
            .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
            .exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        Ok(weights
            .matmul(&split(&kv.values)?)?
            .transpose(1, 2)?
            .reshape((b, n, width))?
            .to_dtype(queries.dtype())?)
    }
}
