//! Functions of single elements as operations.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::support::{Raw, apply1};
use crate::cpu::map::{self, Function};
use crate::cpu::storage::{Stored, by_dtype, dense};

struct Unary(Function);

/// Applies `function` to every element.
pub(crate) fn apply(function: Function, x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(&x) {
        return crate::cuda::ops::elements::apply(function, &x);
    }
    apply1(&x, Unary(function))
}

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        match self.0 {
            Function::GeluTanh => "gelu-tanh",
            Function::GeluErf => "gelu-erf",
            Function::Silu => "silu",
        }
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        by_dtype!(s.dtype(), T => Ok((T::store(map::apply::<T>(self.0, dense(s, l)?)), l.shape().clone())))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let function = self.0;
        let run = |xs: &CpuStorage, xl: &Layout, gs: &CpuStorage, gl: &Layout| {
            by_dtype!(xs.dtype(), T => {
                Ok((T::store(map::slope::<T>(function, dense(xs, xl)?, dense(gs, gl)?)), xl.shape().clone()))
            })
        };
        let dx = x
            .detach()
            .apply_op2_no_bwd(&grad.contiguous()?, &Raw("slope", run))?;
        Ok(Some(dx))
    }
}
