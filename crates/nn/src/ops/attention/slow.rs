//! The same in plain candle operations; holds all scores.

use candle_core::{D, DType, Result, Tensor};

use super::Dims;

/// `[B, H, N, width]` in `f32`.
fn split(x: &Tensor, dims: Dims, width: usize) -> Result<Tensor> {
    let x = x.to_dtype(DType::F32)?;
    if dims.split {
        x.contiguous()
    } else {
        let n = x.dim(1)?;
        x.reshape((dims.batch, n, dims.heads, width))?
            .transpose(1, 2)?
            .contiguous()
    }
}

/// `scale * Q K^T + bias`, `[B, H, Nq, Nk]`.
fn scores(q: &Tensor, k: &Tensor, dims: Dims, bias: Option<&Tensor>) -> Result<Tensor> {
    let (q, k) = (split(q, dims, dims.width)?, split(k, dims, dims.width)?);
    let scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(dims.scale))?;
    match bias {
        Some(bias) => scores.broadcast_add(&bias.reshape((dims.batch, 1, 1, dims.keys))?),
        None => Ok(scores),
    }
}

/// See `attention::with_log_sums`.
pub(crate) fn log_sums(
    q: &Tensor,
    k: &Tensor,
    dims: Dims,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    scores(q, k, dims, bias)?.log_sum_exp(D::Minus1)
}

pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    dims: Dims,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let dtype = q.dtype();
    let scores = scores(q, k, dims, bias)?;
    let v = split(v, dims, dims.value_width)?;
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
