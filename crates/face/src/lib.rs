//! Faces in a clip: where they are, who is who over time, and the head crop that the models work on.
//!
//! [`FaceFinder`] finds faces in one frame, [`Landmarker`] their 468 points, [`track::Tracker`]
//! follows them through a clip. [`crop`] places the head crop, [`region`] the boxes that may be made
//! anew, [`morph`] blends two frames at a seam. Positions are continuous frame pixels, see
//! [`geometry`].
//!
//! The networks are MediaPipe's (Apache-2.0), converted once by `tools/convert/mediapipe_faces.py`.

pub mod detect;
pub mod geometry;
pub mod landmark;
pub mod mesh;
mod net;
mod sample;

pub use detect::{Detection, FaceFinder, FallbackFinder, FindFaces};
pub use geometry::{Point, Rect, Square};
pub use landmark::{Landmarker, Landmarks};
pub use mesh::mouth_opening;
pub use net::WeightsError;

use thiserror::Error;

/// What can go wrong with faces.
#[derive(Debug, Error)]
pub enum FaceError {
    /// Embedded weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
