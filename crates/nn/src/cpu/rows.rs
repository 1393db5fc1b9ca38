//! Operations on the rows of `[.., width]`: normalisation with an affine map, rotary
//! positions, gated sums.

use rayon::prelude::*;

use super::buffer::{unwritten, zeroed};
use super::real::Real;
use super::simd::vectorised;

/// Elements of one task, roughly.
const TASK: usize = 1 << 14;
/// Partial sums of a loop, so that it vectorises and its order is fixed.
const LANES: usize = 16;

/// What happens to a row before the affine map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Plain,
    /// Divided by the root of the mean square.
    Rms,
    /// Centred, then divided by the standard deviation.
    Layer,
}

/// Rows of factors or summands: row `r` of `[batch, tokens, width]` uses the row
/// `r / tokens * batch + r % tokens * token` of `data`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) at: TableAt,
}

/// Strides of a table in rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TableAt {
    /// Tokens of one batch element.
    pub(crate) tokens: usize,
    pub(crate) batch: usize,
    pub(crate) token: usize,
}

impl TableAt {
    pub(crate) const fn row(&self, row: usize) -> usize {
        row / self.tokens * self.batch + row % self.tokens * self.token
    }
}

impl<'a> Table<'a> {
    pub(crate) fn row(&self, row: usize, width: usize) -> &'a [f32] {
        &self.data[self.at.row(row) * width..][..width]
    }
}

/// `y = normalised(x) * (offset + factor) + summand`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) kind: Kind,
    pub(crate) eps: f32,
    pub(crate) offset: f32,
    pub(crate) factor: Option<Table<'a>>,
    pub(crate) summand: Option<Table<'a>>,
}

#[inline(always)]
fn sum(values: impl Fn(usize) -> f32, len: usize) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = len / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane += values(start + i);
        }
    }
    for i in whole..len {
        lanes[i - whole] += values(i);
    }
    lanes.iter().sum()
}

/// Mean that is taken off, and the factor afterwards.
#[inline(always)]
fn statistics(kind: Kind, eps: f32, x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    match kind {
        Kind::Plain => (0.0, 1.0),
        Kind::Rms => (0.0, 1.0 / (sum(|i| x[i] * x[i], x.len()) / n + eps).sqrt()),
        Kind::Layer => {
            let mean = sum(|i| x[i], x.len()) / n;
            let variance = sum(|i| (x[i] - mean) * (x[i] - mean), x.len()) / n;
            (mean, 1.0 / (variance + eps).sqrt())
        }
    }
}

/// Applies `affine` to all rows of `x`.
pub(crate) fn normalise<T: Real>(x: &[T], width: usize, affine: &Affine<'_>) -> Vec<T> {
    // SAFETY: chunks cover the vector, and all of a chunk is written.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(x.len()) };
    let rows = (TASK / width).max(1);
    let task = |(index, (out, x)): (usize, (&mut [T], &[T]))| {
        let mut wide = vec![0.0_f32; width];
        vectorised(
            #[inline(always)]
            |_| {
                for (i, (out, x)) in out
                    .chunks_exact_mut(width)
                    .zip(x.chunks_exact(width))
                    .enumerate()
                {
                    for (wide, x) in wide.iter_mut().zip(x) {
                        *wide = x.get();
                    }
                    let (mean, scale) = statistics(affine.kind, affine.eps, &wide);
                    let row = index * rows + i;
                    let factor = affine.factor.map(|table| table.row(row, width));
                    let summand = affine.summand.map(|table| table.row(row, width));
                    match (factor, summand) {
                        (None, None) => {
                            for (out, x) in out.iter_mut().zip(&wide) {
                                *out = T::put((x - mean) * scale);
                            }
                        }
                        (Some(factor), None) => {
                            for ((out, x), f) in out.iter_mut().zip(&wide).zip(factor) {
                                *out = T::put((x - mean) * scale * (affine.offset + f));
                            }
                        }
                        (None, Some(summand)) => {
                            for ((out, x), s) in out.iter_mut().zip(&wide).zip(summand) {
                                *out = T::put((x - mean) * scale + s);
                            }
                        }
                        (Some(factor), Some(summand)) => {
                            for (((out, x), f), s) in
                                out.iter_mut().zip(&wide).zip(factor).zip(summand)
                            {
                                *out = T::put((x - mean) * scale * (affine.offset + f) + s);
                            }
                        }
                    }
                }
            },
        );
    };
    out.par_chunks_mut(rows * width)
        .zip(x.par_chunks(rows * width))
        .enumerate()
        .for_each(task);
    out
}

/// Gradient of [`normalise`]: of `x`, and `grad * normalised(x)`, from which that of the factor is summed.
pub(crate) fn normalise_backward<T: Real>(
    x: &[T],
    grad: &[T],
    width: usize,
    affine: &Affine<'_>,
) -> (Vec<T>, Vec<f32>) {
    // SAFETY: chunks cover the vector, and all of a chunk is written.
    #[expect(unsafe_code, reason = "written below")]
    let mut dx = unsafe { unwritten::<T>(x.len()) };
    let mut products = zeroed::<f32>(x.len());
    let rows = (TASK / width).max(1);
    let size = rows * width;
    dx.par_chunks_mut(size)
        .zip(products.par_chunks_mut(size))
        .zip(x.par_chunks(size).zip(grad.par_chunks(size)))
        .enumerate()
        .for_each(|(index, ((dx, products), (x, grad)))| {
            let mut wide = vec![0.0_f32; width];
            let mut slope = vec![0.0_f32; width];
            vectorised(
                #[inline(always)]
                |_| {
                    for i in 0..x.len() / width {
                        let at = i * width..(i + 1) * width;
                        let (x, grad) = (&x[at.clone()], &grad[at.clone()]);
                        let (dx, products) = (&mut dx[at.clone()], &mut products[at]);
                        for (wide, x) in wide.iter_mut().zip(x) {
                            *wide = x.get();
                        }
                        let (mean, scale) = statistics(affine.kind, affine.eps, &wide);
                        for x in &mut wide {
                            *x = (*x - mean) * scale;
                        }
                        for ((product, x), g) in products.iter_mut().zip(&wide).zip(grad) {
                            *product = x * g.get();
                        }
                        if let Some(factor) = affine.factor {
                            let factor = factor.row(index * rows + i, width);
                            for ((slope, g), f) in slope.iter_mut().zip(grad).zip(factor) {
                                *slope = g.get() * (affine.offset + f);
                            }
                        } else {
                            for (slope, g) in slope.iter_mut().zip(grad) {
                                *slope = g.get();
                            }
                        }
                        let n = width as f32;
                        let (level, tilt) = match affine.kind {
                            Kind::Plain => (0.0, 0.0),
                            Kind::Rms => (0.0, sum(|i| slope[i] * wide[i], width) / n),
                            Kind::Layer => (
                                sum(|i| slope[i], width) / n,
                                sum(|i| slope[i] * wide[i], width) / n,
                            ),
                        };
                        for ((dx, x), s) in dx.iter_mut().zip(&wide).zip(&slope) {
                            *dx = T::put(scale * (s - level - x * tilt));
                        }
                    }
                },
            );
        });
    (dx, products)
}

/// Sums rows into the rows of a table: the gradient of a broadcast. The order is fixed.
pub(crate) fn sum_into_table<T: Real>(
    rows: &[T],
    width: usize,
    at: TableAt,
    table_rows: usize,
) -> Vec<f32> {
    const BLOCK: usize = 128;
    let count = rows.len() / width;
    // Blocks of neighbouring rows first, in parallel, then the blocks in order.
    let parts: Vec<Vec<(usize, Vec<f32>)>> = (0..count.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut sums: Vec<(usize, Vec<f32>)> = Vec::new();
            for row in block * BLOCK..count.min((block + 1) * BLOCK) {
                let target = at.row(row);
                if sums.last().is_none_or(|(last, _)| *last != target) {
                    sums.push((target, vec![0.0; width]));
                }
                if let Some((_, sum)) = sums.last_mut() {
                    let row = &rows[row * width..][..width];
                    vectorised(
                        #[inline(always)]
                        |_| {
                            for (sum, x) in sum.iter_mut().zip(row) {
                                *sum += x.get();
                            }
                        },
                    );
                }
            }
            sums
        })
        .collect();
    let mut table = vec![0.0_f32; table_rows * width];
    for (target, sum) in parts.into_iter().flatten() {
        table[target * width..][..width]
            .iter_mut()
            .zip(&sum)
            .for_each(|(table, sum)| *table += sum);
    }
    table
}

/// Rotates pairs; `sign` is -1 for the inverse rotation.
pub(crate) fn rotate<T: Real>(
    x: &[T],
    width: usize,
    cos: Table<'_>,
    sin: Table<'_>,
    sign: f32,
) -> Vec<T> {
    // SAFETY: chunks cover the vector, and all of a chunk is written.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(x.len()) };
    let rows = (TASK / width).max(1);
    out.par_chunks_mut(rows * width)
        .zip(x.par_chunks(rows * width))
        .enumerate()
        .for_each(|(index, (out, x))| {
            vectorised(
                #[inline(always)]
                |_| {
                    for (i, (out, x)) in out
                        .chunks_exact_mut(width)
                        .zip(x.chunks_exact(width))
                        .enumerate()
                    {
                        let cos = cos.row(index * rows + i, width / 2);
                        let sin = sin.row(index * rows + i, width / 2);
                        let pairs = out
                            .as_chunks_mut::<2>()
                            .0
                            .iter_mut()
                            .zip(x.as_chunks::<2>().0);
                        for ((out, x), (c, s)) in pairs.zip(cos.iter().zip(sin)) {
                            let (a, b, s) = (x[0].get(), x[1].get(), s * sign);
                            *out = [T::put(a * c - b * s), T::put(b * c + a * s)];
                        }
                    }
                },
            );
        });
    out
}

/// `x + gate * y`.
pub(crate) fn gated_sum<T: Real>(x: &[T], gate: Table<'_>, y: &[T], width: usize) -> Vec<T> {
    // SAFETY: chunks cover the vector, and all of a chunk is written.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(x.len()) };
    let rows = (TASK / width).max(1);
    let size = rows * width;
    out.par_chunks_mut(size)
        .zip(x.par_chunks(size).zip(y.par_chunks(size)))
        .enumerate()
        .for_each(|(index, (out, (x, y)))| {
            vectorised(
                #[inline(always)]
                |_| {
                    for (i, out) in out.chunks_exact_mut(width).enumerate() {
                        let gate = gate.row(index * rows + i, width);
                        let (x, y) = (&x[i * width..][..width], &y[i * width..][..width]);
                        for (((out, x), y), g) in out.iter_mut().zip(x).zip(y).zip(gate) {
                            *out = T::put(x.get() + g * y.get());
                        }
                    }
                },
            );
        });
    out
}
