//! Two tensors behind each other.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::support::{apply2, on_gpu, on_kernels};
use crate::cpu::storage::{Stored, by_dtype, dense};

struct Concat {
    axis: usize,
}

/// `x` and then `y` along `axis`; all other axes agree.
///
/// # Errors
/// When shapes or dtypes do not fit.
pub fn concat(x: &Tensor, y: &Tensor, axis: usize) -> Result<Tensor> {
    let fit = x.rank() == y.rank()
        && x.dtype() == y.dtype()
        && axis < x.rank()
        && (0..x.rank()).all(|n| n == axis || x.dims()[n] == y.dims()[n]);
    if !fit || on_gpu(x) || !on_kernels(x) || !on_kernels(y) {
        return slow::concat(x, y, axis);
    }
    apply2(&x.contiguous()?, &y.contiguous()?, Concat { axis })
}

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        ys: &CpuStorage,
        yl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut shape = xl.dims().to_vec();
        let count = |l: &Layout| l.dims()[self.axis..].iter().product::<usize>();
        let (own, other) = (count(xl), count(yl));
        shape[self.axis] += yl.dims()[self.axis];
        by_dtype!(xs.dtype(), T => {
            let (x, y): (&[T], &[T]) = (dense(xs, xl)?, dense(ys, yl)?);
            let mut out = Vec::with_capacity(x.len() + y.len());
            for (x, y) in x.chunks_exact(own).zip(y.chunks_exact(other)) {
                out.extend_from_slice(x);
                out.extend_from_slice(y);
            }
            Ok((T::store(out), shape.into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (own, other) = (x.dim(self.axis)?, y.dim(self.axis)?);
        let part = |t: &Tensor, start, len| -> Result<Option<Tensor>> {
            let wanted = t.track_op();
            wanted
                .then(|| grad.narrow(self.axis, start, len)?.contiguous())
                .transpose()
        };
        Ok((part(x, 0, own)?, part(y, own, other)?))
    }
}

/// The slow twin.
pub mod slow {
    use candle_core::{Result, Tensor};

    /// See [`super::concat`].
    ///
    /// # Errors
    /// As the fast one.
    pub fn concat(x: &Tensor, y: &Tensor, axis: usize) -> Result<Tensor> {
        Tensor::cat(&[x, y], axis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{check, noise};

    #[test]
    fn agrees_with_its_slow_twin() {
        for axis in 0..3 {
            let mut other = [3, 5, 7];
            other[axis] = 4;
            check(
                "concat",
                &[noise(1, &[3, 5, 7]), noise(2, &other)],
                &|t| concat(&t[0], &t[1], axis),
                &|t| slow::concat(&t[0], &t[1], axis),
            );
        }
        assert!(concat(&noise(1, &[2, 3]), &noise(2, &[3, 2]), 0).is_err());
        assert!(concat(&noise(1, &[2]), &noise(2, &[3]), 1).is_err());
    }
}
