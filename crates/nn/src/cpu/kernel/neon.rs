//! 6 x 16 tiles of `f32` in 24 of the 32 NEON registers.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vdupq_n_f32, vfmaq_laneq_f32, vfmaq_n_f32, vld1q_f32, vst1q_f32,
};

use super::Kernels;

const MAX_ROWS: usize = 6;
const COLUMNS: usize = 16;
/// Vectors of a row.
const PARTS: usize = COLUMNS / 4;

pub(super) const KERNELS: Kernels<f32> = Kernels {
    rows: &[
        tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>,
    ],
    direct: &[],
    columns: COLUMNS,
};

#[target_feature(enable = "neon")]
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
    let mut sums = [[vdupq_n_f32(0.0); PARTS]; MAX_ROWS];
    // SAFETY: the sizes that `Kernel` asks for.
    unsafe {
        let right = |p: usize| -> [float32x4_t; PARTS] {
            [
                vld1q_f32(b.add(COLUMNS * p)),
                vld1q_f32(b.add(COLUMNS * p + 4)),
                vld1q_f32(b.add(COLUMNS * p + 8)),
                vld1q_f32(b.add(COLUMNS * p + 12)),
            ]
        };
        // Four inner indices at a time: their left numbers are one vector a row.
        for p in (0..k / 4 * 4).step_by(4) {
            let mut left = [vdupq_n_f32(0.0); MAX_ROWS];
            rows!(I, {
                left[I] = vld1q_f32(a.add(I * lda + p));
            });
            macro_rules! lane {
                ($lane:literal) => {
                    let right = right(p + $lane);
                    rows!(I, {
                        for (sum, right) in sums[I].iter_mut().zip(right) {
                            *sum = vfmaq_laneq_f32::<$lane>(*sum, right, left[I]);
                        }
                    });
                };
            }
            lane!(0);
            lane!(1);
            lane!(2);
            lane!(3);
        }
        for p in k / 4 * 4..k {
            let right = right(p);
            rows!(I, {
                let left = *a.add(I * lda + p);
                for (sum, right) in sums[I].iter_mut().zip(right) {
                    *sum = vfmaq_n_f32(*sum, right, left);
                }
            });
        }
        rows!(I, {
            for (part, sum) in sums[I].iter().enumerate() {
                let c = c.add(I * ldc + 4 * part);
                let sum = if add {
                    vaddq_f32(vld1q_f32(c), *sum)
                } else {
                    *sum
                };
                vst1q_f32(c, sum);
            }
        });
    }
}
