//! Finding faces in one frame.

mod anchors;
mod fallback;

use crate::FaceError;
use crate::geometry::{Point, Rect, Square};
use crate::net::{DetectorNet, WeightsError};
use crate::sample;
use media::image::Rgb8;

pub use fallback::FallbackFinder;

/// A face as the detector sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// From the brows to the chin, ear to ear; frame pixels.
    pub area: Rect,
    /// Probability of a face, 0..1.
    pub score: f32,
    /// Frame pixels: the eye on the left of the picture (the person's right), the one on the
    /// right, nose tip, middle of the mouth, the ear on the left, the ear on the right.
    pub keypoints: [Point; 6],
}

impl Detection {
    /// What the landmark network should look at: the box made square and 1.5 times as large,
    /// turned so that the eyes are level (MediaPipe, `face_detection_front_detection_to_roi`).
    pub fn square(&self) -> Square {
        let [left, right, ..] = self.keypoints;
        Square {
            centre: self.area.centre(),
            side: self.area.width().max(self.area.height()) * 1.5,
            angle: (right[1] - left[1]).atan2(right[0] - left[0]),
        }
    }
}

/// Anything that finds faces in a frame.
pub trait FindFaces: Send {
    /// The faces, best first, no two of the same face.
    fn detect(&self, frame: &Rgb8) -> Vec<Detection>;
}

/// MediaPipe's full-range detector: faces from about 1/20 of the frame's longer side up.
pub struct FaceFinder {
    net: DetectorNet,
    least_score: f32,
}

impl FaceFinder {
    /// The detector with its embedded weights.
    ///
    /// # Errors
    /// [`FaceError::Weights`] where the embedded file does not fit the network (a broken build).
    pub fn new() -> Result<Self, FaceError> {
        let bytes = include_bytes!("../weights/face_detector.safetensors");
        Ok(Self::with_weights(bytes)?)
    }

    fn with_weights(bytes: &[u8]) -> Result<Self, WeightsError> {
        Ok(Self {
            net: DetectorNet::read(bytes)?,
            least_score: 0.5,
        })
    }

    /// With another least probability of a face (0.5 unless set).
    #[must_use]
    pub fn least_score(mut self, score: f32) -> Self {
        self.least_score = score;
        self
    }
}

impl FindFaces for FaceFinder {
    fn detect(&self, frame: &Rgb8) -> Vec<Detection> {
        if frame.width == 0 || frame.height == 0 {
            return Vec::new();
        }
        // Black bars, as MediaPipe's border mode; the network wants -1..1.
        let (mut picture, from_unit) = sample::letterbox(frame, anchors::INPUT, 0.0);
        for value in &mut picture {
            *value = *value / 127.5 - 1.0;
        }
        let raw = self.net.run(&picture);
        anchors::decode(&raw, self.least_score, &from_unit)
    }
}
