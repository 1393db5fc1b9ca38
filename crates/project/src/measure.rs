//! How well made lips follow: the mouth's opening in a file, frame by frame, and how two such courses agree.

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
                .map(face::FaceFrame::mouth_opening)
        })
        .collect())
}

/// Pearson's correlation over the frames that both courses know; `None` with fewer than ten, or where one stands still.
pub fn correlation(first: &[Option<f32>], second: &[Option<f32>]) -> Option<f64> {
    let pairs: Vec<(f64, f64)> = first
        .iter()
        .zip(second)
        .filter_map(|(a, b)| Some((f64::from((*a)?), f64::from((*b)?))))
        .collect();
    if pairs.len() < 10 {
        return None;
    }
    let count = pairs.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut both, mut a, mut b) = (0.0, 0.0, 0.0);
    for pair in &pairs {
        let (da, db) = (pair.0 - mean_a, pair.1 - mean_b);
        both += da * db;
        a += da * da;
        b += db * db;
    }
    let size = (a * b).sqrt();
    (size > 1e-12).then(|| both / size)
}

#[cfg(test)]
mod tests {
    use super::correlation;

    #[test]
    fn agreement_is_one_for_the_same_course_and_unknown_frames_do_not_count() {
        let course: Vec<Option<f32>> = (0..40)
            .map(|n| (n % 7 != 0).then_some((n as f32 * 0.7).sin()))
            .collect();
        let mut other: Vec<Option<f32>> = course
            .iter()
            .map(|value| value.map(|value| value * 3.0 + 1.0))
            .collect();
        assert!((correlation(&course, &other).unwrap() - 1.0).abs() < 1e-9);
        for value in other.iter_mut().flatten() {
            *value = -*value;
        }
        assert!((correlation(&course, &other).unwrap() + 1.0).abs() < 1e-9);
        assert_eq!(correlation(&course, &vec![Some(0.5); 40]), None);
        assert_eq!(correlation(&course[..5], &other), None);
    }
}
