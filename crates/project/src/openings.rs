//! The mouth's opening in a file, frame by frame.

use crate::ProjectError;
use crate::stages::{confined, media_error};
use face::{FaceChoice, TrackOptions, Tracker};
use media::Clip;
use std::path::Path;
use units::FrameIndex;

/// The opening of the most prominent face's mouth in every frame of a file; nothing where there is no face.
pub fn mouth_openings(path: &Path) -> Result<Vec<Option<f32>>, ProjectError> {
    let clip = Clip::open(path, &confined()).map_err(media_error)?;
    let rate = clip.video().map_err(media_error)?.rate;
    let fault = |error: face::FaceError| ProjectError::fault("measure", error);
    let mut tracker = Tracker::new(TrackOptions::new(rate)).map_err(fault)?;
    let mut index = FrameIndex::ZERO;
    for frame in clip.all_frames().map_err(media_error)? {
        tracker
            .push(index, &frame.map_err(media_error)?.to_rgb8())
            .map_err(fault)?;
        index = index.next();
    }
    let chosen = tracker
        .finish()
        .choose(FaceChoice::Number(1), None)
        .map_err(|error| ProjectError::input(format!("{}: {error}", path.display())))?;
    Ok((0..index.0)
        .map(|frame| {
            chosen
                .face(FrameIndex(frame))
                .filter(|face| !face.bridged)
                .map(|face| face.mouth_opening())
        })
        .collect())
}
