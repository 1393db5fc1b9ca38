//! Operands of products of matrices, and how their blocks reach the kernels.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Shared;
use super::kernel::{DIRECT_COLUMNS, Element};
use super::real::{Real, convert, convert_one};
use super::simd::vectorised;

/// The left operand, `[m, k]`.
pub(crate) trait Left<E: Element>: Sync {
    /// Writes `rows x ks` to `out`, row `i` at `i * E::STRIDE`, filled with zeros to a
    /// multiple of `E::STEP`.
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E]);

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

    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E]) {
        let filled = ks.len().next_multiple_of(E::STEP);
        for row in out.chunks_mut(E::STRIDE).take(rows.len()) {
            row[ks.len()..filled].fill(E::default());
        }
        vectorised(
            #[inline(always)]
            |_| {
                if self.column == 1 {
                    for (row, out) in rows.zip(out.chunks_mut(E::STRIDE)) {
                        let from = row * self.row + ks.start;
                        convert(&self.data[from..from + ks.len()], &mut out[..ks.len()]);
                    }
                } else {
                    self.pack_across(rows, ks, out);
                }
            },
        );
    }
}

impl<T: Real> Strided<'_, T> {
    /// Packing of a left operand whose rows are not contiguous: square blocks, so that
    /// each cache line is read and written once.
    #[inline(always)]
    fn pack_across<E: Element>(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E]) {
        const SIDE: usize = 16;
        for first in (0..rows.len()).step_by(SIDE) {
            let count = (rows.len() - first).min(SIDE);
            for start in (0..ks.len()).step_by(SIDE) {
                let inner = (ks.len() - start).min(SIDE);
                let from = (rows.start + first) * self.row + (ks.start + start) * self.column;
                if count == SIDE && inner == SIDE && self.row == 1 {
                    let mut square = [[E::default(); SIDE]; SIDE];
                    for (k, line) in square.iter_mut().enumerate() {
                        convert(&self.data[from + k * self.column..][..SIDE], line);
                    }
                    for i in 0..SIDE {
                        let to = &mut out[(first + i) * E::STRIDE + start..][..SIDE];
                        for (to, line) in to.iter_mut().zip(&square) {
                            *to = line[i];
                        }
                    }
                } else {
                    for i in 0..count {
                        for k in 0..inner {
                            let value = self.data[from + i * self.row + k * self.column];
                            out[(first + i) * E::STRIDE + start + k] = convert_one(value);
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

/// Writes one panel, see [`Right::panel`].
pub(crate) fn pack_panel<T: Real, E: Element>(
    from: &Strided<'_, T>,
    first: usize,
    ks: Range<usize>,
    columns: usize,
    out: &mut [E],
) {
    vectorised(
        #[inline(always)]
        |_| pack_panel_here(from, first, ks, columns, out),
    );
}

#[inline(always)]
fn pack_panel_here<T: Real, E: Element>(
    from: &Strided<'_, T>,
    first: usize,
    ks: Range<usize>,
    columns: usize,
    out: &mut [E],
) {
    let count = columns.min(from.columns - first);
    let step = E::STEP;
    if count < columns || !ks.len().is_multiple_of(step) {
        out.fill(E::default());
    }
    if from.column == 1 && step == 1 {
        for (out, k) in out.chunks_exact_mut(columns).zip(ks) {
            let at = k * from.row + first;
            convert(&from.data[at..at + count], &mut out[..count]);
        }
    } else if from.column == 1 {
        for (k, inner) in ks.enumerate() {
            let at = inner * from.row + first;
            let out = &mut out[k / step * step * columns..][..step * columns];
            for (pair, value) in out.chunks_exact_mut(step).zip(&from.data[at..at + count]) {
                pair[k % step] = convert_one(*value);
            }
        }
    } else {
        // The inner axis is contiguous: a transposition, in blocks of lines.
        const LINES: usize = 16;
        for block in (0..ks.len()).step_by(LINES) {
            let length = LINES.min(ks.len() - block);
            for column in 0..count {
                let at = (ks.start + block) * from.row + (first + column) * from.column;
                for i in 0..length {
                    let k = block + i;
                    out[(k / step * columns + column) * step + k % step] =
                        convert_one(from.data[at + i * from.row]);
                }
            }
        }
    }
}

/// A right operand packed once.
pub(crate) struct Packed<E> {
    data: Vec<E>,
    /// Inner size, filled to a multiple of the step.
    inner: usize,
    columns: usize,
}

impl<E: Element> Packed<E> {
    /// Packs all of `from` for kernels of `columns` columns.
    pub(crate) fn new<T: Real>(from: &Strided<'_, T>, columns: usize) -> Self {
        let inner = from.rows.next_multiple_of(E::STEP);
        let panels = from.columns.div_ceil(columns);
        let mut data = vec![E::default(); panels * inner * columns];
        let shared = Shared::new(&mut data);
        (0..panels).into_par_iter().for_each(|panel| {
            // SAFETY: one range a panel.
            #[expect(unsafe_code, reason = "panels are disjoint")]
            let out = unsafe { shared.range(panel * inner * columns, inner * columns) };
            pack_panel(from, panel * columns, 0..from.rows, columns, out);
        });
        Self {
            data,
            inner,
            columns,
        }
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() * size_of::<E>()
    }
}

impl<E: Element> Right<E> for Packed<E> {
    fn panel<'s>(
        &'s self,
        panel: usize,
        ks: Range<usize>,
        columns: usize,
        _scratch: &'s mut [E],
    ) -> &'s [E] {
        debug_assert_eq!(columns, self.columns, "packed for other kernels");
        let filled = ks.len().next_multiple_of(E::STEP);
        &self.data[(panel * self.inner + ks.start) * columns..][..filled * columns]
    }
}
