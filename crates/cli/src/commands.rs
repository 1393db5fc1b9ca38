//! One file a command.

pub(crate) mod adapt;
pub(crate) mod align;
pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod doctor;
pub(crate) mod dub;
pub(crate) mod edit;
pub(crate) mod eval;
mod footage;
pub(crate) mod forward;
pub(crate) mod models;
pub(crate) mod plan;
pub(crate) mod rerender;
mod shared;
pub(crate) mod sync;
pub(crate) mod train;
pub(crate) mod transcribe;
