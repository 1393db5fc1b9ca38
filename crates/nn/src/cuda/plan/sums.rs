//! Sums of rows, in an order that depends on sizes alone.

use crate::cpu::rows::TableAt;
use crate::cuda::launch::{At, Element, Launch};
use crate::cuda::source::ROWS;

/// Rows of one block's sum.
const CHUNK: usize = 512;

/// Target `t` is the sum of the rows `t * base + i * step` for `i < count`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) element: Element,
    pub(crate) width: usize,
    pub(crate) targets: usize,
    pub(crate) base: usize,
    pub(crate) step: usize,
    pub(crate) count: usize,
}

impl Sums {
    /// The gradient of a table that `at` broadcasts to `rows` rows.
    pub(crate) const fn of_table(
        element: Element,
        (rows, width): (usize, usize),
        at: TableAt,
        table_rows: usize,
    ) -> Self {
        let (base, step, count) = match (at.batch, at.token) {
            (0, 0) => (0, 1, rows),
            (_, 0) => (at.tokens, 1, at.tokens),
            (0, _) => (1, at.tokens, rows / at.tokens),
            _ => (1, 1, 1),
        };
        Self {
            element,
            width,
            targets: table_rows,
            base,
            step,
            count,
        }
    }

    /// Elements of the scratch memory in `f32`; none is needed where it is 0.
    pub(crate) const fn scratch(&self) -> usize {
        if self.count > CHUNK {
            self.targets * self.count.div_ceil(CHUNK) * self.width
        } else {
            0
        }
    }

    pub(crate) fn launches(&self, from: At, to: At, scratch: At) -> Vec<Launch> {
        let chunks = self.count.div_ceil(CHUNK).max(1);
        if chunks == 1 {
            return vec![self.launch(from, to, self.count, 1)];
        }
        let rest = Self {
            element: Element::F32,
            base: chunks,
            step: 1,
            count: chunks,
            ..*self
        };
        vec![
            self.launch(from, scratch, CHUNK, chunks),
            rest.launch(scratch, to, chunks, 1),
        ]
    }

    fn launch(&self, from: At, to: At, chunk: usize, chunks: usize) -> Launch {
        const MOST_ACROSS: usize = 32768;
        let lines = self.targets * chunks;
        let grid = [
            self.width.div_ceil(32),
            lines.min(MOST_ACROSS),
            lines.div_ceil(MOST_ACROSS),
        ];
        Launch::of(&ROWS, "sum_rows", self.element, grid, 256)
            .at(from)
            .at(to)
            .int(self.width)
            .long(self.base)
            .long(self.step)
            .long(self.count)
            .long(chunk)
            .int(chunks)
            .long(lines)
    }
}
