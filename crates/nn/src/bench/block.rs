//! A block of the LTX transformer without its file.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Error, Result, Tensor, Var};

use super::cases::noise;
use crate::layers::{Attention, KeysValues, Linear};
use crate::ops::{self, Activation};
use crate::weights::View;

pub(super) const WIDTH: usize = 1024;
pub(super) const TOKENS: usize = 1536;

/// How large a block is, and where it lies.
#[derive(Debug, Clone)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) tokens: usize,
    pub(super) text: usize,
    pub(super) heads: usize,
    pub(super) device: Device,
}

/// The block that the processor's figures are about.
pub(super) const SMALL: Size = Size {
    width: WIDTH,
    tokens: TOKENS,
    text: 64,
    heads: 16,
    device: Device::Cpu,
};

/// Weights, modulation and positions of the block.
pub(super) struct Block {
    size: Size,
    own: Attention,
    text: Attention,
    up: Linear,
    down: Linear,
    tables: Vec<Tensor>,
    cos: Tensor,
    sin: Tensor,
    caption: Tensor,
}

impl Block {
    /// A block of noise; `learns` makes variables of its weights.
    pub(super) fn new(size: Size, dtype: DType, learns: bool) -> Result<Self> {
        let Size {
            width,
            tokens,
            text,
            heads,
            ref device,
        } = size;
        let noise = |shape: &[usize], dtype: DType| noise(shape, dtype)?.to_device(device);
        let mut tensors = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| -> Result<()> {
            let weight = noise(shape, dtype)?;
            let weight = if learns {
                Var::from_tensor(&weight)?.into_inner()
            } else {
                weight
            };
            tensors.insert(name, weight);
            Ok(())
        };
        for attention in ["attn1", "attn2"] {
            for part in ["to_q", "to_k", "to_v", "to_out.0"] {
                add(format!("{attention}.{part}.weight"), &[width, width])?;
                add(format!("{attention}.{part}.bias"), &[width])?;
            }
            for part in ["q_norm", "k_norm"] {
                add(format!("{attention}.{part}.weight"), &[width])?;
            }
        }
        for (name, outputs, inputs) in [("up", 4 * width, width), ("down", width, 4 * width)] {
            add(format!("{name}.weight"), &[outputs, inputs])?;
            add(format!("{name}.bias"), &[outputs])?;
        }
        let view = View::of_tensors(tensors, dtype, device);
        let broken = |error: crate::weights::WeightsError| Error::Msg(error.to_string());
        let attention = |name: &str| {
            Attention::load(&view.at(name), width, width, width, heads, 1e-5).map_err(broken)
        };
        let angles = noise(&[tokens, width / 2], DType::F32)?;
        Ok(Self {
            own: attention("attn1")?,
            text: attention("attn2")?,
            up: Linear::load(&view.at("up"), width, 4 * width).map_err(broken)?,
            down: Linear::load(&view.at("down"), 4 * width, width).map_err(broken)?,
            tables: (0..6)
                .map(|_| noise(&[1, 1, width], dtype))
                .collect::<Result<_>>()?,
            cos: angles.cos()?,
            sin: angles.sin()?,
            caption: noise(&[1, text, width], dtype)?,
            size,
        })
    }

    /// The block for the last `tokens` tokens alone, and those tokens.
    pub(super) fn sparse(mut self, tokens: usize, dtype: DType) -> Result<(Self, Tensor)> {
        let first = self.size.tokens - tokens;
        self.cos = self.cos.narrow(0, first, tokens)?.contiguous()?;
        self.sin = self.sin.narrow(0, first, tokens)?.contiguous()?;
        let x = noise(&[1, tokens, self.size.width], dtype)?;
        let x = x.to_device(&self.size.device)?;
        Ok((self, x))
    }

    /// The block with its weights in 8 bits.
    #[cfg(feature = "cuda")]
    pub(super) fn in_eight_bits(mut self) -> Result<Self> {
        let own = [&mut self.own, &mut self.text];
        let layers = own.into_iter().flat_map(|attention| {
            let Attention {
                to_q,
                to_k,
                to_v,
                to_out,
                ..
            } = attention;
            [to_q, to_k, to_v, to_out]
        });
        for layer in layers.chain([&mut self.up, &mut self.down]) {
            *layer = layer.in_eight_bits()?;
        }
        Ok(self)
    }

    /// Keys and values of context tokens, without their positions.
    pub(super) fn memory(&self, context: &Tensor) -> Result<KeysValues> {
        self.own.keys_values(context, None)
    }

    /// `x` `[1, N, width]` to the same; with `memory`, its keys and values stand in front.
    pub(super) fn forward(&self, x: &Tensor, memory: Option<&KeysValues>) -> Result<Tensor> {
        let table = &self.tables;
        let rope = Some((&self.cos, &self.sin));
        let n = ops::rms_norm_modulate(x, &table[1], &table[0], 1e-6)?;
        let queries = self.own.queries(&n, rope)?;
        let mut kv = self.own.keys_values(&n, rope)?;
        if let Some(memory) = memory {
            kv = KeysValues {
                keys: Tensor::cat(&[&memory.keys, &kv.keys], 1)?,
                values: Tensor::cat(&[&memory.values, &kv.values], 1)?,
            };
        }
        let attended = self.own.project(&self.own.attend(&queries, &kv, None)?)?;
        let x = ops::gate_add(x, &table[2], &attended)?;
        let x = (&x + self.text.forward(&x, Some(&self.caption), None, None)?)?;
        let n = ops::rms_norm_modulate(&x, &table[4], &table[3], 1e-6)?;
        let inner = self.up.forward_act(&n, Activation::GeluTanh)?;
        ops::gate_add(&x, &table[5], &self.down.forward(&inner)?)
    }
}
