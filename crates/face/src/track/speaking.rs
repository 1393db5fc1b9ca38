//! Whether a mouth moves with the sound.

use super::FaceTrack;
use crate::crop::smooth::gaussian;
use units::FrameIndex;

/// Frames by which sound and picture may be apart.
const REACH: i64 = 3;
/// Frames that are needed to tell.
const FEWEST: usize = 12;
/// A mouth whose opening varies by this much (standard deviation, share of the face's height) is
/// surely moving.
const LIVELY: f32 = 0.02;

/// How well a face's mouth goes with the loudness of the sound, about -1 to 1.5: the correlation of
/// opening, and of movement, with the loudness, and how much the mouth moves at all.
///
/// `envelope` is the sound's energy in every frame of the clip, from frame `first` on.
pub(super) fn agreement(track: &FaceTrack, envelope: &[f32], first: FrameIndex) -> f32 {
    let mut opening = Vec::new();
    let mut loudness = Vec::new();
    let start = track.frames.start.since(first) as usize;
    for (face, energy) in track.faces.iter().zip(envelope.iter().skip(start)) {
        if let Some(face) = face.as_ref().filter(|face| !face.bridged) {
            opening.push(face.mouth_opening());
            loudness.push(energy.max(0.0).sqrt());
        }
    }
    if opening.len() < FEWEST {
        return 0.0;
    }
    let movement: Vec<f32> = (0..opening.len())
        .map(|i| {
            let next = opening[(i + 1).min(opening.len() - 1)];
            (next - opening[i.saturating_sub(1)]).abs()
        })
        .collect();
    let loudness = smoothed(&loudness, 1.5);
    let by_opening = best_correlation(&smoothed(&opening, 1.0), &loudness);
    let by_movement = best_correlation(&smoothed(&movement, 2.0), &loudness);
    let lively = (deviation(&opening) / LIVELY).min(1.0);
    // A mouth at rest correlates with anything by chance, so its correlations count less.
    lively * (0.5 * (by_opening + by_movement)) + 0.5 * lively
}

fn smoothed(values: &[f32], sigma: f64) -> Vec<f32> {
    let wide: Vec<[f64; 1]> = values.iter().map(|&value| [f64::from(value)]).collect();
    gaussian(&wide, sigma)
        .iter()
        .map(|&[value]| value as f32)
        .collect()
}

/// The largest correlation over shifts of up to [`REACH`] frames.
fn best_correlation(a: &[f32], b: &[f32]) -> f32 {
    (-REACH..=REACH)
        .map(|shift| {
            let (skip_a, skip_b) = (shift.max(0) as usize, (-shift).max(0) as usize);
            let pairs: Vec<(f32, f32)> = a
                .iter()
                .skip(skip_a)
                .copied()
                .zip(b.iter().skip(skip_b).copied())
                .collect();
            correlation(&pairs)
        })
        .fold(-1.0, f32::max)
}

/// Pearson's correlation; 0 where one side does not vary.
pub(crate) fn correlation(pairs: &[(f32, f32)]) -> f32 {
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
