//! Training: from footage to weights.
//!
//! A run is a recipe ([`recipe`]) carried out by [`engine`]: a stage gives losses, autograd through
//! `nn`'s own operations gives [`gradients`], an [`optimiser`] moves the [`params`]. Every random
//! number is named by seed, purpose, step and sample ([`random`]), so that a resumed run, and one
//! of several ranks, computes what an undisturbed one computes.

pub mod adapt;
pub mod average;
pub mod checkpoint;
pub mod conditions;
pub mod data;
pub mod engine;
pub mod error;
pub mod export;
pub mod gradients;
pub mod init;
pub mod log;
pub mod lora;
pub mod loss;
pub mod noise;
pub mod optimiser;
pub mod params;
pub mod pattern;
pub mod random;
pub mod ranks;
pub mod rate;
pub mod recipe;
pub mod setup;
pub mod stage;
pub mod timesteps;

pub use error::{Result, TrainError};
pub use params::Parameters;
