//! Where tensors live, and what the processor can do.

use candle_core::Device;
use thiserror::Error;

pub use crate::cpu::level::Level;

/// Why a device can't be had.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The name means nothing.
    #[error("there is no device {0}")]
    Unknown(String),
    /// The program was built without what the device needs.
    #[error("{0} needs a build with the feature cuda, which this is not")]
    NotBuilt(String),
    /// The driver refuses, or there is no such GPU.
    #[error("{name}: {source}")]
    Refused {
        /// As it was asked for.
        name: String,
        /// What the driver says.
        source: candle_core::Error,
    },
}

/// The processor, the only device of the default build.
pub const fn cpu() -> Device {
    Device::Cpu
}

/// `cpu`, `cuda` or `cuda:N`, the latter counted from 0.
///
/// # Errors
/// When the name is none of these, the build has no GPUs in it, or the GPU can't be had.
pub fn open(name: &str) -> Result<Device, DeviceError> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = match name.strip_prefix("cuda") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix(':').and_then(|n| n.parse().ok()),
        None => None,
    };
    match ordinal {
        Some(ordinal) => gpu(name, ordinal),
        None => Err(DeviceError::Unknown(name.to_owned())),
    }
}

#[cfg(feature = "cuda")]
fn gpu(name: &str, ordinal: usize) -> Result<Device, DeviceError> {
    crate::gpu::open(ordinal).map_err(|source| DeviceError::Refused {
        name: name.to_owned(),
        source,
    })
}

#[cfg(not(feature = "cuda"))]
fn gpu(name: &str, _: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(name.to_owned()))
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

/// Leaves all work to the pool of [`threads`]. To be called first in `main`, before any other thread is started.
///
/// candle brings a second pool for sums and products of whole tensors, whose threads spin between two of them and so take
/// the cores from the kernels: a training step on two cores took half as long again. One thread of it does not spin.
/// Who sets `CANDLE_NUM_THREADS` keeps that number.
pub fn share_one_pool() {
    const NAME: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: nobody else reads or writes the environment, as long as there is one thread.
        #[expect(
            unsafe_code,
            reason = "candle takes this number from the environment only"
        )]
        unsafe {
            std::env::set_var(NAME, "1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_devices_or_told() {
        assert!(open("cpu").unwrap().is_cpu());
        for name in ["gpu", "cuda0", "cuda:", "cuda:x", "", "cuda:-1"] {
            assert!(matches!(open(name), Err(DeviceError::Unknown(_))), "{name}");
        }
        // Without a GPU both kinds of build refuse, with the name.
        if let Err(error) = open("cuda:99") {
            assert!(error.to_string().contains("cuda:99"), "{error}");
        }
    }
}
