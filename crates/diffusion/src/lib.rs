//! Sampling: schedules, Euler steps, guidance, noise, window strategies, resumable state.
//!
//! Nothing here knows a network. A method gives velocities, this crate walks the
//! probability flow `x_t = (1 - t) x_0 + t noise`, `v = noise - x_0`, from t = 1 to 0
//! (EditYourself eq. 1 and 2; LTX-Video `ltx_video/schedulers/rf.py`).

pub mod cache;
mod error;
pub mod euler;
pub mod guidance;
pub mod latents;
pub mod noise;
pub mod preset;
pub mod schedule;
mod state;
pub mod walk;
pub mod windows;

pub use cache::{Cache, CacheConfig};
pub use error::{DiffusionError, Result};
pub use guidance::{Branches, Guidance, GuidanceSchedule};
pub use noise::{ChaChaNoise, NoiseKey, NoiseSource, Purpose};
pub use preset::{Pass, Preset, StepGuidance, StgMode};
pub use schedule::Schedule;
pub use state::State;
pub use walk::{Walk, WindowVelocity};
pub use windows::{Ends, ShiftedWindows, Window};
