//! The two networks, run on one core with plain convolutions.
//!
//! Maps are channels-last and padded to whole vectors, so that every inner loop runs over full
//! vector registers; the operations are written once for any vector width (`kernels`) and the
//! width is chosen at run time. When the tensor layer's convolutions take channels-last maps,
//! `kernels` is the only file to replace.

mod detector;
mod kernels;
mod landmarks;
mod layers;
mod map;
mod weights;

pub(crate) use detector::{
    DetectorNet, GRID as DETECTOR_GRID, INPUT as DETECTOR_INPUT, RawDetections,
};
pub(crate) use landmarks::{INPUT as LANDMARK_INPUT, LandmarkNet, POINTS};
pub use weights::WeightsError;

#[cfg(test)]
mod parity;
