//! Gaps in a track: short ones are bridged, long ones are reported.

use super::{FaceFrame, FaceTrack, Seen};
use std::ops::Range;
use units::{FrameIndex, FrameRate, Seconds};

/// A stretch of frames and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Half-open.
    pub frames: Range<FrameIndex>,
    /// Half-open, from the frame rate.
    pub time: Range<Seconds>,
}

impl Span {
    /// From frames and their rate.
    pub fn new(frames: Range<FrameIndex>, rate: FrameRate) -> Self {
        Self {
            time: rate.start_of(frames.start)..rate.start_of(frames.end),
            frames,
        }
    }
}

/// The stretches of `runs` for which `wanted` holds.
pub(super) fn spans(
    runs: &[Range<FrameIndex>],
    rate: FrameRate,
    wanted: impl Fn(FrameIndex) -> bool,
) -> Vec<Span> {
    let mut found = Vec::new();
    for run in runs {
        let mut start = None;
        for i in run.start.0..run.end.0 {
            match (wanted(FrameIndex(i)), start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    found.push(Span::new(FrameIndex(from)..FrameIndex(i), rate));
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            found.push(Span::new(FrameIndex(from)..run.end, rate));
        }
    }
    found
}

/// Fills gaps of at most `longest` frames by interpolation between the faces around them.
pub(super) fn bridge(track: &mut FaceTrack, longest: u64) {
    let mut before: Option<usize> = None;
    for now in 0..track.faces.len() {
        let load = |at: usize| (*track.faces.get(at)?)?.load(&track.points);
        if !matches!(track.faces.get(now), Some(Some(_))) {
            continue;
        }
        if let Some(from) = before
            && now - from > 1
            && (now - from - 1) as u64 <= longest
            && let (Some(last), Some(next)) = (load(from), load(now))
        {
            let made: Vec<Seen> = (from + 1..now)
                .map(|i| between(&last, &next, (i - from) as f32 / (now - from) as f32))
                .map(|face| Seen::keep(&face, &track.points))
                .collect();
            if let Some(gap) = track.faces.get_mut(from + 1..now) {
                for (slot, face) in gap.iter_mut().zip(made) {
                    *slot = Some(face);
                }
            }
        }
        before = Some(now);
    }
}

fn between(a: &FaceFrame, b: &FaceFrame, t: f32) -> FaceFrame {
    let mix = |from: f32, to: f32| from + (to - from) * t;
    FaceFrame {
        landmarks: a
            .landmarks
            .iter()
            .zip(&b.landmarks)
            .map(|(p, q)| [mix(p[0], q[0]), mix(p[1], q[1])])
            .collect(),
        presence: a.presence.min(b.presence),
        yaw: mix(a.yaw, b.yaw),
        bridged: true,
    }
}
