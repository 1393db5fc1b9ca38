//! Layers: weights with the operation that uses them.

mod attention;
mod conv;
mod linear;
mod timestep;

pub use attention::{Attention, KeysValues};
pub use conv::{Conv1d, Conv2d, Conv3d};
pub use linear::Linear;
pub use timestep::{TimestepEmbedding, sinusoid};
