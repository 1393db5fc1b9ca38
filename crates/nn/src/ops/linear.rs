//! `y = activation(x W^T + b)`, with low-rank additions.

pub mod slow;

use std::sync::Arc;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail};

use super::pack_cache::PackCache;
use super::support::{Raw, apply2, apply3, on_kernels, tracked};
use crate::cpu::linear::{self as cpu_linear, PackedWeight, Sizes};
use crate::cpu::map::Function;
use crate::cpu::pack::Strided;
use crate::cpu::rows::{TableAt, sum_into_table};
use crate::cpu::storage::{Stored, by_dtype, dense, widened};

/// What is applied to a linear layer's result before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    #[default]
    None,
    /// The tanh form of GELU.
    GeluTanh,
    /// The exact GELU by the error function.
    GeluErf,
    /// `x * sigmoid(x)`.
    Silu,
}

impl Activation {
    const fn function(self) -> Option<Function> {
        match self {
            Self::None => None,
            Self::GeluTanh => Some(Function::GeluTanh),
            Self::GeluErf => Some(Function::GeluErf),
            Self::Silu => Some(Function::Silu),
        }
    }

    /// Applies it as an operation of its own.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::GeluTanh => super::gelu_tanh(x),
            Self::GeluErf => super::gelu_erf(x),
            Self::Silu => super::silu(x),
        }
    }
}

/// A low-rank addition `scale * up(down(x))` (`LoRA`, Hu et al. 2021).
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[rank, inputs]`.
    pub down: Tensor,
    /// `[outputs, rank]`.
    pub up: Tensor,
    /// alpha / rank, times the strength that the user chose.
    pub scale: f64,
}

/// `activation(x W^T + b)`.
///
/// `x` is `[.., inputs]`, `weight` is `[outputs, inputs]`, `bias` is `[outputs]`;
/// the result is `[.., outputs]` in the dtype of `x`. Sums are `f32`.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    linear_cached(x, weight, bias, activation, None)
}

/// [`linear`] with a place for the packed weight.
pub(crate) fn linear_cached(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    cache: Option<&PackCache>,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    if !on_kernels(x) || !on_kernels(weight) {
        return slow::linear(x, weight, bias, activation);
    }
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(x) {
        return crate::cuda::ops::linear::linear(x, weight, bias, activation);
    }
    let learns = tracked(&[Some(x), Some(weight), bias]);
    // The gradient of an activation needs what went into it, so it stays an operation.
    let (fused, after) = if learns {
        (Activation::None, activation)
    } else {
        (activation, Activation::None)
    };
    // Training takes memory rather for what the backward pass needs than for second copies of weights.
    let packed = match cache {
        Some(cache) if !learns => cache.get(weight, x.dtype())?,
        _ => None,
    };
    let op = Linear {
        function: fused.function(),
        packed,
    };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let y = match bias {
        Some(bias) => apply3(&x, &weight, &bias.contiguous()?, op)?,
        None => apply2(&x, &weight, op)?,
    };
    after.apply(&y)
}

struct Linear {
    function: Option<Function>,
    packed: Option<Arc<PackedWeight>>,
}

impl Linear {
    fn forward(
        &self,
        (xs, xl): (&CpuStorage, &Layout),
        (ws, wl): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = wl.shape().dims2()?;
        let sizes = Sizes {
            rows: xl.shape().elem_count() / inputs,
            inputs,
            outputs,
        };
        let bias = bias.map(|(s, l)| widened(s, l)).transpose()?;
        let mut shape = xl.dims().to_vec();
        shape.pop();
        shape.push(outputs);
        by_dtype!(xs.dtype(), T => by_dtype!(ws.dtype(), W => {
            let (x, weight) = (dense::<T>(xs, xl)?, dense::<W>(ws, wl)?);
            let out = cpu_linear::forward::<T, W>(sizes, x, weight, self.packed.as_deref(), bias.as_deref(), self.function);
            Ok((T::store(out), shape.into()))
        }))
    }
}

/// Gradients of `x`, weight and bias; those that nobody wants are left out.
fn backward(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
    let (outputs, inputs) = weight.dims2()?;
    let grad = grad.contiguous()?.reshape(((), outputs))?;
    let dx = if x.track_op() {
        let dx = matrix(&grad, false, &weight.detach().to_dtype(x.dtype())?, false)?;
        Some(dx.reshape(x.shape())?)
    } else {
        None
    };
    let dw = if weight.track_op() {
        let x = x.detach().reshape(((), inputs))?;
        Some(matrix(&grad, true, &x, false)?.to_dtype(weight.dtype())?)
    } else {
        None
    };
    let db = match bias {
        Some(bias) if bias.track_op() => Some(sum_rows(&grad)?.to_dtype(bias.dtype())?),
        _ => None,
    };
    Ok((dx, dw, db))
}

/// `left right` for two matrices of one dtype; views that are transposed are read where they lie. There is no gradient.
///
/// # Errors
/// When the shapes do not fit.
pub fn product(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let ((left, left_turned), (right, right_turned)) = (in_rows(left)?, in_rows(right)?);
    matrix(&left, left_turned, &right, right_turned)
}

/// A matrix or its transposition, whichever lies in memory row by row, and whether it is the latter.
pub(super) fn in_rows(x: &Tensor) -> Result<(Tensor, bool)> {
    let turned = x.detach().t()?;
    if !x.is_contiguous() && turned.is_contiguous() {
        Ok((turned, true))
    } else {
        Ok((x.detach().contiguous()?, false))
    }
}

/// The product of two matrices of one dtype, each perhaps transposed; no gradient.
pub(crate) fn matrix(
    left: &Tensor,
    left_transposed: bool,
    right: &Tensor,
    right_transposed: bool,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(left) {
        return crate::cuda::ops::linear::matrix(left, left_transposed, right, right_transposed);
    }
    let view = |l: &Layout| l.shape().dims2();
    let run = |ls: &CpuStorage, ll: &Layout, rs: &CpuStorage, rl: &Layout| {
        let ((lr, lc), (rr, rc)) = (view(ll)?, view(rl)?);
        by_dtype!(ls.dtype(), T => {
            let left = Strided::<T>::dense(dense(ls, ll)?, lr, lc);
            let right = Strided::<T>::dense(dense(rs, rl)?, rr, rc);
            let left = if left_transposed { left.transposed() } else { left };
            let right = if right_transposed { right.transposed() } else { right };
            if left.columns != right.rows {
                bail!("matrix: inner sizes {} and {} differ", left.columns, right.rows);
            }
            let shape = (left.rows, right.columns);
            Ok((T::store(cpu_linear::matrix(&left, &right)), shape.into()))
        })
    };
    left.contiguous()?
        .apply_op2_no_bwd(&right.contiguous()?, &Raw("matrix", run))
}

/// Sums `[rows, width]` over its rows, in `f32`.
pub(crate) fn sum_rows(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(x) {
        return crate::cuda::ops::rows::sum_rows(x);
    }
    let run = |s: &CpuStorage, l: &Layout| {
        let (rows, width) = l.shape().dims2()?;
        let at = TableAt {
            tokens: rows.max(1),
            batch: 0,
            token: 0,
        };
        let sums = by_dtype!(s.dtype(), T => sum_into_table::<T>(dense(s, l)?, width, at, 1));
        Ok((CpuStorage::F32(sums), width.into()))
    };
    x.contiguous()?.apply_op1_no_bwd(&Raw("sum-rows", run))
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        ws: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((xs, xl), (ws, wl), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = backward(x, weight, None, grad)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        ws: &CpuStorage,
        wl: &Layout,
        bs: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((xs, xl), (ws, wl), Some((bs, bl)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        backward(x, weight, Some(bias), grad)
    }
}

/// [`linear`] with low-rank additions before the activation.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear_lora(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    loras: &[Lora],
) -> Result<Tensor> {
    linear_lora_cached(x, weight, bias, activation, loras, None)
}

/// [`linear_lora`] with a place for the packed weight.
pub(crate) fn linear_lora_cached(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    loras: &[Lora],
    cache: Option<&PackCache>,
) -> Result<Tensor> {
    if loras.is_empty() {
        return linear_cached(x, weight, bias, activation, cache);
    }
    let sum = linear_cached(x, weight, bias, Activation::None, cache)?;
    activation.apply(&add_loras(sum, x, loras)?)
}

/// `sum` with the low-rank additions for `x`.
pub(crate) fn add_loras(mut sum: Tensor, x: &Tensor, loras: &[Lora]) -> Result<Tensor> {
    for lora in loras {
        let inner = linear(x, &lora.down, None, Activation::None)?;
        let added = linear(&inner, &lora.up, None, Activation::None)?;
        sum = (sum + (added * lora.scale)?)?;
    }
    Ok(sum)
}

fn check(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<()> {
    let (outputs, inputs) = weight.dims2()?;
    if x.rank() == 0 || x.dim(D::Minus1)? != inputs {
        bail!(
            "linear: x is {:?} but the weight {:?} takes {inputs} inputs",
            x.dims(),
            weight.dims()
        );
    }
    if let Some(bias) = bias
        && bias.dims() != [outputs]
    {
        bail!(
            "linear: bias is {:?} but the weight {:?} has {outputs} outputs",
            bias.dims(),
            weight.dims()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
