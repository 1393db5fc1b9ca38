//! Recipes that condition and sample a backbone, one folder a paper.

pub mod edit_yourself;
mod error;
mod hearing;
pub mod ltx_video;

pub use error::{BoxError, MethodError, Result};
pub use hearing::{SoundEncoder, SoundEncoderConfig};
