//! What becomes of every output frame: as the renderer is told, and as the report tells.

use crate::report::{ReportSpan, SpanKind};
use edit::{PictureRun, Timeline};
use media::render::{OutputSpan, RenderedSpan, SpanKind as Rendered};
use std::ops::Range;
use units::FrameIndex;

/// The output for the renderer: source frames where nothing is made, made ones elsewhere. `changed` are output frames,
/// ascending, that show the recording at its own place with something made in it.
pub(super) fn spans(timeline: &Timeline, changed: &[Range<FrameIndex>]) -> Vec<OutputSpan> {
    let mut spans: Vec<OutputSpan> = Vec::new();
    for (output, run) in timeline.picture_runs() {
        match run {
            PictureRun::Source { source } => {
                for (range, made) in split(&output, changed) {
                    let count = range.end.since(range.start);
                    if made {
                        push_made(&mut spans, count);
                    } else {
                        let start = source.start + range.start.since(output.start);
                        spans.push(OutputSpan::Source {
                            source: start..start + count,
                        });
                    }
                }
            }
            PictureRun::Bed { .. } | PictureRun::Seam { .. } => push_made(&mut spans, run.len()),
        }
    }
    spans
}

fn push_made(spans: &mut Vec<OutputSpan>, count: u64) {
    match spans.last_mut() {
        Some(OutputSpan::Made { frames }) => *frames += count,
        _ => spans.push(OutputSpan::Made { frames: count }),
    }
}

/// A range cut at the borders of others, each part with whether it lies inside one of them.
fn split(
    range: &Range<FrameIndex>,
    inside: &[Range<FrameIndex>],
) -> Vec<(Range<FrameIndex>, bool)> {
    let mut parts = Vec::new();
    let mut next = range.start;
    for other in inside {
        let start = other.start.max(next).min(range.end);
        let end = other.end.min(range.end);
        if start >= end {
            continue;
        }
        if start > next {
            parts.push((next..start, false));
        }
        parts.push((start..end, true));
        next = end;
    }
    if next < range.end {
        parts.push((next..range.end, false));
    }
    parts
}

/// What became of every output frame. Made frames that show the recording at its own place are lip-synced, or generated
/// where they were rendered anew; others are generated, from no source frames.
pub(super) fn report_spans(rendered: &[RenderedSpan], timeline: &Timeline) -> Vec<ReportSpan> {
    let mut spans: Vec<ReportSpan> = Vec::new();
    for span in rendered {
        let kind = match span.kind {
            Rendered::Copied => SpanKind::Copied,
            Rendered::Reencoded => SpanKind::Reencoded,
            Rendered::Made => {
                for (output, run) in timeline.picture_runs() {
                    let start = output.start.max(span.output.start);
                    let end = output.end.min(span.output.end);
                    if start >= end {
                        continue;
                    }
                    if let PictureRun::Source { source } = run {
                        let offset = |at: FrameIndex| source.start.0 + at.since(output.start);
                        for (part, anew) in split(&(start..end), &timeline.rerender) {
                            let kind = if anew {
                                SpanKind::Generated
                            } else {
                                SpanKind::Lipsynced
                            };
                            spans.push(ReportSpan {
                                kind,
                                out: [part.start.0, part.end.0],
                                source: Some([offset(part.start), offset(part.end)]),
                            });
                        }
                        continue;
                    }
                    match spans.last_mut() {
                        Some(ReportSpan {
                            kind: SpanKind::Generated,
                            out,
                            source: None,
                        }) if out[1] == start.0 => out[1] = end.0,
                        _ => spans.push(ReportSpan {
                            kind: SpanKind::Generated,
                            out: [start.0, end.0],
                            source: None,
                        }),
                    }
                }
                continue;
            }
        };
        let source = span
            .source
            .as_ref()
            .map(|source| [source.start.0, source.end.0]);
        spans.push(ReportSpan {
            kind,
            out: [span.output.start.0, span.output.end.0],
            source,
        });
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_borders() {
        let range = |a, b| FrameIndex(a)..FrameIndex(b);
        let parts = split(
            &range(10, 30),
            &[range(0, 12), range(15, 18), range(28, 40)],
        );
        assert_eq!(
            parts,
            vec![
                (range(10, 12), true),
                (range(12, 15), false),
                (range(15, 18), true),
                (range(18, 28), false),
                (range(28, 30), true),
            ]
        );
        assert_eq!(split(&range(5, 9), &[]), vec![(range(5, 9), false)]);
    }
}
