//! The head that is worked on: where it is in the source frames that matter, and at every output frame.

use super::pictures::{Pictures, Shown};
use crate::ProjectError;
use face::crop::Placement;
use face::morph::Side;
use face::track::Chosen;
use face::{FaceFrame, Point};
use media::Frame;
use units::FrameIndex;

/// The followed head, over some runs of source frames.
pub(crate) struct Heads {
    chosen: Option<Chosen>,
}

impl Heads {
    /// The head that was chosen.
    pub(crate) fn new(chosen: Chosen) -> Self {
        Self {
            chosen: Some(chosen),
        }
    }

    /// No head at all.
    pub(crate) fn none() -> Self {
        Self { chosen: None }
    }

    /// Whether the head's points could all be read: where they could not, some frames seemed to have no face.
    pub(crate) fn check(&self) -> Result<(), ProjectError> {
        self.chosen
            .as_ref()
            .map_or(Ok(()), face::track::Chosen::check)
            .map_err(super::track::face_error)
    }

    /// True without a head.
    pub(crate) fn is_empty(&self) -> bool {
        self.chosen.is_none()
    }

    /// Where the head crop lies in a source frame.
    pub(crate) fn placement(&self, source: FrameIndex) -> Option<Placement> {
        self.chosen.as_ref()?.placement(source).copied()
    }

    /// The face in a source frame.
    pub(crate) fn face(&self, source: FrameIndex) -> Option<FaceFrame> {
        self.chosen.as_ref()?.face(source)
    }

    /// Where the head crop lies in an output frame. Between two source frames it lies between theirs.
    pub(crate) fn placement_at(
        &self,
        pictures: &Pictures,
        output: FrameIndex,
    ) -> Option<Placement> {
        match pictures.at(output) {
            Shown::Frame(index) => self.usable(index),
            Shown::Between { a, b, weight } => {
                let (from, to) = (self.usable(a)?, self.usable(b)?);
                let mix = |from: f64, to: f64| from + (to - from) * f64::from(weight);
                Some(Placement {
                    a: mix(from.a, to.a),
                    b: mix(from.b, to.b),
                    x: mix(from.x, to.x),
                    y: mix(from.y, to.y),
                })
            }
        }
    }

    /// All source frames that the head was followed through, with or without a face, ascending.
    pub(crate) fn frames(&self) -> impl Iterator<Item = FrameIndex> + '_ {
        let crops = self.chosen.iter().flat_map(face::track::Chosen::crops);
        crops
            .flat_map(|crop| crop.frames().start.0..crop.frames().end.0)
            .map(FrameIndex)
    }

    /// Which shot an output frame shows, counted along the head's track.
    pub(crate) fn scene_at(&self, pictures: &Pictures, output: FrameIndex) -> Option<usize> {
        match pictures.at(output) {
            Shown::Frame(index) | Shown::Between { a: index, .. } => self.scene(index),
        }
    }

    /// Which shot a source frame is from, counted along the head's track.
    pub(crate) fn scene(&self, source: FrameIndex) -> Option<usize> {
        let crops = self.chosen.as_ref()?.crops();
        crops
            .iter()
            .position(|crop| crop.frames().contains(&source))
    }

    /// The face's points in an output frame. Between two source frames they lie between theirs.
    pub(crate) fn landmarks_at(
        &self,
        pictures: &Pictures,
        output: FrameIndex,
    ) -> Option<Vec<Point>> {
        match pictures.at(output) {
            Shown::Frame(index) => Some(self.face(index)?.landmarks),
            Shown::Between { a, b, weight } => {
                let (from, to) = (self.face(a)?.landmarks, self.face(b)?.landmarks);
                let mix = |from: f32, to: f32| from + (to - from) * weight;
                let points = from.iter().zip(&to);
                Some(
                    points
                        .map(|(a, b)| [mix(a[0], b[0]), mix(a[1], b[1])])
                        .collect(),
                )
            }
        }
    }

    /// Source frames with a face whose lips can be fitted: present and not in profile.
    fn usable(&self, source: FrameIndex) -> Option<Placement> {
        if self.chosen.as_ref()?.profile(source)? {
            return None;
        }
        self.placement(source)
    }

    /// Replaces the dissolved head of a seam picture by a morphed one, where both frames have a head.
    pub(crate) fn morph(
        &self,
        picture: &mut Frame,
        (a, from): (FrameIndex, &Frame),
        (b, to): (FrameIndex, &Frame),
        weight: f32,
    ) -> Result<(), ProjectError> {
        let (Some(first), Some(second)) = (self.face(a), self.face(b)) else {
            return Ok(());
        };
        let (from, to) = (from.to_rgb8(), to.to_rgb8());
        let patch = face::morph::morph(
            Side {
                frame: &from,
                landmarks: &first.landmarks,
            },
            Side {
                frame: &to,
                landmarks: &second.landmarks,
            },
            weight,
        );
        let Some(patch) = patch else { return Ok(()) };
        picture
            .put_region_rgb(patch.x as i64, patch.y as i64, &patch.image, &patch.alpha)
            .map_err(|error| ProjectError::fault("render", error))
    }
}
