//! A face while it is being followed.

use super::appearance::Appearance;
use super::points::Points;
use super::{FaceFrame, FaceTrack, Seen};
use crate::geometry::{Rect, Square, distance};
use crate::landmark::{self, Landmarks};
use std::sync::Arc;
use units::FrameIndex;

/// The state of one track.
pub(super) struct Live {
    pub(super) person: usize,
    first: FrameIndex,
    faces: Vec<Option<Seen>>,
    points: Arc<Points>,
    /// Frames since the face was last seen; 0 while it is.
    pub(super) lost: u64,
    pub(super) look: Appearance,
    last: FaceFrame,
}

impl Live {
    pub(super) fn new(
        person: usize,
        at: FrameIndex,
        face: FaceFrame,
        look: Appearance,
        points: &Arc<Points>,
    ) -> Self {
        Self {
            person,
            first: at,
            faces: vec![Some(Seen::keep(&face, points))],
            points: Arc::clone(points),
            lost: 0,
            look,
            last: face,
        }
    }

    /// Where to look for it next.
    pub(super) fn square(&self) -> Option<Square> {
        landmark::square(&self.last.landmarks)
    }

    /// The box around its points when it was last seen.
    pub(super) fn area(&self) -> Rect {
        Rect::around(self.last.landmarks.iter().copied()).unwrap_or(Rect::new(0.0, 0.0, 0.0, 0.0))
    }

    /// The face was seen in this frame (again).
    pub(super) fn see(&mut self, at: FrameIndex, face: FaceFrame) {
        self.fill(at);
        self.faces.push(Some(Seen::keep(&face, &self.points)));
        self.last = face;
        self.lost = 0;
    }

    /// The face was not seen in this frame.
    pub(super) fn miss(&mut self) {
        self.lost += 1;
    }

    /// Takes back what was seen in this frame, if anything.
    pub(super) fn forget(&mut self, at: FrameIndex) {
        if at.since(self.first) + 1 == self.faces.len() as u64 {
            self.faces.pop();
        }
    }

    /// Empty entries up to a frame.
    fn fill(&mut self, at: FrameIndex) {
        let missing = at.since(self.first).saturating_sub(self.faces.len() as u64);
        self.faces.extend((0..missing).map(|_| None));
    }

    /// Whether new points can be the same face one frame later: no sudden change of place or size.
    pub(super) fn plausible(&self, found: &Landmarks) -> bool {
        match (self.square(), found.square()) {
            (Some(before), Some(now)) => {
                let ratio = now.side / before.side;
                let moved = distance(before.centre, now.centre) / before.side;
                (0.6..1.6).contains(&ratio) && moved < 0.5
            }
            _ => false,
        }
    }

    /// How far the face moved since it was last seen, in distances between its eyes.
    pub(super) fn jump(&self, found: &Landmarks) -> f32 {
        let eyes = crate::mesh::eye_distance(&self.last.landmarks).max(1.0);
        let moved = |index: usize| match (self.last.landmarks.get(index), found.points.get(index)) {
            (Some(&a), Some(&b)) => distance(a, b) / eyes,
            _ => 0.0,
        };
        // The outer corners of the eyes: they move with turns and tilts, not with speech.
        f32::midpoint(
            moved(crate::mesh::EYE_OUTER_LEFT),
            moved(crate::mesh::EYE_OUTER_RIGHT),
        )
    }

    /// Frames with a face so far.
    pub(super) fn seen(&self) -> usize {
        self.faces.iter().flatten().count()
    }

    /// The finished track.
    pub(super) fn finish(self) -> FaceTrack {
        FaceTrack::new(self.person, self.first, self.faces, self.points)
    }
}
