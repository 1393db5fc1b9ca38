//! `normalised(x) * (offset + factor) + summand` over the last axis: what RMS norm,
//! layer norm and modulation have in common, as one pass.

use std::cell::RefCell;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, D, DType, Layout, Result, Shape, Tensor,
};

use super::support::{Raw, apply1, apply2, apply3, table_at};
use crate::cpu::rows::{
    Affine, Kind, Table, TableAt, normalise, normalise_backward, sum_into_table,
};
use crate::cpu::storage::{Stored, by_dtype, dense, widened};

#[derive(Debug, Clone, Copy)]
struct Normalise {
    kind: Kind,
    eps: f32,
    offset: f32,
    factor: Option<TableAt>,
    summand: Option<TableAt>,
}

/// Applies the operation; `factor` and `summand` broadcast as modulations do. A
/// summand needs a factor.
pub(crate) fn apply(
    name: &str,
    x: &Tensor,
    kind: Kind,
    eps: f64,
    offset: f32,
    factor: Option<&Tensor>,
    summand: Option<&Tensor>,
) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    let at = |table: Option<&Tensor>| {
        table
            .map(|table| table_at(name, x, table, width))
            .transpose()
    };
    let op = Normalise {
        kind,
        eps: eps as f32,
        offset,
        factor: at(factor)?,
        summand: at(summand)?,
    };
    let x = x.contiguous()?;
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(&x) {
        let norm = crate::cuda::ops::rows::Norm {
            kind,
            eps: op.eps,
            offset,
        };
        let (factor, summand) = (factor.zip(op.factor), summand.zip(op.summand));
        return crate::cuda::ops::rows::normalise(&x, factor, summand, norm);
    }
    match (factor, summand) {
        (None, None) => apply1(&x, op),
        (Some(factor), None) => apply2(&x, &factor.contiguous()?, op),
        (Some(factor), Some(summand)) => {
            apply3(&x, &factor.contiguous()?, &summand.contiguous()?, op)
        }
        (None, Some(summand)) => {
            let one = Tensor::full(1.0 - offset, width, x.device())?;
            let op = Normalise {
                factor: Some(table_at(name, &x, &one, width)?),
                ..op
            };
            apply3(&x, &one, &summand.contiguous()?, op)
        }
    }
}

impl Normalise {
    fn affine<'a>(&self, factor: Option<&'a [f32]>, summand: Option<&'a [f32]>) -> Affine<'a> {
        let table = |data: Option<&'a [f32]>, at: Option<TableAt>| {
            data.zip(at).map(|(data, at)| Table { data, at })
        };
        Affine {
            kind: self.kind,
            eps: self.eps,
            offset: self.offset,
            factor: table(factor, self.factor),
            summand: table(summand, self.summand),
        }
    }

    fn forward(
        &self,
        (s, l): (&CpuStorage, &Layout),
        factor: Option<(&CpuStorage, &Layout)>,
        summand: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage as _;
        let width = l.dims().last().copied().unwrap_or(1);
        let wide = |t: Option<(&CpuStorage, &Layout)>| t.map(|(s, l)| widened(s, l)).transpose();
        let (factor, summand) = (wide(factor)?, wide(summand)?);
        let affine = self.affine(factor.as_deref(), summand.as_deref());
        by_dtype!(s.dtype(), T => {
            let out = normalise::<T>(dense(s, l)?, width, &affine);
            Ok((T::store(out), l.shape().clone()))
        })
    }

    /// Gradients of `x`, factor and summand.
    fn backward(
        &self,
        x: &Tensor,
        factor: Option<&Tensor>,
        summand: Option<&Tensor>,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        use candle_core::backend::BackendStorage as _;
        let width = x.dim(D::Minus1)?;
        let grad = grad.contiguous()?;
        let products = RefCell::new(Vec::new());
        let table = match factor {
            Some(factor) => Some(
                factor
                    .detach()
                    .to_dtype(DType::F32)?
                    .flatten_all()?
                    .to_vec1::<f32>()?,
            ),
            None => None,
        };
        let affine = self.affine(table.as_deref(), None);
        let run = |xs: &CpuStorage, xl: &Layout, gs: &CpuStorage, gl: &Layout| {
            by_dtype!(xs.dtype(), T => {
                let (dx, product) = normalise_backward::<T>(dense(xs, xl)?, dense(gs, gl)?, width, &affine);
                *products.borrow_mut() = product;
                Ok((T::store(dx), xl.shape().clone()))
            })
        };
        let dx = x
            .detach()
            .apply_op2_no_bwd(&grad, &Raw("normalise-backward", run))?;
        let table_gradient =
            |rows: &[f32], at: Option<TableAt>, like: &Tensor| -> Result<Option<Tensor>> {
                let (Some(at), true) = (at, like.track_op()) else {
                    return Ok(None);
                };
                let sums = sum_into_table(rows, width, at, like.elem_count() / width);
                Tensor::from_vec(sums, like.shape(), like.device())?
                    .to_dtype(like.dtype())
                    .map(Some)
            };
        let d_factor = match factor {
            Some(factor) => table_gradient(&products.borrow(), self.factor, factor)?,
            None => None,
        };
        let d_summand = match summand {
            Some(summand) if summand.track_op() => {
                let at = self.summand;
                let run = |s: &CpuStorage, l: &Layout| {
                    let count = summand.elem_count() / width;
                    let sums = match at {
                        Some(at) => {
                            by_dtype!(s.dtype(), T => sum_into_table::<T>(dense(s, l)?, width, at, count))
                        }
                        None => vec![0.0; summand.elem_count()],
                    };
                    Ok((CpuStorage::F32(sums), summand.shape().clone()))
                };
                let sums = grad.apply_op1_no_bwd(&Raw("summand-gradient", run))?;
                Some(sums.to_dtype(summand.dtype())?)
            }
            _ => None,
        };
        Ok((x.track_op().then_some(dx), d_factor, d_summand))
    }
}

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((s, l), None, None)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.backward(x, None, None, grad)?.0)
    }
}

impl CustomOp2 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((s1, l1), Some((s2, l2)), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        factor: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, d_factor, _) = self.backward(x, Some(factor), None, grad)?;
        Ok((dx, d_factor))
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((s1, l1), Some((s2, l2)), Some((s3, l3)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        factor: &Tensor,
        summand: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        self.backward(x, Some(factor), Some(summand), grad)
    }
}
