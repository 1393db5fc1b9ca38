//! Faces over time: who is where in every frame.
//!
//! [`Tracker`] takes the frames one by one and keeps results, not pixels. A track is one face
//! without a scene cut; tracks of the same person carry the same number.

mod appearance;
mod choose;
mod cuts;
mod follow;
mod gaps;
mod live;
mod points;
mod speaking;

use crate::FaceError;
use crate::geometry::Point;
use crate::mesh;
use points::{Points, Slot};
use std::ops::Range;
use std::sync::Arc;
use units::{FrameIndex, FrameRate, Seconds};

pub use choose::{Chosen, FaceChoice};
pub use follow::Tracker;
pub use gaps::Span;

/// How faces are followed.
#[derive(Clone, Debug)]
pub struct TrackOptions {
    /// Frames per second, for the lengths of gaps (the nominal rate where it varies).
    pub rate: FrameRate,
    /// The detector runs every so many frames while all faces are being followed.
    pub detect_every: u64,
    /// The longest gap that is bridged by interpolation.
    pub bridge: Seconds,
    /// A face that was gone for longer is a new track when it comes back.
    pub forget: Seconds,
    /// Below this probability of a face the track is lost.
    pub least_presence: f32,
    /// More faces than this are not followed at once; the largest go first.
    pub most_faces: usize,
}

impl TrackOptions {
    /// The usual options for a clip of this frame rate.
    pub fn new(rate: FrameRate) -> Self {
        Self {
            rate,
            detect_every: 12,
            bridge: Seconds(1.0),
            forget: Seconds(3.0),
            least_presence: 0.5,
            most_faces: 8,
        }
    }
}

/// A face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceFrame {
    /// 468 points of the face mesh in frame pixels.
    pub landmarks: Vec<Point>,
    /// Probability that the face is there, 0..1.
    pub presence: f32,
    /// How far the head is turned, radians: positive towards the picture's right, 1.57 in profile.
    pub yaw: f32,
    /// Interpolated over a gap, not seen.
    pub bridged: bool,
}

impl FaceFrame {
    /// Beyond this yaw (radians, 60 degrees) the far half of the mouth is hidden: lips can't be fitted.
    pub const PROFILE: f32 = 1.05;

    /// How far the mouth is open, see [`mesh::mouth_opening`].
    pub fn mouth_opening(&self) -> f32 {
        mesh::mouth_opening(&self.landmarks)
    }

    /// Whether the head is turned so far that the lips can't be fitted.
    pub fn is_profile(&self) -> bool {
        Self::turned_away(self.yaw)
    }

    fn turned_away(yaw: f32) -> bool {
        yaw.abs() > Self::PROFILE
    }
}

/// One face from its first to its last frame within a scene.
#[derive(Clone, Debug)]
pub struct FaceTrack {
    /// Who it is: 0 for the most prominent person of the clip, and so on.
    pub person: usize,
    /// From the first frame with the face to the one after the last.
    pub frames: Range<FrameIndex>,
    /// One entry a frame; `None` inside gaps too long to bridge.
    faces: Vec<Option<Seen>>,
    points: Arc<Points>,
    size: f32,
}

/// A face in one frame, without its points.
#[derive(Clone, Copy, Debug)]
struct Seen {
    slot: Slot,
    presence: f32,
    yaw: f32,
    bridged: bool,
}

impl Seen {
    fn keep(face: &FaceFrame, points: &Points) -> Self {
        Self {
            slot: points.push(&face.landmarks),
            presence: face.presence,
            yaw: face.yaw,
            bridged: face.bridged,
        }
    }

    fn load(self, points: &Points) -> Option<FaceFrame> {
        Some(FaceFrame {
            landmarks: points.read(self.slot)?,
            presence: self.presence,
            yaw: self.yaw,
            bridged: self.bridged,
        })
    }
}

impl FaceTrack {
    /// A track of faces that are known, one entry a frame from `first` on.
    pub fn of_faces(person: usize, first: FrameIndex, faces: &[Option<FaceFrame>]) -> Self {
        let points = Arc::new(Points::default());
        let keep = |face: &Option<FaceFrame>| Some(Seen::keep(face.as_ref()?, &points));
        let faces = faces.iter().map(keep).collect();
        Self::new(person, first, faces, points)
    }

    fn new(
        person: usize,
        first: FrameIndex,
        faces: Vec<Option<Seen>>,
        points: Arc<Points>,
    ) -> Self {
        let mut track = Self {
            person,
            frames: first..first + faces.len() as u64,
            faces,
            points,
            size: 0.0,
        };
        let sizes = track.faces().flatten();
        let sum: f32 = sizes.map(|face| mesh::eye_distance(&face.landmarks)).sum();
        track.size = sum / track.seen().max(1) as f32;
        track
    }

    /// The face in a frame.
    pub fn face(&self, frame: FrameIndex) -> Option<FaceFrame> {
        self.look(frame)?.load(&self.points)
    }

    /// What is known of the face in a frame without its points.
    fn look(&self, frame: FrameIndex) -> Option<Seen> {
        let at = frame.0.checked_sub(self.frames.start.0)?;
        *self.faces.get(usize::try_from(at).ok()?)?
    }

    /// The faces of all frames; `None` inside gaps too long to bridge.
    pub fn faces(&self) -> impl Iterator<Item = Option<FaceFrame>> + '_ {
        self.faces.iter().map(|seen| (*seen)?.load(&self.points))
    }

    /// Frames with a face.
    pub fn seen(&self) -> usize {
        self.faces.iter().flatten().count()
    }

    /// Mean distance between the eyes over the frames with a face, pixels.
    pub fn size(&self) -> f32 {
        self.size
    }
}

/// Everything that was followed in a clip.
#[derive(Clone, Debug)]
pub struct Tracks {
    /// All tracks, by first frame, then by person.
    pub tracks: Vec<Arc<FaceTrack>>,
    /// First frames of new scenes (not counting the first frame of all).
    pub cuts: Vec<FrameIndex>,
    /// The stretches of frames that were looked at, in order and apart.
    pub runs: Vec<Range<FrameIndex>>,
    /// Frames per second.
    pub rate: FrameRate,
}

impl Tracks {
    fn check(&self) -> Result<(), FaceError> {
        self.tracks
            .iter()
            .try_for_each(|track| track.points.check())
    }

    /// How many people there are.
    pub fn people(&self) -> usize {
        self.tracks
            .iter()
            .map(|track| track.person + 1)
            .max()
            .unwrap_or(0)
    }

    /// From the first to the last frame that was looked at.
    pub fn frames(&self) -> Range<FrameIndex> {
        whole(&self.runs)
    }

    /// The frames of every scene.
    pub fn scenes(&self) -> Vec<Range<FrameIndex>> {
        scenes(&self.runs, &self.cuts)
    }
}

/// From the start of the first run to the end of the last.
fn whole(runs: &[Range<FrameIndex>]) -> Range<FrameIndex> {
    match (runs.first(), runs.last()) {
        (Some(first), Some(last)) => first.start..last.end,
        _ => FrameIndex::ZERO..FrameIndex::ZERO,
    }
}

/// The stretches between cuts.
fn scenes(runs: &[Range<FrameIndex>], cuts: &[FrameIndex]) -> Vec<Range<FrameIndex>> {
    let mut found = Vec::with_capacity(runs.len() + cuts.len());
    for run in runs {
        let mut start = run.start;
        for &cut in cuts
            .iter()
            .filter(|cut| run.contains(cut) && **cut > run.start)
        {
            found.push(start..cut);
            start = cut;
        }
        found.push(start..run.end);
    }
    found
}

#[cfg(test)]
mod tests;
