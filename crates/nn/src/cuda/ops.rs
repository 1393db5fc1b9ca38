//! The operations of [`crate::ops`] on a GPU: memory, launches, gradients.

pub(crate) mod attention;
pub(crate) mod channels;
pub(crate) mod convolution;
pub(crate) mod elements;
pub(crate) mod linear;
pub(crate) mod rows;

use candle_core::{DType, Result, Tensor};

use super::launch::Launch;
use super::runtime;

/// Runs launches on a tensor's device.
fn run(x: &Tensor, launches: &[Launch]) -> Result<()> {
    runtime::run(x.device().as_cuda_device()?, launches)
}

/// A table as kernels read it: contiguous `f32`, without a gradient.
fn table(x: &Tensor) -> Result<Tensor> {
    x.detach().to_dtype(DType::F32)?.contiguous()
}
