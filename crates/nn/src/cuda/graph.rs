//! A step recorded once and launched as a whole, which saves the processor's part of
//! thousands of launches.

use candle_core::{Device, Result, bail};
use cudarc::driver::CudaGraph;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};

/// Recorded launches; see [`Self::record`].
pub struct Graph {
    graph: CudaGraph,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}

impl Graph {
    /// Runs `step` once, and again while its launches are recorded instead of run.
    ///
    /// Gives what the recorded run gave: tensors that hold a result after each
    /// [`Self::replay`], until the next. `step` must read its inputs from tensors that
    /// live as long as the graph, whose contents may change between replays, and must not
    /// copy anything to or from main memory.
    ///
    /// # Errors
    /// When `step` fails, or does what can't be recorded.
    pub fn record<T>(device: &Device, step: impl Fn() -> Result<T>) -> Result<(Self, T)> {
        let cuda = device.as_cuda_device()?;
        // Sizes that candle's own kernels read are kept from the first run on.
        let _sizes = cuda.enable_cuda_graph_htod_cache();
        drop(step()?);
        let stream = cuda.cuda_stream();
        stream.synchronize().map_err(candle_core::Error::wrap)?;
        stream
            .begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(candle_core::Error::wrap)?;
        let result = step();
        // Recording ends whether the step failed or not. Memory that the step took and did
        // not give back, its results, is taken again by each replay.
        let flags = CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = stream.end_capture(flags);
        let result = result?;
        match graph.map_err(candle_core::Error::wrap)? {
            Some(graph) => Ok((Self { graph }, result)),
            None => bail!("nothing was recorded"),
        }
    }

    /// Runs the recorded launches on the device's stream.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn replay(&self) -> Result<()> {
        self.graph.launch().map_err(candle_core::Error::wrap)
    }
}
