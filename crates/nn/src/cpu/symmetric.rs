//! Products that are known to be symmetric: only what lies on and below the diagonal is multiplied.

use super::buffer::{Shared, unwritten};
use super::kernel::Element as _;
use super::level::Level;
use super::matmul::{Tile, multiply};
use super::pack::{Panels, Strided, with_packed};

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
    let mut out = with_packed::<f32, f32, _>(right, columns, |right| {
        lower(left, right, scale, addition, diagonal)
    });
    mirror(&mut out, left.rows);
    out
}

/// What lies on and below the diagonal of [`product`].
fn lower(
    left: &Strided<'_, f32>,
    right: &Panels<'_, f32>,
    scale: f32,
    addition: Option<(f32, &[f32])>,
    diagonal: f32,
) -> Vec<f32> {
    let (size, inner) = (left.rows, left.columns);
    // SAFETY: the bands cover what lies on and below the diagonal; what lies above is not read.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<f32>(size * size) };
    let shared = Shared::new(&mut out);
    for first in (0..size).step_by(BAND) {
        let end = size.min(first + BAND);
        let band = Strided {
            data: &left.data[(first * left.row).min(left.data.len())..],
            rows: end - first,
            ..*left
        };
        multiply::<f32>(end - first, end, inner, &band, right, &|mut tile: Tile<
            '_,
        >| {
            let columns = tile.columns.clone();
            for (row, sums) in tile.rows_mut() {
                let row = first + row;
                let at = row * size + columns.start;
                // SAFETY: blocks of a product are disjoint, and so are bands.
                #[expect(unsafe_code, reason = "blocks are disjoint")]
                let out = unsafe { shared.range(at, sums.len()) };
                for (out, sum) in out.iter_mut().zip(sums.iter()) {
                    *out = scale * sum;
                }
                if let Some((factor, addition)) = addition {
                    for (out, added) in out.iter_mut().zip(&addition[at..]) {
                        *out += factor * added;
                    }
                }
                if let Some(own) = row.checked_sub(columns.start).and_then(|n| out.get_mut(n)) {
                    *own += diagonal;
                }
            }
        });
    }
    out
}

/// Copies what lies below the diagonal above it.
fn mirror(out: &mut [f32], size: usize) {
    /// A square of this side fits the first-level cache twice.
    const SIDE: usize = 32;
    for top in (0..size).step_by(SIDE) {
        for left in (top..size).step_by(SIDE) {
            for row in top..size.min(top + SIDE) {
                for column in left.max(row + 1)..size.min(left + SIDE) {
                    out[row * size + column] = out[column * size + row];
                }
            }
        }
    }
}
