//! 14 x 32 tiles of `f32` in 28 of the 32 AVX-512 registers.

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::{Element, Kernels};

pub(super) const KERNELS: Kernels<f32> = Kernels {
    rows: &[
        tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>, tile::<8>,
        tile::<9>, tile::<10>, tile::<11>, tile::<12>, tile::<13>, tile::<14>,
    ],
    columns: 32,
};

#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn tile<const ROWS: usize>(
    k: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    // SAFETY: the sizes that `Kernel` asks for.
    unsafe {
        for p in 0..k {
            let right = [
                _mm512_loadu_ps(b.add(32 * p)),
                _mm512_loadu_ps(b.add(32 * p + 16)),
            ];
            for (i, row) in sums.iter_mut().enumerate() {
                let left = _mm512_set1_ps(*a.add(i * f32::STRIDE + p));
                row[0] = _mm512_fmadd_ps(left, right[0], row[0]);
                row[1] = _mm512_fmadd_ps(left, right[1], row[1]);
            }
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                let c = c.add(i * ldc + 16 * j);
                let sum = if add {
                    _mm512_add_ps(_mm512_loadu_ps(c), *sum)
                } else {
                    *sum
                };
                _mm512_storeu_ps(c, sum);
            }
        }
    }
}
