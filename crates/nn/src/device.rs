//! Where tensors live, and what the processor can do.

use candle_core::Device;

pub use crate::cpu::level::Level;

/// The processor, the only device of the default build.
pub const fn cpu() -> Device {
    Device::Cpu
}

/// The instruction level that the kernels of this process use.
///
/// Found out once; the environment variable `REWORD_CPU` (`scalar`, `avx2`,
/// `avx512`, `avx512bf16`, `amx`; `scalar`, `neon` on ARM) lowers it, and never raises it above what the
/// processor has.
pub fn cpu_level() -> Level {
    Level::current()
}

/// The number of threads that the kernels share (`RAYON_NUM_THREADS`, or all cores).
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Sets the number of threads that the kernels share; only before they first run.
/// Says whether it took effect.
pub fn set_threads(threads: usize) -> bool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .is_ok()
}
