//! Weights that lie in main memory and come block by block, while the block before runs.

use std::sync::Arc;

use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Device, Result, Storage, Tensor, bail};
use cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice};
use half::bf16;

/// A tensor in memory that the GPU reads by itself.
enum Pinned {
    F32(PinnedHostSlice<f32>),
    Bf16(PinnedHostSlice<bf16>),
}

struct Source {
    data: Pinned,
    shape: Vec<usize>,
}

/// A block on its way: its tensors, and when they have arrived.
struct Coming {
    index: usize,
    tensors: Vec<Tensor>,
    arrived: CudaEvent,
}

/// Blocks of weights of which two at a time are on the GPU; see [`Self::block`].
pub struct Streaming {
    device: Device,
    /// Copies run here, beside the device's own stream.
    copies: Arc<CudaStream>,
    blocks: Vec<Vec<Source>>,
    coming: Option<Coming>,
    held: Vec<Tensor>,
}

impl std::fmt::Debug for Streaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streaming")
            .field("device", &self.device)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl Streaming {
    /// Copies the blocks' tensors, `f32` or `bf16` in main memory, into pinned memory.
    ///
    /// # Errors
    /// When there is not enough of that, or a tensor is of another kind.
    pub fn new(device: &Device, blocks: &[Vec<Tensor>]) -> Result<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        let copies = stream
            .context()
            .new_stream()
            .map_err(candle_core::Error::wrap)?;
        let blocks = blocks
            .iter()
            .map(|block| block.iter().map(|x| pin(&copies, x)).collect())
            .collect::<Result<_>>()?;
        Ok(Self {
            device: device.clone(),
            copies,
            blocks,
            coming: None,
            held: Vec::new(),
        })
    }

    /// The number of blocks.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// A block's tensors on the GPU; the next block begins to come. Whatever was launched
    /// with the former block's tensors may still be running; no clone of them may be
    /// launched with after this.
    ///
    /// # Errors
    /// When the index is none, or the driver refuses.
    pub fn block(&mut self, index: usize) -> Result<&[Tensor]> {
        if index >= self.blocks.len() {
            bail!("block {index} of {}", self.blocks.len());
        }
        let coming = match self.coming.take() {
            Some(coming) if coming.index == index => coming,
            _ => self.start(index)?,
        };
        let work = self.device.as_cuda_device()?.cuda_stream();
        work.wait(&coming.arrived)
            .map_err(candle_core::Error::wrap)?;
        // The former block's memory is given back on the copies' stream, once all that was
        // launched with it has run.
        let done = work.record_event(None).map_err(candle_core::Error::wrap)?;
        self.copies.wait(&done).map_err(candle_core::Error::wrap)?;
        self.held = coming.tensors;
        if self.blocks.len() > 1 {
            self.coming = Some(self.start((index + 1) % self.blocks.len())?);
        }
        Ok(&self.held)
    }

    fn start(&self, index: usize) -> Result<Coming> {
        let tensors = self.blocks[index]
            .iter()
            .map(|source| self.copy(source))
            .collect::<Result<_>>()?;
        let arrived = self
            .copies
            .record_event(None)
            .map_err(candle_core::Error::wrap)?;
        Ok(Coming {
            index,
            tensors,
            arrived,
        })
    }

    fn copy(&self, source: &Source) -> Result<Tensor> {
        let device = self.device.as_cuda_device()?.clone();
        let count = source.shape.iter().product::<usize>();
        // SAFETY: the copies below write all of the memory.
        #[expect(unsafe_code, reason = "written by the copy")]
        let storage = unsafe {
            match &source.data {
                Pinned::F32(data) => {
                    let mut to = self
                        .copies
                        .alloc::<f32>(count)
                        .map_err(candle_core::Error::wrap)?;
                    self.copies
                        .memcpy_htod(data, &mut to)
                        .map_err(candle_core::Error::wrap)?;
                    CudaStorage::wrap_cuda_slice(to, device)
                }
                Pinned::Bf16(data) => {
                    let mut to = self
                        .copies
                        .alloc::<bf16>(count)
                        .map_err(candle_core::Error::wrap)?;
                    self.copies
                        .memcpy_htod(data, &mut to)
                        .map_err(candle_core::Error::wrap)?;
                    CudaStorage::wrap_cuda_slice(to, device)
                }
            }
        };
        let shape = source.shape.as_slice();
        let none = BackpropOp::none();
        Ok(Tensor::from_storage(
            Storage::Cuda(storage),
            shape,
            none,
            false,
        ))
    }
}

fn pin(stream: &Arc<CudaStream>, x: &Tensor) -> Result<Source> {
    let flat = x.flatten_all()?;
    let context = stream.context();
    let data = match x.dtype() {
        DType::F32 => {
            let values = flat.to_vec1::<f32>()?;
            // SAFETY: all of it is written below.
            #[expect(unsafe_code, reason = "written below")]
            let mut data = unsafe { context.alloc_pinned::<f32>(values.len()) }
                .map_err(candle_core::Error::wrap)?;
            data.as_mut_slice()
                .map_err(candle_core::Error::wrap)?
                .copy_from_slice(&values);
            Pinned::F32(data)
        }
        DType::BF16 => {
            let values = flat.to_vec1::<bf16>()?;
            // SAFETY: all of it is written below.
            #[expect(unsafe_code, reason = "written below")]
            let mut data = unsafe { context.alloc_pinned::<bf16>(values.len()) }
                .map_err(candle_core::Error::wrap)?;
            data.as_mut_slice()
                .map_err(candle_core::Error::wrap)?
                .copy_from_slice(&values);
            Pinned::Bf16(data)
        }
        other => bail!("weights of {other:?} are not streamed"),
    };
    Ok(Source {
        data,
        shape: x.dims().to_vec(),
    })
}
