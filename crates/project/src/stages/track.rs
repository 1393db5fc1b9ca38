//! Following faces through the source frames that matter, and choosing whose lips are made anew.

use super::heads::Heads;
use super::media_error;
use super::source::Source;
use crate::{FaceRequest, Observer, ProjectError, Stage};
use edit::cuts::Energy;
use face::{FaceChoice, FaceError, TrackOptions, Tracker};
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// Follows the face that is asked for through runs of source frames (ascending, apart from each other).
///
/// A run without a face is no failure: its frames keep their recorded mouth, and a warning says so. No face in
/// any run is one.
pub(crate) fn follow(
    source: &Source,
    runs: &[Range<FrameIndex>],
    choice: FaceRequest,
    energy: Option<&Energy>,
    observer: &mut dyn Observer,
) -> Result<Heads, ProjectError> {
    let total = runs.iter().map(|run| run.end.since(run.start)).sum();
    observer.begin(Stage::Track, total);
    let mut chosen = Vec::new();
    let mut refused = None;
    for run in runs {
        let mut tracker = Tracker::new(TrackOptions::new(source.video.rate)).map_err(face_error)?;
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
        let envelope = energy.map(|energy| envelope(energy, source, run));
        match tracker.finish().choose(face_choice(choice), envelope.as_deref()) {
            Ok(found) => chosen.push(found),
            Err(error @ (FaceError::NoFace | FaceError::NoSuchFace { .. })) => refused = Some((run.clone(), error)),
            Err(other) => return Err(face_error(other)),
        }
    }
    observer.end(Stage::Track);
    if chosen.is_empty()
        && let Some((_, error)) = &refused
    {
        let path = source.path().display();
        return Err(match error {
            FaceError::NoSuchFace { .. } => ProjectError::usage(format!("{path}: {error}")),
            _ => ProjectError::input(format!("there is no face in {path} where its lips should move"))
                .with_hint("faces must be in the picture, upright, and larger than about 32 pixels"),
        });
    }
    for (run, reason) in found_without(&chosen, refused) {
        let time = |frame: FrameIndex| source.clock.start_of(frame);
        observer.warn(&format!(
            "{reason} from {:.2} to {:.2}; those frames keep their recorded mouth",
            time(run.start),
            time(run.end)
        ));
    }
    Ok(Heads::new(chosen))
}

/// Stretches in which no lips can be fitted, with the reason.
fn found_without(
    chosen: &[face::track::Chosen],
    refused: Option<(Range<FrameIndex>, FaceError)>,
) -> Vec<(Range<FrameIndex>, &'static str)> {
    let mut without: Vec<(Range<FrameIndex>, &'static str)> = refused.into_iter().map(|(run, _)| (run, "no face")).collect();
    for run in chosen {
        without.extend(run.missing().into_iter().map(|span| (span.frames, "no face")));
        without.extend(run.profiles().into_iter().map(|span| (span.frames, "the face is turned away")));
    }
    without.sort_by_key(|(run, _)| run.start);
    without
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

fn face_error(error: FaceError) -> ProjectError {
    ProjectError::fault("track", error)
}
