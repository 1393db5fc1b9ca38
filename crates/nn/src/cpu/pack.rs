//! Operands of products of matrices, and how their blocks reach the kernels.

mod panels;

use std::ops::Range;

use super::kernel::{DIRECT_COLUMNS, Element};
use super::real::{Real, convert, convert_one};
use super::simd::vectorised;
use super::transpose::{SIDE, square};

pub(crate) use panels::{Packed, Panels, in_parts, pack_panel, with_packed};

/// Bytes of a row of inner indices that a kernel runs over in one pass: a tile of such rows and a
/// panel of columns stream from the second-level cache.
const LONGEST: usize = 8 << 10;

/// The left operand, `[m, k]`.
pub(crate) trait Left<E: Element>: Sync {
    /// Writes `rows x ks` to `out`, row `i` at `i * stride`, filled with zeros to a
    /// multiple of `E::STEP`.
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E], stride: usize);

    /// Whether packing is a mere copy, so that repeating it next to its use beats keeping it.
    fn is_cheap(&self) -> bool {
        false
    }
}

/// The right operand, `[k, n]`.
pub(crate) trait Right<E: Element>: Sync {
    /// The block `ks` of the columns from `panel * columns` on, as a kernel reads it:
    /// `[k / STEP][columns][STEP]`, zeros beyond the ends. Either a part of the operand or
    /// written to `scratch`.
    fn panel<'s>(
        &'s self,
        panel: usize,
        ks: Range<usize>,
        columns: usize,
        scratch: &'s mut [E],
    ) -> &'s [E];

    /// The most inner indices that a kernel should run over in one pass.
    fn longest(&self) -> usize {
        LONGEST / size_of::<E>()
    }

    /// Where the same block lies in memory, if a kernel can read it there.
    fn in_place(&self, panel: usize, ks: Range<usize>) -> Option<InPlace<'_, E>> {
        let _ = (panel, ks);
        None
    }
}

/// A block of 32 columns that need not be packed: element `(k, j)` of the first 16 columns is
/// `parts[0][offsets[k / STEP] + j * STEP + k % STEP]`, the others are in `parts[1]`.
pub(crate) struct InPlace<'a, E> {
    pub(crate) parts: [&'a [E]; 2],
    pub(crate) offsets: &'a [usize],
}

impl<E: Element> InPlace<'_, E> {
    /// Asserts that `k` inner indices can be read.
    pub(crate) fn check(&self, k: usize) {
        let steps = k / E::STEP;
        let reach = self.offsets[..steps]
            .iter()
            .max()
            .map_or(0, |last| last + DIRECT_COLUMNS * E::STEP);
        assert!(
            self.parts.iter().all(|part| part.len() >= reach),
            "a block reaches beyond its operand"
        );
    }
}

/// A matrix in memory: element `(i, j)` at `i * row + j * column`.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a, T> Strided<'a, T> {
    /// Row-major and dense.
    pub(crate) const fn dense(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self {
            data,
            rows,
            columns,
            row: columns,
            column: 1,
        }
    }

    /// Rows and columns exchanged.
    pub(crate) const fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row: self.column,
            column: self.row,
        }
    }
}

impl<T: Real, E: Element> Left<E> for Strided<'_, T> {
    fn is_cheap(&self) -> bool {
        self.column == 1
    }

    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E], stride: usize) {
        let filled = ks.len().next_multiple_of(E::STEP);
        for row in out.chunks_mut(stride).take(rows.len()) {
            row[ks.len()..filled].fill(E::default());
        }
        vectorised(
            #[inline(always)]
            |_| {
                if self.column == 1 {
                    for (row, out) in rows.zip(out.chunks_mut(stride)) {
                        let from = row * self.row + ks.start;
                        convert(&self.data[from..from + ks.len()], &mut out[..ks.len()]);
                    }
                } else {
                    self.pack_across(rows, ks, out, stride);
                }
            },
        );
    }
}

impl<T: Real> Strided<'_, T> {
    /// Packing of a left operand whose rows are not contiguous: square blocks, so that
    /// each cache line is read and written once.
    #[inline(always)]
    fn pack_across<E: Element>(
        &self,
        rows: Range<usize>,
        ks: Range<usize>,
        out: &mut [E],
        stride: usize,
    ) {
        for first in (0..rows.len()).step_by(SIDE) {
            let count = (rows.len() - first).min(SIDE);
            for start in (0..ks.len()).step_by(SIDE) {
                let inner = (ks.len() - start).min(SIDE);
                let from = (rows.start + first) * self.row + (ks.start + start) * self.column;
                if count == SIDE && inner == SIDE && self.row == 1 {
                    let mut lines = [[E::default(); SIDE]; SIDE];
                    for (k, line) in lines.iter_mut().enumerate() {
                        convert(&self.data[from + k * self.column..][..SIDE], line);
                    }
                    square(&lines, &mut out[first * stride + start..], stride);
                } else {
                    for i in 0..count {
                        for k in 0..inner {
                            let value = self.data[from + i * self.row + k * self.column];
                            out[(first + i) * stride + start + k] = convert_one(value);
                        }
                    }
                }
            }
        }
    }
}

impl<T: Real, E: Element> Right<E> for Strided<'_, T> {
    fn panel<'s>(
        &'s self,
        panel: usize,
        ks: Range<usize>,
        columns: usize,
        scratch: &'s mut [E],
    ) -> &'s [E] {
        let filled = ks.len().next_multiple_of(E::STEP);
        let out = &mut scratch[..filled * columns];
        pack_panel(self, panel * columns, ks, columns, out);
        out
    }
}
