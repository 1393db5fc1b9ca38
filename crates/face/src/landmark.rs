//! The 468 points of a face.

use crate::FaceError;
use crate::geometry::{Point, Rect, Square};
use crate::mesh;
use crate::net::{LANDMARK_INPUT, LandmarkNet, POINTS};
use crate::sample;
use media::image::{Affine, Rgb8};

/// A face's points and what follows from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmarks {
    /// 468 points of MediaPipe's face mesh in frame pixels.
    pub points: Vec<Point>,
    /// Depth of each point on the scale of frame pixels, smaller is nearer.
    pub depths: Vec<f32>,
    /// Probability that there is a face, 0..1.
    pub presence: f32,
}

impl Landmarks {
    /// The square that the network should look at in the next frame: the box around the points
    /// made square and 1.5 times as large, turned so that the eyes are level (MediaPipe,
    /// `face_landmark_landmarks_to_roi`). `None` without points.
    pub fn square(&self) -> Option<Square> {
        square(&self.points)
    }

    /// How far the head is turned, radians: positive towards the picture's right side.
    pub fn yaw(&self) -> f32 {
        mesh::yaw(&self.points, &self.depths)
    }
}

/// [`Landmarks::square`] of bare points.
pub(crate) fn square(points: &[Point]) -> Option<Square> {
    let area = Rect::around(points.iter().copied())?;
    let (&left, &right) = (
        points.get(mesh::EYE_OUTER_LEFT)?,
        points.get(mesh::EYE_OUTER_RIGHT)?,
    );
    let side = area.width().max(area.height()) * 1.5;
    (side.is_finite() && side > 1.0).then_some(Square {
        centre: area.centre(),
        side,
        angle: (right[1] - left[1]).atan2(right[0] - left[0]),
    })
}

/// The map by which MediaPipe cuts out the picture: it takes pixel 0 of the picture from the square's
/// border instead of half a picture pixel inside, and so does everything that was measured with it.
fn as_mediapipe(from_unit: &Affine) -> Affine {
    let half = -0.5 / LANDMARK_INPUT as f32;
    let shifted = from_unit.compose(&Affine::translation(half, half));
    Affine::translation(0.5, 0.5).compose(&shifted)
}

/// MediaPipe's face landmark network.
pub struct Landmarker {
    net: LandmarkNet,
}

impl Landmarker {
    /// The network with its embedded weights.
    ///
    /// # Errors
    /// [`FaceError::Weights`] where the embedded file does not fit the network (a broken build).
    pub fn new() -> Result<Self, FaceError> {
        let bytes = include_bytes!("../weights/face_landmarks.safetensors");
        Ok(Self {
            net: LandmarkNet::read(bytes)?,
        })
    }

    /// The points of the face inside `place`.
    pub fn landmarks(&self, frame: &Rgb8, place: &Square) -> Landmarks {
        let from_unit = place.unit_to_frame();
        let ratio = place.side / LANDMARK_INPUT as f32;
        let mut picture = sample::shrunk(frame, &as_mediapipe(&from_unit), LANDMARK_INPUT, ratio);
        for value in &mut picture {
            *value /= 255.0;
        }
        let raw = self.net.run(&picture);
        let unit = 1.0 / LANDMARK_INPUT as f32;
        let mut points = Vec::with_capacity(POINTS);
        let mut depths = Vec::with_capacity(POINTS);
        for [x, y, z] in raw.points {
            let (x, y) = from_unit.apply(x * unit, y * unit);
            points.push([x, y]);
            depths.push(z * unit * place.side);
        }
        Landmarks {
            points,
            depths,
            presence: 1.0 / (1.0 + (-raw.presence).exp()),
        }
    }

    /// The points of the face inside a first guess at its place, looked at twice: the second time
    /// in the square that the first points give, which is what the network was trained on.
    pub fn settle(&self, frame: &Rgb8, guess: &Square) -> Landmarks {
        let first = self.landmarks(frame, guess);
        match first.square() {
            Some(place) if first.presence >= 0.5 => self.landmarks(frame, &place),
            _ => first,
        }
    }
}
