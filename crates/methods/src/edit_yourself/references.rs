//! Which recorded frames show the model the speaker's own mouth.
//!
//! A block is best served by frames whose head is held as in the block, and which between them
//! show the mouth from closed to open: then making lips is choosing among what was recorded.

use std::ops::Range;

use units::FrameIndex;

/// A recorded frame that may be a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub frame: FrameIndex,
    /// How far the mouth is open, in any unit that grows with it.
    pub opening: f32,
    /// Where the tip of the nose is in the crop, 0..1. The crop follows eyes and bridge, so this
    /// tells how the head is turned.
    pub pose: [f32; 2],
}

/// The references of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum References {
    /// The same for all blocks, best first.
    Fixed(Vec<FrameIndex>),
    /// Chosen for each block, from candidates in rising order of frames.
    Fitted(Vec<Candidate>),
}

/// Shares of the openings at which references lie: open, closed, and between. A model that was
/// trained on this order knows by a reference's place how far its mouth is open. The ends are a
/// little inside, because the extremes may be mistakes of the landmarks.
pub const OPENINGS: [f64; 4] = [0.95, 0.05, 0.6, 0.3];

/// Fewest and most candidates that are alike enough in pose.
const NEAR: [usize; 2] = [12, 64];

/// Frames around a block that are enough to choose from, where they are.
const AROUND: u64 = 125;

impl References {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Fixed(frames) => frames.is_empty(),
            Self::Fitted(candidates) => candidates.is_empty(),
        }
    }

    /// At most `wanted` frames for a block over `frames`, in the order in which the model knows them.
    pub fn choose(&self, frames: &Range<u64>, wanted: usize) -> Vec<FrameIndex> {
        match self {
            Self::Fixed(list) => list.iter().copied().take(wanted).collect(),
            Self::Fitted(candidates) => fitted(candidates, frames, wanted),
        }
    }
}

fn fitted(candidates: &[Candidate], frames: &Range<u64>, wanted: usize) -> Vec<FrameIndex> {
    let reach = frames.start.saturating_sub(AROUND)..frames.end.saturating_add(AROUND);
    let within = |range: &Range<u64>| -> Vec<Candidate> {
        let inside = |candidate: &&Candidate| range.contains(&candidate.frame.0);
        candidates.iter().filter(inside).copied().collect()
    };
    let mut near = within(&reach);
    if near.len() < NEAR[0] {
        near = candidates.to_vec();
    }
    let own = within(frames);
    let like = mean_pose(if own.is_empty() { &near } else { &own });
    let distance = |candidate: &Candidate| {
        let [x, y] = candidate.pose;
        (x - like[0]).powi(2) + (y - like[1]).powi(2)
    };
    near.sort_by(|a, b| (distance(a).total_cmp(&distance(b))).then(a.frame.0.cmp(&b.frame.0)));
    near.truncate((near.len() / 3).clamp(NEAR[0], NEAR[1]));
    near.sort_by(|a, b| (a.opening.total_cmp(&b.opening)).then(a.frame.0.cmp(&b.frame.0)));
    let mut chosen = Vec::with_capacity(wanted);
    for share in OPENINGS.into_iter().take(wanted) {
        let place = (share * near.len().saturating_sub(1) as f64).round() as usize;
        if let Some(candidate) = near.get(place)
            && !chosen.contains(&candidate.frame)
        {
            chosen.push(candidate.frame);
        }
    }
    chosen
}

fn mean_pose(candidates: &[Candidate]) -> [f32; 2] {
    let count = candidates.len().max(1) as f32;
    let sum = candidates.iter().fold([0.0; 2], |[x, y], candidate| {
        [x + candidate.pose[0], y + candidate.pose[1]]
    });
    sum.map(|value| value / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(frame: u64, opening: f32, x: f32) -> Candidate {
        Candidate {
            frame: FrameIndex(frame),
            opening,
            pose: [x, 0.6],
        }
    }

    #[test]
    fn references_span_the_openings_of_frames_with_the_blocks_pose() {
        // The head turns right at frame 100; in each half the mouth opens further and further.
        let candidates: Vec<Candidate> = (0..200)
            .map(|n| candidate(n, (n % 100) as f32, if n < 100 { 0.4 } else { 0.6 }))
            .collect();
        let references = References::Fitted(candidates);
        let left = references.choose(&(40..76), 4);
        assert!(left.iter().all(|frame| frame.0 < 100), "{left:?}");
        let right = references.choose(&(140..176), 4);
        assert!(right.iter().all(|frame| frame.0 >= 100), "{right:?}");
        // Open, closed, between.
        let [open, closed, middle, low] = right[..] else {
            panic!("{right:?}");
        };
        assert!(open > middle && middle > low && low > closed);
    }

    #[test]
    fn few_candidates_give_few_references_and_none_gives_none() {
        let one = References::Fitted(vec![candidate(7, 0.1, 0.5)]);
        assert_eq!(one.choose(&(500..530), 4), vec![FrameIndex(7)]);
        assert!(References::Fitted(Vec::new()).choose(&(0..9), 4).is_empty());
        let fixed = References::Fixed(vec![FrameIndex(3), FrameIndex(1)]);
        assert_eq!(fixed.choose(&(0..9), 1), vec![FrameIndex(3)]);
    }
}
