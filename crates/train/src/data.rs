//! Footage: where clips are, what is computed once of each, and how samples are drawn from them.

pub mod counterpart;
pub mod curate;
mod eigen;
pub mod encode;
pub mod footage;
mod library;
pub mod pack;
pub mod prepare;
mod shape;
pub mod shards;

pub use counterpart::Pose;
pub use encode::Encoder;
pub use footage::{Footage, FootageClip};
pub use library::{ClipLatents, Library};
pub use prepare::{Faces, PrepareOptions, faces_of};
pub use shape::{JAW, LIPS, ShapeBasis, shape_of};
