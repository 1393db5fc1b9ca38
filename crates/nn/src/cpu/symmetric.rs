//! Products that are known to be symmetric: only what lies on and below the diagonal is multiplied.

use rayon::prelude::*;

use super::buffer::{Shared, unwritten};
use super::kernel::Element as _;
use super::level::Level;
use super::matmul::{Tile, multiply};
use super::pack::{Panels, Strided, with_packed};
use super::simd::vectorised;
use super::transpose::{SIDE, square};

/// Rows that are multiplied together; more would multiply more above the diagonal, fewer would read the right side
/// more often.
const BAND: usize = 64;

/// `scale * left right`, and `addition` times its factor, and `diagonal` on the diagonal; all `[size, size]`.
///
/// `left` is `[size, inner]`, `right` `[inner, size]`; their product must be symmetric.
pub(crate) fn product(
    left: &Strided<'_, f32>,
    right: &Strided<'_, f32>,
    scale: f32,
    addition: Option<(f32, &[f32])>,
    diagonal: f32,
) -> Vec<f32> {
    let columns = f32::kernels(Level::current()).columns;
    // SAFETY: the bands cover what lies on and below the diagonal, and the rest is copied from there.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<f32>(left.rows * left.rows) };
    with_packed::<f32, f32, _>(right, columns, |right| {
        let finish = Finish {
            scale,
            addition,
            diagonal,
        };
        lower(left, right, finish, &mut out);
    });
    mirror(&mut out, left.rows);
    out
}

/// What is done to the sums.
#[derive(Clone, Copy)]
struct Finish<'a> {
    scale: f32,
    addition: Option<(f32, &'a [f32])>,
    diagonal: f32,
}

/// What lies on and below the diagonal of [`product`], and a little of what lies above.
fn lower(left: &Strided<'_, f32>, right: &Panels<'_, f32>, finish: Finish<'_>, out: &mut [f32]) {
    let (size, inner) = (left.rows, left.columns);
    let out = Shared::new(out);
    // The longest bands first, so that the last ones to end are short.
    let bands = (0..size.div_ceil(BAND)).into_par_iter().rev();
    bands.with_max_len(1).for_each(|band| {
        let first = band * BAND;
        let end = size.min(first + BAND);
        let band = Strided {
            data: &left.data[(first * left.row).min(left.data.len())..],
            rows: end - first,
            ..*left
        };
        let store = |mut tile: Tile<'_>| {
            let columns = tile.columns.clone();
            for (row, sums) in tile.rows_mut() {
                let row = first + row;
                let at = row * size + columns.start;
                // SAFETY: blocks of a product are disjoint, and so are bands.
                #[expect(unsafe_code, reason = "blocks are disjoint")]
                let out = unsafe { out.range(at, sums.len()) };
                finish.write(sums, row, at, columns.start, out);
            }
        };
        multiply::<f32>(end - first, end, inner, &band, right, &store);
    });
}

impl Finish<'_> {
    /// Writes a part of row `row` from column `column` on, which lies at `at` of the result.
    fn write(&self, sums: &[f32], row: usize, at: usize, column: usize, out: &mut [f32]) {
        vectorised(
            #[inline(always)]
            |_| {
                if let Some((factor, addition)) = self.addition {
                    for ((out, sum), added) in out.iter_mut().zip(sums).zip(&addition[at..]) {
                        *out = self.scale * sum + factor * added;
                    }
                } else {
                    for (out, sum) in out.iter_mut().zip(sums) {
                        *out = self.scale * sum;
                    }
                }
            },
        );
        if let Some(own) = row.checked_sub(column).and_then(|n| out.get_mut(n)) {
            *own += self.diagonal;
        }
    }
}

/// Copies what lies below the diagonal above it, square by square.
fn mirror(out: &mut [f32], size: usize) {
    vectorised(
        #[inline(always)]
        |_| {
            for left in (0..size).step_by(SIDE) {
                for top in (left..size).step_by(SIDE) {
                    if top > left && top + SIDE <= size {
                        let mut lines = [[0.0; SIDE]; SIDE];
                        for (i, line) in lines.iter_mut().enumerate() {
                            line.copy_from_slice(&out[(top + i) * size + left..][..SIDE]);
                        }
                        square(&lines, &mut out[left * size + top..], size);
                    } else {
                        for row in top..size.min(top + SIDE) {
                            for column in left..row.min(left + SIDE) {
                                out[column * size + row] = out[row * size + column];
                            }
                        }
                    }
                }
            }
        },
    );
}
