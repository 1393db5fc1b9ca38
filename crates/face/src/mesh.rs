//! What the points of MediaPipe's face mesh are, and measures on them.
//!
//! "Left" and "right" are those of the picture, not of the person.

use crate::geometry::{Point, distance};

/// Outer corner of the eye on the left.
pub const EYE_OUTER_LEFT: usize = 33;
/// Inner corner of the eye on the left.
pub const EYE_INNER_LEFT: usize = 133;
/// Inner corner of the eye on the right.
pub const EYE_INNER_RIGHT: usize = 362;
/// Outer corner of the eye on the right.
pub const EYE_OUTER_RIGHT: usize = 263;
/// Lower edge of the upper lip, in the middle.
pub const LIP_UPPER_INNER: usize = 13;
/// Upper edge of the lower lip, in the middle.
pub const LIP_LOWER_INNER: usize = 14;
/// Corner of the mouth on the left.
pub const MOUTH_LEFT: usize = 61;
/// Corner of the mouth on the right.
pub const MOUTH_RIGHT: usize = 291;
/// Top of the forehead.
pub const FOREHEAD: usize = 10;
/// Bottom of the chin.
pub const CHIN: usize = 152;
/// Tip of the nose.
pub const NOSE_TIP: usize = 1;
/// Where the cheek meets the ear on the left.
pub const CHEEK_LEFT: usize = 234;
/// Where the cheek meets the ear on the right.
pub const CHEEK_RIGHT: usize = 454;

/// The outline of the face, clockwise in the picture from the forehead.
pub const OVAL: [usize; 36] = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
];

/// The outer edge of the lips, clockwise in the picture from the left corner.
pub const LIPS_OUTER: [usize; 20] = [
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
];

/// The inner edge of the lips, clockwise in the picture from the left corner.
pub const LIPS_INNER: [usize; 20] = [
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
];

/// Points of lips and jaw that make the shape of a mouth, in the order of the model's training.
pub const MOUTH_SHAPE: [usize; 49] = [
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 78,
    95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 152,
    148, 176, 150, 136, 377, 400, 379, 365,
];

/// Tip, base and bridge of the nose: where they lie in the head crop tells how a head is held.
pub const NOSE_POSE: [usize; 3] = [1, 2, 168];

/// How far the mouth is open: the distance between the lips' inner edges over the height of the
/// face (points 13 and 14, 10 and 152); about 0 when closed. 0 where there are not enough points.
pub fn mouth_opening(points: &[Point]) -> f32 {
    let span = |a: usize, b: usize| Some(distance(*points.get(a)?, *points.get(b)?));
    match (span(LIP_UPPER_INNER, LIP_LOWER_INNER), span(FOREHEAD, CHIN)) {
        (Some(gap), Some(height)) if height > 0.0 => gap / height,
        _ => 0.0,
    }
}

/// Distance between the outer corners of the eyes, pixels; the yardstick of a face's size in the
/// picture. 0 where there are not enough points.
pub fn eye_distance(points: &[Point]) -> f32 {
    match (points.get(EYE_OUTER_LEFT), points.get(EYE_OUTER_RIGHT)) {
        (Some(&a), Some(&b)) => distance(a, b),
        _ => 0.0,
    }
}

/// Points that move with the head and hardly with what is said: eyes, nose, forehead, cheeks.
const STILL: [usize; 8] = [
    EYE_OUTER_LEFT,
    EYE_INNER_LEFT,
    EYE_INNER_RIGHT,
    EYE_OUTER_RIGHT,
    NOSE_TIP,
    FOREHEAD,
    CHEEK_LEFT,
    CHEEK_RIGHT,
];

/// How differently two faces are held: the mean distance between eight points that hardly move with the mouth, in
/// distances between the eyes. `None` where there are not enough points.
pub fn pose_distance(a: &[Point], b: &[Point]) -> Option<f32> {
    let size = f32::midpoint(eye_distance(a), eye_distance(b));
    let moved: Option<f32> = STILL
        .into_iter()
        .map(|index| Some(distance(*a.get(index)?, *b.get(index)?)))
        .sum();
    moved
        .map(|moved| moved / (STILL.len() as f32 * size))
        .filter(|distance| distance.is_finite())
}

/// The network's depths are flatter than heads are: angles from them times this agree with what
/// they show, from a quarter view to a profile.
const DEPTH_LOSS: f32 = 1.5;

/// How far the head is turned about its vertical axis, radians: positive towards the picture's
/// right side; a profile is near 1.57. 0 where there are not enough points.
///
/// The line between pairs of points that lie at equal depth in a frontal face, averaged over eyes,
/// cheeks and mouth.
pub fn yaw(points: &[Point], depths: &[f32]) -> f32 {
    let pairs = [
        (EYE_OUTER_LEFT, EYE_OUTER_RIGHT),
        (CHEEK_LEFT, CHEEK_RIGHT),
        (MOUTH_LEFT, MOUTH_RIGHT),
    ];
    let (mut across, mut deep) = (0.0, 0.0);
    for (left, right) in pairs {
        if let (Some(&a), Some(&b), Some(&near), Some(&far)) = (
            points.get(left),
            points.get(right),
            depths.get(left),
            depths.get(right),
        ) {
            across += distance(a, b);
            deep += far - near;
        }
    }
    // Turned to the picture's right, the right side lies deeper.
    if across > 0.0 || deep != 0.0 {
        DEPTH_LOSS * deep.atan2(across)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poses_differ_by_how_far_the_head_moved_and_not_by_the_mouth() {
        let mut still = points();
        for (index, point) in STILL.into_iter().enumerate() {
            still[point] = [index as f32 * 10.0, 30.0];
        }
        let size = eye_distance(&still);
        let mut moved = still.clone();
        for point in &mut moved {
            point[0] += 15.0;
        }
        assert!((pose_distance(&still, &moved).unwrap() - 15.0 / size).abs() < 1e-5);
        let mut talking = still.clone();
        talking[LIP_LOWER_INNER][1] += 20.0;
        talking[CHIN][1] += 20.0;
        assert_eq!(pose_distance(&still, &talking), Some(0.0));
        assert_eq!(pose_distance(&still, &[]), None);
    }

    fn points() -> Vec<Point> {
        let mut points = vec![[0.0; 2]; 468];
        points[FOREHEAD] = [50.0, 0.0];
        points[CHIN] = [50.0, 100.0];
        points[LIP_UPPER_INNER] = [50.0, 70.0];
        points[LIP_LOWER_INNER] = [50.0, 80.0];
        points[EYE_OUTER_LEFT] = [20.0, 40.0];
        points[EYE_OUTER_RIGHT] = [80.0, 40.0];
        points[CHEEK_LEFT] = [0.0, 50.0];
        points[CHEEK_RIGHT] = [100.0, 50.0];
        points
    }

    #[test]
    fn opening_is_relative_to_the_face() {
        let mut points = points();
        assert!((mouth_opening(&points) - 0.1).abs() < 1e-6);
        for point in &mut points {
            *point = [point[0] * 3.0 + 7.0, point[1] * 3.0 - 2.0];
        }
        assert!((mouth_opening(&points) - 0.1).abs() < 1e-6);
        assert_eq!(mouth_opening(&[]), 0.0);
    }

    #[test]
    fn yaw_grows_as_the_right_side_goes_back() {
        let points = points();
        let mut depths = vec![0.0; 468];
        assert_eq!(yaw(&points, &depths), 0.0);
        depths[EYE_OUTER_RIGHT] = 30.0;
        depths[CHEEK_RIGHT] = 50.0;
        // 60 + 100 across, 80 deep.
        assert!((yaw(&points, &depths) - 1.5 * 0.5_f32.atan()).abs() < 1e-6);
        assert_eq!(yaw(&[], &[]), 0.0);
    }

    #[test]
    fn outlines_name_each_point_once() {
        for outline in [&OVAL[..], &LIPS_OUTER[..], &LIPS_INNER[..]] {
            let mut sorted = outline.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), outline.len());
            assert!(sorted.iter().all(|&point| point < 468));
        }
    }
}
