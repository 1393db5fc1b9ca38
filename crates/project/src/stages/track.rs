//! Following faces through the source frames that matter, and choosing whose lips are made anew.

use super::heads::Heads;
use super::media_error;
use super::source::Source;
use crate::{FaceRequest, Observer, ProjectError, Stage};
use edit::cuts::Energy;
use face::track::Chosen;
use face::{FaceChoice, FaceError, TrackOptions, Tracker, Tracks};
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// All faces in runs of source frames, and where scenes are cut.
pub(crate) struct Followed {
    tracks: Tracks,
}

/// Follows all faces through runs of source frames (ascending, apart from each other).
pub(crate) fn follow(
    source: &Source,
    runs: &[Range<FrameIndex>],
    observer: &mut dyn Observer,
) -> Result<Followed, ProjectError> {
    let total = runs.iter().map(|run| run.end.since(run.start)).sum();
    observer.begin(Stage::Track, total);
    // One tracker for all runs, so that a person keeps their number over the whole clip.
    let mut tracker = Tracker::new(TrackOptions::new(source.video.rate)).map_err(face_error)?;
    for run in runs {
        tracker.skip_to(run.start).map_err(face_error)?;
        let mut index = run.start;
        for frame in source.clip.frames(run.clone()).map_err(media_error)? {
            let frame = frame.map_err(media_error)?;
            tracker.push(index, &frame.to_rgb8()).map_err(face_error)?;
            index = index.next();
            observer.advance(1);
            if observer.cancelled() {
                return Err(ProjectError::Cancelled);
            }
        }
    }
    observer.end(Stage::Track);
    Ok(Followed {
        tracks: tracker.finish(),
    })
}

impl Followed {
    /// The first frames of new scenes, ascending. A run of frames that shows another scene than the run before it
    /// counts as one.
    pub(crate) fn shots(&self) -> &[FrameIndex] {
        &self.tracks.cuts
    }

    /// True when every frame of `runs` was looked at.
    pub(crate) fn covers(&self, runs: &[Range<FrameIndex>]) -> bool {
        runs.iter().all(|run| {
            self.tracks
                .runs
                .iter()
                .any(|seen| seen.start <= run.start && run.end <= seen.end)
        })
    }

    /// The face that is asked for; nothing where there is no face at all.
    pub(crate) fn choose(
        &self,
        source: &Source,
        choice: FaceRequest,
        energy: Option<&Energy>,
    ) -> Result<Option<Chosen>, ProjectError> {
        let envelope = energy.map(|energy| envelope(energy, source, &self.tracks.frames()));
        match self.tracks.choose(face_choice(choice), envelope.as_deref()) {
            Ok(chosen) => Ok(Some(chosen)),
            Err(FaceError::NoFace) => Ok(None),
            Err(error @ FaceError::NoSuchFace { .. }) => Err(ProjectError::usage(format!(
                "{}: {error}",
                source.path().display()
            ))),
            Err(error) => Err(face_error(error)),
        }
    }
}

/// The head whose lips are made anew under the source frames `shown` (ascending).
///
/// Frames without a face are no failure: they keep their recorded mouth, and a warning says so. No face at all is
/// one where a face is `needed`.
pub(crate) fn heads(
    chosen: Option<Chosen>,
    source: &Source,
    shown: &[FrameIndex],
    needed: bool,
    observer: &mut dyn Observer,
) -> Result<Heads, ProjectError> {
    let Some(chosen) = chosen else {
        if needed {
            return Err(ProjectError::input(format!(
                "there is no face in {} whose lips could move",
                source.path().display()
            ))
            .with_hint("faces must be in the picture, upright, and larger than about 32 pixels"));
        }
        observer.warn(
            "there is no face where the cuts are; pictures dissolve there, and no mouth is made",
        );
        return Ok(Heads::none());
    };
    let reason = |frame: FrameIndex| match chosen.profile(frame) {
        None => Some("there is no face"),
        Some(true) => Some("the face is turned away"),
        Some(false) => None,
    };
    let mut lost: Vec<(Range<FrameIndex>, &str)> = Vec::new();
    for &frame in shown {
        let Some(reason) = reason(frame) else {
            continue;
        };
        match lost.last_mut() {
            Some((run, same)) if run.end == frame && *same == reason => run.end = frame.next(),
            _ => lost.push((frame..frame.next(), reason)),
        }
    }
    for (run, reason) in lost {
        observer.warn(&format!(
            "{reason} from {:.2} to {:.2} of the clip; those frames keep their recorded mouth",
            source.clock.start_of(run.start),
            source.clock.start_of(run.end)
        ));
    }
    Ok(Heads::new(chosen))
}

/// Refuses source frames (ascending) of which one shows no face to render anew.
pub(crate) fn in_all(
    chosen: Option<&Chosen>,
    source: &Source,
    shown: &[FrameIndex],
) -> Result<(), ProjectError> {
    let hint = "give the part of the picture in pixels: --region x,y,w,h";
    let Some(chosen) = chosen else {
        return Err(ProjectError::input(format!(
            "there is no face near that span of {}",
            source.path().display()
        ))
        .with_hint(hint));
    };
    let mut without = shown
        .iter()
        .filter(|frame| chosen.face(**frame).is_none())
        .peekable();
    let Some(first) = without.peek().copied().copied() else {
        return Ok(());
    };
    let mut end = first;
    for frame in without {
        if *frame != end {
            break;
        }
        end = end.next();
    }
    Err(ProjectError::input(format!(
        "there is no face from {:.2} to {:.2} of {}",
        source.clock.start_of(first),
        source.clock.start_of(end),
        source.path().display()
    ))
    .with_hint(hint))
}

/// The sound's loudness at every frame of a run.
fn envelope(energy: &Energy, source: &Source, run: &Range<FrameIndex>) -> Vec<f32> {
    (run.start.0..run.end.0)
        .map(|index| {
            let frame = FrameIndex(index);
            let middle = source.clock.start_of(frame) + source.clock.duration_of(frame) * 0.5;
            energy.at(Seconds(middle.0)).unwrap_or(0.0)
        })
        .collect()
}

fn face_choice(request: FaceRequest) -> FaceChoice {
    match request {
        FaceRequest::Speaking => FaceChoice::Speaking,
        FaceRequest::Number(number) => FaceChoice::Number(number + 1),
        FaceRequest::At(x, y) => FaceChoice::At(x, y),
    }
}

pub(crate) fn face_error(error: FaceError) -> ProjectError {
    match error {
        FaceError::Points { folder, source } => ProjectError::Files {
            action: "keep the points of faces in",
            path: folder,
            source,
        },
        error => ProjectError::fault("track", error),
    }
}
