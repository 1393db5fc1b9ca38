//! The last two axes exchanged.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::support::{apply1, on_gpu, on_kernels};
use crate::cpu::buffer::unwritten;
use crate::cpu::simd::vectorised;
use crate::cpu::storage::{Stored, by_dtype, dense};
use crate::cpu::transpose::turn;

struct Swap;

/// `x` `[.., M, N]` to `[.., N, M]`, written anew.
///
/// # Errors
/// When there are fewer than two axes.
pub fn swap(x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        bail!("swap: {:?} has no two axes", x.dims());
    }
    if on_gpu(x) || !on_kernels(x) {
        return slow::swap(x);
    }
    apply1(&x.contiguous()?, Swap)
}

impl CustomOp1 for Swap {
    fn name(&self) -> &'static str {
        "swap"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut shape = l.dims().to_vec();
        let rank = shape.len();
        let (rows, columns) = (shape[rank - 2], shape[rank - 1]);
        shape.swap(rank - 2, rank - 1);
        by_dtype!(s.dtype(), T => {
            let x: &[T] = dense(s, l)?;
            // SAFETY: every matrix is turned, and all of them are the tensor.
            #[expect(unsafe_code, reason = "written below")]
            let mut out = unsafe { unwritten::<T>(x.len()) };
            let size = (rows * columns).max(1);
            out.par_chunks_mut(size).zip(x.par_chunks(size)).for_each(|(out, x)| {
                vectorised(
                    #[inline(always)]
                    |_| turn(x, columns, out),
                );
            });
            Ok((T::store(out), shape.into()))
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        swap(grad).map(Some)
    }
}

/// The slow twin.
pub mod slow {
    use candle_core::{D, Result, Tensor};

    /// See [`super::swap`].
    ///
    /// # Errors
    /// As the fast one.
    pub fn swap(x: &Tensor) -> Result<Tensor> {
        x.transpose(D::Minus2, D::Minus1)?.contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{check, noise};

    #[test]
    fn agrees_with_its_slow_twin() {
        for shape in [[1, 1], [3, 40], [16, 16], [35, 50], [64, 17]] {
            check("swap", &[noise(1, &shape)], &|t| swap(&t[0]), &|t| {
                slow::swap(&t[0])
            });
        }
        check(
            "swap of many",
            &[noise(2, &[2, 3, 20, 33])],
            &|t| swap(&t[0]),
            &|t| slow::swap(&t[0]),
        );
        assert!(swap(&noise(3, &[4])).is_err());
    }
}
