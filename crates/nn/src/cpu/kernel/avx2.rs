//! 6 x 16 tiles of `f32` in 12 of the 16 AVX registers.

use std::arch::x86_64::{
    _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::Kernels;

const MAX_ROWS: usize = 6;

pub(super) const KERNELS: Kernels<f32> = Kernels {
    rows: &[
        tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>,
    ],
    direct: &[],
    columns: 16,
};

#[target_feature(enable = "avx2,fma")]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn tile<const ROWS: usize>(
    k: usize,
    a: *const f32,
    lda: usize,
    b: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; MAX_ROWS];
    // SAFETY: the sizes that `Kernel` asks for.
    unsafe {
        for p in 0..k {
            let right = [
                _mm256_loadu_ps(b.add(16 * p)),
                _mm256_loadu_ps(b.add(16 * p + 8)),
            ];
            rows!(I, {
                let left = _mm256_set1_ps(*a.add(I * lda + p));
                sums[I][0] = _mm256_fmadd_ps(left, right[0], sums[I][0]);
                sums[I][1] = _mm256_fmadd_ps(left, right[1], sums[I][1]);
            });
        }
        rows!(I, {
            let c = c.add(I * ldc);
            if add {
                sums[I][0] = _mm256_add_ps(_mm256_loadu_ps(c), sums[I][0]);
                sums[I][1] = _mm256_add_ps(_mm256_loadu_ps(c.add(8)), sums[I][1]);
            }
            _mm256_storeu_ps(c, sums[I][0]);
            _mm256_storeu_ps(c.add(8), sums[I][1]);
        });
    }
}
