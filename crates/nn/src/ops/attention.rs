//! `softmax(scale * Q K^T + key_bias) V`, tiled: the scores are never held whole.
//!
//! Queries and keys may have different lengths, so the restricted forms need no
//! dense mask:
//! * one-way attention (context attends to context, masked tokens to everything):
//!   two calls, one for each group of queries, with the key set of that group;
//! * frame-wise (block-diagonal) attention: fold the frames into the batch,
//!   `[B, F*n, D]` to `[B*F, n, D]`, which is a reshape of contiguous tokens.

use candle_core::{Result, Tensor, bail};

/// How [`attention`] reads its arguments.
#[derive(Debug, Clone, Default)]
pub struct AttentionOptions {
    /// Number of heads; used when queries are `[B, N, heads * D]`. With rank-4
    /// arguments it is ignored, since the heads are an axis there.
    pub heads: usize,
    /// Factor on the scores; `1 / sqrt(D)` when not given.
    pub scale: Option<f32>,
    /// Added to the scores before the softmax: `[B, Nk]` or `[Nk]`, `f32`,
    /// the same for all heads and queries. Minus infinity hides a key. No gradient.
    pub key_bias: Option<Tensor>,
}

impl AttentionOptions {
    /// For tensors `[B, N, heads * D]`, with the usual scale and no bias.
    pub const fn heads(heads: usize) -> Self {
        Self {
            heads,
            scale: None,
            key_bias: None,
        }
    }

    /// With a bias on the keys, `[B, Nk]` or `[Nk]`.
    #[must_use]
    pub fn with_key_bias(mut self, bias: Tensor) -> Self {
        self.key_bias = Some(bias);
        self
    }

    /// With a factor on the scores other than `1 / sqrt(D)`.
    #[must_use]
    pub const fn with_scale(mut self, scale: f32) -> Self {
        self.scale = Some(scale);
        self
    }
}

/// Sizes of one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dims {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    /// Width of a head in queries and keys.
    pub(crate) width: usize,
    /// Width of a head in values.
    pub(crate) value_width: usize,
    pub(crate) scale: f32,
    /// Heads are an axis of their own (`[B, H, N, D]`).
    pub(crate) split: bool,
}

impl Dims {
    fn new(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Result<Self> {
        let mismatch = || {
            candle_core::Error::msg(format!(
                "attention: queries {:?}, keys {:?} and values {:?} with {} heads do not fit",
                q.dims(),
                k.dims(),
                v.dims(),
                options.heads
            ))
        };
        let dims = match (q.dims(), k.dims(), v.dims()) {
            (&[b, h, nq, d], &[bk, hk, nk, dk], &[bv, hv, nv, dv]) => {
                if (bk, hk, dk) != (b, h, d) || (bv, hv, nv) != (b, h, nk) {
                    return Err(mismatch());
                }
                Self {
                    batch: b,
                    heads: h,
                    queries: nq,
                    keys: nk,
                    width: d,
                    value_width: dv,
                    scale: 1.0,
                    split: true,
                }
            }
            (&[b, nq, w], &[bk, nk, wk], &[bv, nv, wv]) => {
                let h = options.heads;
                if h == 0
                    || !w.is_multiple_of(h)
                    || !wv.is_multiple_of(h)
                    || (bk, wk) != (b, w)
                    || (bv, nv) != (b, nk)
                {
                    return Err(mismatch());
                }
                Self {
                    batch: b,
                    heads: h,
                    queries: nq,
                    keys: nk,
                    width: w / h,
                    value_width: wv / h,
                    scale: 1.0,
                    split: false,
                }
            }
            _ => return Err(mismatch()),
        };
        if dims.keys == 0 || dims.width == 0 {
            return Err(mismatch());
        }
        if k.dtype() != q.dtype() || v.dtype() != q.dtype() {
            bail!(
                "attention: queries are {:?}, keys {:?}, values {:?}",
                q.dtype(),
                k.dtype(),
                v.dtype()
            );
        }
        let scale = options
            .scale
            .unwrap_or_else(|| 1.0 / (dims.width as f32).sqrt());
        Ok(Self { scale, ..dims })
    }

    /// The bias as `[B, Nk]` in `f32`.
    fn key_bias(&self, bias: Option<&Tensor>) -> Result<Option<Tensor>> {
        let Some(bias) = bias else { return Ok(None) };
        let bias = bias.detach().to_dtype(candle_core::DType::F32)?;
        match bias.dims() {
            &[n] if n == self.keys => Ok(Some(
                bias.unsqueeze(0)?.expand((self.batch, n))?.contiguous()?,
            )),
            &[b, n] if (b == self.batch || b == 1) && n == self.keys => {
                Ok(Some(bias.expand((self.batch, n))?.contiguous()?))
            }
            dims => bail!(
                "attention: key bias is {dims:?}, wanted [{}, {}]",
                self.batch,
                self.keys
            ),
        }
    }
}

/// Attention over `[B, N, heads * D]` or `[B, H, N, D]`; the result has the
/// layout and dtype of the queries, with the values' width.
///
/// Every query must see at least one key whose bias is not minus infinity;
/// one that sees none gets zeros.
///
/// # Errors
/// When the shapes or dtypes do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Result<Tensor> {
    let dims = Dims::new(q, k, v, options)?;
    let bias = dims.key_bias(options.key_bias.as_ref())?;
    slow::attention(q, k, v, dims, bias.as_ref())
}

/// The same in plain candle operations; holds all scores.
pub(crate) mod slow {
    use candle_core::{D, DType, Result, Tensor};

    use super::Dims;

    pub(crate) fn attention(
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        dims: Dims,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let dtype = q.dtype();
        let split = |x: &Tensor, width: usize| -> Result<Tensor> {
            let x = x.to_dtype(DType::F32)?;
            if dims.split {
                x.contiguous()
            } else {
                let n = x.dim(1)?;
                x.reshape((dims.batch, n, dims.heads, width))?
                    .transpose(1, 2)?
                    .contiguous()
            }
        };
        let (q, k, v) = (
            split(q, dims.width)?,
            split(k, dims.width)?,
            split(v, dims.value_width)?,
        );
        let mut scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(dims.scale))?;
        if let Some(bias) = bias {
            scores = scores.broadcast_add(&bias.reshape((dims.batch, 1, 1, dims.keys))?)?;
        }
        let top = scores.max_keepdim(D::Minus1)?.detach();
        // A row of minus infinities stays at zero instead of becoming NaN.
        let top = top.maximum(-1e30f64)?;
        let e = scores.broadcast_sub(&top)?.exp()?;
        let sum = e.sum_keepdim(D::Minus1)?.maximum(1e-30f64)?;
        let out = e.broadcast_div(&sum)?.matmul(&v)?;
        let out = if dims.split {
            out
        } else {
            out.transpose(1, 2)?.contiguous()?.reshape((
                dims.batch,
                dims.queries,
                dims.heads * dims.value_width,
            ))?
        };
        out.to_dtype(dtype)
    }
}
