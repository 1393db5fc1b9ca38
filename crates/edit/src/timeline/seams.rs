//! Picture runs in output order, with a dissolve where footage was removed.

use super::layout::Pictures;
use super::{PictureRun, TimelineInput};
use crate::bed::{SeamFrame, Shown};
use std::ops::Range;
use units::FrameIndex;

/// Output frames that need work beyond copying.
#[derive(Default)]
pub(super) struct Work {
    pub(super) lips: Vec<Range<FrameIndex>>,
    pub(super) anew: Vec<Range<FrameIndex>>,
}

/// Turns laid out pictures into runs.
///
/// Where two kept runs meet that don't follow each other in the source, the frames on both sides
/// dissolve: the left run goes on into the removed footage, the right one comes out of it, so that
/// both streams move naturally throughout.
pub(super) fn runs(pieces: &[Pictures], input: &TimelineInput<'_>) -> (Vec<PictureRun>, Work) {
    let shown: Vec<&Pictures> = pieces.iter().filter(|piece| piece.count() > 0).collect();
    // At every place where pieces meet, the frames that dissolve before and behind it.
    let mut widths = vec![(0_u64, 0_u64)];
    for pair in shown.windows(2) {
        let taken = widths.last().map_or(0, |(_, right)| *right);
        widths.push(match pair {
            [left, right] => widths_between(left, right, taken, input),
            _ => (0, 0),
        });
    }
    let mut output = Builder {
        runs: Vec::new(),
        work: Work::default(),
        at: FrameIndex::ZERO,
    };
    for (index, piece) in shown.iter().enumerate() {
        let width = |at: usize| widths.get(at).copied().unwrap_or_default();
        let ((_, before), after) = (width(index), width(index + 1));
        match piece {
            Pictures::Kept { source, anew } => {
                let inner = source.start + before..source.end - after.0;
                output.kept(inner, *anew);
                if let Some(Pictures::Kept { source: next, .. }) = shown.get(index + 1) {
                    output.seam(source.end, next.start, after);
                }
            }
            Pictures::Made {
                shown, insertion, ..
            }
            | Pictures::Retimed { shown, insertion } => {
                output.made(shown, *insertion);
            }
        }
    }
    (output.runs, output.work)
}

/// Frames that dissolve on either side of where two pieces meet. `taken` are the first of the left one, which dissolve
/// with what is before it.
fn widths_between(
    left: &Pictures,
    right: &Pictures,
    taken: u64,
    input: &TimelineInput<'_>,
) -> (u64, u64) {
    let (Pictures::Kept { source: left, .. }, Pictures::Kept { source: right, .. }) = (left, right)
    else {
        return (0, 0);
    };
    if left.end == right.start {
        return (0, 0);
    }
    // Another shot is a cut already, and looks like one.
    let shot = input.shot_of(left.end - 1);
    if !shot.contains(&right.start) {
        return (0, 0);
    }
    let length = |source: &Range<FrameIndex>| source.end.since(source.start);
    let (before, behind) = (left.end.since(shot.start), shot.end.since(right.start));
    let seam = input.config.seam;
    if input.config.latents.is_some() {
        // The first frame of all is a latent of its own, which stays.
        let first = u64::from(left.start == FrameIndex::ZERO).max(taken);
        let free = length(left).saturating_sub(first);
        return (
            seam.min(free).min(before),
            seam.min(length(right)).min(behind),
        );
    }
    let removed = right.start.since(left.end).max(1);
    let width = seam
        .min(removed)
        // Half of a run at most: its other half may belong to the next seam.
        .min(length(left) / 2)
        .min(length(right) / 2)
        .min(before)
        .min(behind);
    (width, width)
}

struct Builder {
    runs: Vec<PictureRun>,
    work: Work,
    at: FrameIndex,
}

impl Builder {
    fn push(&mut self, run: PictureRun) -> Range<FrameIndex> {
        let start = self.at;
        self.at += run.len();
        self.runs.push(run);
        start..self.at
    }

    fn kept(&mut self, source: Range<FrameIndex>, anew: bool) {
        if source.end <= source.start {
            return;
        }
        let output = self.push(PictureRun::Source { source });
        if anew {
            self.work.anew.push(output);
        }
    }

    /// `left` frames before and `right` ones behind the place where `end` (one past the left run) meets `start`.
    fn seam(&mut self, end: FrameIndex, start: FrameIndex, (left, right): (u64, u64)) {
        if left + right == 0 {
            return;
        }
        let frames = (0..left + right)
            .map(|index| SeamFrame {
                a: end - left + index,
                b: start - left + index,
                weight: (index as f32 + 0.5) / (left + right) as f32,
            })
            .collect();
        let output = self.push(PictureRun::Seam {
            frames,
            insertion: None,
        });
        self.work.lips.push(output);
    }

    fn made(&mut self, shown: &[Shown], insertion: usize) {
        let insertion = Some(insertion);
        let start = self.at;
        for group in
            shown.chunk_by(|a, b| matches!(a, Shown::Frame(_)) == matches!(b, Shown::Frame(_)))
        {
            let mut bed = Vec::new();
            let mut seam = Vec::new();
            for shown in group {
                match shown {
                    Shown::Frame(frame) => bed.push(*frame),
                    Shown::Blend(frame) => seam.push(*frame),
                }
            }
            if seam.is_empty() {
                self.push(PictureRun::Bed {
                    frames: bed,
                    insertion,
                });
            } else {
                self.push(PictureRun::Seam {
                    frames: seam,
                    insertion,
                });
            }
        }
        self.work.lips.push(start..self.at);
    }
}

/// Ranges with a margin on both sides, inside `0..frames`, joined where they meet. A margin ends where another shot
/// `begins`: its first output frame is given, and mouths are not made anew beyond a cut.
pub(super) fn widened(
    ranges: &[Range<FrameIndex>],
    margin: u64,
    frames: u64,
    begins: &[FrameIndex],
) -> Vec<Range<FrameIndex>> {
    let mut result: Vec<Range<FrameIndex>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let at = begins.partition_point(|&first| first <= range.start);
        let before = at.checked_sub(1).and_then(|at| begins.get(at)).copied();
        let start = (range.start - margin).max(before.unwrap_or_default());
        let at = begins.partition_point(|&first| first < range.end);
        let after = begins.get(at).copied().unwrap_or(FrameIndex(frames));
        let end = (range.end + margin).min(after).min(FrameIndex(frames));
        match result.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => result.push(start..end),
        }
    }
    result
}

/// The output frames, ascending, at which another shot begins than the one before.
pub(super) fn cuts(pictures: &[PictureRun], input: &TimelineInput<'_>) -> Vec<FrameIndex> {
    if input.shots.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut before: Option<FrameIndex> = None;
    let mut output = FrameIndex::ZERO;
    let mut step = |source: FrameIndex, to: FrameIndex, output: FrameIndex| {
        if before.is_some_and(|before| input.shot_of(before) != input.shot_of(source)) {
            found.push(output);
        }
        before = Some(to);
    };
    for run in pictures {
        match run {
            PictureRun::Source { source } => {
                step(source.start, source.start, output);
                let first = input.shots.partition_point(|&shot| shot <= source.start);
                for &shot in input.shots.iter().skip(first) {
                    if shot >= source.end {
                        break;
                    }
                    step(shot, shot, output + shot.since(source.start));
                }
            }
            PictureRun::Bed { frames, .. } => {
                for (index, &frame) in frames.iter().enumerate() {
                    step(frame, frame, output + index as u64);
                }
            }
            PictureRun::Seam { frames, .. } => {
                for (index, frame) in frames.iter().enumerate() {
                    step(frame.a, frame.b, output + index as u64);
                }
            }
        }
        output += run.len();
    }
    found
}
