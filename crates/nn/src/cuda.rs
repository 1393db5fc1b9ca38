//! NVIDIA GPUs: kernels as source, compiled when the program runs.
//!
//! * [`source`]: the kernels' text, which needs no header of CUDA's;
//! * [`launch`], [`plan`]: what is launched for an operation, with which sizes, as plain
//!   data, so that the same plans run on a GPU and, in tests, on the processor;
//! * [`nvrtc`]: NVIDIA's compiler as a library.
//!
//! Never run on a GPU so far: compiled for three architectures, and their arithmetic
//! checked by running the same source on the processor (see `docs/gpu.md`).

pub(crate) mod launch;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod nvrtc;
pub(crate) mod plan;
pub(crate) mod source;

#[cfg(test)]
mod host;
#[cfg(test)]
mod tests;
