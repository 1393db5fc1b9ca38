//! `softmax(scale * Q K^T + key_bias) V`, tiled: the scores are never held whole.
//!
//! Queries and keys may have different lengths, so the restricted forms need no
//! dense mask:
//! * one-way attention (context attends to context, masked tokens to everything):
//!   two calls, one for each group of queries, with the key set of that group;
//! * frame-wise (block-diagonal) attention: fold the frames into the batch,
//!   `[B, F*n, D]` to `[B*F, n, D]`, which is a reshape of contiguous tokens.

pub(crate) mod slow;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, bail};
use half::bf16;

use super::support::{Raw, apply3, on_gpu, on_kernels, tracked};
use crate::cpu::attention::{self, Heads, Sizes};
use crate::cpu::attention_backward as backward;
use crate::cpu::buffer::unwritten;
use crate::cpu::kernel::has_bf16;
use crate::cpu::storage::{Stored, by_dtype};

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
    #[cfg(feature = "cuda")]
    if on_gpu(q)
        && let Some(sizes) = crate::cuda::ops::attention::sizes(q, &dims)?
    {
        let (q, k, v) = (dense(q)?, dense(k)?, dense(v)?);
        return Ok(crate::cuda::ops::attention::attention(&q, &k, &v, bias.as_ref(), sizes)?.0);
    }
    if !fits(q, k, v, dims) {
        return slow::attention(q, k, v, dims, bias.as_ref());
    }
    let bias = match bias {
        Some(bias) => Some(bias.flatten_all()?.to_vec1::<f32>()?),
        None => None,
    };
    let log_sums = tracked(&[Some(q), Some(k), Some(v)]).then(|| Arc::new(OnceLock::new()));
    apply3(
        &dense(q)?,
        &dense(k)?,
        &dense(v)?,
        Attention {
            dims,
            bias,
            log_sums,
        },
    )
}

/// Whether the processor's kernels take these.
fn fits(q: &Tensor, k: &Tensor, v: &Tensor, dims: Dims) -> bool {
    [q, k, v].into_iter().all(|x| on_kernels(x) && !on_gpu(x)) && attention::fits(dims.width)
}

/// The tensor itself where each head's vector is contiguous: heads may lie anywhere.
fn dense(x: &Tensor) -> Result<Tensor> {
    if x.stride().last() == Some(&1) {
        Ok(x.clone())
    } else {
        x.contiguous()
    }
}

/// [`attention`] with the logarithms of the sums of each query's weights, `[B, H, Nq]`
/// in `f32` (minus infinity where every key is hidden); neither has a gradient.
///
/// # Errors
/// When the shapes or dtypes do not fit.
pub fn with_log_sums(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    options: &AttentionOptions,
) -> Result<(Tensor, Tensor)> {
    let dims = Dims::new(q, k, v, options)?;
    let bias = dims.key_bias(options.key_bias.as_ref())?;
    #[cfg(feature = "cuda")]
    if on_gpu(q)
        && let Some(sizes) = crate::cuda::ops::attention::sizes(q, &dims)?
    {
        let [q, k, v] = [q, k, v].map(|x| dense(&x.detach()));
        return crate::cuda::ops::attention::attention(&q?, &k?, &v?, bias.as_ref(), sizes);
    }
    if !fits(q, k, v, dims) {
        let result = slow::attention(q, k, v, dims, bias.as_ref())?;
        return Ok((result, slow::log_sums(q, k, dims, bias.as_ref())?));
    }
    let bias = match bias {
        Some(bias) => Some(bias.flatten_all()?.to_vec1::<f32>()?),
        None => None,
    };
    let place = Arc::new(OnceLock::new());
    let op = Attention {
        dims,
        bias,
        log_sums: Some(place.clone()),
    };
    let result =
        dense(&q.detach())?.apply_op3_no_bwd(&dense(&k.detach())?, &dense(&v.detach())?, &op)?;
    let log_sums = place.get().cloned().unwrap_or_default();
    let shape = (dims.batch, dims.heads, dims.queries);
    Ok((result, Tensor::from_vec(log_sums, shape, q.device())?))
}

struct Attention {
    dims: Dims,
    bias: Option<Vec<f32>>,
    /// Logarithms of the rows' sums, which the backward pass needs.
    log_sums: Option<Arc<OnceLock<Vec<f32>>>>,
}

impl Dims {
    const fn sizes(&self) -> Sizes {
        Sizes {
            batch: self.batch,
            heads: self.heads,
            queries: self.queries,
            keys: self.keys,
            width: self.width,
            value_width: self.value_width,
            scale: self.scale,
        }
    }

    /// Where the heads of a tensor with these strides lie.
    fn heads<'a, T: Stored>(
        &self,
        storage: &'a CpuStorage,
        layout: &Layout,
        width: usize,
    ) -> Result<Heads<'a, T>> {
        let data = &T::all(storage)?[layout.start_offset()..];
        Ok(match (self.split, layout.stride()) {
            (true, &[batch, head, token, _]) => Heads {
                data,
                batch,
                head,
                token,
            },
            (false, &[batch, token, _]) => Heads {
                data,
                batch,
                head: width,
                token,
            },
            (_, strides) => bail!("attention: unexpected strides {strides:?}"),
        })
    }

    /// Shape and strides of a contiguous tensor of heads.
    fn contiguous<'a, T>(
        &self,
        data: &'a [T],
        tokens: usize,
        width: usize,
    ) -> (Shape, Heads<'a, T>) {
        let row = self.heads * width;
        if self.split {
            let shape = (self.batch, self.heads, tokens, width).into();
            (
                shape,
                Heads {
                    data,
                    batch: tokens * row,
                    head: tokens * width,
                    token: width,
                },
            )
        } else {
            (
                (self.batch, tokens, row).into(),
                Heads {
                    data,
                    batch: tokens * row,
                    head: width,
                    token: row,
                },
            )
        }
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        qs: &CpuStorage,
        ql: &Layout,
        ks: &CpuStorage,
        kl: &Layout,
        vs: &CpuStorage,
        vl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dims = &self.dims;
        let sizes = dims.sizes();
        by_dtype!(qs.dtype(), T => {
            let q = dims.heads::<T>(qs, ql, dims.width)?;
            let k = dims.heads::<T>(ks, kl, dims.width)?;
            let v = dims.heads::<T>(vs, vl, dims.value_width)?;
            // SAFETY: every query of every head is written.
            #[expect(unsafe_code, reason = "written below")]
            let mut out = unsafe { unwritten::<T>(dims.batch * dims.heads * dims.queries * dims.value_width) };
            let (shape, at) = dims.contiguous::<T>(&[], dims.queries, dims.value_width);
            let mut log_sums = self.log_sums.as_ref().map(|_| vec![0.0_f32; dims.batch * dims.heads * dims.queries]);
            let bias = self.bias.as_deref();
            if size_of::<T>() == 2 && has_bf16() {
                attention::forward::<T, bf16>(&sizes, q, k, v, bias, &mut out, at, log_sums.as_deref_mut());
            } else {
                attention::forward::<T, f32>(&sizes, q, k, v, bias, &mut out, at, log_sums.as_deref_mut());
            }
            if let (Some(place), Some(log_sums)) = (&self.log_sums, log_sums) {
                // A second forward pass of the same operation finds the same values.
                let _ = place.set(log_sums);
            }
            Ok((T::store(out), shape))
        })
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(log_sums) = self.log_sums.as_ref().and_then(|l| l.get()) else {
            bail!("attention: the forward pass left nothing for the backward pass");
        };
        let dims = &self.dims;
        // Gradients come out contiguous; two of them leave through this cell.
        let others = RefCell::new(None);
        let (k, v) = (k.detach(), v.detach());
        let grad = grad.contiguous()?;
        let run = |qs: &CpuStorage,
                   ql: &Layout,
                   os: &CpuStorage,
                   ol: &Layout,
                   gs: &CpuStorage,
                   gl: &Layout| {
            let ((ks, kl), (vs, vl)) = (k.storage_and_layout(), v.storage_and_layout());
            let (Storage::Cpu(ks), Storage::Cpu(vs)) = (&*ks, &*vs) else {
                bail!("attention: keys and values are not in main memory");
            };
            by_dtype!(qs.dtype(), T => {
                let input = backward::Input {
                    q: dims.heads::<T>(qs, ql, dims.width)?,
                    k: dims.heads::<T>(ks, kl, dims.width)?,
                    v: dims.heads::<T>(vs, vl, dims.value_width)?,
                    out: dims.heads::<T>(os, ol, dims.value_width)?,
                    grad: dims.heads::<T>(gs, gl, dims.value_width)?,
                    bias: self.bias.as_deref(),
                    log_sums,
                };
                let (q_shape, q_at) = dims.contiguous::<T>(&[], dims.queries, dims.width);
                let (k_shape, k_at) = dims.contiguous::<T>(&[], dims.keys, dims.width);
                let (v_shape, v_at) = dims.contiguous::<T>(&[], dims.keys, dims.value_width);
                let sizes = dims.sizes();
                let (dq, dk, dv) = if size_of::<T>() == 2 && has_bf16() {
                    backward::run::<T, bf16>(&sizes, &input, q_at, k_at, v_at)
                } else {
                    backward::run::<T, f32>(&sizes, &input, q_at, k_at, v_at)
                };
                let dk = Tensor::from_vec(dk, k_shape, &Device::Cpu)?;
                let dv = Tensor::from_vec(dv, v_shape, &Device::Cpu)?;
                *others.borrow_mut() = Some((dk, dv));
                Ok((T::store(dq), q_shape))
            })
        };
        let dq = q.detach().apply_op3_no_bwd(
            &result.detach(),
            &grad,
            &Raw("attention-backward", run),
        )?;
        let Some((dk, dv)) = others.take() else {
            bail!("attention: the backward pass did not run");
        };
        Ok((Some(dq), Some(dk), Some(dv)))
    }
}

#[cfg(test)]
mod tests;
