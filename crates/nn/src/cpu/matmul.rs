//! Products of matrices: blocks for the caches, tasks for the threads.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::{Scratch, Shared, with_scratch};
use super::kernel::{Element, Kernels};
use super::level::Level;
use super::pack::{Left, Right};

/// Rows of one task: its left block and its sums stay in the second-level cache.
const ROWS: usize = 168;
/// Columns of one task, at most: fewer passes over rows that each task packs anew.
const COLUMNS: usize = 512;
/// The same where the rows are packed before, so that smaller sums cost nothing.
const COLUMNS_PACKED: usize = 256;
/// Products of fewer multiplications are not worth waking another thread.
const SERIAL: usize = 1 << 15;

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

/// How a product is cut into tasks.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Rows of a register tile.
    tile_rows: usize,
    /// Rows of a task, a multiple of `tile_rows`.
    rows: usize,
    /// Panels of a task.
    panels: usize,
    row_tasks: usize,
    column_tasks: usize,
}

impl Plan {
    fn new([m, n, k]: [usize; 3], max_rows: usize, columns: usize, max_columns: usize) -> Self {
        // Register tiles of nearly equal height instead of full ones and a rest.
        let tile_rows = m.div_ceil(m.div_ceil(max_rows));
        let tiles = m.div_ceil(tile_rows);
        let row_tasks = tiles.div_ceil((ROWS / tile_rows).max(1));
        let rows = tiles.div_ceil(row_tasks) * tile_rows;
        let row_tasks = m.div_ceil(rows);
        let panels_in_all = n.div_ceil(columns);
        let mut panels = (max_columns / columns).min(panels_in_all);
        let threads = rayon::current_num_threads();
        if threads > 1 && m * n * k >= SERIAL {
            while panels > 1 && row_tasks * panels_in_all.div_ceil(panels) < 4 * threads {
                panels = panels.div_ceil(2);
            }
        }
        Self {
            tile_rows,
            rows,
            panels,
            row_tasks,
            column_tasks: panels_in_all.div_ceil(panels),
        }
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
    let blocks = k.div_ceil(E::BLOCK);
    let whole_size = blocks * m * E::STRIDE;
    let each = left.is_cheap() || whole_size * size_of::<E>() > MAX_PACKED;
    let max_columns = if each { COLUMNS } else { COLUMNS_PACKED };
    let plan = Plan::new([m, n, k], kernels.max_rows(), kernels.columns, max_columns);
    let tasks = plan.row_tasks * plan.column_tasks;
    let run = |task: &(dyn Fn(usize) + Sync), tasks: usize| {
        if tasks == 1 || m * n * k < SERIAL {
            (0..tasks).for_each(task);
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(task);
        }
    };
    // Tasks that follow each other share the right operand.
    let corner = |index: usize| {
        (
            index % plan.row_tasks * plan.rows,
            index / plan.row_tasks * plan.panels,
        )
    };
    if plan.column_tasks == 1 || each {
        let task = |index: usize| {
            let (row, panel) = corner(index);
            with_scratch(|[sums, packed_left, packed_right, _]| {
                let rows = plan.rows.min(m - row);
                let packed_left = packed_left.of::<E>(rows * E::STRIDE);
                let left = LeftBlock::Fresh(left, packed_left);
                block(
                    &plan,
                    &kernels,
                    [m, n, k],
                    row,
                    panel,
                    left,
                    right,
                    store,
                    sums,
                    packed_right,
                );
            });
        };
        run(&task, tasks);
        return;
    }
    // Several tasks share each part of the left operand: it is packed before, in one go.
    with_scratch(|[whole, ..]| {
        let whole = whole.of::<E>(whole_size);
        {
            let shared = Shared::new(whole);
            let task = |index: usize| {
                let (block, row) = (index / plan.row_tasks, index % plan.row_tasks * plan.rows);
                let rows = plan.rows.min(m - row);
                // SAFETY: one range a task.
                #[expect(unsafe_code, reason = "parts are disjoint")]
                let out = unsafe { shared.range((block * m + row) * E::STRIDE, rows * E::STRIDE) };
                left.pack(
                    row..row + rows,
                    block * E::BLOCK..k.min((block + 1) * E::BLOCK),
                    out,
                );
            };
            run(&task, blocks * plan.row_tasks);
        }
        let whole = &*whole;
        let task = |index: usize| {
            let (row, panel) = corner(index);
            with_scratch(|[sums, packed_right, ..]| {
                let left = LeftBlock::<E, _>::packed(left, whole);
                block(
                    &plan,
                    &kernels,
                    [m, n, k],
                    row,
                    panel,
                    left,
                    right,
                    store,
                    sums,
                    packed_right,
                );
            });
        };
        run(&task, tasks);
    });
}

/// Where a task finds its packed rows.
enum LeftBlock<'a, E, L> {
    /// Packed by the task itself, to this place.
    Fresh(&'a L, &'a mut [E]),
    /// Packed before, with all other rows: `[blocks of k][m][STRIDE]`.
    Packed(&'a [E]),
}

impl<'a, E: Element, L: Left<E>> LeftBlock<'a, E, L> {
    /// `_left` only names the type.
    const fn packed(_left: &L, whole: &'a [E]) -> Self {
        Self::Packed(whole)
    }

    fn rows(&mut self, rows: Range<usize>, ks: Range<usize>, m: usize) -> &[E] {
        match self {
            Self::Fresh(left, place) => {
                left.pack(rows, ks, place);
                place
            }
            Self::Packed(whole) => &whole[(ks.start / E::BLOCK * m + rows.start) * E::STRIDE..],
        }
    }
}

/// One task.
fn block<E: Element>(
    plan: &Plan,
    kernels: &Kernels<E>,
    [m, n, k]: [usize; 3],
    first_row: usize,
    first_panel: usize,
    mut left: LeftBlock<'_, E, impl Left<E>>,
    right: &impl Right<E>,
    store: &impl Fn(Tile<'_>),
    sums: &mut Scratch,
    packed_right: &mut Scratch,
) {
    let width = kernels.columns;
    let rows = first_row..m.min(first_row + plan.rows);
    let columns = first_panel * width..n.min((first_panel + plan.panels) * width);
    let panels = first_panel..columns.end.div_ceil(width);
    // One cache line more than the columns, so that rows fall into different sets.
    let stride = panels.len() * width + 16;
    let sums = sums.of::<f32>(rows.len() * stride);
    let packed_right = packed_right.of::<E>(E::BLOCK * width);
    if k == 0 {
        sums.fill(0.0);
    }
    for start in (0..k).step_by(E::BLOCK) {
        let ks = start..k.min(start + E::BLOCK);
        let inner = ks.len().next_multiple_of(E::STEP);
        let left = left.rows(rows.clone(), ks.clone(), m);
        assert!(
            left.len() >= rows.len() * E::STRIDE,
            "the left block is too short"
        );
        for panel in panels.clone() {
            let first_column = (panel - panels.start) * width;
            let in_place = (!kernels.direct.is_empty())
                .then(|| right.in_place(panel, ks.clone()))
                .flatten();
            let packed = match &in_place {
                Some(place) => {
                    place.check(inner);
                    &[]
                }
                None => right.panel(panel, ks.clone(), width, packed_right),
            };
            assert!(
                in_place.is_some() || packed.len() >= inner * width,
                "a panel is too short"
            );
            for row in (0..rows.len()).step_by(plan.tile_rows) {
                let count = plan.tile_rows.min(rows.len() - row);
                let a = left[row * E::STRIDE..].as_ptr();
                let c = sums[row * stride + first_column..].as_mut_ptr();
                let add = start > 0;
                // SAFETY: both operands were checked; `sums` holds rows of `stride`, at least
                // `panels * width`; the kernels are those of the current level.
                #[expect(unsafe_code, reason = "calling a kernel")]
                unsafe {
                    if let Some(place) = &in_place {
                        let parts = place.parts.map(<[E]>::as_ptr);
                        let offsets = place.offsets.as_ptr();
                        (kernels.direct[count - 1])(inner, a, parts, offsets, c, stride, add);
                    } else {
                        (kernels.rows[count - 1])(inner, a, packed.as_ptr(), c, stride, add);
                    }
                }
            }
        }
    }
    store(Tile {
        rows: rows.clone(),
        columns: columns.clone(),
        data: sums,
        stride,
    });
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::super::pack::{Packed, Strided};
    use super::super::real::Real;
    use super::*;

    fn filled<T: Real>(len: usize, seed: usize) -> Vec<T> {
        (0..len)
            .map(|i| T::put(((i * 7919 + seed * 31) % 23) as f32 / 8.0 - 1.375))
            .collect()
    }

    fn product<E: Element>(
        m: usize,
        n: usize,
        k: usize,
        left: &impl Left<E>,
        right: &impl Right<E>,
    ) -> Vec<f32> {
        let mut out = vec![f32::NAN; m * n];
        let shared = Shared::new(&mut out);
        multiply(m, n, k, left, right, &|mut tile: Tile<'_>| {
            let columns = tile.columns.clone();
            for (row, data) in tile.rows_mut() {
                // SAFETY: blocks are disjoint.
                #[expect(unsafe_code, reason = "blocks are disjoint")]
                unsafe { shared.range(row * n + columns.start, data.len()) }.copy_from_slice(data);
            }
        });
        out
    }

    fn check<T: Real, E: Element>(m: usize, n: usize, k: usize) {
        let a = filled::<T>(m * k, 1);
        let b = filled::<T>(k * n, 2);
        let mut truth = vec![0.0_f32; m * n];
        for i in 0..m {
            for p in 0..k {
                for j in 0..n {
                    truth[i * n + j] += a[i * k + p].get() * b[p * n + j].get();
                }
            }
        }
        let mut a_t = vec![T::default(); m * k];
        let mut b_t = vec![T::default(); n * k];
        for p in 0..k {
            (0..m).for_each(|i| a_t[p * m + i] = a[i * k + p]);
            (0..n).for_each(|j| b_t[j * k + p] = b[p * n + j]);
        }
        let a = Strided::dense(&a, m, k);
        let b = Strided::dense(&b, k, n);
        let a_t = Strided::dense(&a_t, k, m).transposed();
        let b_t = Strided::dense(&b_t, n, k).transposed();
        let columns = E::kernels(Level::current()).columns;
        let packed = Packed::<E>::new(&b_t, columns);
        for got in [
            product::<E>(m, n, k, &a, &b),
            product::<E>(m, n, k, &a_t, &b_t),
            product::<E>(m, n, k, &a, &packed),
        ] {
            for (x, y) in got.iter().zip(&truth) {
                assert!(
                    (x - y).abs() <= 1e-4 * (1.0 + y.abs()),
                    "{m} {n} {k}: {x} {y}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_meet_the_definition(m in 1_usize..140, n in 1_usize..90, k in 1_usize..40) {
            check::<f32, f32>(m, n, k);
            check::<bf16, f32>(m, n, k);
            check::<bf16, bf16>(m, n, k);
        }
    }

    #[test]
    fn long_inner_sizes_are_blocked() {
        check::<f32, f32>(17, 33, 515);
        check::<bf16, bf16>(17, 33, 1027);
        check::<f32, f32>(3, 600, 1);
        assert_eq!(
            product::<f32>(
                2,
                2,
                0,
                &Strided::dense(&[0.0; 0], 2, 0),
                &Strided::dense(&[0.0; 0], 0, 2)
            ),
            [0.0; 4]
        );
    }
}
