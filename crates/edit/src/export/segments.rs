//! The timeline as other editors see it: clips, gaps, dissolves.

use super::Plan;
use crate::{FrameClock, PictureRun, SoundRun};
use std::ops::Range;
use units::{FrameIndex, SampleIndex};

/// A stretch of the picture track. Output positions are in frames of the nominal rate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) output: Range<u64>,
    /// Recorded frames, in frames of the nominal rate; none for pictures to be made.
    pub(super) source: Option<Range<u64>>,
    /// The insertion, for pictures to be made.
    pub(super) insertion: Option<usize>,
    /// Frames each side that dissolve into the next segment.
    pub(super) dissolve: u64,
}

/// A stretch of the sound track, in samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sound {
    pub(super) output: Range<SampleIndex>,
    pub(super) source: Option<Range<SampleIndex>>,
    pub(super) insertion: Option<usize>,
}

/// A part in source and output frames, before it is counted at the nominal rate.
struct Part {
    output: Range<FrameIndex>,
    source: Option<Range<FrameIndex>>,
    insertion: Option<usize>,
    dissolve: u64,
}

/// The picture track. A removal's seam is split in its middle: its left half belongs to the clip
/// before, its right half to the clip after.
pub(super) fn pictures(plan: &Plan<'_>) -> Vec<Picture> {
    let mut parts: Vec<Part> = Vec::new();
    for (output, run) in plan.timeline.picture_runs() {
        match run {
            PictureRun::Source { source } => add_source(&mut parts, output, source.clone()),
            PictureRun::Bed {
                frames,
                insertion: None,
            } => {
                let first = frames.first().copied().unwrap_or_default();
                add_source(&mut parts, output, first..first + frames.len() as u64);
            }
            PictureRun::Seam {
                frames,
                insertion: None,
            } => {
                let half = frames.len() as u64 / 2;
                let middle = output.start + half;
                if let (Some(first), Some(last)) = (frames.first(), frames.last()) {
                    add_source(&mut parts, output.start..middle, first.a..first.a + half);
                    if let Some(part) = parts.last_mut() {
                        part.dissolve = half;
                    }
                    let end = last.b.next();
                    add_source(&mut parts, middle..output.end, end - half..end);
                }
            }
            PictureRun::Bed { insertion, .. } | PictureRun::Seam { insertion, .. } => {
                match parts.last_mut() {
                    Some(last) if last.insertion == *insertion => last.output.end = output.end,
                    _ => parts.push(Part {
                        output,
                        source: None,
                        insertion: *insertion,
                        dissolve: 0,
                    }),
                }
            }
        }
    }
    at_nominal_rate(plan, &parts)
}

fn add_source(parts: &mut Vec<Part>, output: Range<FrameIndex>, source: Range<FrameIndex>) {
    if let Some(last) = parts.last_mut()
        && last.dissolve == 0
        && let Some(before) = &mut last.source
        && before.end == source.start
    {
        before.end = source.end;
        last.output.end = output.end;
        return;
    }
    parts.push(Part {
        output,
        source: Some(source),
        insertion: None,
        dissolve: 0,
    });
}

/// Frames of the nominal rate: the same frames for a constant rate, the nearest by time for a
/// variable one. Rounding positions, not lengths, keeps errors from adding up.
fn at_nominal_rate(plan: &Plan<'_>, parts: &[Part]) -> Vec<Picture> {
    let rate = plan.clip.rate;
    // Counted from the first picture, as other programs count a file's frames.
    let position = |clock: &FrameClock, frame: FrameIndex| {
        rate.nearest(clock.start_of(frame))
            .since(rate.nearest(clock.start()))
    };
    let output = &plan.timeline.clock;
    parts
        .iter()
        .map(|part| {
            let output = position(output, part.output.start)..position(output, part.output.end);
            let length = output.end - output.start;
            let source = part.source.as_ref().map(|source| {
                let start = position(plan.clock, source.start);
                start..start + length
            });
            Picture {
                output,
                source,
                insertion: part.insertion,
                dissolve: part.dissolve,
            }
        })
        .filter(|picture| picture.output.start < picture.output.end)
        .collect()
}

/// The sound track. Silence around new speech is part of its gap.
pub(super) fn sounds(plan: &Plan<'_>) -> Vec<Sound> {
    let mut parts: Vec<Sound> = Vec::new();
    for (output, run) in plan.timeline.sound_runs() {
        let (source, insertion) = match run {
            SoundRun::Source { samples } => (Some(samples.clone()), None),
            SoundRun::Speech { insertion, .. } => (None, Some(*insertion)),
            SoundRun::RoomTone { .. } => (None, None),
        };
        match parts.last_mut() {
            Some(last)
                if last.source.is_none()
                    && source.is_none()
                    && (last.insertion.is_none() || insertion.is_none()) =>
            {
                last.output.end = output.end;
                last.insertion = last.insertion.or(insertion);
            }
            _ => parts.push(Sound {
                output,
                source,
                insertion,
            }),
        }
    }
    parts
}
