//! Kernels for the processor.
//!
//! One thread pool (rayon's global one), no second level of parallelism inside
//! a task. Every output element is computed by one task in one order, so results
//! do not depend on the number of threads.

pub(crate) mod level;
