//! Which frames are copied and which are encoded.

use super::{OutputSpan, RenderError, RenderedSpan, SpanKind};
use crate::clip::Clip;
use crate::info::VideoInfo;
use crate::probe::{KeyKind, PacketEntry};
use std::ops::Range;
use units::FrameIndex;

/// A stretch of the output that is treated alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) output: Range<FrameIndex>,
    pub(super) work: Work,
}

/// What is done for a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Packets `packets` (decoding order) are written as they are, without those that are
    /// shown before frame `source.start`.
    Copy {
        source: Range<FrameIndex>,
        packets: Range<usize>,
    },
    /// Frames are decoded and encoded.
    Encode { source: Range<FrameIndex> },
    /// Frames are made and encoded.
    Make,
}

impl Segment {
    /// The first `count` frames and the rest; nothing to cut where it has no more than those, and for copied ones.
    pub(super) fn cut(self, count: u64) -> (Self, Option<Self>) {
        let Range { start, end } = self.output;
        if end.since(start) <= count {
            let whole = Self {
                output: start..end,
                work: self.work,
            };
            return (whole, None);
        }
        let (first, rest) = match self.work {
            Work::Copy { source, packets } => {
                let work = Work::Copy { source, packets };
                return (
                    Self {
                        output: start..end,
                        work,
                    },
                    None,
                );
            }
            Work::Encode { source } => {
                let middle = source.start + count;
                (
                    Work::Encode {
                        source: source.start..middle,
                    },
                    Work::Encode {
                        source: middle..source.end,
                    },
                )
            }
            Work::Make => (Work::Make, Work::Make),
        };
        let middle = start + count;
        let part = |output, work| Self { output, work };
        (part(start..middle, first), Some(part(middle..end, rest)))
    }

    /// Made frames.
    pub(super) fn made(start: FrameIndex, count: u64) -> Self {
        Self {
            output: start..start + count,
            work: Work::Make,
        }
    }
}

/// Refuses empty results and frames that the source does not have.
pub(super) fn check(
    spans: &[OutputSpan],
    video: &VideoInfo,
    clip: &Clip,
) -> Result<(), RenderError> {
    let mut frames = 0;
    for span in spans {
        match span {
            OutputSpan::Source { source } => {
                if source.start > source.end || source.end.0 > video.frames {
                    return Err(crate::MediaError::FrameRange {
                        path: clip.info().path.clone(),
                        start: source.start.0,
                        end: source.end.0,
                        frames: video.frames,
                    }
                    .into());
                }
                frames += source.end.since(source.start);
            }
            OutputSpan::Made { frames: made } => frames += made,
        }
    }
    if frames == 0 {
        return Err(RenderError::NoFrames);
    }
    Ok(())
}

/// Cuts the output into segments.
pub(super) fn segments(
    spans: &[OutputSpan],
    clip: &Clip,
    copy: bool,
) -> Result<Vec<Segment>, RenderError> {
    let times = clip.video()?.times.all_ticks();
    let groups = if copy {
        Groups::new(&clip.index()?.packets, times)
    } else {
        Groups::default()
    };
    let mut segments = Vec::new();
    let mut output = FrameIndex::ZERO;
    for source in merged(spans) {
        let source = match source {
            OutputSpan::Made { frames } => {
                segments.push(Segment::made(output, frames));
                output += frames;
                continue;
            }
            OutputSpan::Source { source } => source,
        };
        let mut push = |range: Range<FrameIndex>, packets: Option<Range<usize>>| {
            let count = range.end.since(range.start);
            if count > 0 {
                segments.push(Segment {
                    output: output..output + count,
                    work: match packets {
                        Some(packets) => Work::Copy {
                            source: range,
                            packets,
                        },
                        None => Work::Encode { source: range },
                    },
                });
                output += count;
            }
        };
        match groups.within(&source) {
            Some((frames, packets)) => {
                push(source.start..frames.start, None);
                push(frames.clone(), Some(packets));
                push(frames.end..source.end, None);
            }
            None => push(source, None),
        }
    }
    Ok(segments)
}

/// Spans without empty ones, and with those joined that follow each other in the source.
fn merged(spans: &[OutputSpan]) -> Vec<OutputSpan> {
    let mut result: Vec<OutputSpan> = Vec::new();
    for span in spans {
        match (result.last_mut(), span) {
            (_, OutputSpan::Source { source }) if source.is_empty() => {}
            (_, OutputSpan::Made { frames: 0 }) => {}
            (Some(OutputSpan::Source { source: last }), OutputSpan::Source { source })
                if last.end == source.start =>
            {
                last.end = source.end;
            }
            (Some(OutputSpan::Made { frames: last }), OutputSpan::Made { frames }) => {
                *last += frames;
            }
            _ => result.push(span.clone()),
        }
    }
    result
}

/// What the report says of segments; neighbours of one kind that continue each other are one.
pub(super) fn report(segments: &[Segment]) -> Vec<RenderedSpan> {
    segments
        .iter()
        .map(|segment| {
            let (kind, source) = match &segment.work {
                Work::Copy { source, .. } => (SpanKind::Copied, Some(source.clone())),
                Work::Encode { source } => (SpanKind::Reencoded, Some(source.clone())),
                Work::Make => (SpanKind::Made, None),
            };
            RenderedSpan {
                output: segment.output.clone(),
                source,
                kind,
            }
        })
        .collect()
}

/// Where packets can be cut: before which packets, and which frames are then shown.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Packet and frame that copying can start at.
    starts: Vec<(usize, u64)>,
    /// Packet that copying can stop before, and the frame that is then the first not shown.
    ends: Vec<(usize, u64)>,
}

impl Groups {
    pub(super) fn new(packets: &[PacketEntry], times: &[i64]) -> Self {
        let frame_of = |pts: i64| times.binary_search(&pts).ok().map(|at| at as u64);
        // The latest time shown by packets before each one, and the earliest from it on.
        let mut latest = Vec::with_capacity(packets.len() + 1);
        let mut so_far = i64::MIN;
        for packet in packets {
            latest.push(so_far);
            if packet.shown {
                so_far = so_far.max(packet.pts);
            }
        }
        latest.push(so_far);
        let mut earliest = vec![i64::MAX; packets.len() + 1];
        let mut so_far = i64::MAX;
        for (at, packet) in packets.iter().enumerate().rev() {
            if packet.shown {
                so_far = so_far.min(packet.pts);
            }
            if let Some(slot) = earliest.get_mut(at) {
                *slot = so_far;
            }
        }
        let mut groups = Self::default();
        for (at, packet) in packets.iter().enumerate() {
            let (Some(&before), Some(&after)) = (latest.get(at), earliest.get(at)) else {
                continue;
            };
            if !packet.key.is_key() || !packet.shown {
                continue;
            }
            let Some(frame) = frame_of(packet.pts) else {
                continue;
            };
            if matches!(packet.key, KeyKind::Closed | KeyKind::Clean) && before < packet.pts {
                groups.starts.push((at, frame));
            }
            if before < after
                && let Some(first) = frame_of(after)
            {
                groups.ends.push((at, first));
            }
        }
        groups.ends.push((packets.len(), times.len() as u64));
        groups
    }

    /// The longest run of whole groups inside a range of frames: its frames and its packets.
    pub(super) fn within(
        &self,
        range: &Range<FrameIndex>,
    ) -> Option<(Range<FrameIndex>, Range<usize>)> {
        let first = self
            .starts
            .partition_point(|&(_, frame)| frame < range.start.0);
        let (first_packet, first_frame) = *self.starts.get(first)?;
        let last = self
            .ends
            .partition_point(|&(_, frame)| frame <= range.end.0);
        let (end_packet, end_frame) = *self.ends.get(last.checked_sub(1)?)?;
        (first_frame < end_frame && first_packet < end_packet).then_some({
            (
                FrameIndex(first_frame)..FrameIndex(end_frame),
                first_packet..end_packet,
            )
        })
    }
}

/// How many packets a run's decoding order runs ahead of its display order.
pub(super) fn reordering(packets: &[PacketEntry], times: &[i64], run: &Range<usize>) -> usize {
    let first = packets.get(run.start).map_or(0, |packet| packet.pts);
    let mut depth = 0;
    let shown = packets
        .get(run.clone())
        .unwrap_or_default()
        .iter()
        .filter(|packet| packet.shown && packet.pts >= first);
    let origin = times.binary_search(&first).unwrap_or(0);
    for (order, packet) in shown.enumerate() {
        if let Ok(frame) = times.binary_search(&packet.pts) {
            depth = depth.max(order.saturating_sub(frame - origin));
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(list: &[(i64, KeyKind)]) -> (Vec<PacketEntry>, Vec<i64>) {
        let entries: Vec<PacketEntry> = list
            .iter()
            .enumerate()
            .map(|(at, &(pts, key))| PacketEntry {
                pts,
                dts: at as i64,
                key,
                shown: true,
            })
            .collect();
        let mut times: Vec<i64> = list.iter().map(|&(pts, _)| pts).collect();
        times.sort_unstable();
        (entries, times)
    }

    fn range(start: u64, end: u64) -> Range<FrameIndex> {
        FrameIndex(start)..FrameIndex(end)
    }

    use KeyKind::{Clean, Closed, None as Plain, Open};

    #[test]
    fn whole_closed_groups_are_found() {
        let (entries, times) = packets(&[
            (0, Closed),
            (3, Plain),
            (1, Plain),
            (2, Plain),
            (4, Closed),
            (6, Plain),
            (5, Plain),
            (7, Closed),
            (8, Plain),
        ]);
        let groups = Groups::new(&entries, &times);
        assert_eq!(groups.within(&range(0, 9)), Some((range(0, 9), 0..9)));
        assert_eq!(groups.within(&range(1, 9)), Some((range(4, 9), 4..9)));
        assert_eq!(groups.within(&range(1, 8)), Some((range(4, 7), 4..7)));
        assert_eq!(groups.within(&range(5, 8)), None);
        assert_eq!(reordering(&entries, &times, &(0..9)), 2 - 1);
    }

    #[test]
    fn open_groups_can_end_a_run_but_not_start_one() {
        let (entries, times) = packets(&[
            (0, Closed),
            (2, Plain),
            (1, Plain),
            (5, Open),
            (3, Plain),
            (4, Plain),
            (6, Plain),
        ]);
        let groups = Groups::new(&entries, &times);
        assert_eq!(groups.within(&range(0, 6)), Some((range(0, 3), 0..3)));
        assert_eq!(groups.within(&range(1, 7)), None);
        assert_eq!(groups.within(&range(0, 7)), Some((range(0, 7), 0..7)));
    }

    #[test]
    fn a_clean_access_starts_a_run_without_its_leading_pictures() {
        let (entries, times) = packets(&[
            (0, Closed),
            (2, Plain),
            (1, Plain),
            (5, Clean),
            (3, Plain),
            (4, Plain),
            (6, Plain),
        ]);
        let groups = Groups::new(&entries, &times);
        assert_eq!(groups.within(&range(2, 7)), Some((range(5, 7), 3..7)));
    }

    #[test]
    fn neighbouring_spans_are_joined() {
        let spans = [
            OutputSpan::Source {
                source: range(0, 3),
            },
            OutputSpan::Source {
                source: range(3, 3),
            },
            OutputSpan::Source {
                source: range(3, 5),
            },
            OutputSpan::Made { frames: 2 },
            OutputSpan::Made { frames: 0 },
            OutputSpan::Made { frames: 1 },
        ];
        assert_eq!(
            merged(&spans),
            [
                OutputSpan::Source {
                    source: range(0, 5)
                },
                OutputSpan::Made { frames: 3 }
            ]
        );
    }
}
