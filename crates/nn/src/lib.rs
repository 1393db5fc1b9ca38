//! The tensor layer: hot operations with a slow twin each, layers, weight files.
//!
//! Tensors, devices, dtypes and autograd are candle's. Where speed or memory is
//! decided, [`ops`] has an operation of its own with a forward and a backward
//! pass; model code uses [`ops`] and [`layers`] and leaves candle's `matmul`,
//! `softmax` and `conv*` alone.

pub mod bench;
mod cpu;
#[cfg(any(test, feature = "cuda"))]
mod cuda;
pub mod device;
#[cfg(feature = "cuda")]
pub mod gpu;
pub mod layers;
pub mod ops;
pub mod parallel;
pub mod tape;
pub mod weights;

pub use candle_core::{DType, Device, DeviceLocation, Error, Result, Tensor, Var};
