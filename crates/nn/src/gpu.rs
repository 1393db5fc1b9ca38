//! NVIDIA GPUs, with the feature `cuda`: opening one, what it is, its kernels and memory.
//!
//! The operations of [`crate::ops`] run there when their tensors lie there.

use std::time::{Duration, Instant};

use candle_core::{CudaDevice, Device, Result};

pub use crate::cuda::graph::Graph;
pub use crate::cuda::streaming::Streaming;

use crate::cuda::runtime;

/// Opens a GPU with a stream of its own, which graphs can be recorded on.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    let device = CudaDevice::new_with_stream(ordinal)?;
    // SAFETY: all tensors of a device are made, used and freed on its one stream, except for
    // `Streaming`'s, which orders the two streams by events of its own.
    #[expect(unsafe_code, reason = "events on every use would break graphs")]
    unsafe {
        device.disable_event_tracking();
    }
    Ok(Device::Cuda(device))
}

/// What a GPU is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub name: String,
    /// As `sm_90a`.
    pub architecture: String,
    /// In bytes.
    pub memory: usize,
    /// Of that, what nobody has taken.
    pub free: usize,
    pub multiprocessors: usize,
}

/// What the device is.
///
/// # Errors
/// When it is no GPU, or the driver refuses.
pub fn about(device: &Device) -> Result<About> {
    use cudarc::driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    let context = stream.context();
    let (free, memory) = context.mem_get_info().map_err(candle_core::Error::wrap)?;
    Ok(About {
        name: context.name().map_err(candle_core::Error::wrap)?,
        architecture: runtime::architecture(cuda)?,
        memory,
        free,
        multiprocessors: context
            .attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
            .map_err(candle_core::Error::wrap)? as usize,
    })
}

/// What [`prepare`] did.
#[derive(Debug, Clone, Copy)]
pub struct Prepared {
    pub kernels: usize,
    pub time: Duration,
    /// Version of NVRTC.
    pub compiler: (i32, i32),
}

/// Compiles and loads all kernels, which otherwise happens when each is first needed.
///
/// # Errors
/// When NVRTC is not found, or a kernel is refused.
pub fn prepare(device: &Device) -> Result<Prepared> {
    let start = Instant::now();
    let kernels = runtime::load_all(device.as_cuda_device()?)?;
    Ok(Prepared {
        kernels,
        time: start.elapsed(),
        compiler: runtime::compiler_version()?,
    })
}

/// Forgets the most memory that was taken so far.
///
/// # Errors
/// When the driver refuses.
pub fn forget_peak(device: &Device) -> Result<()> {
    runtime::forget_peak(device.as_cuda_device()?)
}

/// The most bytes that tensors took at once since [`forget_peak`].
///
/// # Errors
/// When the driver refuses.
pub fn peak(device: &Device) -> Result<u64> {
    runtime::pool(device.as_cuda_device()?, true)
}

/// The bytes that tensors take now.
///
/// # Errors
/// When the driver refuses.
pub fn taken(device: &Device) -> Result<u64> {
    runtime::pool(device.as_cuda_device()?, false)
}

/// Waits until everything that was launched has run.
///
/// # Errors
/// When something of it failed.
pub fn wait(device: &Device) -> Result<()> {
    device
        .as_cuda_device()?
        .cuda_stream()
        .synchronize()
        .map_err(candle_core::Error::wrap)
}
