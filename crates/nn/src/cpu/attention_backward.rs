//! The gradient of attention in tiles: scores are computed again from queries, keys
//! and the logarithms of the rows' sums (Dao et al. 2022, algorithm 4).

use rayon::prelude::*;

use super::attention::{Heads, PackedHeads, Sizes, row_stride, run_panel};
use super::buffer::{Shared, zeroed};
use super::kernel::{Element, Kernels};
use super::level::Level;
use super::math::{exp, fma};
use super::pack::{Left as _, Strided, pack_panel};
use super::real::Real;
use super::simd::vectorised;

/// Queries of one step.
const QUERIES: usize = 112;
/// Keys of one step.
const KEYS: usize = 256;

/// What the forward pass had and gave, and the gradient of its result.
pub(crate) struct Input<'a, T> {
    pub(crate) q: Heads<'a, T>,
    pub(crate) k: Heads<'a, T>,
    pub(crate) v: Heads<'a, T>,
    pub(crate) out: Heads<'a, T>,
    pub(crate) grad: Heads<'a, T>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) log_sums: &'a [f32],
}

/// Gradients of queries, keys and values, laid out by the last three arguments.
/// One task a head, so that every sum has one order.
pub(crate) fn run<T: Real, E: Element>(
    sizes: &Sizes,
    input: &Input<'_, T>,
    q_at: Heads<'_, T>,
    k_at: Heads<'_, T>,
    v_at: Heads<'_, T>,
) -> (Vec<T>, Vec<T>, Vec<T>) {
    let kernels = E::kernels(Level::current());
    let columns = kernels.columns;
    let (nq, nk, d, dv) = (sizes.queries, sizes.keys, sizes.width, sizes.value_width);
    let heads = sizes.batch * sizes.heads;
    // Keys for scores (k = width) and for the queries' gradient (k = key), values for
    // the weights' gradient (k = value width).
    let keys = PackedHeads::<E>::new(sizes, columns, (d, nk), |b, h| {
        input.k.of(b, h, nk, d).transposed()
    });
    let keys_across =
        PackedHeads::<E>::new(sizes, columns, (nk, d), |b, h| input.k.of(b, h, nk, d));
    let values = PackedHeads::<E>::new(sizes, columns, (dv, nk), |b, h| {
        input.v.of(b, h, nk, dv).transposed()
    });
    let mut dq = zeroed::<T>(heads * nq * d);
    let mut dk = zeroed::<T>(heads * nk * d);
    let mut dvalues = zeroed::<T>(heads * nk * dv);
    let (dq_out, dk_out, dv_out) = (
        Shared::new(&mut dq),
        Shared::new(&mut dk),
        Shared::new(&mut dvalues),
    );
    (0..heads).into_par_iter().with_max_len(1).for_each(|head| {
        let (b, h) = (head / sizes.heads, head % sizes.heads);
        let task = Head {
            kernels: &kernels,
            sizes,
            q: input.q.of(b, h, nq, d),
            out: input.out.of(b, h, nq, dv),
            grad: input.grad.of(b, h, nq, dv),
            keys: keys.head(head),
            keys_across: keys_across.head(head),
            values: values.head(head),
            key_panel: keys.panel(),
            across_panel: keys_across.panel(),
            value_panel: values.panel(),
            bias: input.bias.map(|bias| &bias[b * nk..][..nk]),
            log_sums: &input.log_sums[head * nq..][..nq],
        };
        let (dq, dk, dv_sums) = task.run();
        let write = |to: &Shared<'_, T>,
                     at: Heads<'_, T>,
                     rows: usize,
                     width: usize,
                     from: &[f32],
                     stride: usize| {
            for row in 0..rows {
                // SAFETY: every row of a head belongs to this task.
                #[expect(unsafe_code, reason = "heads are disjoint")]
                let out = unsafe { to.range(b * at.batch + h * at.head + row * at.token, width) };
                out.iter_mut()
                    .zip(&from[row * stride..])
                    .for_each(|(out, x)| *out = T::put(*x));
            }
        };
        write(&dq_out, q_at, nq, d, &dq, d.next_multiple_of(columns));
        write(&dk_out, k_at, nk, d, &dk, d.next_multiple_of(columns));
        write(
            &dv_out,
            v_at,
            nk,
            dv,
            &dv_sums,
            dv.next_multiple_of(columns),
        );
    });
    (dq, dk, dvalues)
}

struct Head<'a, T, E: 'static> {
    kernels: &'a Kernels<E>,
    sizes: &'a Sizes,
    q: Strided<'a, T>,
    out: Strided<'a, T>,
    grad: Strided<'a, T>,
    keys: &'a [E],
    keys_across: &'a [E],
    values: &'a [E],
    key_panel: usize,
    across_panel: usize,
    value_panel: usize,
    bias: Option<&'a [f32]>,
    log_sums: &'a [f32],
}

impl<T: Real, E: Element> Head<'_, T, E> {
    fn run(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let columns = self.kernels.columns;
        let (nq, nk, d, dv) = (
            self.sizes.queries,
            self.sizes.keys,
            self.sizes.width,
            self.sizes.value_width,
        );
        let (wide, wide_v) = (d.next_multiple_of(columns), dv.next_multiple_of(columns));
        let mut dq = vec![0.0_f32; nq * wide];
        let mut dk = vec![0.0_f32; nk * wide];
        let mut dvalues = vec![0.0_f32; nk * wide_v];
        let (stride, left_stride) = (row_stride::<f32>(), row_stride::<E>());
        let mut left = vec![E::default(); KEYS.max(QUERIES) * left_stride];
        let mut left_grad = vec![E::default(); QUERIES * left_stride];
        let mut weights = vec![0.0_f32; QUERIES * stride];
        let mut slopes = vec![0.0_f32; QUERIES * stride];
        let mut panel_q = vec![E::default(); QUERIES.next_multiple_of(E::STEP) * wide];
        let mut panel_grad = vec![E::default(); QUERIES.next_multiple_of(E::STEP) * wide_v];
        for first in (0..nq).step_by(QUERIES) {
            let rows = QUERIES.min(nq - first);
            let inner = rows.next_multiple_of(E::STEP);
            let tile = self.tile(rows);
            // The right sides of the sums over queries.
            pack_panels(&self.q, first..first + rows, columns, &mut panel_q);
            pack_panels(&self.grad, first..first + rows, columns, &mut panel_grad);
            self.grad
                .pack(first..first + rows, 0..dv, &mut left_grad, left_stride);
            let offsets: Vec<f32> = (first..first + rows).map(|row| self.offset(row)).collect();
            for start in (0..nk).step_by(KEYS) {
                let count = KEYS.min(nk - start);
                self.q
                    .pack(first..first + rows, 0..d, &mut left, left_stride);
                for panel in 0..count.div_ceil(columns) {
                    let at = start / columns + panel;
                    let keys = &self.keys[at * self.key_panel..][..self.key_panel];
                    run_panel(
                        self.kernels,
                        tile,
                        rows,
                        self.key_panel / columns,
                        &left,
                        keys,
                        &mut weights[panel * columns..],
                        stride,
                        false,
                    );
                    let values = &self.values[at * self.value_panel..][..self.value_panel];
                    run_panel(
                        self.kernels,
                        tile,
                        rows,
                        self.value_panel / columns,
                        &left_grad,
                        values,
                        &mut slopes[panel * columns..],
                        stride,
                        false,
                    );
                }
                let bias = self.bias.map(|bias| &bias[start..start + count]);
                for row in 0..rows {
                    let weights = &mut weights[row * stride..][..count];
                    let slopes = &mut slopes[row * stride..][..count];
                    self.softmax_slope(
                        weights,
                        slopes,
                        bias,
                        self.log_sums[first + row],
                        offsets[row],
                    );
                }
                let weights = Strided {
                    data: &weights,
                    rows,
                    columns: count,
                    row: stride,
                    column: 1,
                };
                let slopes = Strided {
                    data: &slopes,
                    rows,
                    columns: count,
                    row: stride,
                    column: 1,
                };
                let key_tile = self.tile(count);
                weights
                    .transposed()
                    .pack(0..count, 0..rows, &mut left, left_stride);
                for panel in 0..wide_v / columns {
                    let right = &panel_grad[panel * inner * columns..][..inner * columns];
                    run_panel(
                        self.kernels,
                        key_tile,
                        count,
                        inner,
                        &left,
                        right,
                        &mut dvalues[start * wide_v + panel * columns..],
                        wide_v,
                        true,
                    );
                }
                slopes
                    .transposed()
                    .pack(0..count, 0..rows, &mut left, left_stride);
                for panel in 0..wide / columns {
                    let right = &panel_q[panel * inner * columns..][..inner * columns];
                    run_panel(
                        self.kernels,
                        key_tile,
                        count,
                        inner,
                        &left,
                        right,
                        &mut dk[start * wide + panel * columns..],
                        wide,
                        true,
                    );
                }
                slopes.pack(0..rows, 0..count, &mut left, left_stride);
                let inner_keys = count.next_multiple_of(E::STEP);
                for panel in 0..wide / columns {
                    let right = &self.keys_across[panel * self.across_panel + start * columns..]
                        [..inner_keys * columns];
                    run_panel(
                        self.kernels,
                        tile,
                        rows,
                        inner_keys,
                        &left,
                        right,
                        &mut dq[first * wide + panel * columns..],
                        wide,
                        true,
                    );
                }
            }
        }
        (dq, dk, dvalues)
    }

    fn tile(&self, rows: usize) -> usize {
        rows.div_ceil(rows.div_ceil(self.kernels.max_rows()))
    }

    /// `sum of out * grad` of a row, which all its scores' gradients have in common.
    fn offset(&self, row: usize) -> f32 {
        let line = |x: &Strided<'_, T>| row * x.row..row * x.row + x.columns;
        let (out, grad) = (
            &self.out.data[line(&self.out)],
            &self.grad.data[line(&self.grad)],
        );
        out.iter().zip(grad).map(|(x, g)| x.get() * g.get()).sum()
    }

    /// Scores become weights; the weights' gradients become the scores'.
    fn softmax_slope(
        &self,
        weights: &mut [f32],
        slopes: &mut [f32],
        bias: Option<&[f32]>,
        log_sum: f32,
        offset: f32,
    ) {
        let scale = self.sizes.scale;
        // A row that sees no key has no gradient.
        let log_sum = if log_sum.is_finite() {
            log_sum
        } else {
            f32::INFINITY
        };
        vectorised(
            #[inline(always)]
            |fused| {
                if let Some(bias) = bias {
                    for (weight, bias) in weights.iter_mut().zip(bias) {
                        *weight = exp(fused, fma(fused, *weight, scale, bias - log_sum));
                    }
                } else {
                    for weight in weights.iter_mut() {
                        *weight = exp(fused, fma(fused, *weight, scale, -log_sum));
                    }
                }
                for (slope, weight) in slopes.iter_mut().zip(&*weights) {
                    *slope = scale * weight * (*slope - offset);
                }
            },
        );
    }
}

/// Packs rows as a right operand whose inner index is the row.
fn pack_panels<T: Real, E: Element>(
    from: &Strided<'_, T>,
    rows: std::ops::Range<usize>,
    columns: usize,
    out: &mut [E],
) {
    let size = rows.len().next_multiple_of(E::STEP) * columns;
    for (panel, out) in out
        .chunks_mut(size)
        .take(from.columns.div_ceil(columns))
        .enumerate()
    {
        pack_panel(from, panel * columns, rows.clone(), columns, out);
    }
}
