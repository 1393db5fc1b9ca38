//! Conversion between `f32` and bf16, on the kernels' threads.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use super::support::{apply1, on_gpu, on_kernels};
use crate::cpu::map;
use crate::cpu::storage::{Stored, by_dtype, dense, has_kernels};

struct Cast(DType);

/// `x` in another dtype; `x` itself where it has it.
///
/// # Errors
/// When there is no such conversion.
pub fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    if x.dtype() == dtype || on_gpu(x) || !on_kernels(x) || !has_kernels(dtype) {
        return slow::cast(x, dtype);
    }
    apply1(&x.contiguous()?, Cast(dtype))
}

impl CustomOp1 for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s.dtype(), T => by_dtype!(self.0, U => {
            U::store(map::cast::<T, U>(dense(s, l)?))
        }));
        Ok((out, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        cast(&grad.detach(), x.dtype()).map(Some)
    }
}

/// The slow twin.
pub mod slow {
    use candle_core::{DType, Result, Tensor};

    /// See [`super::cast`].
    ///
    /// # Errors
    /// As the fast one.
    pub fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
        x.to_dtype(dtype)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::ops::testing::{assert_close, noise};

    #[test]
    fn rounds_as_its_slow_twin_and_hands_gradients_back() {
        let x = Var::from_tensor(&noise(1, &[3, 20_000])).unwrap();
        let narrow = cast(&x, DType::BF16).unwrap();
        let slow = slow::cast(&x, DType::BF16).unwrap();
        assert_close("narrow", &narrow, &slow, 0.0);
        let wide = cast(&narrow, DType::F32).unwrap();
        assert_close("wide", &wide, &slow.to_dtype(DType::F32).unwrap(), 0.0);
        let gradients = wide.sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(x.as_tensor()).unwrap();
        assert_close("gradient", gradient, &x.ones_like().unwrap(), 0.0);
        assert_eq!(cast(&x, DType::F32).unwrap().id(), x.id());
    }
}
