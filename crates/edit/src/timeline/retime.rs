//! Pictures over another length: frames left out or put in, evenly.

use crate::bed::{SeamFrame, Shown};
use crate::clock::FrameClock;
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// Shows the source frames `source` in `count` frames of equal length.
///
/// Frames are left out or put in evenly over the source's time, outside the `protect` stretches
/// where that is possible. A frame put in is half way between its neighbours, or the one before it again where
/// the next one begins another of the `shots`.
pub(super) fn spread(
    clock: &FrameClock,
    source: &Range<FrameIndex>,
    count: u64,
    protect: &[Range<Seconds>],
    shots: &[FrameIndex],
) -> Vec<Shown> {
    if source.end <= source.start {
        return Vec::new();
    }
    let span = clock.start_of(source.start)..clock.start_of(source.end);
    let warp = Warp::new(&span, clock.nominal() * count as f64, protect);
    let mut before: Option<FrameIndex> = None;
    let mut frames = Vec::with_capacity(count as usize);
    for index in 0..count {
        let time = warp.source_time(clock.nominal() * (index as f64 + 0.5));
        let frame = clock.at(time);
        let frame = FrameIndex(frame.0.clamp(source.start.0, source.end.0 - 1));
        let next = FrameIndex((frame.0 + 1).min(source.end.0 - 1));
        let mixes = next != frame && shots.binary_search(&next).is_err();
        frames.push(if before == Some(frame) && mixes {
            Shown::Blend(SeamFrame {
                a: frame,
                b: next,
                weight: 0.5,
            })
        } else {
            Shown::Frame(frame)
        });
        before = Some(frame);
    }
    frames
}

/// Output time to source time, piece by piece: `(output start, source start, speed)`.
struct Warp {
    pieces: Vec<(f64, f64, f64)>,
}

impl Warp {
    fn new(span: &Range<Seconds>, lasts: Seconds, protect: &[Range<Seconds>]) -> Self {
        let mut kept: Vec<(f64, f64)> = protect
            .iter()
            .map(|range| (range.start.0.max(span.start.0), range.end.0.min(span.end.0)))
            .filter(|(start, end)| start < end)
            .collect();
        kept.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept.dedup_by(|next, before| {
            let joins = next.0 <= before.1;
            if joins {
                before.1 = before.1.max(next.1);
            }
            joins
        });
        let total = (span.end - span.start).0;
        let protected: f64 = kept.iter().map(|(start, end)| end - start).sum();
        let free = total - protected;
        // What is not protected takes the whole change, unless it would have to run faster than
        // four times or stand still: then everything takes its share.
        let speed = free / (lasts.0 - protected);
        if !(speed.is_finite() && (0.25..=4.0).contains(&speed)) {
            kept.clear();
        }
        let speed = if kept.is_empty() {
            total / lasts.0
        } else {
            speed
        };
        let mut pieces = Vec::new();
        let (mut output, mut source) = (0.0, span.start.0);
        for (start, end) in kept {
            pieces.push((output, source, speed));
            output += (start - source) / speed;
            pieces.push((output, start, 1.0));
            output += end - start;
            source = end;
        }
        pieces.push((output, source, speed));
        Self { pieces }
    }

    fn source_time(&self, output: Seconds) -> Seconds {
        let after = self.pieces.partition_point(|piece| piece.0 <= output.0);
        let piece = after
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index));
        piece.map_or(Seconds::ZERO, |&(start, source, speed)| {
            Seconds(source + (output.0 - start) * speed)
        })
    }
}
