//! Adaptive scale, shift and gate.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, bail};

use super::normalise;
use super::support::{Raw, apply3, on_kernels, table_at};
use crate::cpu::map;
use crate::cpu::rows::{Kind, Table, TableAt, gated_sum, sum_into_table};
use crate::cpu::storage::{Stored, by_dtype, dense, widened};

/// `x * (1 + scale) + shift`; `x` is `[B, N, width]`, `scale` and `shift`
/// broadcast to it (`[width]`, `[B, 1, width]` or `[B, N, width]`).
///
/// # Errors
/// When the shapes do not fit.
pub fn modulate(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    if on_kernels(x) {
        normalise::apply(
            "modulate",
            x,
            Kind::Plain,
            0.0,
            1.0,
            Some(scale),
            Some(shift),
        )
    } else {
        slow::modulate(x, scale, shift)
    }
}

/// `x + gate * y`, the gated residual; `gate` broadcasts as in [`modulate`].
///
/// # Errors
/// When the shapes do not fit.
pub fn gate_add(x: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
    if !on_kernels(x) {
        return slow::gate_add(x, gate, y);
    }
    if x.dims() != y.dims() || x.dtype() != y.dtype() {
        bail!(
            "gate_add: x is {:?} {:?}, y is {:?} {:?}",
            x.dims(),
            x.dtype(),
            y.dims(),
            y.dtype()
        );
    }
    let at = table_at("gate_add", x, gate, x.dim(D::Minus1)?)?;
    let (x, y) = (x.contiguous()?, y.contiguous()?);
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(&x) {
        return crate::cuda::ops::rows::gate_add(&x, gate, at, &y);
    }
    apply3(&x, &gate.contiguous()?, &y, GateAdd { at })
}

struct GateAdd {
    at: TableAt,
}

impl CustomOp3 for GateAdd {
    fn name(&self) -> &'static str {
        "gate-add"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        gs: &CpuStorage,
        gl: &Layout,
        ys: &CpuStorage,
        yl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = xl.dims().last().copied().unwrap_or(1);
        let gate = widened(gs, gl)?;
        let gate = Table {
            data: &gate,
            at: self.at,
        };
        by_dtype!(xs.dtype(), T => {
            let out = gated_sum::<T>(dense(xs, xl)?, gate, dense(ys, yl)?, width);
            Ok((T::store(out), xl.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        gate: &Tensor,
        y: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = x.dim(D::Minus1)?;
        let zero = Tensor::zeros(width, DType::F32, x.device())?;
        let dy = y
            .track_op()
            .then(|| {
                normalise::apply(
                    "gate_add",
                    grad,
                    Kind::Plain,
                    0.0,
                    0.0,
                    Some(&gate.detach()),
                    Some(&zero),
                )
            })
            .transpose()?;
        let dgate = if gate.track_op() {
            let run = |ys: &CpuStorage, yl: &Layout, gs: &CpuStorage, gl: &Layout| {
                let rows =
                    by_dtype!(ys.dtype(), T => map::product::<T>(dense(ys, yl)?, dense(gs, gl)?));
                let sums = sum_into_table(&rows, width, self.at, gate.elem_count() / width);
                Ok((CpuStorage::F32(sums), gate.shape().clone()))
            };
            let (y, grad) = (y.detach(), grad.contiguous()?);
            let sums = y.apply_op2_no_bwd(&grad, &Raw("gate-gradient", run))?;
            Some(sums.to_dtype(gate.dtype())?)
        } else {
            None
        };
        Ok((x.track_op().then(|| grad.clone()), dgate, dy))
    }
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{DType, Result, Tensor};

    /// See [`super::modulate`].
    pub fn modulate(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
        let scale = (scale.to_dtype(DType::F32)? + 1.0)?;
        x.to_dtype(DType::F32)?
            .broadcast_mul(&scale)?
            .broadcast_add(&shift.to_dtype(DType::F32)?)?
            .to_dtype(x.dtype())
    }

    /// See [`super::gate_add`].
    pub fn gate_add(x: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
        let added = y
            .to_dtype(DType::F32)?
            .broadcast_mul(&gate.to_dtype(DType::F32)?)?;
        (x.to_dtype(DType::F32)? + added)?.to_dtype(x.dtype())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        for table in [&[20][..], &[2, 1, 20], &[2, 9, 20]] {
            let args = [noise(1, &[2, 9, 20]), noise(2, table), noise(3, table)];
            check(
                "modulate",
                &args,
                &|t| modulate(&t[0], &t[1], &t[2]),
                &|t| slow::modulate(&t[0], &t[1], &t[2]),
            );
            let args = [
                noise(1, &[2, 9, 20]),
                noise(2, table),
                noise(3, &[2, 9, 20]),
            ];
            check(
                "gate_add",
                &args,
                &|t| gate_add(&t[0], &t[1], &t[2]),
                &|t| slow::gate_add(&t[0], &t[1], &t[2]),
            );
        }
    }
}
