//! 6 x 16 tiles of `f32` in 12 of the 16 AVX registers.

use std::arch::x86_64::{
    _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::{Element, Kernels};

pub(super) const KERNELS: Kernels<f32> = Kernels {
    rows: &[
        tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>,
    ],
    columns: 16,
};

#[target_feature(enable = "avx2,fma")]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn tile<const ROWS: usize>(
    k: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    // SAFETY: the sizes that `Kernel` asks for.
    unsafe {
        for p in 0..k {
            let right = [
                _mm256_loadu_ps(b.add(16 * p)),
                _mm256_loadu_ps(b.add(16 * p + 8)),
            ];
            for (i, row) in sums.iter_mut().enumerate() {
                let left = _mm256_set1_ps(*a.add(i * f32::STRIDE + p));
                row[0] = _mm256_fmadd_ps(left, right[0], row[0]);
                row[1] = _mm256_fmadd_ps(left, right[1], row[1]);
            }
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                let c = c.add(i * ldc + 8 * j);
                let sum = if add {
                    _mm256_add_ps(_mm256_loadu_ps(c), *sum)
                } else {
                    *sum
                };
                _mm256_storeu_ps(c, sum);
            }
        }
    }
}
