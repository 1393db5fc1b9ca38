//! Sums of two tensors, on the kernels' threads and in the processor's own bf16.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::support::{apply2, on_gpu, on_kernels};
use crate::cpu::map;
use crate::cpu::storage::{Stored, by_dtype, dense};

struct Add;

/// `x + y` for tensors of one shape and dtype.
///
/// # Errors
/// When shapes or dtypes differ.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let fit = x.dims() == y.dims() && x.dtype() == y.dtype();
    if !fit || on_gpu(x) || !on_kernels(x) {
        return slow::add(x, y);
    }
    apply2(&x.contiguous()?, &y.contiguous()?, Add)
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        ys: &CpuStorage,
        yl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_dtype!(xs.dtype(), T => {
            let sum = map::sum::<T>(dense(xs, xl)?, dense(ys, yl)?);
            Ok((T::store(sum), xl.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = |t: &Tensor| t.track_op().then(|| grad.clone());
        Ok((wanted(x), wanted(y)))
    }
}

/// The slow twin.
pub mod slow {
    use candle_core::{Result, Tensor};

    /// See [`super::add`].
    ///
    /// # Errors
    /// As the fast one.
    pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x + y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{check, noise};

    #[test]
    fn agrees_with_its_slow_twin() {
        for shape in [&[1][..], &[3, 5, 7], &[2, 130, 129]] {
            check(
                "add",
                &[noise(1, shape), noise(2, shape)],
                &|t| add(&t[0], &t[1]),
                &|t| slow::add(&t[0], &t[1]),
            );
        }
        assert!(add(&noise(1, &[2]), &noise(2, &[3])).is_err());
    }
}
