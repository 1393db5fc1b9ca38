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
/// any run is one where a face is `needed`.
pub(crate) fn follow(
    source: &Source,
    runs: &[Range<FrameIndex>],
    choice: FaceRequest,
    energy: Option<&Energy>,
    needed: bool,
    observer: &mut dyn Observer,
) -> Result<Heads, ProjectError> {
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
    let tracks = tracker.finish();
    let envelope = energy.map(|energy| envelope(energy, source, &tracks.frames()));
    let chosen = match tracks.choose(face_choice(choice), envelope.as_deref()) {
        Ok(chosen) => chosen,
        Err(FaceError::NoFace) if !needed => {
            observer.warn("there is no face where the cuts are; pictures dissolve there, and no mouth is made");
            return Ok(Heads::none());
        }
        Err(error) => {
            let path = source.path().display();
            return Err(match error {
                FaceError::NoFace => ProjectError::input(format!(
                    "there is no face in {path} whose lips could move"
                ))
                .with_hint(
                    "faces must be in the picture, upright, and larger than about 32 pixels",
                ),
                FaceError::NoSuchFace { .. } => ProjectError::usage(format!("{path}: {error}")),
                other => face_error(other),
            });
        }
    };
    let mut without: Vec<(Range<FrameIndex>, &str)> = Vec::new();
    without.extend(
        chosen
            .missing()
            .into_iter()
            .map(|span| (span.frames, "there is no face")),
    );
    without.extend(
        chosen
            .profiles()
            .into_iter()
            .map(|span| (span.frames, "the face is turned away")),
    );
    without.sort_by_key(|(run, _)| run.start);
    for (run, reason) in without {
        observer.warn(&format!(
            "{reason} from {:.2} to {:.2} of the clip; those frames keep their recorded mouth",
            source.clock.start_of(run.start),
            source.clock.start_of(run.end)
        ));
    }
    Ok(Heads::new(chosen))
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
