//! One pass over a clip: faces, sound, and how much changes from frame to frame.

use crate::MeasureError;
use crate::picture::luma;
use crate::picture::motion::{Step, step};
use crate::sound::Loudness;
use face::geometry::Point;
use face::track::Chosen;
use face::{FaceChoice, FaceError, TrackOptions, Tracker, Tracks};
use media::{Clip, VideoInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use units::FrameIndex;

/// Steps are measured on pictures whose longer side is at most this.
const STEP_SIDE: usize = 320;

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CourseWants {
    pub(crate) faces: bool,
    pub(crate) steps: bool,
    pub(crate) sound: bool,
}

/// What a pass over a clip tells.
pub(crate) struct Course {
    pub(crate) video: VideoInfo,
    /// Faces, when they were wanted.
    pub(crate) tracks: Option<Tracks>,
    /// `steps[n]` leads from frame `n` to `n + 1`.
    pub(crate) steps: Vec<Step>,
    pub(crate) loudness: Loudness,
    /// Frames that were read; a broken file may have fewer than it promises.
    pub(crate) frames: u64,
}

impl Course {
    /// Reads the whole clip once, and the sound that belongs to it. A message goes to `done` for every frame.
    pub(crate) fn read(
        (clip, sound): (&Clip, &Clip),
        wants: CourseWants,
        done: &Sender<u64>,
        stop: &AtomicBool,
    ) -> Result<Self, MeasureError> {
        let video = clip.video()?.clone();
        let loudness = if wants.sound {
            Loudness::read(sound, &video)?
        } else {
            Loudness::None
        };
        let mut tracker = if wants.faces {
            Some(Tracker::new(TrackOptions::new(video.rate))?)
        } else {
            None
        };
        let mut steps = Vec::new();
        let mut before: Option<Vec<f32>> = None;
        let mut index = FrameIndex::ZERO;
        if wants.faces || wants.steps {
            for frame in clip.all_frames()? {
                if stop.load(Ordering::Relaxed) {
                    return Err(MeasureError::Stopped);
                }
                let picture = frame?.to_rgb8();
                if let Some(tracker) = &mut tracker {
                    tracker.push(index, &picture)?;
                }
                if wants.steps {
                    let longer = picture.width.max(picture.height).max(1);
                    let shrink = |side: usize| (side * STEP_SIDE.min(longer) / longer).max(1);
                    let (width, height) = (shrink(picture.width), shrink(picture.height));
                    let now = luma(&picture.resize(width, height));
                    if let Some(before) = &before {
                        steps.push(step(before, &now, width, height));
                    }
                    before = Some(now);
                }
                index = index.next();
                // Nobody listens any more when the measurement was stopped.
                let _ = done.send(1);
            }
        } else {
            index = FrameIndex(video.frames);
        }
        Ok(Self {
            frames: index.0,
            video,
            tracks: tracker.map(Tracker::finish),
            steps,
            loudness,
        })
    }

    /// The face that speaks; `None` where there is none or faces were not looked for.
    pub(crate) fn speaking(&self) -> Result<Option<Chosen>, MeasureError> {
        let envelope = self.loudness.envelope();
        self.choose(FaceChoice::Speaking, envelope.as_deref())
    }

    /// The face nearest to a position given in parts of width and height.
    pub(crate) fn near(&self, [x, y]: Point) -> Result<Option<Chosen>, MeasureError> {
        let (width, height) = (self.video.width as f32, self.video.height as f32);
        self.choose(FaceChoice::At(x * width, y * height), None)
    }

    fn choose(
        &self,
        choice: FaceChoice,
        envelope: Option<&[f32]>,
    ) -> Result<Option<Chosen>, MeasureError> {
        match self
            .tracks
            .as_ref()
            .map(|tracks| tracks.choose(choice, envelope))
        {
            None | Some(Err(FaceError::NoFace)) => Ok(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(chosen)) => Ok(Some(chosen)),
        }
    }
}

/// Landmarks of every frame in which the face was seen (not interpolated over a gap).
pub(crate) fn landmarks(chosen: Option<&Chosen>, frames: u64) -> Vec<Option<Vec<Point>>> {
    (0..frames)
        .map(|frame| {
            chosen?
                .face(FrameIndex(frame))
                .filter(|face| !face.bridged)
                .map(|face| face.landmarks)
        })
        .collect()
}
