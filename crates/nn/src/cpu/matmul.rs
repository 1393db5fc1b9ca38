//! Products of matrices: blocks for the caches, tasks for the threads.
//!
//! A task packs its rows, then lets panels of columns pass by; a kernel runs over as many inner
//! indices as a pass has, usually all, so that sums stay in registers from first to last.

mod plan;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use plan::{Plan, SERIAL};

use super::buffer::{Scratch, Shared, with_scratch};
use super::kernel::{Element, Kernels};
use super::level::Level;
use super::pack::{Left, Right};

/// A left operand that takes more bytes than this when packed (the patches of a large
/// picture, say) is packed block by block, again for every column of tasks.
const MAX_PACKED: usize = 64 << 20;

/// A finished block of the result.
pub(crate) struct Tile<'a> {
    pub(crate) rows: Range<usize>,
    pub(crate) columns: Range<usize>,
    data: &'a mut [f32],
    stride: usize,
}

impl Tile<'_> {
    /// The block's rows with their index in the result.
    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = (usize, &mut [f32])> {
        let width = self.columns.len();
        self.rows
            .clone()
            .zip(self.data.chunks_mut(self.stride))
            .map(move |(row, data)| (row, &mut data[..width]))
    }
}

/// Calls `store` with blocks that cover `left [m, k] x right [k, n]` once.
pub(crate) fn multiply<E: Element>(
    m: usize,
    n: usize,
    k: usize,
    left: &impl Left<E>,
    right: &impl Right<E>,
    store: &(impl Fn(Tile<'_>) + Sync),
) {
    if m == 0 || n == 0 {
        return;
    }
    let kernels = E::kernels(Level::current());
    let plan = Plan::new::<E>([m, n, k], &kernels, right.longest());
    let product = Product {
        sizes: [m, n, k],
        plan,
        kernels,
        right,
        store,
    };
    let run = |task: &(dyn Fn(usize) + Sync), tasks: usize| {
        if tasks == 1 || m * n * k < SERIAL {
            (0..tasks).for_each(task);
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(task);
        }
    };
    let whole_size = plan.blocks * m * plan.stride;
    let each = left.is_cheap() || whole_size * size_of::<E>() > MAX_PACKED;
    if plan.column_tasks == 1 || each {
        let task = |index: usize| {
            with_scratch(|[packed, scratch @ ..]| {
                let (row, _) = plan.corner(index);
                let rows = row..m.min(row + plan.rows);
                let place = packed.of::<E>(rows.len() * plan.stride);
                let packed = Rows::Fresh {
                    left,
                    rows,
                    place,
                    pass: None,
                };
                product.task(index, packed, scratch);
            });
        };
        run(&task, plan.tasks());
        return;
    }
    // Several tasks share each part of the left operand: it is packed before, in one go.
    with_scratch(|[whole, ..]| {
        let whole = whole.of::<E>(whole_size);
        {
            let shared = Shared::new(whole);
            let task = |index: usize| {
                let (pass, row) = (index / plan.row_tasks, index % plan.row_tasks * plan.rows);
                let rows = plan.rows.min(m - row);
                // SAFETY: one range a task.
                #[expect(unsafe_code, reason = "parts are disjoint")]
                let out =
                    unsafe { shared.range((pass * m + row) * plan.stride, rows * plan.stride) };
                left.pack(row..row + rows, plan.pass(pass, k), out, plan.stride);
            };
            run(&task, plan.blocks * plan.row_tasks);
        }
        let whole = &*whole;
        let task = |index: usize| {
            with_scratch(|[_, scratch @ ..]| {
                let first = plan.corner(index).0;
                let packed = Rows::packed(left, whole, first);
                product.task(index, packed, scratch);
            });
        };
        run(&task, plan.tasks());
    });
}

/// Where a task finds its packed rows.
enum Rows<'a, E, L> {
    /// Packed by the task itself, pass by pass, to this place.
    Fresh {
        left: &'a L,
        rows: Range<usize>,
        place: &'a mut [E],
        /// Whose inner indices lie there.
        pass: Option<usize>,
    },
    /// Packed before, with all other rows: `[passes][m][stride]`.
    Packed { data: &'a [E], first: usize },
}

impl<'a, E: Element, L: Left<E>> Rows<'a, E, L> {
    /// `_left` only names the type.
    const fn packed(_left: &L, data: &'a [E], first: usize) -> Self {
        Self::Packed { data, first }
    }

    /// The rows of one pass.
    fn of_pass(&mut self, index: usize, plan: &Plan, [m, _, k]: [usize; 3]) -> &[E] {
        match self {
            Self::Fresh {
                left,
                rows,
                place,
                pass,
            } => {
                if *pass != Some(index) {
                    left.pack(rows.clone(), plan.pass(index, k), place, plan.stride);
                    *pass = Some(index);
                }
                place
            }
            Self::Packed { data, first } => &data[(index * m + *first) * plan.stride..],
        }
    }
}

/// What all tasks of a product share.
struct Product<'a, E: 'static, R, S> {
    sizes: [usize; 3],
    plan: Plan,
    kernels: Kernels<E>,
    right: &'a R,
    store: &'a S,
}

impl<E: Element, R: Right<E>, S: Fn(Tile<'_>)> Product<'_, E, R, S> {
    /// Multiplies the rows of a task with its panels, group by group.
    fn task(
        &self,
        index: usize,
        mut left: Rows<'_, E, impl Left<E>>,
        [sums, packed_right, _]: &mut [Scratch; 3],
    ) {
        let ([m, n, k], plan, width) = (self.sizes, &self.plan, self.kernels.columns);
        let (row, panel) = plan.corner(index);
        let rows = row..m.min(row + plan.rows);
        let last = (panel + plan.panels).min(n.div_ceil(width));
        // One cache line more than the columns, so that rows fall into different sets.
        let stride = plan.group * width + f32::LINE;
        let sums = sums.of::<f32>(rows.len() * stride);
        let packed_right = packed_right.of::<E>(plan.block * width);
        if k == 0 {
            sums.fill(0.0);
        }
        for first in (panel..last).step_by(plan.group) {
            let group = first..last.min(first + plan.group);
            for pass in 0..k.div_ceil(plan.block) {
                let left = left.of_pass(pass, plan, self.sizes);
                let left = &left[..rows.len() * plan.stride];
                self.pass(pass, left, rows.len(), group.clone(), sums, packed_right);
            }
            (self.store)(Tile {
                rows: rows.clone(),
                columns: group.start * width..n.min(group.end * width),
                data: sums,
                stride,
            });
        }
    }

    /// `sums (+)= left x right` for the inner indices of one pass and the panels of one group.
    fn pass(
        &self,
        pass: usize,
        left: &[E],
        rows: usize,
        panels: Range<usize>,
        sums: &mut [f32],
        packed_right: &mut [E],
    ) {
        let (plan, kernels, width) = (&self.plan, &self.kernels, self.kernels.columns);
        let stride = plan.group * width + f32::LINE;
        let ks = plan.pass(pass, self.sizes[2]);
        let inner = ks.len().next_multiple_of(E::STEP);
        assert!(inner <= plan.stride, "a pass is longer than its rows");
        for panel in panels.clone() {
            let first_column = (panel - panels.start) * width;
            let in_place = (!kernels.direct.is_empty())
                .then(|| self.right.in_place(panel, ks.clone()))
                .flatten();
            let packed = match &in_place {
                Some(place) => {
                    place.check(inner);
                    &[]
                }
                None => self.right.panel(panel, ks.clone(), width, packed_right),
            };
            assert!(
                in_place.is_some() || packed.len() >= inner * width,
                "a panel is too short"
            );
            for row in (0..rows).step_by(plan.tile_rows) {
                let count = plan.tile_rows.min(rows - row);
                let (a, lda) = (left[row * plan.stride..].as_ptr(), plan.stride);
                let c = sums[row * stride + first_column..].as_mut_ptr();
                let add = pass > 0;
                // SAFETY: both operands were checked: `left` holds `rows` rows of `lda`, at least
                // `inner`; `sums` holds rows of `stride`, at least the panels' columns; the kernels
                // are those of the current level.
                #[expect(unsafe_code, reason = "calling a kernel")]
                unsafe {
                    if let Some(place) = &in_place {
                        let parts = place.parts.map(<[E]>::as_ptr);
                        let offsets = place.offsets.as_ptr();
                        (kernels.direct[count - 1])(inner, a, lda, parts, offsets, c, stride, add);
                    } else {
                        (kernels.rows[count - 1])(inner, a, lda, packed.as_ptr(), c, stride, add);
                    }
                }
            }
        }
    }
}
