//! Timesteps as modulation, computed once for each distinct value.
//!
//! LTX-Video `ltx_video/models/transformers/transformer3d.py`; diffusers
//! `models/normalization.py`, `AdaLayerNormSingle`.

use candle_core::{D, DType, Tensor};
use nn::layers::{Linear, TimestepEmbedding};
use nn::ops::silu;
use nn::weights::View;

use super::TransformerConfig;
use crate::error::{ModelError, Result};

/// `adaln_single`: sinusoid, two layers, and the linear that makes six rows.
#[derive(Debug, Clone)]
pub(super) struct AdaLayerNormSingle {
    emb: TimestepEmbedding,
    linear: Linear,
    multiplier: f64,
}

/// Vectors of the distinct timesteps, and who has which.
#[derive(Debug, Clone)]
pub(super) struct Times {
    /// `embedded_timestep`, `[U, D]`.
    embedded: Tensor,
    /// The six rows before a block's table is added, `[U, 6D]`.
    rows: Tensor,
    spread: Spread,
}

#[derive(Debug, Clone)]
enum Spread {
    /// Row `b` belongs to all tokens of sample `b`.
    Samples,
    /// Row of every token, `[B * N]`.
    Tokens {
        index: Tensor,
        batch: usize,
        tokens: usize,
    },
}

impl AdaLayerNormSingle {
    pub(super) fn load(view: &View, config: &TransformerConfig) -> Result<Self> {
        let width = config.width();
        let view = view.at("adaln_single");
        Ok(Self {
            emb: TimestepEmbedding::load(&view.at("emb.timestep_embedder"), 256, width, width)?,
            linear: Linear::load(&view.at("linear"), width, 6 * width)?,
            multiplier: config.timestep_scale_multiplier,
        })
    }

    /// See [`crate::lora::HasLinears`].
    pub(super) fn each_linear(&mut self, mut f: impl FnMut(&str, &mut Linear)) {
        let [first, second] = self.emb.linears_mut();
        f("emb.timestep_embedder.linear_1", first);
        f("emb.timestep_embedder.linear_2", second);
        f("linear", &mut self.linear);
    }

    /// `timestep` is `[B]` or `[B, N]`, in 0..1, for `batch` samples of `tokens` tokens.
    pub(super) fn forward(&self, timestep: &Tensor, batch: usize, tokens: usize) -> Result<Times> {
        let bad = || {
            ModelError::input(
                "timestep",
                format!(
                    "shape {:?}, wanted [{batch}] or [{batch}, {tokens}]",
                    timestep.dims()
                ),
            )
        };
        let values = timestep
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let (distinct, spread) = match *timestep.dims() {
            [b] if b == batch => (values, Spread::Samples),
            [b, 1] if b == batch => (values, Spread::Samples),
            [b, n] if (b, n) == (batch, tokens) => {
                let (distinct, index) = distinct(&values);
                if distinct.len() == 1 {
                    (
                        vec![distinct.first().copied().unwrap_or(0.0); batch],
                        Spread::Samples,
                    )
                } else {
                    let index = Tensor::from_vec(index, batch * tokens, timestep.device())?;
                    (
                        distinct,
                        Spread::Tokens {
                            index,
                            batch,
                            tokens,
                        },
                    )
                }
            }
            _ => return Err(bad()),
        };
        let scaled: Vec<f32> = distinct
            .iter()
            .map(|t| (f64::from(*t) * self.multiplier) as f32)
            .collect();
        let count = scaled.len();
        let embedded = self
            .emb
            .forward(&Tensor::from_vec(scaled, count, timestep.device())?)?;
        let rows = self.linear.forward(&silu(&embedded)?)?;
        Ok(Times {
            embedded: embedded.to_dtype(DType::F32)?,
            rows: rows.to_dtype(DType::F32)?,
            spread,
        })
    }
}

impl Times {
    /// A block's six rows (shift, scale, gate, shift, scale, gate) with its table `[6, D]`.
    pub(super) fn block(&self, table: &Tensor) -> Result<[Tensor; 6]> {
        let (count, width) = (self.rows.dim(0)?, table.dim(D::Minus1)?);
        let sum = self.rows.reshape((count, 6, width))?.broadcast_add(table)?;
        let row = |i| self.spread.row(&sum, i);
        Ok([row(0)?, row(1)?, row(2)?, row(3)?, row(4)?, row(5)?])
    }

    /// Shift and scale of the last norm with its table `[2, D]`.
    pub(super) fn last(&self, table: &Tensor) -> Result<[Tensor; 2]> {
        let sum = self.embedded.unsqueeze(1)?.broadcast_add(table)?;
        Ok([self.spread.row(&sum, 0)?, self.spread.row(&sum, 1)?])
    }
}

impl Spread {
    /// Row `i` of `[U, rows, D]` as `[B, 1, D]` or `[B, N, D]`.
    fn row(&self, rows: &Tensor, i: usize) -> Result<Tensor> {
        let row = rows.narrow(1, i, 1)?;
        Ok(match self {
            Self::Samples => row.contiguous()?,
            Self::Tokens {
                index,
                batch,
                tokens,
            } => {
                let row = row.squeeze(1)?.contiguous()?;
                let width = row.dim(D::Minus1)?;
                row.index_select(index, 0)?
                    .reshape((*batch, *tokens, width))?
            }
        })
    }
}

/// Distinct values in the order of their first appearance, and each value's place.
fn distinct(values: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let mut distinct: Vec<f32> = Vec::new();
    let index = values
        .iter()
        .map(|value| {
            let found = distinct.iter().position(|d| d.to_bits() == value.to_bits());
            found.unwrap_or_else(|| {
                distinct.push(*value);
                distinct.len() - 1
            }) as u32
        })
        .collect();
    (distinct, index)
}
