//! By how much one clip runs behind another: every lag is tried at some moments of the one.

use media::VideoInfo;
use units::FrameIndex;

/// Moments at which lags are tried, at most and at least.
const PROBES: usize = 64;
const LEAST_PROBES: usize = 10;
/// The part of the made clip that must stand in the original.
const WITHIN: f64 = 0.9;

/// When a clip's frames are shown.
pub(super) struct Shown {
    /// Starts of the frames from the first one on, and the end, seconds.
    starts: Vec<f64>,
    /// Seconds a frame.
    pub(super) step: f64,
}

impl Shown {
    pub(super) fn of(video: &VideoInfo, frames: u64) -> Self {
        let zero = video.times.start(FrameIndex::ZERO).0;
        let mut starts: Vec<f64> = (0..frames)
            .map(|frame| video.times.start(FrameIndex(frame)).0 - zero)
            .collect();
        starts.push(video.times.end_of(FrameIndex(frames.saturating_sub(1))).0 - zero);
        Self {
            starts,
            step: video.rate.frame_duration().0,
        }
    }

    /// Frames at a constant rate.
    #[cfg(test)]
    pub(super) fn constant(frames: usize, rate: f64) -> Self {
        Self {
            starts: (0..=frames).map(|n| n as f64 / rate).collect(),
            step: 1.0 / rate,
        }
    }

    /// How many frames there are.
    pub(super) fn frames(&self) -> usize {
        self.starts.len() - 1
    }

    /// The frame shown at a time.
    pub(super) fn at(&self, time: f64) -> Option<usize> {
        let after = self.starts.partition_point(|start| *start <= time + 1e-6);
        (after > 0 && after < self.starts.len()).then(|| after - 1)
    }

    pub(super) fn middle(&self, frame: usize) -> f64 {
        let at = |index: usize| self.starts.get(index).copied().unwrap_or(0.0);
        f64::midpoint(at(frame), at(frame + 1))
    }

    /// How many steps of another clip this one lasts.
    fn lasts(&self, step: f64) -> i64 {
        let end = self.starts.last().copied().unwrap_or(0.0);
        (end / step).ceil() as i64
    }
}

/// The lag (seconds that pictures stand later in `theirs`) with the least distance, and what `judge` says beside it.
///
/// `judge` gets pairs of frames, of `known` frames of the one and of the other, and tells how far they are apart; of
/// equal distances the smaller lag counts.
pub(super) fn search<T>(
    mine: &Shown,
    theirs: &Shown,
    known: &[usize],
    mut judge: impl FnMut(&[(usize, usize)]) -> Option<(f64, T)>,
) -> Option<(f64, f64, T)> {
    if known.len() < LEAST_PROBES {
        return None;
    }
    let count = PROBES.min(known.len());
    let probes: Vec<usize> = (0..count)
        .filter_map(|n| known.get(n * known.len() / count).copied())
        .collect();
    let mut best: Option<(f64, i64, T)> = None;
    for steps in -mine.lasts(theirs.step)..=theirs.lasts(theirs.step) {
        let shift = steps as f64 * theirs.step;
        let pairs: Vec<(usize, usize)> = probes
            .iter()
            .filter_map(|probe| Some((*probe, theirs.at(mine.middle(*probe) + shift)?)))
            .collect();
        if pairs.len() < LEAST_PROBES || (pairs.len() as f64) < WITHIN * probes.len() as f64 {
            continue;
        }
        let Some((distance, found)) = judge(&pairs) else {
            continue;
        };
        let nearer = best
            .as_ref()
            .is_none_or(|best| (distance, steps.abs()) < (best.0, best.1.abs()));
        if nearer {
            best = Some((distance, steps, found));
        }
    }
    best.map(|(distance, steps, found)| (distance, steps as f64 * theirs.step, found))
}
