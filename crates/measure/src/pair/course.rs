//! One pass over a clip: faces, sound, and how much changes from frame to frame.

use crate::MeasureError;
use crate::picture::luma;
use crate::picture::motion::{Step, step};
use crate::sound::Loudness;
use crate::watch::Watch;
use face::geometry::Point;
use face::track::Chosen;
use face::{FaceChoice, FaceError, TrackOptions, Tracker, Tracks};
use media::{Clip, VideoInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
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

/// Reads both clips at once, each with its sound.
pub(crate) fn courses(
    [made, reference]: [(&Clip, &Clip); 2],
    wants: CourseWants,
    watch: &mut dyn Watch,
) -> Result<(Course, Course), MeasureError> {
    let total = made.0.video()?.frames + reference.0.video()?.frames;
    watch.begin("faces", total);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    let result = std::thread::scope(|scope| {
        let other = sender.clone();
        let stop = &stop;
        let one = scope.spawn(move || Course::read(made, wants, &sender, stop));
        let two = scope.spawn(move || Course::read(reference, wants, &other, stop));
        // Ends when both threads have dropped their senders.
        loop {
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(done) => watch.advance(done),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if watch.stopped() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Course, MeasureError>>| {
            thread.join().unwrap_or_else(|_| {
                Err(MeasureError::Features {
                    reason: "the pass over a clip broke off".to_owned(),
                })
            })
        };
        Ok((join(one)?, join(two)?))
    });
    watch.end();
    result
}

/// Where a face is on the whole, in parts of width and height.
pub(crate) fn place_of(face: &Chosen, course: &Course) -> Option<Point> {
    let (mut sum, mut count) = ([0.0_f32; 2], 0.0_f32);
    for frame in 0..course.frames {
        let Some(found) = face.face(FrameIndex(frame)) else {
            continue;
        };
        let area = face::Rect::around(found.landmarks.iter().copied())?;
        let [x, y] = area.centre();
        sum = [sum[0] + x, sum[1] + y];
        count += 1.0;
    }
    let (width, height) = (course.video.width as f32, course.video.height as f32);
    (count > 0.0).then(|| [sum[0] / count / width, sum[1] / count / height])
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
