//! Tensors on a GPU as places that kernels read and write.

use candle_core::cuda::CudaStorageSlice;
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Result, Shape, Storage, Tensor, bail};
use cudarc::driver::DevicePtr as _;
use half::bf16;

use super::launch::{At, Element};

/// Whether the kernels take this tensor.
pub(crate) fn takes(x: &Tensor) -> bool {
    x.device().is_cuda() && matches!(x.dtype(), DType::F32 | DType::BF16) && x.elem_count() > 0
}

/// The element type of a tensor that [`takes`] holds for.
pub(crate) fn element(x: &Tensor) -> Result<Element> {
    match x.dtype() {
        DType::F32 => Ok(Element::F32),
        DType::BF16 => Ok(Element::Bf16),
        other => bail!("there is no GPU kernel for {other:?}"),
    }
}

/// Where a tensor's first element lies.
///
/// The tensor must be kept until what reads it has been launched; memory is freed in the
/// stream's order, so that is long enough.
pub(crate) fn at(x: &Tensor) -> Result<At> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        bail!("a GPU kernel got a tensor on {:?}", x.device());
    };
    let offset = layout.start_offset() * x.dtype().size_in_bytes();
    Ok(At(storage_at(storage)?.0 + offset as u64))
}

/// The same of an optional tensor.
pub(crate) fn at_or_nothing(x: Option<&Tensor>) -> Result<At> {
    x.map_or(Ok(At::NOTHING), at)
}

fn storage_at(storage: &CudaStorage) -> Result<At> {
    let stream = storage.device.cuda_stream();
    Ok(At(match &storage.slice {
        CudaStorageSlice::F32(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::BF16(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::U8(slice) => slice.device_ptr(&stream).0,
        _ => bail!("there is no GPU kernel for this storage"),
    }))
}

/// Memory for a result, and the tensor that it becomes.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) storage: CudaStorage,
    pub(crate) shape: Shape,
}

impl Space {
    /// Memory that nothing has been written to: what is launched before it becomes a
    /// tensor must write all of it.
    pub(crate) fn new(device: &Device, dtype: DType, shape: impl Into<Shape>) -> Result<Self> {
        let (device, shape) = (device.as_cuda_device()?, shape.into());
        // An allocation of nothing would have no address.
        let count = shape.elem_count().max(1);
        Ok(Self {
            storage: unwritten(device, dtype, count)?,
            shape,
        })
    }

    /// Memory for a tensor like another.
    pub(crate) fn like(x: &Tensor) -> Result<Self> {
        Self::new(x.device(), x.dtype(), x.shape())
    }

    pub(crate) fn at(&self) -> Result<At> {
        storage_at(&self.storage)
    }

    /// The tensor, without a gradient.
    pub(crate) fn tensor(self) -> Tensor {
        let storage = Storage::Cuda(self.storage);
        Tensor::from_storage(storage, self.shape, BackpropOp::none(), false)
    }
}

fn unwritten(device: &CudaDevice, dtype: DType, count: usize) -> Result<CudaStorage> {
    // SAFETY: kernels write all of their results, as the tests on the processor's machine
    // show, where memory begins as what is not a number.
    #[expect(unsafe_code, reason = "written by the kernel it is for")]
    unsafe {
        Ok(match dtype {
            DType::F32 => CudaStorage::wrap_cuda_slice(device.alloc::<f32>(count)?, device.clone()),
            DType::BF16 => {
                CudaStorage::wrap_cuda_slice(device.alloc::<bf16>(count)?, device.clone())
            }
            DType::U8 => CudaStorage::wrap_cuda_slice(device.alloc::<u8>(count)?, device.clone()),
            other => bail!("there is no GPU kernel for {other:?}"),
        })
    }
}
