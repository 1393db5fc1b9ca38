//! Attention with its projections.

use candle_core::{Result, Tensor};

use super::Linear;
use crate::ops::{self, AttentionOptions};
use crate::weights::{View, WeightsError};

/// Projections to queries, keys and values, RMS norm of queries and keys over the
/// whole inner width, attention, output projection: LTX-Video's layout
/// (`to_q`, `to_k`, `to_v`, `to_out.0`, `q_norm`, `k_norm`).
#[derive(Debug, Clone)]
pub struct Attention {
    pub to_q: Linear,
    pub to_k: Linear,
    pub to_v: Linear,
    pub to_out: Linear,
    q_norm: Option<Tensor>,
    k_norm: Option<Tensor>,
    heads: usize,
    eps: f64,
}

/// Keys and values of one set of tokens, `[B, N, inner]` each.
#[derive(Debug, Clone)]
pub struct KeysValues {
    pub keys: Tensor,
    pub values: Tensor,
}

impl Attention {
    /// Reads the weights; `inner` is heads times head width, queries come from
    /// `query_width` channels and keys and values from `context_width`.
    ///
    /// # Errors
    /// When a weight is missing or a shape is wrong.
    pub fn load(
        view: &View,
        query_width: usize,
        context_width: usize,
        inner: usize,
        heads: usize,
        eps: f64,
    ) -> std::result::Result<Self, WeightsError> {
        let norm = |name: &str| {
            let view = view.at(name);
            if view.contains("weight") {
                view.get(inner, "weight").map(Some)
            } else {
                Ok(None)
            }
        };
        Ok(Self {
            to_q: Linear::load(&view.at("to_q"), query_width, inner)?,
            to_k: Linear::load(&view.at("to_k"), context_width, inner)?,
            to_v: Linear::load(&view.at("to_v"), context_width, inner)?,
            to_out: Linear::load(&view.at("to_out.0"), inner, query_width)?,
            q_norm: norm("q_norm")?,
            k_norm: norm("k_norm")?,
            heads,
            eps,
        })
    }

    /// Normalised, rotated queries `[B, N, inner]`; `rope` is cosines and sines of these tokens.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn queries(&self, x: &Tensor, rope: Option<(&Tensor, &Tensor)>) -> Result<Tensor> {
        self.positioned(self.to_q.forward(x)?, self.q_norm.as_ref(), rope)
    }

    /// Normalised, rotated keys, and values.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn keys_values(
        &self,
        context: &Tensor,
        rope: Option<(&Tensor, &Tensor)>,
    ) -> Result<KeysValues> {
        Ok(KeysValues {
            keys: self.positioned(self.to_k.forward(context)?, self.k_norm.as_ref(), rope)?,
            values: self.to_v.forward(context)?,
        })
    }

    /// Attention of `queries` to `kv` without the output projection.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn attend(
        &self,
        queries: &Tensor,
        kv: &KeysValues,
        key_bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let options = AttentionOptions {
            heads: self.heads,
            scale: None,
            key_bias: key_bias.cloned(),
        };
        ops::attention(queries, &kv.keys, &kv.values, &options)
    }

    /// The output projection.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn project(&self, x: &Tensor) -> Result<Tensor> {
        self.to_out.forward(x)
    }

    /// Everything in a row: `x` attends to `context` (to itself without one).
    /// `rope` applies to queries and keys alike, so it is for self-attention.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        context: Option<&Tensor>,
        rope: Option<(&Tensor, &Tensor)>,
        key_bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let queries = self.queries(x, rope)?;
        let kv = self.keys_values(context.unwrap_or(x), rope)?;
        self.project(&self.attend(&queries, &kv, key_bias)?)
    }

    fn positioned(
        &self,
        x: Tensor,
        norm: Option<&Tensor>,
        rope: Option<(&Tensor, &Tensor)>,
    ) -> Result<Tensor> {
        let x = if norm.is_some() {
            ops::rms_norm(&x, norm, self.eps)?
        } else {
            x
        };
        match rope {
            Some((cos, sin)) => ops::rope(&x, cos, sin),
            None => Ok(x),
        }
    }
}
