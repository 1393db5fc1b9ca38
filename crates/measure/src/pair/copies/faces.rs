//! The course of a face, by which it is told how much one clip runs behind another.

use super::Side;
use crate::statistics::median;
use face::geometry::Point;
use face::mesh;
use units::FrameIndex;

/// Points by which a face is known again: eyes, nose, mouth.
const POINTS: [usize; 10] = [
    mesh::EYE_OUTER_LEFT,
    mesh::EYE_INNER_LEFT,
    mesh::EYE_INNER_RIGHT,
    mesh::EYE_OUTER_RIGHT,
    mesh::NOSE_TIP,
    mesh::MOUTH_LEFT,
    mesh::MOUTH_RIGHT,
    13,
    14,
    152,
];
/// Frames of the made clip at which lags are tried, at most and at least.
const PROBES: usize = 64;
const LEAST_PROBES: usize = 10;
/// The part of the made clip that must stand in the original.
const WITHIN: f64 = 0.9;
/// Faces as near as this (mean distance of their points, in distances of the eyes) may be one picture.
const NEAR: f64 = 0.04;

/// A few points of every face, as parts of the frame, and when they are shown.
pub(super) struct Faces {
    /// Starts of the frames from the first one on, and the end.
    starts: Vec<f64>,
    shapes: Vec<Option<[Point; POINTS.len()]>>,
    /// Seconds a frame.
    pub(super) step: f64,
    /// Height over width, by which parts of the frame become comparable.
    aspect: f32,
}

impl Faces {
    pub(super) fn of(side: &Side<'_>) -> Self {
        let video = &side.course.video;
        let zero = video.times.start(FrameIndex::ZERO).0;
        let frames = side.course.frames;
        let mut starts: Vec<f64> = (0..frames)
            .map(|frame| video.times.start(FrameIndex(frame)).0 - zero)
            .collect();
        starts.push(video.times.end_of(FrameIndex(frames.saturating_sub(1))).0 - zero);
        let (width, height) = (video.width as f32, video.height as f32);
        let shape = |frame: u64| {
            let face = side
                .face?
                .face(FrameIndex(frame))
                .filter(|face| !face.bridged)?;
            let mut shape = [[0.0; 2]; POINTS.len()];
            for (place, index) in shape.iter_mut().zip(POINTS) {
                let [x, y] = face.landmarks.get(index).copied()?;
                *place = [x / width, y / height];
            }
            Some(shape)
        };
        Self {
            starts,
            shapes: (0..frames).map(shape).collect(),
            step: video.rate.frame_duration().0,
            aspect: height / width,
        }
    }

    /// The frame shown at a time.
    fn at(&self, time: f64) -> Option<usize> {
        let after = self.starts.partition_point(|start| *start <= time + 1e-6);
        (after > 0 && after < self.starts.len()).then(|| after - 1)
    }

    fn middle(&self, frame: usize) -> f64 {
        let at = |index: usize| self.starts.get(index).copied().unwrap_or(0.0);
        f64::midpoint(at(frame), at(frame + 1))
    }

    /// How far a shape is from that of a frame, in distances of the outer corners of the eyes.
    fn distance(&self, shape: &[Point; POINTS.len()], frame: usize) -> Option<f64> {
        let own = self.shapes.get(frame)?.as_ref()?;
        let length = |a: &Point, b: &Point| {
            f64::from(a[0] - b[0]).hypot(f64::from((a[1] - b[1]) * self.aspect))
        };
        let [left, _, _, right, ..] = own;
        let eyes = length(left, right).max(1e-6);
        let sum: f64 = own.iter().zip(shape).map(|(a, b)| length(a, b)).sum();
        Some(sum / POINTS.len() as f64 / eyes)
    }
}

/// The lag at which the faces are nearest; `None` where they are never near.
pub(super) fn lag(mine: &Faces, theirs: &Faces) -> Option<f64> {
    let seen: Vec<usize> = (0..mine.shapes.len())
        .filter(|frame| mine.shapes.get(*frame).is_some_and(Option::is_some))
        .collect();
    if seen.len() < LEAST_PROBES {
        return None;
    }
    let probes: Vec<usize> = (0..PROBES.min(seen.len()))
        .filter_map(|n| seen.get(n * seen.len() / PROBES.min(seen.len())).copied())
        .collect();
    let frames = |faces: &Faces| {
        faces
            .starts
            .last()
            .map_or(0.0, |end| end / theirs.step)
            .ceil() as i64
    };
    let mut best: Option<(f64, i64)> = None;
    for steps in -frames(mine)..=frames(theirs) {
        let distances: Vec<f64> = probes
            .iter()
            .filter_map(|probe| {
                let frame = theirs.at(mine.middle(*probe) + steps as f64 * theirs.step)?;
                theirs.distance(mine.shapes.get(*probe)?.as_ref()?, frame)
            })
            .collect();
        let found = distances.len() as f64;
        if distances.len() < LEAST_PROBES || found < WITHIN * probes.len() as f64 {
            continue;
        }
        let found = (median(&distances)?, steps);
        // The smaller lag among equals.
        if best.is_none_or(|best| (found.0, found.1.abs()) < (best.0, best.1.abs())) {
            best = Some(found);
        }
    }
    best.filter(|(distance, _)| *distance < NEAR)
        .map(|(_, steps)| steps as f64 * theirs.step)
}

/// Pairs of frames at a lag: the frame shown, or one beside it whose face is nearer (rates may differ). Both ascend.
pub(super) fn partners(mine: &Faces, theirs: &Faces, lag: f64) -> Vec<(u64, u64)> {
    let mut pairs: Vec<(u64, u64)> = Vec::new();
    for frame in 0..mine.shapes.len() {
        let Some(shown) = theirs.at(mine.middle(frame) + lag) else {
            continue;
        };
        let shape = mine.shapes.get(frame).and_then(Option::as_ref);
        let near = (shown.saturating_sub(1)..=shown + 1)
            .filter_map(|other| Some((theirs.distance(shape?, other)?, other)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map_or(shown, |(_, other)| other) as u64;
        let last = pairs.last().map_or(0, |(_, other)| *other);
        pairs.push((frame as u64, near.max(last)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::{Faces, POINTS, lag, partners};

    /// A head that wanders: frames `from..to` of its course at `rate`.
    fn faces(from: usize, to: usize, rate: f64, size: f32) -> Faces {
        let shape = |n: usize| {
            let t = (from as f64 / 25.0 + n as f64 / rate) as f32;
            let mut shape = [[0.0; 2]; POINTS.len()];
            for (index, point) in shape.iter_mut().enumerate() {
                let k = index as f32;
                *point = [
                    0.3 + 0.02 * k + 0.03 * (t * 2.1).sin() * size,
                    0.4 + 0.01 * k + 0.02 * (t * 3.7 + k).cos() * size,
                ];
            }
            Some(shape)
        };
        let count = ((to - from) as f64 / 25.0 * rate) as usize;
        Faces {
            starts: (0..=count).map(|n| n as f64 / rate).collect(),
            shapes: (0..count).map(shape).collect(),
            step: 1.0 / rate,
            aspect: 1.0,
        }
    }

    #[test]
    fn a_clip_that_starts_later_is_found_by_its_faces_and_another_one_is_not() {
        let whole = faces(0, 120, 25.0, 1.0);
        assert_eq!(lag(&whole, &whole), Some(0.0));
        let cut = faces(10, 120, 25.0, 1.0);
        assert!((lag(&cut, &whole).unwrap() - 0.4).abs() < 1e-9);
        assert!((lag(&whole, &cut).unwrap() + 0.4).abs() < 1e-9);
        assert_eq!(lag(&faces(0, 120, 25.0, -3.0), &whole), None);
        assert_eq!(partners(&cut, &whole, 0.4)[..2], [(0, 10), (1, 11)]);
        assert_eq!(partners(&whole, &cut, -0.4)[0], (10, 0));
        // Most of it must be there.
        assert_eq!(lag(&whole, &faces(20, 110, 25.0, 1.0)), None);
    }

    #[test]
    fn another_rate_is_paired_by_the_nearest_face() {
        let (slow, whole) = (faces(25, 125, 12.5, 1.0), faces(0, 150, 25.0, 1.0));
        let found = lag(&slow, &whole).unwrap();
        let pairs = partners(&slow, &whole, found);
        assert_eq!(pairs[..3], [(0, 25), (1, 27), (2, 29)]);
    }

    #[test]
    fn few_faces_are_no_course() {
        let whole = faces(0, 120, 25.0, 1.0);
        assert_eq!(lag(&faces(0, 9, 25.0, 1.0), &whole), None);
    }
}
