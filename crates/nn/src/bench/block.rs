//! A block of the LTX transformer without its file: 1024 wide, 16 heads, 64 text tokens.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Error, Result, Tensor, Var};

use super::cases::noise;
use crate::layers::{Attention, KeysValues, Linear};
use crate::ops::{self, Activation};
use crate::weights::View;

pub(super) const WIDTH: usize = 1024;
pub(super) const TOKENS: usize = 1536;
const TEXT: usize = 64;
const HEADS: usize = 16;

/// Weights, modulation and positions of the block.
pub(super) struct Block {
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
    pub(super) fn new(dtype: DType, learns: bool) -> Result<Self> {
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
                add(format!("{attention}.{part}.weight"), &[WIDTH, WIDTH])?;
                add(format!("{attention}.{part}.bias"), &[WIDTH])?;
            }
            for part in ["q_norm", "k_norm"] {
                add(format!("{attention}.{part}.weight"), &[WIDTH])?;
            }
        }
        for (name, outputs, inputs) in [("up", 4 * WIDTH, WIDTH), ("down", WIDTH, 4 * WIDTH)] {
            add(format!("{name}.weight"), &[outputs, inputs])?;
            add(format!("{name}.bias"), &[outputs])?;
        }
        let view = View::of_tensors(tensors, dtype, &Device::Cpu);
        let broken = |error: crate::weights::WeightsError| Error::Msg(error.to_string());
        let attention = |name: &str| {
            Attention::load(&view.at(name), WIDTH, WIDTH, WIDTH, HEADS, 1e-5).map_err(broken)
        };
        let angles = noise(&[TOKENS, WIDTH / 2], DType::F32)?;
        Ok(Self {
            own: attention("attn1")?,
            text: attention("attn2")?,
            up: Linear::load(&view.at("up"), WIDTH, 4 * WIDTH).map_err(broken)?,
            down: Linear::load(&view.at("down"), 4 * WIDTH, WIDTH).map_err(broken)?,
            tables: (0..6)
                .map(|_| noise(&[1, 1, WIDTH], dtype))
                .collect::<Result<_>>()?,
            cos: angles.cos()?,
            sin: angles.sin()?,
            caption: noise(&[1, TEXT, WIDTH], dtype)?,
        })
    }

    /// The block for the last `tokens` tokens alone, and those tokens.
    pub(super) fn sparse(mut self, tokens: usize, dtype: DType) -> Result<(Self, Tensor)> {
        self.cos = self.cos.narrow(0, TOKENS - tokens, tokens)?.contiguous()?;
        self.sin = self.sin.narrow(0, TOKENS - tokens, tokens)?.contiguous()?;
        Ok((self, noise(&[1, tokens, WIDTH], dtype)?))
    }

    /// Keys and values of context tokens, without their positions.
    pub(super) fn memory(&self, context: &Tensor) -> Result<KeysValues> {
        self.own.keys_values(context, None)
    }

    /// `x` `[1, N, WIDTH]` to the same; with `memory`, its keys and values stand in front.
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
