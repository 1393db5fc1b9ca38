//! Attention over tokens whose heads may lie anywhere.

use crate::cuda::launch::{At, Element, Fields, Launch};
use crate::cuda::source::{ATTENTION, ATTENTION_BACKWARD, ATTENTION_PLAIN};

/// Where a tensor's heads lie; the elements of one are neighbours. Steps in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) at: At,
    pub(crate) batch: usize,
    pub(crate) head: usize,
    pub(crate) token: usize,
}

impl Heads {
    fn fields(&self, fields: Fields) -> Fields {
        fields.long(self.batch).long(self.head).long(self.token)
    }

    /// Whether 16 bytes of every head's row can be moved at once.
    const fn aligned(&self) -> bool {
        self.at.aligned()
            && self.batch.is_multiple_of(8)
            && self.head.is_multiple_of(8)
            && self.token.is_multiple_of(8)
    }
}

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) element: Element,
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) width: usize,
    pub(crate) value_width: usize,
    pub(crate) scale: f32,
}

/// What the forward pass had and gave; all heads are of one element type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    pub(crate) q: Heads,
    pub(crate) k: Heads,
    pub(crate) v: Heads,
    /// `[B, Nk]` in `f32`, or nothing.
    pub(crate) bias: At,
    pub(crate) out: Heads,
    /// `[B, H, Nq]` in `f32`; nothing where nobody wants them.
    pub(crate) log_sums: At,
}

/// The widest head that any kernel takes.
pub(crate) const MOST_WIDTH: usize = 512;
/// Queries, or keys, of a block of the tiled backward kernels.
const ROWS: usize = 64;
/// Warps of a plain kernel's block, each with a query or a key.
const PLAIN_ROWS: usize = 4;

impl Sizes {
    pub(crate) const fn fits(&self) -> bool {
        self.width <= MOST_WIDTH && self.value_width <= MOST_WIDTH
    }

    /// The width of tensor-core tiles that holds these heads.
    fn tile(&self, heads: &[Heads]) -> Option<usize> {
        let wide = self.width.max(self.value_width);
        let fits = self.element == Element::Bf16
            && wide <= 128
            && self.width.is_multiple_of(8)
            && self.value_width.is_multiple_of(8)
            && heads.iter().all(Heads::aligned);
        fits.then_some(if wide <= 64 { 64 } else { 128 })
    }

    fn fields(&self, heads: &[Heads]) -> Fields {
        let sizes = Fields::default()
            .ints(&[self.queries, self.keys, self.width, self.value_width])
            .float(self.scale);
        heads
            .iter()
            .fold(sizes, |fields, heads| heads.fields(fields))
    }

    const fn grid(&self, rows: usize, per_block: usize) -> [usize; 3] {
        [rows.div_ceil(per_block), self.heads, self.batch]
    }

    pub(crate) fn forward(&self, passed: &Passed) -> Launch {
        let heads = [passed.q, passed.k, passed.v, passed.out];
        let launch = match self.tile(&heads) {
            Some(tile) => {
                const QUERIES: usize = 128;
                const KEYS: usize = 64;
                let kernel = format!("attention_forward_{tile}");
                Launch::new(&ATTENTION, &kernel, self.grid(self.queries, QUERIES), 256)
                    .shared((QUERIES + 4 * KEYS) * tile * 2)
            }
            None => Launch::of(
                &ATTENTION_PLAIN,
                "plain_forward",
                self.element,
                self.grid(self.queries, PLAIN_ROWS),
                32 * PLAIN_ROWS,
            ),
        };
        launch
            .at(passed.q.at)
            .at(passed.k.at)
            .at(passed.v.at)
            .at(passed.bias)
            .at(passed.out.at)
            .at(passed.log_sums)
            .fields(self.fields(&heads))
    }

    /// Elements of the scratch memory of a backward pass, in `f32`.
    pub(crate) const fn scratch(&self) -> usize {
        self.batch * self.heads * self.queries
    }

    /// Gradients of queries, keys and values.
    pub(crate) fn backward(
        &self,
        passed: &Passed,
        grad: Heads,
        [dq, dk, dv]: [Heads; 3],
        scratch: At,
    ) -> Vec<Launch> {
        let heads = [passed.q, passed.k, passed.v, grad, dq, dk, dv];
        let offsets = Launch::of(
            &ATTENTION_BACKWARD,
            "attention_offsets",
            self.element,
            self.grid(self.queries, PLAIN_ROWS),
            32 * PLAIN_ROWS,
        )
        .at(passed.out.at)
        .at(grad.at)
        .at(scratch)
        .int(self.queries)
        .int(self.value_width)
        .fields(passed.out.fields(Fields::default()))
        .fields(grad.fields(Fields::default()));
        let (queries, keys) = if let Some(tile) = self.tile(&heads) {
            let tiled = |name: &str, rows: usize, tiles: usize| {
                let (kernel, grid) = (format!("{name}_{tile}"), self.grid(rows, ROWS));
                Launch::new(&ATTENTION_BACKWARD, &kernel, grid, 128).shared(tiles * ROWS * tile * 2)
            };
            (
                tiled("attention_backward_queries", self.queries, 6),
                tiled("attention_backward_keys", self.keys, 4),
            )
        } else {
            let plain = |name: &str, rows: usize| {
                let grid = self.grid(rows, PLAIN_ROWS);
                Launch::of(&ATTENTION_PLAIN, name, self.element, grid, 32 * PLAIN_ROWS)
            };
            (
                plain("plain_backward_queries", self.queries),
                plain("plain_backward_keys", self.keys),
            )
        };
        let common = |launch: Launch| {
            launch
                .at(passed.q.at)
                .at(passed.k.at)
                .at(passed.v.at)
                .at(grad.at)
                .at(passed.bias)
                .at(passed.log_sums)
                .at(scratch)
        };
        vec![
            offsets,
            common(queries).at(dq.at).fields(self.fields(&heads)),
            common(keys).at(dk.at).at(dv.at).fields(self.fields(&heads)),
        ]
    }
}
