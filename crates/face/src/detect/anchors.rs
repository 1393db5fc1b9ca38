//! From the detector's raw output to boxes: anchors, scores, weighted non-maximum suppression.
//!
//! Parameters: `mediapipe/modules/face_detection/face_detection_full_range.pbtxt` (one layer of
//! stride 4, one square anchor of unit size a cell, offset 0.5; scores clipped at 100; suppression at
//! an overlap of 0.3, weighted).

use super::Detection;
use crate::geometry::{Point, Rect};
use crate::net::RawDetections;
use media::image::Affine;

use crate::net::DETECTOR_GRID as GRID;
pub(super) use crate::net::DETECTOR_INPUT as INPUT;

/// Boxes that overlap by more than this are the same face.
const SAME_FACE: f32 = 0.3;

/// The faces of probability `least` and more, in frame pixels, best first.
pub(super) fn decode(raw: &RawDetections, least: f32, from_unit: &Affine) -> Vec<Detection> {
    let mut found: Vec<Detection> = raw
        .scores
        .iter()
        .zip(&raw.boxes)
        .enumerate()
        .filter_map(|(anchor, (&logit, values))| {
            let score = 1.0 / (1.0 + (-logit.clamp(-100.0, 100.0)).exp());
            (score >= least).then(|| one(anchor, score, values, from_unit))
        })
        .filter(|detection| !detection.area.is_empty())
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    merge(found)
}

fn one(anchor: usize, score: f32, values: &[f32; 16], from_unit: &Affine) -> Detection {
    let anchor = [
        ((anchor % GRID) as f32 + 0.5) / GRID as f32,
        ((anchor / GRID) as f32 + 0.5) / GRID as f32,
    ];
    let place = |x: f32, y: f32| -> Point {
        let (x, y) = from_unit.apply(x / INPUT as f32 + anchor[0], y / INPUT as f32 + anchor[1]);
        [x, y]
    };
    let [x, y, w, h, points @ ..] = *values;
    let [left, top] = place(x - w / 2.0, y - h / 2.0);
    let [right, bottom] = place(x + w / 2.0, y + h / 2.0);
    let mut keypoints = [[0.0; 2]; 6];
    for (point, pair) in keypoints.iter_mut().zip(points.as_chunks::<2>().0) {
        *point = place(pair[0], pair[1]);
    }
    Detection {
        area: Rect::new(left, top, right, bottom),
        score,
        keypoints,
    }
}

/// Weighted suppression: each best box is replaced by the mean of all that overlap it, weighted by
/// their scores. `found` is sorted, best first.
fn merge(mut found: Vec<Detection>) -> Vec<Detection> {
    let mut faces = Vec::new();
    while let Some(best) = found.first().cloned() {
        let (same, rest): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|other| other.area.overlap(&best.area) > SAME_FACE);
        found = rest;
        if same.is_empty() {
            break; // A box that does not even overlap itself (not finite).
        }
        let total: f32 = same.iter().map(|face| face.score).sum();
        let mean = |value: &dyn Fn(&Detection) -> f32| {
            same.iter()
                .map(|face| value(face) * face.score)
                .sum::<f32>()
                / total
        };
        faces.push(Detection {
            area: Rect::new(
                mean(&|face| face.area.left),
                mean(&|face| face.area.top),
                mean(&|face| face.area.right),
                mean(&|face| face.area.bottom),
            ),
            score: best.score,
            keypoints: std::array::from_fn(|i| {
                [
                    mean(&|face| face.keypoints[i][0]),
                    mean(&|face| face.keypoints[i][1]),
                ]
            }),
        });
    }
    faces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, score: f32) -> Detection {
        Detection {
            area: Rect::new(x, 0.0, x + 10.0, 10.0),
            score,
            keypoints: [[x, 5.0]; 6],
        }
    }

    #[test]
    fn boxes_of_one_face_are_averaged_by_score() {
        let merged = merge(vec![face(0.0, 0.9), face(2.0, 0.6), face(30.0, 0.5)]);
        assert_eq!(merged.len(), 2);
        assert!((merged[0].area.left - 0.8).abs() < 1e-5);
        assert!((merged[0].keypoints[3][0] - 0.8).abs() < 1e-5);
        assert_eq!(merged[0].score, 0.9);
        assert!((merged[1].area.left - 30.0).abs() < 1e-5);
    }

    #[test]
    fn boxes_that_are_not_numbers_end_the_loop() {
        assert!(merge(vec![face(f32::NAN, 0.9)]).len() <= 1);
    }

    #[test]
    fn an_anchor_lies_in_the_middle_of_its_cell() {
        let mut raw = RawDetections {
            scores: vec![-100.0; GRID * GRID],
            boxes: vec![[0.0; 16]; GRID * GRID],
        };
        // Column 10, row 20: centre at (10.5, 20.5) cells of 1/48 of a 960 px frame.
        let at = 20 * GRID + 10;
        raw.scores[at] = 3.0;
        raw.boxes[at] = [
            0.0, 0.0, 19.2, 38.4, 19.2, 0.0, 0.0, 19.2, 0., 0., 0., 0., 0., 0., 0., 0.,
        ];
        let found = decode(&raw, 0.5, &Affine::scale(960.0, 960.0));
        assert_eq!(found.len(), 1);
        let [x, y] = found[0].area.centre();
        assert!((x - 210.0).abs() < 1e-2 && (y - 410.0).abs() < 1e-2);
        assert!((found[0].area.width() - 96.0).abs() < 1e-2);
        assert!((found[0].area.height() - 192.0).abs() < 1e-2);
        assert!((found[0].keypoints[0][0] - 306.0).abs() < 1e-2);
        assert!((found[0].keypoints[1][1] - 506.0).abs() < 1e-2);
        assert!((found[0].score - 0.952_574).abs() < 1e-4);
    }
}
