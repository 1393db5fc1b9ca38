//! Weight files: safetensors by mmap, single or sharded.
//!
//! A header is read as hostile input: sizes are capped, arithmetic is checked,
//! offsets must tile the file. Pickle is refused by content, whatever the name.

mod checkpoint;
mod decode;
mod digest;
mod error;
mod header;
mod key_map;
mod save;
mod shard;
mod view;

pub use checkpoint::{Checkpoint, TensorInfo};
pub use digest::sha256;
pub use error::WeightsError;
pub use header::{Header, HeaderTensor, StoredType};
pub use key_map::KeyMap;
pub use save::save;
pub use view::View;
