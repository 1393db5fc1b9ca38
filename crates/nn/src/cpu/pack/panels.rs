//! Right operands packed whole: panels of columns as a kernel reads them.

use std::ops::Range;

use rayon::prelude::*;

use super::{Right, Strided};
use crate::cpu::buffer::{Scratch, Shared, with_scratch};
use crate::cpu::kernel::Element;
use crate::cpu::real::{Real, convert, convert_one};
use crate::cpu::simd::vectorised;
use crate::cpu::transpose::{SIDE, pairs, square};

/// An operand that takes more bytes than this is packed to memory that is given back.
const MAX_KEPT: usize = 32 << 20;
/// Bytes of a packed part, see [`in_parts`].
const PART: usize = 4 << 20;

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
    } else if from.column == 1 && step == 2 {
        let line = |k: usize| &from.data[k * from.row + first..][..count];
        for (out, k) in out.chunks_exact_mut(2 * columns).zip(ks.clone().step_by(2)) {
            let out = &mut out[..2 * count];
            if k + 1 < ks.end {
                for ((pair, a), b) in out
                    .as_chunks_mut::<2>()
                    .0
                    .iter_mut()
                    .zip(line(k))
                    .zip(line(k + 1))
                {
                    *pair = [convert_one(*a), convert_one(*b)];
                }
            } else {
                for (pair, a) in out.as_chunks_mut::<2>().0.iter_mut().zip(line(k)) {
                    pair[0] = convert_one(*a);
                }
            }
        }
    } else {
        across(from, first, count, ks, columns, out);
    }
}

/// [`pack_panel`] where the inner axis is contiguous: a transposition, square by square.
#[inline(always)]
fn across<T: Real, E: Element>(
    from: &Strided<'_, T>,
    first: usize,
    count: usize,
    ks: Range<usize>,
    columns: usize,
    out: &mut [E],
) {
    let step = E::STEP;
    let length = SIDE * step;
    for start in (0..ks.len()).step_by(length) {
        let inner = length.min(ks.len() - start);
        for column in (0..count).step_by(SIDE) {
            let width = SIDE.min(count - column);
            let at = |i: usize| (ks.start + start) * from.row + (first + column + i) * from.column;
            if width == SIDE && inner == length && from.row == 1 && step <= 2 {
                let out = &mut out[(start / step * columns + column) * step..];
                if step == 1 {
                    let mut lines = [[E::default(); SIDE]; SIDE];
                    for (i, line) in lines.iter_mut().enumerate() {
                        convert(&from.data[at(i)..][..SIDE], line);
                    }
                    square(&lines, out, columns);
                } else {
                    let mut lines = [[E::default(); 2 * SIDE]; SIDE];
                    for (i, line) in lines.iter_mut().enumerate() {
                        convert(&from.data[at(i)..][..2 * SIDE], line);
                    }
                    pairs(&lines, out, 2 * columns);
                }
            } else {
                for i in 0..width {
                    for k in 0..inner {
                        let to = (start + k) / step * columns + column + i;
                        out[to * step + (start + k) % step] =
                            convert_one(from.data[at(i) + k * from.row]);
                    }
                }
            }
        }
    }
}

/// A right operand packed once, and kept.
pub(crate) struct Packed<E> {
    data: Vec<E>,
    size: Size,
}

/// How long a packed operand is: inner indices, filled to a multiple of the step, and columns of a panel.
#[derive(Debug, Clone, Copy)]
struct Size {
    inner: usize,
    panels: usize,
    columns: usize,
}

impl Size {
    const fn of<T, E: Element>(from: &Strided<'_, T>, columns: usize) -> Self {
        Self {
            inner: from.rows.next_multiple_of(E::STEP),
            panels: from.columns.div_ceil(columns),
            columns,
        }
    }

    const fn elements(self) -> usize {
        self.panels * self.inner * self.columns
    }
}

/// Packs all of `from` to `out`.
fn pack_all<T: Real, E: Element>(from: &Strided<'_, T>, size: Size, out: &mut [E]) {
    let (inner, columns) = (size.inner, size.columns);
    let shared = Shared::new(out);
    (0..size.panels).into_par_iter().for_each(|panel| {
        // SAFETY: one range a panel.
        #[expect(unsafe_code, reason = "panels are disjoint")]
        let out = unsafe { shared.range(panel * inner * columns, inner * columns) };
        pack_panel(from, panel * columns, 0..from.rows, columns, out);
    });
}

impl<E: Element> Packed<E> {
    /// Packs all of `from` for kernels of `columns` columns.
    pub(crate) fn new<T: Real>(from: &Strided<'_, T>, columns: usize) -> Self {
        let size = Size::of::<T, E>(from, columns);
        let mut data = vec![E::default(); size.elements()];
        pack_all(from, size, &mut data);
        Self { data, size }
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() * size_of::<E>()
    }

    /// What kernels read.
    pub(crate) fn panels(&self) -> Panels<'_, E> {
        Panels {
            data: &self.data,
            size: self.size,
        }
    }
}

/// Lends `from`, packed for kernels of `columns` columns, to `f`; the memory is the thread's own and
/// used again, since fresh pages for every product cost more than packing to them.
pub(crate) fn with_packed<T: Real, E: Element, R>(
    from: &Strided<'_, T>,
    columns: usize,
    f: impl FnOnce(&Panels<'_, E>) -> R,
) -> R {
    let size = Size::of::<T, E>(from, columns);
    let run = |scratch: &mut Scratch| {
        let data = scratch.of::<E>(size.elements());
        pack_all(from, size, data);
        f(&Panels { data, size })
    };
    if size.elements() * size_of::<E>() > MAX_KEPT {
        run(&mut Scratch::default())
    } else {
        with_scratch(|[scratch, ..]| run(scratch))
    }
}

/// Calls `f` with one part of the columns of `from` after another, packed, and the part's first column: so that packing a
/// large operand for one product takes little memory.
pub(crate) fn in_parts<T: Real, E: Element>(
    from: &Strided<'_, T>,
    columns: usize,
    mut f: impl FnMut(usize, &Panels<'_, E>),
) {
    let panel = (from.rows * columns * size_of::<E>()).max(1);
    let width = (PART / panel).max(1) * columns;
    for first in (0..from.columns).step_by(width) {
        let part = Strided {
            data: &from.data[(first * from.column).min(from.data.len())..],
            columns: width.min(from.columns - first),
            ..*from
        };
        with_packed(&part, columns, |part| f(first, part));
    }
}

/// A packed right operand, `[panels][inner / STEP][columns][STEP]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panels<'a, E> {
    data: &'a [E],
    size: Size,
}

impl<E> Panels<'_, E> {
    /// Columns, filled to whole panels.
    pub(crate) const fn columns(&self) -> usize {
        self.size.panels * self.size.columns
    }
}

impl<E: Element> Right<E> for Panels<'_, E> {
    fn panel<'s>(
        &'s self,
        panel: usize,
        ks: Range<usize>,
        columns: usize,
        _scratch: &'s mut [E],
    ) -> &'s [E] {
        debug_assert_eq!(columns, self.size.columns, "packed for other kernels");
        let filled = ks.len().next_multiple_of(E::STEP);
        &self.data[(panel * self.size.inner + ks.start) * columns..][..filled * columns]
    }
}
