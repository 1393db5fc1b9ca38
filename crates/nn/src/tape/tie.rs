//! Gradients handed to a tensor of candle's graph from outside of it.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// One number that stands for `source` in candle's graph: a backward pass from it gives `source` this gradient.
///
/// # Errors
/// When `source` is neither `f32` nor bf16.
pub(super) fn tie(source: &Tensor, gradient: Tensor) -> Result<Tensor> {
    source.apply_op1(Tie(Mutex::new(Some(gradient))))
}

struct Tie(Mutex<Option<Tensor>>);

impl CustomOp1 for Tie {
    fn name(&self) -> &'static str {
        "tie"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        match storage {
            CpuStorage::F32(_) | CpuStorage::BF16(_) => Ok((CpuStorage::F32(vec![0.0]), 1.into())),
            other => bail!("a gradient for a tensor of {:?}", other.dtype()),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        _: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        let device = storage.device.clone();
        let zero = device.alloc_zeros::<f32>(1)?;
        let zero = candle_core::CudaStorage::wrap_cuda_slice(zero, device);
        Ok((zero, 1.into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}
