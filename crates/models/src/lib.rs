//! Networks: configs, forward passes, key maps, parity tests.
//!
//! Every network is built from a [`ModelFile`] (mapped from disk or embedded) and a
//! config that stands in the file's own header or beside it. Fields bear the
//! checkpoint's names, so that the key maps stay short.

pub mod audio_projection;
mod error;
pub mod face_id;
mod file;
pub mod forward;
pub mod i3d;
pub mod inception;
pub mod interpolate;
pub mod lora;
pub mod lpips;
pub mod ltx;
pub mod mel_encoder;
pub mod registry;
pub mod sync_scorer;
pub mod syncnet;
pub mod t5;
pub mod tokenizer;
pub mod verify;
mod vision;
pub mod vit;
pub mod whisper;

pub use error::{ModelError, Result};
pub use file::{ModelFile, TensorShapes};
