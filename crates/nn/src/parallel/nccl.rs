//! Ranks that are GPUs, joined by NVIDIA's library.

use std::sync::Arc;

use candle_core::cuda::CudaStorageSlice;
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use cudarc::driver::{CudaSlice, CudaView, CudaViewMut};
use cudarc::nccl::{Comm, Id};

use super::Exchange;
use crate::cuda::memory::Space;

/// One GPU's connections.
pub struct Nccl {
    device: Device,
    comm: Comm,
}

impl std::fmt::Debug for Nccl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nccl")
            .field("rank", &self.comm.rank())
            .field("size", &self.comm.world_size())
            .finish_non_exhaustive()
    }
}

/// Numbers that describe a tensor: dtype, rank, sizes.
const HEADER: usize = 8;

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err takes")]
fn wrong(error: cudarc::nccl::result::NcclError) -> candle_core::Error {
    candle_core::Error::msg(format!("NCCL: {error:?}"))
}

/// The name of a new group, which rank 0 makes and all ranks need.
///
/// # Errors
/// When NCCL refuses.
pub fn group_name() -> Result<[std::ffi::c_char; 128]> {
    Ok(*Id::new().map_err(wrong)?.internal())
}

impl Nccl {
    /// Joins a group; waits for all of its ranks.
    ///
    /// # Errors
    /// When the device is no GPU, or NCCL refuses.
    pub fn join(
        device: &Device,
        rank: usize,
        size: usize,
        name: [std::ffi::c_char; 128],
    ) -> Result<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        let comm =
            Comm::from_rank(Arc::clone(&stream), rank, size, Id::uninit(name)).map_err(wrong)?;
        Ok(Self {
            device: device.clone(),
            comm,
        })
    }

    /// Sends `parts[i]` to rank `to[i]` and receives as many from `from`, shapes first.
    fn exchange(&self, parts: &[Tensor], to: &[usize], from: &[usize]) -> Result<Vec<Tensor>> {
        let cuda = self.device.as_cuda_device()?;
        let stream = cuda.cuda_stream();
        let out: Vec<CudaSlice<i64>> = parts
            .iter()
            .map(|part| cuda.clone_htod(&header(part)?))
            .collect::<Result<_>>()?;
        let mut headers: Vec<CudaSlice<i64>> = from
            .iter()
            .map(|_| cuda.alloc_zeros::<i64>(HEADER))
            .collect::<Result<_>>()?;
        grouped(|| {
            for (header, rank) in out.iter().zip(to) {
                self.comm.send(header, *rank as i32).map_err(wrong)?;
            }
            for (header, rank) in headers.iter_mut().zip(from) {
                self.comm.recv(header, *rank as i32).map_err(wrong)?;
            }
            Ok(())
        })?;
        let mut results = Vec::with_capacity(from.len());
        for header in &headers {
            let (dtype, shape) = described(&cuda.clone_dtoh(header)?)?;
            results.push((Space::new(&self.device, dtype, shape)?, dtype));
        }
        stream.synchronize().map_err(candle_core::Error::wrap)?;
        grouped(|| {
            for (part, rank) in parts.iter().zip(to) {
                bytes(part, |view| {
                    self.comm.send(&view, *rank as i32).map_err(wrong)
                })?;
            }
            for ((space, dtype), rank) in results.iter_mut().zip(from) {
                bytes_mut(space, *dtype, |mut view| {
                    self.comm
                        .recv(&mut view, *rank as i32)
                        .map(|_| ())
                        .map_err(wrong)
                })?;
            }
            Ok(())
        })?;
        Ok(results
            .into_iter()
            .map(|(space, _)| space.tensor())
            .collect())
    }
}

/// Sends and receives of one group happen together, in whatever order they are given.
fn grouped(calls: impl FnOnce() -> Result<()>) -> Result<()> {
    cudarc::nccl::group_start().map_err(wrong)?;
    let result = calls();
    cudarc::nccl::group_end().map_err(wrong)?;
    result
}

fn header(x: &Tensor) -> Result<[i64; HEADER]> {
    let mut header = [0; HEADER];
    if x.rank() > HEADER - 2 {
        bail!("a tensor of rank {} is not exchanged", x.rank());
    }
    header[0] = match x.dtype() {
        DType::F32 => 0,
        DType::BF16 => 1,
        other => bail!("tensors of {other:?} are not exchanged"),
    };
    header[1] = x.rank() as i64;
    for (place, size) in header[2..].iter_mut().zip(x.dims()) {
        *place = *size as i64;
    }
    Ok(header)
}

fn described(header: &[i64]) -> Result<(DType, Vec<usize>)> {
    match header {
        [dtype @ (0 | 1), rank, sizes @ ..] if *rank as usize <= sizes.len() => {
            let dtype = if *dtype == 0 { DType::F32 } else { DType::BF16 };
            let sizes = sizes.iter().take(*rank as usize);
            Ok((dtype, sizes.map(|size| *size as usize).collect()))
        }
        _ => bail!("a rank sent a tensor that is described by {header:?}"),
    }
}

/// A contiguous tensor's bytes.
fn bytes(x: &Tensor, f: impl FnOnce(CudaView<'_, u8>) -> Result<()>) -> Result<()> {
    let (storage, layout) = x.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a tensor that is sent must be contiguous: {layout:?}");
    };
    let Storage::Cuda(storage) = &*storage else {
        bail!("a tensor that is sent is on {:?}", x.device());
    };
    // SAFETY: any element is so many bytes.
    #[expect(unsafe_code, reason = "bytes of plain numbers")]
    let view = unsafe {
        match &storage.slice {
            CudaStorageSlice::F32(slice) => {
                slice.slice(start..end).transmute::<u8>((end - start) * 4)
            }
            CudaStorageSlice::BF16(slice) => {
                slice.slice(start..end).transmute::<u8>((end - start) * 2)
            }
            _ => None,
        }
    };
    match view {
        Some(view) => f(view),
        None => bail!("tensors of {:?} are not exchanged", x.dtype()),
    }
}

/// The bytes of memory that something is received into.
fn bytes_mut(
    space: &mut Space,
    dtype: DType,
    f: impl FnOnce(CudaViewMut<'_, u8>) -> Result<()>,
) -> Result<()> {
    let count = space.shape.elem_count() * dtype.size_in_bytes();
    // SAFETY: any bytes are such numbers.
    #[expect(unsafe_code, reason = "bytes of plain numbers")]
    let view = unsafe {
        match &mut space.storage.slice {
            CudaStorageSlice::F32(slice) => slice.transmute_mut::<u8>(count),
            CudaStorageSlice::BF16(slice) => slice.transmute_mut::<u8>(count),
            _ => None,
        }
    };
    match view {
        Some(view) => f(view),
        None => bail!("tensors of {dtype:?} are not exchanged"),
    }
}

impl Exchange for Nccl {
    fn rank(&self) -> usize {
        self.comm.rank()
    }

    fn size(&self) -> usize {
        self.comm.world_size()
    }

    fn all_to_all(&mut self, parts: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if parts.len() != self.size() {
            bail!("{} parts for {} ranks", parts.len(), self.size());
        }
        let ranks: Vec<usize> = (0..self.size()).collect();
        let parts: Vec<Tensor> = parts
            .iter()
            .map(Tensor::contiguous)
            .collect::<Result<_>>()?;
        self.exchange(&parts, &ranks, &ranks)
    }

    fn shift(&mut self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let (rank, size) = (self.rank(), self.size());
        let to = vec![(rank + 1) % size; tensors.len()];
        let from = vec![(rank + size - 1) % size; tensors.len()];
        let tensors: Vec<Tensor> = tensors
            .iter()
            .map(Tensor::contiguous)
            .collect::<Result<_>>()?;
        self.exchange(&tensors, &to, &from)
    }
}
