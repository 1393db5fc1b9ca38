//! 14 x 32 tiles of bf16 pairs: each instruction adds two products to a lane.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};

use half::bf16;

use super::Kernels;

const MAX_ROWS: usize = 14;

pub(super) const KERNELS: Kernels<bf16> = Kernels {
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

/// The same bits as 32 bf16 numbers.
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "a change of type only")]
fn pairs(bits: __m512i) -> __m512bh {
    // SAFETY: two names for 512 bits.
    unsafe { std::mem::transmute(bits) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn tile<const ROWS: usize>(
    k: usize,
    a: *const bf16,
    lda: usize,
    b: *const bf16,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; MAX_ROWS];
    // SAFETY: the sizes that `Kernel` asks for; `k` is even.
    unsafe {
        for p in 0..k / 2 {
            let right = [
                pairs(_mm512_loadu_si512(b.add(64 * p).cast())),
                pairs(_mm512_loadu_si512(b.add(64 * p + 32).cast())),
            ];
            rows!(I, {
                let left = a.add(I * lda + 2 * p).cast::<i32>().read_unaligned();
                let left = pairs(_mm512_set1_epi32(left));
                sums[I][0] = _mm512_dpbf16_ps(sums[I][0], left, right[0]);
                sums[I][1] = _mm512_dpbf16_ps(sums[I][1], left, right[1]);
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

#[target_feature(enable = "avx512f,avx512bf16")]
#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn direct<const ROWS: usize>(
    k: usize,
    a: *const bf16,
    lda: usize,
    b: [*const bf16; 2],
    offsets: *const usize,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; MAX_ROWS];
    // SAFETY: the sizes that `Direct` asks for; `k` is even.
    unsafe {
        for p in 0..k / 2 {
            let at = *offsets.add(p);
            let right = [
                pairs(_mm512_loadu_si512(b[0].add(at).cast())),
                pairs(_mm512_loadu_si512(b[1].add(at).cast())),
            ];
            rows!(I, {
                let left = a.add(I * lda + 2 * p).cast::<i32>().read_unaligned();
                let left = pairs(_mm512_set1_epi32(left));
                sums[I][0] = _mm512_dpbf16_ps(sums[I][0], left, right[0]);
                sums[I][1] = _mm512_dpbf16_ps(sums[I][1], left, right[1]);
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
