//! Which of the faces is meant.

use super::gaps::{Span, spans};
use super::{FaceFrame, FaceTrack, Tracks, speaking};
use crate::FaceError;
use crate::crop::{HeadCrop, Placement};
use crate::geometry::{Rect, distance};
use crate::mesh;
use std::ops::Range;
use std::sync::Arc;
use units::{FrameIndex, FrameRate};

/// Which face of a clip to work on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaceChoice {
    /// In every scene, the one whose mouth moves with the sound.
    Speaking,
    /// A person by number, from 1: the most prominent one first.
    Number(usize),
    /// The person whose face is nearest to a position, frame pixels.
    At(f32, f32),
}

/// The face to work on, at most one in a frame.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Tracks that do not overlap, in order.
    pub tracks: Vec<Arc<FaceTrack>>,
    /// From the first to the last frame that was looked at.
    pub frames: Range<FrameIndex>,
    /// The stretches of frames that were looked at.
    pub runs: Vec<Range<FrameIndex>>,
    /// Frames per second.
    pub rate: FrameRate,
    crops: Vec<HeadCrop>,
}

impl Tracks {
    /// The tracks of the chosen face.
    ///
    /// `envelope` is the sound's energy in each frame from the first frame of [`Tracks::frames`] on; without it (or
    /// where it tells nothing) the most prominent face speaks.
    ///
    /// # Errors
    /// [`FaceError::NoFace`] where there is none at all, [`FaceError::NoSuchFace`] for a number
    /// beyond the people of the clip, [`FaceError::Points`] where faces could not be kept or read.
    pub fn choose(
        &self,
        choice: FaceChoice,
        envelope: Option<&[f32]>,
    ) -> Result<Chosen, FaceError> {
        if self.tracks.is_empty() {
            return Err(FaceError::NoFace);
        }
        let picked = match choice {
            FaceChoice::Speaking => self.speaking(envelope.unwrap_or(&[])),
            FaceChoice::Number(number) => {
                let person = number
                    .checked_sub(1)
                    .filter(|person| *person < self.people());
                let person = person.ok_or(FaceError::NoSuchFace {
                    asked: number,
                    faces: self.people(),
                })?;
                self.of_person(person)
            }
            FaceChoice::At(x, y) => {
                let nearest = self
                    .tracks
                    .iter()
                    .min_by(|a, b| track_distance(a, x, y).total_cmp(&track_distance(b, x, y)));
                self.of_person(nearest.map_or(0, |track| track.person))
            }
        };
        let mut tracks: Vec<Arc<FaceTrack>> = picked.into_iter().cloned().collect();
        tracks.sort_by_key(|track| track.frames.start);
        let chosen = Chosen {
            crops: tracks
                .iter()
                .map(|track| HeadCrop::of_track(track))
                .collect(),
            tracks,
            frames: self.frames(),
            runs: self.runs.clone(),
            rate: self.rate,
        };
        self.check()?;
        Ok(chosen)
    }

    /// All tracks of a person that do not overlap, longest first.
    fn of_person(&self, person: usize) -> Vec<&Arc<FaceTrack>> {
        let mut tracks: Vec<&Arc<FaceTrack>> =
            self.tracks.iter().filter(|t| t.person == person).collect();
        tracks.sort_by_key(|track| std::cmp::Reverse(track.seen()));
        without_overlaps(tracks)
    }

    /// In every scene the face that goes best with the sound; the rest of the scene, where that
    /// face is not there, to the next best.
    fn speaking(&self, envelope: &[f32]) -> Vec<&Arc<FaceTrack>> {
        let largest = self
            .tracks
            .iter()
            .map(|track| track.size())
            .fold(1.0, f32::max);
        let mut picked = Vec::new();
        for scene in self.scenes() {
            let mut scored: Vec<(f32, &Arc<FaceTrack>)> = self
                .tracks
                .iter()
                .filter(|track| track.frames.start >= scene.start && track.frames.start < scene.end)
                .map(|track| {
                    let agreement = speaking::agreement(track, envelope, self.frames().start);
                    // Prominence decides where the sound does not.
                    let share = track.seen() as f32 / scene.end.since(scene.start).max(1) as f32;
                    (
                        agreement + 0.15 * track.size() / largest + 0.15 * share,
                        track,
                    )
                })
                .collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            picked.extend(without_overlaps(scored.into_iter().map(|s| s.1).collect()));
        }
        picked
    }
}

/// Keeps each track unless one before it in the list is there at the same time.
fn without_overlaps(tracks: Vec<&Arc<FaceTrack>>) -> Vec<&Arc<FaceTrack>> {
    let mut kept: Vec<&Arc<FaceTrack>> = Vec::new();
    for track in tracks {
        let apart = |other: &&Arc<FaceTrack>| {
            other.frames.end <= track.frames.start || other.frames.start >= track.frames.end
        };
        if kept.iter().all(apart) {
            kept.push(track);
        }
    }
    kept
}

/// How near a track's face comes to a position, in sizes of the face.
fn track_distance(track: &FaceTrack, x: f32, y: f32) -> f32 {
    track
        .faces()
        .flatten()
        .filter_map(|face| {
            let area = Rect::around(face.landmarks.iter().copied())?;
            Some(distance(area.centre(), [x, y]) / area.width().max(1.0))
        })
        .fold(f32::MAX, f32::min)
}

impl Chosen {
    /// The face in a frame.
    pub fn face(&self, frame: FrameIndex) -> Option<FaceFrame> {
        self.tracks.iter().find_map(|track| track.face(frame))
    }

    /// Whether there is a face in a frame, and whether it is turned too far for its lips to be fitted. Its points need
    /// not be read for that.
    pub fn profile(&self, frame: FrameIndex) -> Option<bool> {
        let seen = self.tracks.iter().find_map(|track| track.look(frame))?;
        Some(FaceFrame::turned_away(seen.yaw))
    }

    /// Whether all faces could be kept and read.
    ///
    /// # Errors
    /// [`FaceError::Points`] where they could not: then some frames seemed to have no face.
    pub fn check(&self) -> Result<(), FaceError> {
        self.tracks
            .iter()
            .try_for_each(|track| track.points.check())
    }

    /// How differently the head is held in two frames, in distances between the eyes (see
    /// [`mesh::pose_distance`]). Frames that both have no face differ by nothing, a frame with one and a frame
    /// without by more than any head moves.
    pub fn pose_distance(&self, a: FrameIndex, b: FrameIndex) -> f32 {
        match (self.face(a), self.face(b)) {
            (Some(a), Some(b)) => {
                mesh::pose_distance(&a.landmarks, &b.landmarks).unwrap_or(Self::UNLIKE)
            }
            (None, None) => 0.0,
            _ => Self::UNLIKE,
        }
    }

    /// The distance between a pose and no pose.
    const UNLIKE: f32 = 10.0;

    /// The head crop of every track, in order.
    pub fn crops(&self) -> &[HeadCrop] {
        &self.crops
    }

    /// Where the head crop lies in a frame.
    pub fn placement(&self, frame: FrameIndex) -> Option<&Placement> {
        self.crops.iter().find_map(|crop| crop.placement(frame))
    }

    /// Stretches without the face, with their times: these can't be lip-synced.
    pub fn missing(&self) -> Vec<Span> {
        spans(&self.runs, self.rate, |frame| self.profile(frame).is_none())
    }

    /// Stretches in which the face is turned too far for its lips to be fitted.
    pub fn profiles(&self) -> Vec<Span> {
        spans(&self.runs, self.rate, |frame| {
            self.profile(frame) == Some(true)
        })
    }

    /// How far the mouth is open in every frame; `None` without a face.
    pub fn mouth_openings(&self) -> Vec<Option<f32>> {
        (self.frames.start.0..self.frames.end.0)
            .map(|frame| Some(self.face(FrameIndex(frame))?.mouth_opening()))
            .collect()
    }
}
