//! From embeddings of lips and sound to Sync-C, Sync-D and the offset.
//!
//! For every frame the distance of its lips to the sound at 31 lags, averaged over frames for each lag. The least
//! mean is Sync-D (LSE-D), the median less the least is Sync-C (LSE-C), and where the least lies is the offset
//! (`joonson/syncnet_python`, `SyncNetInstance.py`: `calc_pdist` and `evaluate`).

use crate::statistics::mean;
use serde::Serialize;

/// Lags in each direction, frames.
pub const REACH: usize = 15;

/// `torch.nn.functional.pairwise_distance` adds this to every difference.
const EPS: f32 = 1e-6;

/// What `SyncNet` says of a track.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncScores {
    /// Sync-C.
    pub confidence: f64,
    /// Sync-D.
    pub distance: f64,
    /// Frames of 40 ms, with the original's sign: positive where the sound comes early.
    pub offset: i64,
    /// Distance of each frame at that offset.
    pub frames: Vec<f32>,
}

/// The scores of embeddings, one pair a frame; `None` without frames.
pub fn sync_scores(lips: &[Vec<f32>], sound: &[Vec<f32>]) -> Option<SyncScores> {
    let count = lips.len().min(sound.len());
    if count == 0 {
        return None;
    }
    // Sound beyond the ends is zeros, as the original pads it.
    let nothing = vec![0.0; sound.first().map_or(0, Vec::len)];
    let distances: Vec<Vec<f32>> = (0..count)
        .map(|frame| {
            (0..=2 * REACH)
                .map(|lag| {
                    let other = (frame + lag)
                        .checked_sub(REACH)
                        .filter(|place| *place < count)
                        .and_then(|place| sound.get(place))
                        .unwrap_or(&nothing);
                    lips.get(frame).map_or(0.0, |lips| distance(lips, other))
                })
                .collect()
        })
        .collect();
    let means: Vec<f64> = (0..=2 * REACH)
        .map(|lag| {
            let column: Vec<f64> = distances
                .iter()
                .filter_map(|row| row.get(lag).copied().map(f64::from))
                .collect();
            mean(&column).unwrap_or(0.0)
        })
        .collect();
    let (lag, least) = means
        .iter()
        .copied()
        .enumerate()
        .min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let middle = crate::statistics::median(&means)?;
    Some(SyncScores {
        confidence: middle - least,
        distance: least,
        offset: REACH as i64 - lag as i64,
        frames: distances
            .iter()
            .filter_map(|row| row.get(lag).copied())
            .collect(),
    })
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            let difference = a - b + EPS;
            difference * difference
        })
        .sum::<f32>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::sync_scores;

    /// Embeddings that differ from frame to frame.
    fn course(count: usize, shift: usize) -> Vec<Vec<f32>> {
        (0..count)
            .map(|n| {
                (0..64)
                    .map(|d| (((n + shift) * 37 + d * 101) as f32 * 0.013).sin() * 4.0)
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_shift_is_found_with_the_originals_sign() {
        // The sound that belongs to frame n stands at n - 3: it comes three frames early.
        let early = sync_scores(&course(100, 0), &course(100, 3)).unwrap();
        assert_eq!(early.offset, 3);
        let late = sync_scores(&course(100, 5), &course(100, 0)).unwrap();
        assert_eq!(late.offset, -5);
        let exact = sync_scores(&course(100, 0), &course(100, 0)).unwrap();
        assert_eq!(exact.offset, 0);
        assert!(exact.distance < 1e-3 && exact.confidence > 5.0, "{exact:?}");
        assert_eq!(exact.frames.len(), 100);
    }

    #[test]
    fn nothing_has_no_scores() {
        assert_eq!(sync_scores(&[], &[]), None);
    }
}
