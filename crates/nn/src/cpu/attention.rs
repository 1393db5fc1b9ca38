//! Attention in tiles with a running softmax (Milakov and Gimelshein 2018; Dao et
//! al. 2022): a block of queries meets one block of keys after the other, and what
//! was summed up is rescaled when a larger score appears.

use rayon::prelude::*;

use super::buffer::{Scratch, Shared, with_scratch};
use super::kernel::{Element, Kernels};
use super::level::Level;
use super::math::{exp, fma};
use super::pack::{Left as _, Strided, pack_panel};
use super::real::{Real, convert};
use super::simd::vectorised;

/// Queries of one task.
const QUERIES: usize = 112;
/// Keys of one step.
const KEYS: usize = 256;
/// Distance of rows of everything that is as wide as a head or a step's keys.
pub(crate) fn row_stride<E: Element>() -> usize {
    E::stride(KEYS)
}

/// Sizes of one call, see `ops::attention`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) width: usize,
    pub(crate) value_width: usize,
    pub(crate) scale: f32,
}

/// Queries, keys or values: vectors of a head at strides over batch, head and token.
#[derive(Clone, Copy)]
pub(crate) struct Heads<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) batch: usize,
    pub(crate) head: usize,
    pub(crate) token: usize,
}

impl<'a, T> Heads<'a, T> {
    /// The matrix `[tokens, width]` of one head.
    pub(crate) fn of(
        &self,
        batch: usize,
        head: usize,
        tokens: usize,
        width: usize,
    ) -> Strided<'a, T> {
        let start = batch * self.batch + head * self.head;
        Strided {
            data: &self.data[start..],
            rows: tokens,
            columns: width,
            row: self.token,
            column: 1,
        }
    }
}

/// Whether these sizes fit the kernels.
pub(crate) const fn fits(width: usize) -> bool {
    width <= 256
}

/// Keys and values of all heads, packed for the kernels.
pub(crate) struct PackedHeads<E> {
    data: Vec<E>,
    /// Elements of one head.
    size: usize,
    /// Elements of one panel.
    panel: usize,
}

impl<E: Element> PackedHeads<E> {
    /// Packs `matrix(batch, head)` (`[k, n]`) for every head.
    pub(crate) fn new<'a, T: Real>(
        sizes: &Sizes,
        columns: usize,
        (k, n): (usize, usize),
        matrix: impl Fn(usize, usize) -> Strided<'a, T> + Sync,
    ) -> Self {
        let panel = k.next_multiple_of(E::STEP) * columns;
        let panels = n.div_ceil(columns);
        let size = panels * panel;
        let mut data = vec![E::default(); sizes.batch * sizes.heads * size];
        data.par_chunks_mut(size)
            .enumerate()
            .for_each(|(index, out)| {
                let matrix = matrix(index / sizes.heads, index % sizes.heads);
                for (i, out) in out.chunks_mut(panel).enumerate() {
                    pack_panel(&matrix, i * columns, 0..k, columns, out);
                }
            });
        Self { data, size, panel }
    }

    pub(crate) fn head(&self, index: usize) -> &[E] {
        &self.data[index * self.size..][..self.size]
    }

    /// Elements of one panel.
    pub(crate) const fn panel(&self) -> usize {
        self.panel
    }
}

/// Writes `softmax(scale q k^T + bias) v` to `out`, laid out by `out_at` (`data` unused),
/// and the logarithm of each row's sum to `log_sums` `[batch, heads, queries]`.
pub(crate) fn forward<T: Real, E: Element>(
    sizes: &Sizes,
    q: Heads<'_, T>,
    k: Heads<'_, T>,
    v: Heads<'_, T>,
    bias: Option<&[f32]>,
    out: &mut [T],
    out_at: Heads<'_, T>,
    log_sums: Option<&mut [f32]>,
) {
    let kernels = E::kernels(Level::current());
    let keys = PackedHeads::<E>::new(sizes, kernels.columns, (sizes.width, sizes.keys), |b, h| {
        k.of(b, h, sizes.keys, sizes.width).transposed()
    });
    let values = PackedHeads::<E>::new(
        sizes,
        kernels.columns,
        (sizes.keys, sizes.value_width),
        |b, h| v.of(b, h, sizes.keys, sizes.value_width),
    );
    let blocks = sizes.queries.div_ceil(QUERIES);
    let rows_of_block = sizes.queries.div_ceil(blocks.max(1));
    let out = Shared::new(out);
    let log_sums = log_sums.map(Shared::new);
    let task = |index: usize| {
        let head = index / blocks;
        let (b, h) = (head / sizes.heads, head % sizes.heads);
        let first = index % blocks * rows_of_block;
        let rows = rows_of_block.min(sizes.queries.saturating_sub(first));
        if rows == 0 {
            return;
        }
        let bias = bias.map(|bias| &bias[b * sizes.keys..][..sizes.keys]);
        with_scratch(|scratch| {
            let block = Block {
                sizes,
                kernels: &kernels,
                keys: keys.head(head),
                key_panel: keys.panel(),
                values: values.head(head),
                value_panel: values.panel(),
                bias,
            };
            let queries = q.of(b, h, sizes.queries, sizes.width);
            block.run(&queries, first, rows, scratch, |row, sums, top, total| {
                let at = b * out_at.batch + h * out_at.head + (first + row) * out_at.token;
                // SAFETY: one row of one head is written by one task, once.
                #[expect(unsafe_code, reason = "rows are disjoint")]
                let out = unsafe { out.range(at, sizes.value_width) };
                let factor = if total > 0.0 { 1.0 / total } else { 0.0 };
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = T::put(sum * factor);
                }
                if let Some(log_sums) = &log_sums {
                    // SAFETY: as above.
                    #[expect(unsafe_code, reason = "rows are disjoint")]
                    let log_sum = unsafe { log_sums.range(head * sizes.queries + first + row, 1) };
                    log_sum.fill(top + total.ln());
                }
            });
        });
    };
    let tasks = sizes.batch * sizes.heads * blocks;
    (0..tasks).into_par_iter().with_max_len(1).for_each(task);
}

/// What the tasks of one head share.
struct Block<'a, E: 'static> {
    sizes: &'a Sizes,
    kernels: &'a Kernels<E>,
    keys: &'a [E],
    key_panel: usize,
    values: &'a [E],
    value_panel: usize,
    bias: Option<&'a [f32]>,
}

impl<E: Element> Block<'_, E> {
    fn run<T: Real>(
        &self,
        queries: &Strided<'_, T>,
        first: usize,
        rows: usize,
        [packed, scores, weights, sums]: &mut [Scratch; 4],
        mut store: impl FnMut(usize, &[f32], f32, f32),
    ) {
        let sizes = self.sizes;
        let columns = self.kernels.columns;
        let width = sizes.value_width.next_multiple_of(columns);
        let (stride, left_stride) = (row_stride::<f32>(), row_stride::<E>());
        let tile_rows = rows.div_ceil(rows.div_ceil(self.kernels.max_rows()));
        let packed = packed.of::<E>(rows * left_stride);
        queries.pack(first..first + rows, 0..sizes.width, packed, left_stride);
        let scores = scores.of::<f32>(rows * stride);
        let weights = weights.of::<E>(rows * left_stride);
        let sums = sums.of::<f32>(rows * (width + 2));
        let (sums, running) = sums.split_at_mut(rows * width);
        let (tops, totals) = running.split_at_mut(rows);
        sums.fill(0.0);
        tops.fill(f32::NEG_INFINITY);
        totals.fill(0.0);
        for start in (0..sizes.keys).step_by(KEYS) {
            let count = KEYS.min(sizes.keys - start);
            for panel in 0..count.div_ceil(columns) {
                let keys =
                    &self.keys[(start / columns + panel) * self.key_panel..][..self.key_panel];
                self.product(
                    tile_rows,
                    rows,
                    self.key_panel / columns,
                    packed,
                    keys,
                    &mut scores[panel * columns..],
                    stride,
                    false,
                );
            }
            let bias = self.bias.map(|bias| &bias[start..start + count]);
            for row in 0..rows {
                let scores = &mut scores[row * stride..][..count];
                let (top, total) = softmax_part(scores, bias, sizes.scale, tops[row]);
                if top > tops[row] {
                    let shrink = vectorised(
                        #[inline(always)]
                        |fused| exp(fused, tops[row] - top),
                    );
                    totals[row] *= shrink;
                    if start > 0 {
                        vectorised(
                            #[inline(always)]
                            |_| {
                                for sum in &mut sums[row * width..][..width] {
                                    *sum *= shrink;
                                }
                            },
                        );
                    }
                    tops[row] = top;
                }
                totals[row] += total;
                let weights = &mut weights[row * left_stride..][..count.next_multiple_of(E::STEP)];
                vectorised(
                    #[inline(always)]
                    |_| convert::<f32, E>(scores, weights),
                );
                weights[count..].fill(E::default());
            }
            let inner = count.next_multiple_of(E::STEP);
            for panel in 0..width / columns {
                let values =
                    &self.values[panel * self.value_panel + start * columns..][..inner * columns];
                self.product(
                    tile_rows,
                    rows,
                    inner,
                    weights,
                    values,
                    &mut sums[panel * columns..],
                    width,
                    true,
                );
            }
        }
        for row in 0..rows {
            store(
                row,
                &sums[row * width..][..sizes.value_width],
                tops[row],
                totals[row],
            );
        }
    }

    /// `out (+)= left x panel` for `rows` rows.
    fn product(
        &self,
        tile_rows: usize,
        rows: usize,
        k: usize,
        left: &[E],
        panel: &[E],
        out: &mut [f32],
        stride: usize,
        add: bool,
    ) {
        run_panel(
            self.kernels,
            tile_rows,
            rows,
            k,
            left,
            panel,
            out,
            stride,
            add,
        );
    }
}

/// `out (+)= left x panel` for `rows` rows in tiles of `tile_rows`.
pub(crate) fn run_panel<E: Element>(
    kernels: &Kernels<E>,
    tile_rows: usize,
    rows: usize,
    k: usize,
    left: &[E],
    panel: &[E],
    out: &mut [f32],
    stride: usize,
    add: bool,
) {
    let lda = row_stride::<E>();
    assert!(
        panel.len() >= k * kernels.columns && k <= lda,
        "a panel is too short"
    );
    assert!(left.len() >= rows * lda, "the left block is too short");
    assert!(
        out.len() >= (rows - 1) * stride + kernels.columns,
        "the result is too short"
    );
    for row in (0..rows).step_by(tile_rows) {
        let count = tile_rows.min(rows - row);
        let (a, c) = (left[row * lda..].as_ptr(), out[row * stride..].as_mut_ptr());
        // SAFETY: sizes checked above; the kernels are those of the current level.
        #[expect(unsafe_code, reason = "calling a kernel")]
        unsafe {
            (kernels.rows[count - 1])(k, a, lda, panel.as_ptr(), c, stride, add);
        }
    }
}

/// Turns scores into `exp(scale * score + bias - top)`, `top` being the largest so far;
/// returns it and the sum.
fn softmax_part(
    scores: &mut [f32],
    bias: Option<&[f32]>,
    scale: f32,
    top_before: f32,
) -> (f32, f32) {
    const LANES: usize = 16;
    vectorised(
        #[inline(always)]
        |fused| {
            if let Some(bias) = bias {
                for (score, bias) in scores.iter_mut().zip(bias) {
                    *score = fma(fused, *score, scale, *bias);
                }
            } else {
                for score in scores.iter_mut() {
                    *score *= scale;
                }
            }
            let mut lanes = [top_before; LANES];
            let (blocks, rest) = scores.as_chunks::<LANES>();
            for block in blocks {
                for (lane, score) in lanes.iter_mut().zip(block) {
                    *lane = if *score > *lane { *score } else { *lane };
                }
            }
            for (lane, score) in lanes.iter_mut().zip(rest) {
                *lane = if *score > *lane { *score } else { *lane };
            }
            let top = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
            if top == f32::NEG_INFINITY {
                // Every key so far is hidden.
                scores.fill(0.0);
                return (top, 0.0);
            }
            let mut sums = [0.0_f32; LANES];
            let (blocks, rest) = scores.as_chunks_mut::<LANES>();
            for block in blocks {
                for (sum, score) in sums.iter_mut().zip(block) {
                    *score = exp(fused, *score - top);
                    *sum += *score;
                }
            }
            for (sum, score) in sums.iter_mut().zip(rest) {
                *score = exp(fused, *score - top);
                *sum += *score;
            }
            (top, sums.iter().sum())
        },
    )
}
