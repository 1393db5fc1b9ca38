//! Lips: how far the mouth opens, where the lips are, and whether they rest in silence.
//!
//! A course has one entry a frame; `None` where there is no face.

use crate::statistics::{correlation, mean};
use face::Placement;
use face::geometry::Point;
use face::mesh::{LIPS_INNER, LIPS_OUTER};

/// Fewer pairs of frames than this say nothing about a course.
pub const LEAST_FRAMES: usize = 10;

/// Pearson's correlation of two courses of mouth openings over the frames that both know.
///
/// # Errors
/// A sentence that says what is missing.
pub fn opening_correlation(made: &[Option<f32>], reference: &[Option<f32>]) -> Result<f64, String> {
    let pairs: Vec<(f64, f64)> = made
        .iter()
        .zip(reference)
        .filter_map(|(a, b)| Some((f64::from((*a)?), f64::from((*b)?))))
        .collect();
    if pairs.len() < LEAST_FRAMES {
        return Err(format!(
            "a face is found in both clips in {} frames; {LEAST_FRAMES} are needed",
            pairs.len()
        ));
    }
    correlation(&pairs, LEAST_FRAMES).ok_or_else(|| "a mouth stands still".to_owned())
}

/// The 40 lip points of a face in crop pixels (a head crop of 256), without the lips' mean position.
///
/// The crop is fitted to this frame's face alone, so that size, turn and place of the head do not count.
pub fn lip_shape(landmarks: &[Point]) -> Option<Vec<Point>> {
    let place = Placement::fit(landmarks)?;
    let scale = face::crop::CROP_SIZE as f32;
    let points: Vec<Point> = LIPS_OUTER
        .iter()
        .chain(&LIPS_INNER)
        .map(|index| {
            let [u, v] = place.to_unit(*landmarks.get(*index)?);
            Some([u * scale, v * scale])
        })
        .collect::<Option<_>>()?;
    let count = points.len() as f32;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), p| (x + p[0], y + p[1]));
    Some(
        points
            .into_iter()
            .map(|p| [p[0] - x / count, p[1] - y / count])
            .collect(),
    )
}

/// Mean distance of the lip points of two faces, pixels of a crop of 256.
pub fn landmark_distance(made: &[Point], reference: &[Point]) -> Option<f64> {
    let (a, b) = (lip_shape(made)?, lip_shape(reference)?);
    let sum: f64 = a
        .iter()
        .zip(&b)
        .map(|(p, q)| f64::from(p[0] - q[0]).hypot(f64::from(p[1] - q[1])))
        .sum();
    Some(sum / a.len() as f64)
}

/// Steps of an opening from each frame to the next, both with a face; entry `n` leads to frame `n + 1`.
fn steps(course: &[Option<f32>]) -> Vec<Option<f64>> {
    course
        .iter()
        .zip(course.iter().skip(1))
        .map(|(a, b)| Some(f64::from(((*b)? - (*a)?).abs())))
        .collect()
}

/// Mouth motion in silence: the mean step of the opening over silent frames of the made clip, over the mean step of
/// the reference in frames with sound. 0 is a mouth that rests, 1 one that moves in silence as in speech.
///
/// `silent` and `voiced` say of each frame whether the made clip's sound rests there, and whether the reference's
/// sounds.
///
/// # Errors
/// A sentence that says what is missing.
pub fn lip_leak(
    made: &[Option<f32>],
    silent: &[bool],
    reference: &[Option<f32>],
    voiced: &[bool],
) -> Result<f64, String> {
    let select = |course: &[Option<f32>], wanted: &[bool]| -> Vec<f64> {
        // A step counts when both of its frames are wanted.
        steps(course)
            .into_iter()
            .zip(wanted.iter().zip(wanted.iter().skip(1)))
            .filter_map(|(step, (a, b))| step.filter(|_| *a && *b))
            .collect()
    };
    let (rest, speech) = (select(made, silent), select(reference, voiced));
    if rest.len() < LEAST_FRAMES {
        return Err(format!(
            "{} steps between silent frames with a face; {LEAST_FRAMES} are needed",
            rest.len()
        ));
    }
    if speech.len() < LEAST_FRAMES {
        return Err(format!(
            "the reference has {} steps between frames with sound and a face; {LEAST_FRAMES} are needed",
            speech.len()
        ));
    }
    match (mean(&rest), mean(&speech)) {
        (Some(rest), Some(speech)) if speech > 1e-6 => Ok(rest / speech),
        _ => Err("the reference's mouth stands still in speech".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{landmark_distance, lip_leak, opening_correlation};
    use face::geometry::Point;

    fn course(amplitude: f32) -> Vec<Option<f32>> {
        (0..60)
            .map(|n| Some(0.05 + amplitude * (n as f32 * 0.9).sin()))
            .collect()
    }

    #[test]
    fn the_same_course_correlates_by_one_and_a_still_mouth_by_nothing() {
        assert!((opening_correlation(&course(0.03), &course(0.05)).unwrap() - 1.0).abs() < 1e-6);
        assert!(
            opening_correlation(&course(0.0), &course(0.05))
                .unwrap_err()
                .contains("still")
        );
        let faceless = vec![None; 60];
        assert!(
            opening_correlation(&faceless, &course(0.05))
                .unwrap_err()
                .contains("0 frames")
        );
    }

    #[test]
    fn leak_is_the_ratio_of_motion_in_silence_to_motion_in_speech() {
        let (first, second): (Vec<bool>, Vec<bool>) = (0..60).map(|n| (n < 30, n >= 30)).unzip();
        let leak = |made: &[Option<f32>]| lip_leak(made, &first, &course(0.04), &second);
        assert!(leak(&course(0.0)).unwrap() < 1e-6);
        assert!((leak(&course(0.04)).unwrap() - 1.0).abs() < 0.05);
        assert!((leak(&course(0.01)).unwrap() - 0.25).abs() < 0.02);
        let never = vec![false; 60];
        assert!(lip_leak(&course(0.1), &never, &course(0.1), &second).is_err());
        assert!(lip_leak(&course(0.1), &first, &course(0.1), &never).is_err());
    }

    /// Points all over the place, enough for a fit.
    fn head() -> Vec<Point> {
        (0..468)
            .map(|n| {
                let angle = n as f32 * 0.7;
                [
                    200.0 + 60.0 * angle.sin(),
                    150.0 + 80.0 * (angle * 1.3).cos(),
                ]
            })
            .collect()
    }

    #[test]
    fn heads_of_any_place_and_size_with_the_same_lips_have_no_distance() {
        let head = head();
        let moved: Vec<Point> = head
            .iter()
            .map(|p| [p[0] * 1.7 + 40.0, p[1] * 1.7 - 9.0])
            .collect();
        assert!(landmark_distance(&head, &moved).unwrap() < 1e-3);
        let mut open = head.clone();
        for index in face::mesh::LIPS_OUTER {
            open[index][1] += 4.0;
        }
        assert!(landmark_distance(&open, &head).unwrap() > 0.5);
        assert_eq!(landmark_distance(&[], &head), None);
    }
}
