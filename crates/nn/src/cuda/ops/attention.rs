//! Attention.

use candle_core::{DType, Result, Tensor, bail};

use super::{run, table};
use crate::cuda::launch::At;
use crate::cuda::memory::{Space, at, at_or_nothing, element};
use crate::cuda::op::done;
use crate::cuda::plan::attention::{Heads, Passed, Sizes};
use crate::ops::attention::Dims;

/// The sizes, and whether the kernels take them.
pub(crate) fn sizes(q: &Tensor, dims: &Dims) -> Result<Option<Sizes>> {
    let sizes = Sizes {
        element: element(q)?,
        batch: dims.batch,
        heads: dims.heads,
        queries: dims.queries,
        keys: dims.keys,
        width: dims.width,
        value_width: dims.value_width,
        scale: dims.scale,
    };
    Ok(sizes.fits().then_some(sizes))
}

/// Where the heads of a tensor lie; the elements of a head are neighbours.
fn heads(place: At, strides: &[usize], width: usize) -> Result<Heads> {
    Ok(match *strides {
        [batch, head, token, 1] => Heads {
            at: place,
            batch,
            head,
            token,
        },
        [batch, token, 1] => Heads {
            at: place,
            batch,
            head: width,
            token,
        },
        _ => bail!("attention: unexpected strides {strides:?}"),
    })
}

fn heads_of(x: &Tensor, width: usize) -> Result<Heads> {
    heads(at(x)?, x.stride(), width)
}

/// Memory like a tensor's, contiguous, for heads of `width`.
struct Place {
    space: Space,
    heads: Heads,
}

impl Place {
    fn new(like: &Tensor, width: usize) -> Result<Self> {
        Self::shaped(like, like.dims().to_vec(), width)
    }

    fn shaped(like: &Tensor, dims: Vec<usize>, width: usize) -> Result<Self> {
        let space = Space::new(like.device(), like.dtype(), dims)?;
        let heads = heads(
            space.at()?,
            candle_core::Layout::contiguous(&space.shape).stride(),
            width,
        )?;
        Ok(Self { space, heads })
    }
}

/// Attention with the logarithms of the rows' sums, `[B, H, Nq]`; the heads' elements are
/// neighbours, and `bias` is `[B, Nk]` in `f32`.
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    bias: Option<&Tensor>,
    sizes: Sizes,
) -> Result<(Tensor, Tensor)> {
    let bias = bias.map(table).transpose()?;
    let mut dims = q.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = v.dim(candle_core::D::Minus1)?;
    }
    let out = Place::shaped(q, dims, sizes.value_width)?;
    let log_sums = Space::new(
        q.device(),
        DType::F32,
        (sizes.batch, sizes.heads, sizes.queries),
    )?;
    let passed = Passed {
        q: heads_of(q, sizes.width)?,
        k: heads_of(k, sizes.width)?,
        v: heads_of(v, sizes.value_width)?,
        bias: at_or_nothing(bias.as_ref())?,
        out: out.heads,
        log_sums: log_sums.at()?,
    };
    run(q, &[sizes.forward(&passed)])?;
    let log_sums = log_sums.tensor();
    let (kept, sums) = ([q.detach(), k.detach(), v.detach()], log_sums.clone());
    let result = done("attention", &[q, k, v], out.space, move |result, grad| {
        let [q, k, v] = &kept;
        let grad = grad.contiguous()?;
        let passed = Passed {
            q: heads_of(q, sizes.width)?,
            k: heads_of(k, sizes.width)?,
            v: heads_of(v, sizes.value_width)?,
            bias: at_or_nothing(bias.as_ref())?,
            out: heads_of(result, sizes.value_width)?,
            log_sums: at(&sums)?,
        };
        let dq = Place::new(q, sizes.width)?;
        let dk = Place::new(k, sizes.width)?;
        let dv = Place::new(v, sizes.value_width)?;
        let scratch = Space::new(q.device(), DType::F32, sizes.scratch())?;
        let launches = sizes.backward(
            &passed,
            heads_of(&grad, sizes.value_width)?,
            [dq.heads, dk.heads, dv.heads],
            scratch.at()?,
        );
        run(q, &launches)?;
        let gradients = [dq, dk, dv].map(|result| Some(result.space.tensor()));
        Ok(gradients.into())
    })?;
    Ok((result, log_sums))
}
