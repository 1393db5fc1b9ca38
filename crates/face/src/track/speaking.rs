//! Whether a mouth moves with the sound.

use super::FaceTrack;
use crate::crop::Placement;
use crate::crop::smooth::gaussian;
use crate::geometry::{Point, distance};
use crate::mesh;
use units::FrameIndex;

/// Frames by which the mouth may run ahead of the sound (it usually does), and behind it.
const AHEAD: i64 = 2;
const BEHIND: i64 = 1;
/// Frames that are needed to tell.
const FEWEST: usize = 12;
/// A mouth whose opening varies by less than this (standard deviation, share of the face's height)
/// hardly moves: listeners have 0.001 to 0.003, speakers 0.006 and more.
const LIVELY: f32 = 0.006;

/// How well a face's mouth goes with the loudness of the sound, about -1 to 1: the correlation of the
/// loudness with the mouth's opening, its change, and the movement of the lips within the face.
///
/// `envelope` is the sound's energy in every frame of the clip, from frame `first` on.
///
/// The weights were chosen on 27 clips of 3 s: of two people who both speak, the right one wins in
/// 79 % of the pairs; someone who only listens loses far more clearly.
pub(super) fn agreement(track: &FaceTrack, envelope: &[f32], first: FrameIndex) -> f32 {
    let mut opening = Vec::new();
    let mut loudness = Vec::new();
    let mut movement = Vec::new();
    let mut before: Option<Option<Vec<Point>>> = None;
    let start = track.frames.start.since(first) as usize;
    for (face, energy) in track.faces().zip(envelope.iter().skip(start)) {
        if let Some(face) = face.filter(|face| !face.bridged) {
            opening.push(face.mouth_opening());
            loudness.push(energy.max(0.0).sqrt());
            let lips = lips_in_face(&face.landmarks);
            if let Some(before) = before {
                movement.push(moved(before.as_deref(), lips.as_deref()));
            }
            before = Some(lips);
        }
    }
    if opening.len() < FEWEST {
        return 0.0;
    }
    let change: Vec<f32> = opening
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .collect();
    let loudness = smoothed(&loudness, 1.0);
    let by_opening = best_correlation(&smoothed(&opening, 1.0), &loudness);
    let by_change = best_correlation(&smoothed(&change, 1.5), &loudness);
    let by_movement = best_correlation(&smoothed(&movement, 1.5), &loudness);
    let lively = (deviation(&opening) / LIVELY).min(1.0);
    lively * (0.4 * by_opening + 0.3 * by_change + 0.3 * by_movement)
}

/// The outline of the lips in the face's own coordinates.
fn lips_in_face(landmarks: &[Point]) -> Option<Vec<Point>> {
    let place = Placement::fit(landmarks)?;
    let lips = mesh::LIPS_OUTER.iter().chain(&mesh::LIPS_INNER);
    lips.map(|&index| Some(place.to_unit(*landmarks.get(index)?)))
        .collect()
}

/// Mean movement of the lips between two frames.
fn moved(before: Option<&[Point]>, after: Option<&[Point]>) -> f32 {
    match (before, after) {
        (Some(a), Some(b)) if !a.is_empty() => {
            let sum: f32 = a.iter().zip(b).map(|(p, q)| distance(*p, *q)).sum();
            sum / a.len() as f32
        }
        _ => 0.0,
    }
}

fn smoothed(values: &[f32], sigma: f64) -> Vec<f32> {
    let wide: Vec<[f64; 1]> = values.iter().map(|&value| [f64::from(value)]).collect();
    gaussian(&wide, sigma)
        .iter()
        .map(|&[value]| value as f32)
        .collect()
}

/// The largest correlation of a mouth's measure with the loudness over the shifts that are allowed.
fn best_correlation(mouth: &[f32], loudness: &[f32]) -> f32 {
    (-AHEAD..=BEHIND)
        .map(|shift| {
            let (skip_mouth, skip_loudness) = (shift.max(0) as usize, (-shift).max(0) as usize);
            let pairs: Vec<(f32, f32)> = mouth
                .iter()
                .skip(skip_mouth)
                .copied()
                .zip(loudness.iter().skip(skip_loudness).copied())
                .collect();
            correlation(&pairs)
        })
        .fold(-1.0, f32::max)
}

/// Pearson's correlation; 0 where one side does not vary.
fn correlation(pairs: &[(f32, f32)]) -> f32 {
    let count = pairs.len().max(1) as f32;
    let mean_a = pairs.iter().map(|p| p.0).sum::<f32>() / count;
    let mean_b = pairs.iter().map(|p| p.1).sum::<f32>() / count;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    let scale = (aa * bb).sqrt();
    if scale > 1e-12 { ab / scale } else { 0.0 }
}

fn deviation(values: &[f32]) -> f32 {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt()
}
