//! T5's self-attention: no scale, and a learned bias for the distance of two tokens.

use candle_core::{D, Tensor};
use nn::layers::Linear;
use nn::weights::View;

use super::T5Config;
use crate::error::Result;

/// Projections `q`, `k`, `v`, `o` without biases.
pub(super) struct SelfAttention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    heads: usize,
}

impl SelfAttention {
    pub(super) fn load(view: &View, config: &T5Config) -> Result<Self> {
        let (d, inner) = (config.d_model, config.inner_width());
        Ok(Self {
            q: Linear::load(&view.at("q"), d, inner)?,
            k: Linear::load(&view.at("k"), d, inner)?,
            v: Linear::load(&view.at("v"), d, inner)?,
            o: Linear::load(&view.at("o"), inner, d)?,
            heads: config.num_heads,
        })
    }

    /// `x` `[B, L, d_model]`, `f32`; `positions` `[1, H, L, L]` and `mask` `[B, 1, 1, L]` are added
    /// to the scores.
    ///
    /// A prompt has at most a few hundred tokens and runs once, and the bias differs from
    /// head to head and pair to pair, so the scores are held whole.
    pub(super) fn forward(&self, x: &Tensor, positions: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (batch, length, _) = x.dims3()?;
        let split = |t: Tensor| -> Result<Tensor> {
            let width = t.dim(D::Minus1)? / self.heads;
            Ok(t.reshape((batch, length, self.heads, width))?
                .transpose(1, 2)?
                .contiguous()?)
        };
        let queries = split(self.q.forward(x)?)?;
        let keys = split(self.k.forward(x)?)?;
        let values = split(self.v.forward(x)?)?;
        let scores = queries
            .matmul(&keys.t()?.contiguous()?)?
            .broadcast_add(positions)?
            .broadcast_add(mask)?;
        let weights = scores
            .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
            .exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        let mixed = weights
            .matmul(&values)?
            .transpose(1, 2)?
            .flatten_from(2)?
            .contiguous()?;
        Ok(self.o.forward(&mixed)?)
    }
}

/// `[B, L]`, 1 where a token counts, to what is added to the scores, `[B, 1, 1, L]`.
///
/// The lowest `f32` instead of minus infinity, as in transformers: a sample without any
/// token then attends to all of them alike instead of giving no number.
pub(super) fn mask_bias(mask: &Tensor) -> Result<Tensor> {
    let (batch, length) = mask.dims2()?;
    let lowest = f64::from(f32::MIN);
    Ok(mask
        .affine(-lowest, lowest)?
        .reshape((batch, 1, 1, length))?)
}

/// The learned bias `table` `[buckets, H]` for every pair of `length` tokens, `[1, H, L, L]`.
pub(super) fn position_bias(table: &Tensor, length: usize, config: &T5Config) -> Result<Tensor> {
    let buckets: Vec<u32> = (0..length)
        .flat_map(|query| (0..length).map(move |key| key as i64 - query as i64))
        .map(|distance| {
            bucket(
                distance,
                config.relative_attention_num_buckets,
                config.relative_attention_max_distance,
            )
        })
        .collect();
    let buckets = Tensor::from_vec(buckets, length * length, table.device())?;
    let heads = table.dim(1)?;
    Ok(table
        .index_select(&buckets, 0)?
        .reshape((length, length, heads))?
        .permute((2, 0, 1))?
        .contiguous()?
        .unsqueeze(0)?)
}

/// The bucket of a distance (key minus query): exact for near tokens, logarithmic up to
/// `furthest`, one half of the buckets for either direction. Computed in `f32`, because the
/// borders between buckets depend on the rounding.
fn bucket(distance: i64, buckets: usize, furthest: usize) -> u32 {
    let half = buckets / 2;
    let offset = if distance > 0 { half } else { 0 };
    let distance = distance.unsigned_abs() as usize;
    let exact = half / 2;
    let within = if distance < exact {
        distance
    } else {
        let span = (furthest as f64 / exact as f64).ln() as f32;
        let share = (distance as f32 / exact as f32).ln() / span;
        let far = share * (half - exact) as f32;
        (exact + far as usize).min(half.saturating_sub(1))
    };
    (offset + within) as u32
}
