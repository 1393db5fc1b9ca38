//! Chosen rows of a tensor.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::support::{Raw, apply1, on_gpu, on_kernels};
use crate::cpu::real::Real as _;
use crate::cpu::storage::{Stored, by_dtype, dense};

struct Select {
    rows: Vec<u32>,
}

/// The given entries of the first axis, in this order; one may come more than once.
///
/// # Errors
/// When there is no such row.
pub fn select(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let count = x.dim(0)?;
    if let Some(row) = rows.iter().find(|row| **row as usize >= count) {
        bail!("select: there is no row {row} of {count}");
    }
    if on_gpu(x) || !on_kernels(x) || rows.is_empty() {
        return slow::select(x, rows);
    }
    let rows = rows.to_vec();
    apply1(&x.contiguous()?, Select { rows })
}

impl CustomOp1 for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut shape = l.dims().to_vec();
        let each = shape[1..].iter().product::<usize>();
        shape[0] = self.rows.len();
        by_dtype!(s.dtype(), T => {
            let x: &[T] = dense(s, l)?;
            let mut out = Vec::with_capacity(self.rows.len() * each);
            for row in &self.rows {
                out.extend_from_slice(&x[*row as usize * each..][..each]);
            }
            Ok((T::store(out), shape.into()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let shape = x.shape();
        let each = x.elem_count() / x.dim(0)?.max(1);
        let run = |s: &CpuStorage, l: &Layout| {
            let sums = by_dtype!(s.dtype(), T => {
                let grad: &[T] = dense(s, l)?;
                let mut sums = vec![0.0_f32; shape.elem_count()];
                for (row, grad) in self.rows.iter().zip(grad.chunks_exact(each.max(1))) {
                    let sums = &mut sums[*row as usize * each..][..each];
                    for (sum, g) in sums.iter_mut().zip(grad) {
                        *sum += g.get();
                    }
                }
                sums
            });
            Ok((CpuStorage::F32(sums), shape.clone()))
        };
        let sums = grad
            .contiguous()?
            .apply_op1_no_bwd(&Raw("select-gradient", run))?;
        super::cast(&sums, x.dtype()).map(Some)
    }
}

/// The slow twin.
pub mod slow {
    use candle_core::{Result, Tensor};

    /// See [`super::select`].
    ///
    /// # Errors
    /// As the fast one.
    pub fn select(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        x.index_select(&Tensor::new(rows, x.device())?, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{check, noise};

    #[test]
    fn agrees_with_its_slow_twin() {
        let rows = [2, 0, 2, 4, 1, 1, 1];
        check(
            "select",
            &[noise(1, &[5, 3, 4])],
            &|t| select(&t[0], &rows),
            &|t| slow::select(&t[0], &rows),
        );
        let message = select(&noise(1, &[5, 3]), &[5]).unwrap_err().to_string();
        assert!(message.contains("no row 5 of 5"), "{message}");
    }
}
