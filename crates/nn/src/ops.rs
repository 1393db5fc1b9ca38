//! Operations: one a file, each with a fast path, a slow twin in plain candle
//! operations (`slow`), a backward pass and a test that they agree.
//!
//! All of them take and give `f32` or `bf16` tensors; statistics, exponentials
//! and sums are kept in `f32`. On a device without a kernel the slow twin runs.

pub mod add;
pub mod attention;
pub mod cast;
mod channels;
pub mod concat;
pub mod conv;
pub mod gelu;
pub mod group_norm;
pub mod layer_norm;
pub mod linear;
pub mod modulate;
mod normalise;
pub(crate) mod pack_cache;
pub mod pixel_norm;
pub mod rms_norm;
pub mod rope;
pub mod select;
pub mod shuffle;
pub mod silu;
pub(crate) mod support;
pub mod swap;
pub mod symmetric;
#[cfg(test)]
pub(crate) mod testing;
mod unary;

pub use add::add;
pub use attention::{AttentionOptions, attention};
pub use cast::cast;
pub use concat::concat;
pub use conv::{Conv1dOptions, Conv2dOptions, Conv3dOptions, TimePadding, conv1d, conv2d, conv3d};
pub use gelu::{gelu_erf, gelu_tanh};
pub use group_norm::{group_norm, group_norm_silu};
pub use layer_norm::{layer_norm, layer_norm_modulate};
pub use linear::{Activation, Lora, linear, linear_lora, product};
pub use modulate::{gate_add, modulate};
pub use pack_cache::BUDGET as PACKED_WEIGHTS_BUDGET;
pub use pixel_norm::{pixel_norm, pixel_norm_modulate_silu, pixel_norm_silu};
pub use rms_norm::{rms_norm, rms_norm_modulate};
pub use rope::rope;
pub use select::select;
pub use shuffle::{depth_to_space, space_to_depth};
pub use silu::silu;
pub use swap::swap;
pub use symmetric::{SymmetricOptions, symmetric_product};
