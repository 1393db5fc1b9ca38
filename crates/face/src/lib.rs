//! Faces in a clip: where they are, who is who over time, and the head crop that the models work on.
//!
//! [`FaceFinder`] finds faces in one frame, [`Landmarker`] their 468 points, [`track::Tracker`]
//! follows them through a clip. [`crop`] places the head crop, [`region`] the boxes that may be made
//! anew, [`morph`] blends two frames at a seam. Positions are continuous frame pixels, see
//! [`geometry`].
//!
//! The networks are MediaPipe's (Apache-2.0), converted once by `tools/convert/mediapipe_faces.py`.
#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

pub mod crop;
pub mod detect;
pub mod geometry;
pub mod landmark;
pub mod lips;
pub mod mesh;
pub mod morph;
mod net;
mod patch;
pub mod region;
mod sample;
pub mod track;

pub use crop::{HeadCrop, Placement};
pub use detect::{Detection, FaceFinder, FallbackFinder, FindFaces};
pub use geometry::{Point, Rect, Square};
pub use landmark::{Landmarker, Landmarks};
pub use mesh::mouth_opening;
pub use net::WeightsError;
pub use patch::Patch;
pub use region::Region;
pub use track::{FaceChoice, FaceFrame, FaceTrack, TrackOptions, Tracker, Tracks};

use thiserror::Error;
use units::FrameIndex;

/// What can go wrong with faces.
#[derive(Debug, Error)]
pub enum FaceError {
    /// Embedded weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Frames were pushed out of order.
    #[error("frames must follow one another: expected {expected}, got {found}")]
    Order {
        /// The next frame.
        expected: FrameIndex,
        /// The one that came.
        found: FrameIndex,
    },
    /// The points of faces that are too many for memory could not be kept in a file, or read from it.
    #[error("the points of faces can't be kept in {}: {source}", folder.display())]
    Points {
        /// Where the file is.
        folder: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no face anywhere.
    #[error("no face was found in the clip")]
    NoFace,
    /// A face was asked for by a number that none has.
    #[error("face {asked} was asked for, but the clip shows {faces}")]
    NoSuchFace {
        /// The number, from 1.
        asked: usize,
        /// How many there are.
        faces: usize,
    },
}
