//! `softmax(scale * Q K^T + key_bias) V`, tiled: the scores are never held whole.
//!
//! Queries and keys may have different lengths, so the restricted forms need no
//! dense mask:
//! * one-way attention (context attends to context, masked tokens to everything):
//!   two calls, one for each group of queries, with the key set of that group;
//! * frame-wise (block-diagonal) attention: fold the frames into the batch,
//!   `[B, F*n, D]` to `[B*F, n, D]`, which is a reshape of contiguous tokens.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, bail};
use half::bf16;

use super::support::{Raw, apply3, on_kernels, tracked};
use crate::cpu::attention::{self, Heads, Sizes};
use crate::cpu::attention_backward as backward;
use crate::cpu::buffer::zeroed;
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
    if !on_kernels(q) || !on_kernels(k) || !on_kernels(v) || !attention::fits(dims.width) {
        return slow::attention(q, k, v, dims, bias.as_ref());
    }
    let bias = match bias {
        Some(bias) => Some(bias.flatten_all()?.to_vec1::<f32>()?),
        None => None,
    };
    // Heads may lie anywhere as long as each vector is contiguous.
    let dense = |x: &Tensor| {
        if x.stride().last() == Some(&1) {
            Ok(x.clone())
        } else {
            x.contiguous()
        }
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
            let mut out = zeroed::<T>(dims.batch * dims.heads * dims.queries * dims.value_width);
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

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, check, noise};
    use super::*;

    fn whole(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Result<Tensor> {
        let dims = Dims::new(q, k, v, options)?;
        slow::attention(
            q,
            k,
            v,
            dims,
            dims.key_bias(options.key_bias.as_ref())?.as_ref(),
        )
    }

    #[test]
    fn agrees_with_the_slow_form() {
        // batch, heads, queries, keys, width, value width
        let sizes = [
            (1, 1, 1, 1, 4, 4),
            (2, 3, 5, 7, 8, 8),
            (1, 2, 130, 300, 16, 24),
            (2, 2, 33, 257, 64, 64),
            (1, 1, 3, 40, 20, 5),
        ];
        for (b, h, nq, nk, d, dv) in sizes {
            let options = AttentionOptions::heads(h).with_scale(1.3 / (d as f32).sqrt());
            let flat = [
                noise(1, &[b, nq, h * d]),
                noise(2, &[b, nk, h * d]),
                noise(3, &[b, nk, h * dv]),
            ];
            check(
                &format!("attention {b} {h} {nq} {nk} {d} {dv}"),
                &flat,
                &|t| attention(&t[0], &t[1], &t[2], &options),
                &|t| whole(&t[0], &t[1], &t[2], &options),
            );
            let split = [
                noise(4, &[b, h, nq, d]),
                noise(5, &[b, h, nk, d]),
                noise(6, &[b, h, nk, dv]),
            ];
            let biased = options.with_key_bias((noise(7, &[b, nk]) * 3.0).unwrap());
            check(
                &format!("attention split {b} {h} {nq} {nk} {d} {dv}"),
                &split,
                &|t| attention(&t[0], &t[1], &t[2], &biased),
                &|t| whole(&t[0], &t[1], &t[2], &biased),
            );
        }
    }

    #[test]
    fn hidden_keys_do_not_count() {
        let (q, k, v) = (
            noise(1, &[1, 9, 16]),
            noise(2, &[1, 300, 16]),
            noise(3, &[1, 300, 16]),
        );
        let mut bias = vec![0.0_f32; 300];
        bias[..280].fill(f32::NEG_INFINITY);
        let bias = Tensor::from_vec(bias, 300, &Device::Cpu).unwrap();
        let got = attention(&q, &k, &v, &AttentionOptions::heads(2).with_key_bias(bias)).unwrap();
        let seen = |t: &Tensor| t.narrow(1, 280, 20).unwrap();
        let wanted = attention(&q, &seen(&k), &seen(&v), &AttentionOptions::heads(2)).unwrap();
        assert_close("hidden keys", &got, &wanted, 1e-6);
        let nothing = Tensor::full(f32::NEG_INFINITY, 300, &Device::Cpu).unwrap();
        let got = attention(
            &q,
            &k,
            &v,
            &AttentionOptions::heads(2).with_key_bias(nothing),
        )
        .unwrap();
        assert_close("no key at all", &got, &q.zeros_like().unwrap(), 0.0);
    }

    #[test]
    fn parts_of_a_fused_projection_are_read_in_place() {
        let qkv = noise(1, &[2, 21, 3 * 32]);
        let part = |i: usize| qkv.narrow(2, i * 32, 32).unwrap();
        let got = attention(&part(0), &part(1), &part(2), &AttentionOptions::heads(4)).unwrap();
        let copy = |i: usize| part(i).contiguous().unwrap();
        let wanted = attention(&copy(0), &copy(1), &copy(2), &AttentionOptions::heads(4)).unwrap();
        assert_close("fused projection", &got, &wanted, 0.0);
    }

    #[test]
    fn large_scores_stay_finite() {
        let q = (noise(1, &[1, 4, 8]) * 1e4).unwrap();
        let (k, v) = (noise(2, &[1, 600, 8]), noise(3, &[1, 600, 8]));
        let got = attention(&q, &k, &v, &AttentionOptions::heads(1)).unwrap();
        assert_close(
            "large scores",
            &got,
            &whole(&q, &k, &v, &AttentionOptions::heads(1)).unwrap(),
            1e-4,
        );
    }

    #[test]
    fn misfits_are_refused() {
        let (q, k) = (noise(1, &[1, 4, 8]), noise(2, &[1, 6, 6]));
        let error = attention(&q, &k, &k, &AttentionOptions::heads(2))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[1, 4, 8]") && error.contains("[1, 6, 6]"),
            "{error}"
        );
        assert!(attention(&q, &q, &q, &AttentionOptions::heads(3)).is_err());
    }
}
