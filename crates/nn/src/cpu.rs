//! Kernels for the processor.
//!
//! One thread pool (rayon's global one), no second level of parallelism inside
//! a task. Every output element is computed by one task in one order, so results
//! do not depend on the number of threads.

#![expect(
    clippy::inline_always,
    reason = "loops are compiled for a level only where everything in them is inlined"
)]

pub(crate) mod attention;
pub(crate) mod attention_backward;
pub(crate) mod buffer;
pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod kernel;
pub(crate) mod level;
pub(crate) mod linear;
pub(crate) mod map;
pub(crate) mod math;
pub(crate) mod matmul;
pub(crate) mod pack;
pub(crate) mod real;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod storage;
pub(crate) mod symmetric;
pub(crate) mod transpose;
