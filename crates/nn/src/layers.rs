//! Layers: weights with the operation that uses them.

mod attention;
mod conv;
mod linear;
mod recompute;
pub(crate) mod tie;
mod timestep;

pub use attention::{Attention, KeysValues};
pub use conv::{Conv1d, Conv2d, Conv3d};
pub use linear::Linear;
pub use recompute::recomputed;
pub use timestep::{TimestepEmbedding, sinusoid};
