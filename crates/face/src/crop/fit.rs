//! The similarity from template points to a face's points.

use super::Placement;
use crate::geometry::Point;

/// Points of the face mesh and where they lie in the crop (0..1): the corners of the eyes and the
/// bridge of the nose, which speech hardly moves.
pub const TEMPLATE: [(usize, [f32; 2]); 8] = [
    (33, [0.32, 0.36]),
    (133, [0.44, 0.365]),
    (362, [0.56, 0.365]),
    (263, [0.68, 0.36]),
    (168, [0.50, 0.355]),
    (6, [0.50, 0.40]),
    (197, [0.50, 0.445]),
    (195, [0.50, 0.485]),
];

/// Umeyama (1991), eq. 40-42, in the plane, where the best rotation has a closed form: with points
/// relative to their means, `a = Σ t·p / Σ |t|²` and `b = Σ t×p / Σ |t|²`.
pub(super) fn fit(landmarks: &[Point]) -> Option<Placement> {
    let mut pairs = [([0.0_f64; 2], [0.0_f64; 2]); TEMPLATE.len()];
    for (pair, (index, place)) in pairs.iter_mut().zip(TEMPLATE) {
        *pair = (place.map(f64::from), landmarks.get(index)?.map(f64::from));
    }
    let count = pairs.len() as f64;
    let (mut from, mut to) = ([0.0; 2], [0.0; 2]);
    for (template, point) in pairs {
        for axis in 0..2 {
            from[axis] += template[axis] / count;
            to[axis] += point[axis] / count;
        }
    }
    let (mut spread, mut dot, mut cross) = (0.0, 0.0, 0.0);
    for (template, point) in pairs {
        let t = [template[0] - from[0], template[1] - from[1]];
        let p = [point[0] - to[0], point[1] - to[1]];
        spread += t[0] * t[0] + t[1] * t[1];
        dot += t[0] * p[0] + t[1] * p[1];
        cross += t[0] * p[1] - t[1] * p[0];
    }
    let (a, b) = (dot / spread, cross / spread);
    let place = Placement {
        a,
        b,
        x: to[0] - a * from[0] + b * from[1],
        y: to[1] - b * from[0] - a * from[1],
    };
    (place.side().is_finite() && place.side() > 1.0).then_some(place)
}
