//! 14 x 32 tiles of `f32` in 28 of the 32 AVX-512 registers.

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::Kernels;

const MAX_ROWS: usize = 14;

pub(super) const KERNELS: Kernels<f32> = Kernels {
    rows: &[
        tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>, tile::<8>,
        tile::<9>, tile::<10>, tile::<11>, tile::<12>, tile::<13>, tile::<14>,
    ],
    direct: &[
        direct::<1>,
        direct::<2>,
        direct::<3>,
        direct::<4>,
        direct::<5>,
        direct::<6>,
        direct::<7>,
        direct::<8>,
        direct::<9>,
        direct::<10>,
        direct::<11>,
        direct::<12>,
        direct::<13>,
        direct::<14>,
    ],
    columns: 32,
};

#[target_feature(enable = "avx512f")]
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
    let mut sums = [[_mm512_setzero_ps(); 2]; MAX_ROWS];
    // SAFETY: the sizes that `Kernel` asks for.
    unsafe {
        for p in 0..k {
            let right = [
                _mm512_loadu_ps(b.add(32 * p)),
                _mm512_loadu_ps(b.add(32 * p + 16)),
            ];
            rows!(I, {
                let left = _mm512_set1_ps(*a.add(I * lda + p));
                sums[I][0] = _mm512_fmadd_ps(left, right[0], sums[I][0]);
                sums[I][1] = _mm512_fmadd_ps(left, right[1], sums[I][1]);
            });
        }
        rows!(I, {
            let c = c.add(I * ldc);
            if add {
                sums[I][0] = _mm512_add_ps(_mm512_loadu_ps(c), sums[I][0]);
                sums[I][1] = _mm512_add_ps(_mm512_loadu_ps(c.add(16)), sums[I][1]);
            }
            _mm512_storeu_ps(c, sums[I][0]);
            _mm512_storeu_ps(c.add(16), sums[I][1]);
        });
    }
}

#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn direct<const ROWS: usize>(
    k: usize,
    a: *const f32,
    lda: usize,
    b: [*const f32; 2],
    offsets: *const usize,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; MAX_ROWS];
    // SAFETY: the sizes that `Direct` asks for.
    unsafe {
        for p in 0..k {
            let at = *offsets.add(p);
            let right = [_mm512_loadu_ps(b[0].add(at)), _mm512_loadu_ps(b[1].add(at))];
            rows!(I, {
                let left = _mm512_set1_ps(*a.add(I * lda + p));
                sums[I][0] = _mm512_fmadd_ps(left, right[0], sums[I][0]);
                sums[I][1] = _mm512_fmadd_ps(left, right[1], sums[I][1]);
            });
        }
        rows!(I, {
            let c = c.add(I * ldc);
            if add {
                sums[I][0] = _mm512_add_ps(_mm512_loadu_ps(c), sums[I][0]);
                sums[I][1] = _mm512_add_ps(_mm512_loadu_ps(c.add(16)), sums[I][1]);
            }
            _mm512_storeu_ps(c, sums[I][0]);
            _mm512_storeu_ps(c.add(16), sums[I][1]);
        });
    }
}
