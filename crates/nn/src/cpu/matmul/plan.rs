//! How a product of matrices is cut: for the caches along rows and the inner index, for the threads into tasks.

use std::ops::Range;

use crate::cpu::kernel::{Element, Kernels};

/// Bytes of packed rows of one task: they stay in the second-level cache while columns pass by.
const LEFT_BYTES: usize = 1 << 20;
/// Rows of a task: fewer would read the right operand too often, more gain nothing.
const ROWS: Range<usize> = 56..168;
/// Columns whose sums are stored together where rows pass over all inner indices at once.
const GROUP: usize = 128;
/// Columns of a task where they do not, so that sums are kept between passes.
const COLUMNS: usize = 256;
/// Products of fewer multiplications are not worth waking another thread.
pub(super) const SERIAL: usize = 1 << 19;

/// The cut of one product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Rows of a register tile.
    pub(super) tile_rows: usize,
    /// Rows of a task, a multiple of `tile_rows`.
    pub(super) rows: usize,
    /// Panels of a task.
    pub(super) panels: usize,
    /// Panels whose sums are stored together.
    pub(super) group: usize,
    pub(super) row_tasks: usize,
    pub(super) column_tasks: usize,
    /// Inner indices of a pass.
    pub(super) block: usize,
    /// Passes.
    pub(super) blocks: usize,
    /// Distance of packed rows.
    pub(super) stride: usize,
}

impl Plan {
    /// For `[m, k] x [k, n]`, of which `longest` inner indices at most are taken in one pass.
    pub(super) fn new<E: Element>(
        [m, n, k]: [usize; 3],
        kernels: &Kernels<E>,
        longest: usize,
    ) -> Self {
        let blocks = k.div_ceil(longest).max(1);
        let block = k.div_ceil(blocks).max(1).next_multiple_of(E::LINE);
        let blocks = k.div_ceil(block).max(1);
        let stride = E::stride(block);
        let threads = rayon::current_num_threads();
        let large = threads > 1 && m * n * k >= SERIAL;

        // Tasks and register tiles of nearly equal height instead of full ones and a rest.
        let most = (LEFT_BYTES / (stride * size_of::<E>())).clamp(ROWS.start, ROWS.end);
        let row_tasks = m.div_ceil(most);
        let share = m.div_ceil(row_tasks);
        let tile_rows = share.div_ceil(share.div_ceil(kernels.max_rows()));
        let rows = share.next_multiple_of(tile_rows);
        let row_tasks = m.div_ceil(rows);

        let in_all = n.div_ceil(kernels.columns);
        let (group, mut panels) = if blocks == 1 {
            (GROUP.div_ceil(kernels.columns), in_all)
        } else {
            // One group a task, so that rows that a task packs itself are packed once.
            let panels = (COLUMNS / kernels.columns).min(in_all);
            (panels, panels)
        };
        while large && panels > 1 && row_tasks * in_all.div_ceil(panels) < 4 * threads {
            panels = panels.div_ceil(2);
        }
        Self {
            tile_rows,
            rows,
            panels,
            group: group.min(panels),
            row_tasks,
            column_tasks: in_all.div_ceil(panels),
            block,
            blocks,
            stride,
        }
    }

    pub(super) const fn tasks(&self) -> usize {
        self.row_tasks * self.column_tasks
    }

    /// First row and first panel of a task; tasks that follow each other share the right operand.
    pub(super) const fn corner(&self, task: usize) -> (usize, usize) {
        (
            task % self.row_tasks * self.rows,
            task / self.row_tasks * self.panels,
        )
    }

    /// The inner indices of a pass.
    pub(super) fn pass(&self, index: usize, k: usize) -> Range<usize> {
        index * self.block..k.min((index + 1) * self.block)
    }
}
