//! NVIDIA GPUs: kernels as source, compiled when the program runs.
//!
//! * [`source`]: the kernels' text, which needs no header of CUDA's;
//! * [`launch`], [`plan`]: what is launched for an operation, with which sizes, as plain
//!   data, so that the same plans run on a GPU and, in tests, on the processor;
//! * [`nvrtc`]: NVIDIA's compiler as a library.
//!
//! With the feature `cuda`, further:
//! * `runtime`: modules compiled, kept and launched; `memory`: tensors as places;
//! * `blas`: products by cuBLASLt; `ops`: the operations with their gradients;
//! * `graph`: a step recorded once; `streaming`: weights copied while blocks run.
//!
//! Never run on a GPU so far: compiled for three architectures, and the kernels' arithmetic
//! checked by running the same source on the processor (see `docs/gpu.md`).

pub(crate) mod launch;
pub(crate) mod nvrtc;
pub(crate) mod plan;
pub(crate) mod source;

#[cfg(feature = "cuda")]
mod blas;
#[cfg(feature = "cuda")]
pub(crate) mod graph;
#[cfg(feature = "cuda")]
pub(crate) mod memory;
#[cfg(feature = "cuda")]
pub(crate) mod op;
#[cfg(feature = "cuda")]
pub(crate) mod ops;
#[cfg(feature = "cuda")]
pub(crate) mod runtime;
#[cfg(feature = "cuda")]
pub(crate) mod streaming;

#[cfg(test)]
mod host;
#[cfg(test)]
mod tests;
