//! Functions of single elements.

use rayon::prelude::*;

use super::buffer::unwritten;
use super::math;
use super::real::Real;
use super::simd::vectorised;

/// Elements of one task.
const TASK: usize = 1 << 14;

/// A function of one element with its derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    GeluTanh,
    GeluErf,
    Silu,
}

/// `function(x)`.
pub(crate) fn apply<T: Real>(function: Function, x: &[T]) -> Vec<T> {
    match function {
        Function::GeluTanh => map(x, math::gelu_tanh),
        Function::GeluErf => map(x, math::gelu_erf),
        Function::Silu => map(x, math::silu),
    }
}

#[inline(always)]
fn map<T: Real, U: Real>(x: &[T], f: impl Fn(bool, f32) -> f32 + Sync) -> Vec<U> {
    // SAFETY: chunks cover the vector, and all of a chunk is written.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<U>(x.len()) };
    out.par_chunks_mut(TASK)
        .zip(x.par_chunks(TASK))
        .for_each(|(out, x)| {
            vectorised(
                #[inline(always)]
                |fused| {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = U::put(f(fused, x.get()));
                    }
                },
            );
        });
    out
}

/// `grad * function'(x)`.
pub(crate) fn slope<T: Real>(function: Function, x: &[T], grad: &[T]) -> Vec<T> {
    match function {
        Function::GeluTanh => map2(
            x,
            grad,
            #[inline(always)]
            |fused, x, g| g * math::gelu_tanh_slope(fused, x),
        ),
        Function::GeluErf => map2(
            x,
            grad,
            #[inline(always)]
            |fused, x, g| g * math::gelu_erf_slope(fused, x),
        ),
        Function::Silu => map2(
            x,
            grad,
            #[inline(always)]
            |fused, x, g| g * math::silu_slope(fused, x),
        ),
    }
}

/// `x + y`.
pub(crate) fn sum<T: Real>(x: &[T], y: &[T]) -> Vec<T> {
    map2(
        x,
        y,
        #[inline(always)]
        |_, x, y| x + y,
    )
}

/// `x * y`, not rounded.
pub(crate) fn product<T: Real>(x: &[T], y: &[T]) -> Vec<f32> {
    map2(
        x,
        y,
        #[inline(always)]
        |_, x, y| x * y,
    )
}

/// The same numbers in another type.
pub(crate) fn cast<T: Real, U: Real>(x: &[T]) -> Vec<U> {
    map(
        x,
        #[inline(always)]
        |_, x| x,
    )
}

#[inline(always)]
fn map2<T: Real, U: Real>(x: &[T], y: &[T], f: impl Fn(bool, f32, f32) -> f32 + Sync) -> Vec<U> {
    // SAFETY: chunks cover the vector, and all of a chunk is written.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<U>(x.len()) };
    out.par_chunks_mut(TASK)
        .zip(x.par_chunks(TASK).zip(y.par_chunks(TASK)))
        .for_each(|(out, (x, y))| {
            vectorised(
                #[inline(always)]
                |fused| {
                    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                        *out = U::put(f(fused, x.get(), y.get()));
                    }
                },
            );
        });
    out
}
