//! Kernels in plain Rust.

use half::bf16;

use super::{Element, Kernels};

const COLUMNS: usize = 8;

pub(super) const KERNELS: Kernels<f32> = Kernels {
    rows: &[
        tile::<f32, 1>,
        tile::<f32, 2>,
        tile::<f32, 3>,
        tile::<f32, 4>,
    ],
    direct: &[],
    columns: COLUMNS,
};

/// Never fast; it is here so that every type has kernels at every level.
pub(super) const KERNELS_BF16: Kernels<bf16> = Kernels {
    rows: &[
        tile::<bf16, 1>,
        tile::<bf16, 2>,
        tile::<bf16, 3>,
        tile::<bf16, 4>,
    ],
    direct: &[],
    columns: COLUMNS,
};

#[expect(unsafe_code, reason = "kernels work on raw tiles")]
unsafe fn tile<E: Element, const ROWS: usize>(
    k: usize,
    a: *const E,
    lda: usize,
    b: *const E,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let mut sums = [[0.0_f32; COLUMNS]; ROWS];
    for p in 0..k / E::STEP {
        for s in 0..E::STEP {
            let mut right = [0.0_f32; COLUMNS];
            for (j, r) in right.iter_mut().enumerate() {
                // SAFETY: `b` holds `k * COLUMNS` elements.
                *r = unsafe { *b.add((p * COLUMNS + j) * E::STEP + s) }.get();
            }
            for (i, row) in sums.iter_mut().enumerate() {
                // SAFETY: `a` holds `(ROWS - 1) * lda + k` elements.
                let left = unsafe { *a.add(i * lda + p * E::STEP + s) }.get();
                for (sum, r) in row.iter_mut().zip(right) {
                    *sum += left * r;
                }
            }
        }
    }
    for (i, row) in sums.iter().enumerate() {
        for (j, sum) in row.iter().enumerate() {
            // SAFETY: `c` holds `(ROWS - 1) * ldc + COLUMNS` elements.
            unsafe {
                let c = c.add(i * ldc + j);
                *c = if add { *c + sum } else { *sum };
            }
        }
    }
}
