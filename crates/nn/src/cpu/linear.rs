//! Linear layers: a product with a weight `[outputs, inputs]`, packed when it is
//! first used, and what follows it, applied to each block while it is in the cache.

use half::bf16;
use rayon::prelude::*;

use super::buffer::{Shared, unwritten, zeroed};
use super::kernel::{Element, has_bf16};
use super::level::Level;
use super::map::Function;
use super::math::{gelu_erf, gelu_tanh, silu};
use super::matmul::{Tile, multiply};
use super::pack::{Packed, Panels, Strided, in_parts};
use super::real::Real;
use super::simd::vectorised;

/// Up to so many rows a weight that is not packed yet is read as it is.
const FEW_ROWS: usize = 4;

/// A weight as the kernels of this process read it.
pub(crate) enum PackedWeight {
    F32(Packed<f32>),
    Bf16(Packed<bf16>),
}

impl PackedWeight {
    /// Packs `weight` `[outputs, inputs]`, for activations of bf16 or of f32.
    pub(crate) fn new<W: Real>(
        weight: &[W],
        outputs: usize,
        inputs: usize,
        for_bf16: bool,
    ) -> Self {
        let right = Strided::dense(weight, outputs, inputs).transposed();
        let level = Level::current();
        if for_bf16 && has_bf16() {
            Self::Bf16(Packed::new(&right, bf16::kernels(level).columns))
        } else {
            Self::F32(Packed::new(&right, f32::kernels(level).columns))
        }
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::F32(packed) => packed.bytes(),
            Self::Bf16(packed) => packed.bytes(),
        }
    }
}

/// Rows and columns of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// `function(x weight^T + bias)`.
pub(crate) fn forward<T: Real, W: Real>(
    sizes: Sizes,
    x: &[T],
    weight: &[W],
    packed: Option<&PackedWeight>,
    bias: Option<&[f32]>,
    function: Option<Function>,
) -> Vec<T> {
    let left = Strided::dense(x, sizes.rows, sizes.inputs);
    match packed {
        Some(PackedWeight::F32(right)) => {
            product::<T, f32>(sizes, &left, &right.panels(), bias, function)
        }
        Some(PackedWeight::Bf16(right)) => {
            product::<T, bf16>(sizes, &left, &right.panels(), bias, function)
        }
        None if sizes.rows <= FEW_ROWS => few_rows(sizes, x, weight, bias, function),
        None => {
            let right = Strided::dense(weight, sizes.outputs, sizes.inputs).transposed();
            if size_of::<T>() == 2 && size_of::<W>() == 2 && has_bf16() {
                once::<T, W, bf16>(sizes, &left, &right, bias, function)
            } else {
                once::<T, W, f32>(sizes, &left, &right, bias, function)
            }
        }
    }
}

/// [`product`] with an operand that is packed for this time only.
fn once<T: Real, W: Real, E: Element>(
    sizes: Sizes,
    left: &Strided<'_, T>,
    right: &Strided<'_, W>,
    bias: Option<&[f32]>,
    function: Option<Function>,
) -> Vec<T> {
    // SAFETY: the parts cover the columns.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(sizes.rows * sizes.outputs) };
    let shared = Shared::new(&mut out);
    let columns = E::kernels(Level::current()).columns;
    in_parts::<W, E>(right, columns, |first, part| {
        multiply_part(sizes, left, first, part, bias, function, &shared);
    });
    out
}

/// `function(left right + bias)`.
fn product<T: Real, E: Element>(
    sizes: Sizes,
    left: &Strided<'_, T>,
    right: &Panels<'_, E>,
    bias: Option<&[f32]>,
    function: Option<Function>,
) -> Vec<T> {
    // SAFETY: the blocks of a product cover the result.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(sizes.rows * sizes.outputs) };
    multiply_part(
        sizes,
        left,
        0,
        right,
        bias,
        function,
        &Shared::new(&mut out),
    );
    out
}

/// Columns `first..` of [`product`], as many as `right` has.
fn multiply_part<T: Real, E: Element>(
    sizes: Sizes,
    left: &Strided<'_, T>,
    first: usize,
    right: &Panels<'_, E>,
    bias: Option<&[f32]>,
    function: Option<Function>,
    out: &Shared<'_, T>,
) {
    let width = right.columns().min(sizes.outputs - first);
    let store = |mut tile: Tile<'_>| {
        let columns = first + tile.columns.start..first + tile.columns.end;
        let bias = bias.map(|bias| &bias[columns.clone()]);
        for (row, sums) in tile.rows_mut() {
            // SAFETY: blocks of a product are disjoint, and so are parts.
            #[expect(unsafe_code, reason = "blocks are disjoint")]
            let out = unsafe { out.range(row * sizes.outputs + columns.start, sums.len()) };
            finish(sums, bias, function, out);
        }
    };
    multiply::<E>(sizes.rows, width, sizes.inputs, left, right, &store);
}

/// Bias, function and conversion of a part of a row, in one pass.
fn finish<T: Real>(sums: &[f32], bias: Option<&[f32]>, function: Option<Function>, out: &mut [T]) {
    match function {
        None => each(sums, bias, out, |_, x| x),
        Some(Function::GeluTanh) => each(sums, bias, out, gelu_tanh),
        Some(Function::GeluErf) => each(sums, bias, out, gelu_erf),
        Some(Function::Silu) => each(sums, bias, out, silu),
    }
}

#[inline(always)]
fn each<T: Real>(sums: &[f32], bias: Option<&[f32]>, out: &mut [T], f: impl Fn(bool, f32) -> f32) {
    vectorised(
        #[inline(always)]
        |fused| {
            if let Some(bias) = bias {
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                    *out = T::put(f(fused, sum + bias));
                }
            } else {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = T::put(f(fused, *sum));
                }
            }
        },
    );
}

/// Rows too few to pay for packing: dot products with the weight's rows.
fn few_rows<T: Real, W: Real>(
    sizes: Sizes,
    x: &[T],
    weight: &[W],
    bias: Option<&[f32]>,
    function: Option<Function>,
) -> Vec<T> {
    const LANES: usize = 16;
    const TASK: usize = 64;
    let x: Vec<f32> = x.iter().map(|x| x.get()).collect();
    let mut out = zeroed::<T>(sizes.rows * sizes.outputs);
    let shared = Shared::new(&mut out);
    let dot = |x: &[f32], weight: &[W]| {
        vectorised(
            #[inline(always)]
            |_| {
                let mut lanes = [0.0_f32; LANES];
                let (xs, x_rest) = x.as_chunks::<LANES>();
                let (ws, w_rest) = weight.as_chunks::<LANES>();
                for (x, w) in xs.iter().zip(ws) {
                    for ((lane, x), w) in lanes.iter_mut().zip(x).zip(w) {
                        *lane += x * w.get();
                    }
                }
                for ((lane, x), w) in lanes.iter_mut().zip(x_rest).zip(w_rest) {
                    *lane += x * w.get();
                }
                lanes.iter().sum::<f32>()
            },
        )
    };
    (0..sizes.outputs.div_ceil(TASK))
        .into_par_iter()
        .for_each(|task| {
            let columns = task * TASK..sizes.outputs.min((task + 1) * TASK);
            let mut sums = [0.0_f32; TASK];
            for row in 0..sizes.rows {
                let sums = &mut sums[..columns.len()];
                let x = &x[row * sizes.inputs..][..sizes.inputs];
                for (sum, column) in sums.iter_mut().zip(columns.clone()) {
                    *sum = dot(x, &weight[column * sizes.inputs..][..sizes.inputs]);
                }
                // SAFETY: each task has columns of its own.
                #[expect(unsafe_code, reason = "columns are disjoint")]
                let out =
                    unsafe { shared.range(row * sizes.outputs + columns.start, columns.len()) };
                finish(sums, bias.map(|bias| &bias[columns.clone()]), function, out);
            }
        });
    out
}

/// `left right` for matrices of one type in memory, summed in `f32`.
pub(crate) fn matrix<T: Real>(left: &Strided<'_, T>, right: &Strided<'_, T>) -> Vec<T> {
    let sizes = Sizes {
        rows: left.rows,
        inputs: left.columns,
        outputs: right.columns,
    };
    if size_of::<T>() == 2 && has_bf16() {
        once::<T, T, bf16>(sizes, left, right, None, None)
    } else {
        once::<T, T, f32>(sizes, left, right, None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operand so long that each of its panels is a part by itself.
    #[test]
    fn operands_packed_in_parts_give_what_a_whole_one_gives() {
        let sizes = Sizes {
            rows: FEW_ROWS + 1,
            inputs: 40_000,
            outputs: 70,
        };
        let value = |i: usize| ((i * 7919) % 23) as f32 / 8.0 - 1.375;
        let x: Vec<f32> = (0..sizes.rows * sizes.inputs).map(value).collect();
        let weight: Vec<f32> = (0..sizes.outputs * sizes.inputs).map(value).collect();
        let bias: Vec<f32> = (0..sizes.outputs).map(|i| i as f32).collect();
        let whole = PackedWeight::new(&weight, sizes.outputs, sizes.inputs, false);
        let run = |packed| {
            let function = Some(Function::Silu);
            forward::<f32, f32>(sizes, &x, &weight, packed, Some(&bias), function)
        };
        let (parts, whole) = (run(None), run(Some(&whole)));
        assert!(parts.iter().any(|value| *value > 1.0));
        assert_eq!(parts, whole);
        let first: f32 = x[..sizes.inputs]
            .iter()
            .zip(&weight)
            .map(|(x, w)| x * w)
            .sum();
        assert!((parts[0] - first / (1.0 + (-first).exp())).abs() <= 1e-3 * first.abs());
    }
}
