//! Encoded frames in groups, each with an encoder of its own.

use super::plan::{Segment, Work};
use std::vec::IntoIter;

/// Segments in order, with the number of the group that each belongs to; copied ones belong to none.
pub(super) struct Groups {
    segments: IntoIter<(Segment, Option<u64>)>,
    upcoming: Option<(Segment, Option<u64>)>,
}

impl Groups {
    /// Frames between two copied runs are one group; with `most`, groups have so many frames at most.
    pub(super) fn new(segments: Vec<Segment>, most: Option<u64>) -> Self {
        let mut parts = Vec::with_capacity(segments.len());
        let mut group = 0;
        let mut room = most.unwrap_or(u64::MAX);
        for segment in segments {
            if matches!(segment.work, Work::Copy { .. }) {
                parts.push((segment, None));
                group += 1;
                room = most.unwrap_or(u64::MAX);
                continue;
            }
            let mut rest = Some(segment);
            while let Some(segment) = rest {
                let (part, more) = segment.cut(room);
                room -= part.output.end.since(part.output.start).min(room);
                parts.push((part, Some(group)));
                if room == 0 {
                    group += 1;
                    room = most.unwrap_or(u64::MAX);
                }
                rest = more;
            }
        }
        let mut segments = parts.into_iter();
        let upcoming = segments.next();
        Self { segments, upcoming }
    }

    /// The group of the next segment; none where that is copied, or where there is no next one.
    pub(super) fn upcoming(&self) -> Option<u64> {
        self.upcoming.as_ref().and_then(|(_, group)| *group)
    }

    /// The next segment.
    pub(super) fn next(&mut self) -> Option<Segment> {
        let (segment, _) = self.upcoming.take()?;
        self.upcoming = self.segments.next();
        Some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::FrameIndex;

    fn encode(start: u64, end: u64) -> Segment {
        Segment {
            output: FrameIndex(start)..FrameIndex(end),
            work: Work::Encode {
                source: FrameIndex(start + 1000)..FrameIndex(end + 1000),
            },
        }
    }

    #[test]
    fn groups_end_at_copied_runs_and_when_they_are_full() {
        let copied = Segment {
            output: FrameIndex(260)..FrameIndex(300),
            work: Work::Copy {
                source: FrameIndex(0)..FrameIndex(40),
                packets: 0..40,
            },
        };
        let made = Segment::made(FrameIndex(40), 220);
        let segments = vec![encode(0, 40), made, copied, encode(300, 330)];
        let walk = |most| {
            let mut groups = Groups::new(segments.clone(), most);
            let mut seen = Vec::new();
            loop {
                let group = groups.upcoming();
                let Some(segment) = groups.next() else {
                    return seen;
                };
                seen.push((group, segment.output.start.0, segment.output.end.0));
            }
        };
        assert_eq!(
            walk(None),
            [
                (Some(0), 0, 40),
                (Some(0), 40, 260),
                (None, 260, 300),
                (Some(1), 300, 330)
            ]
        );
        assert_eq!(
            walk(Some(100)),
            [
                (Some(0), 0, 40),
                (Some(0), 40, 100),
                (Some(1), 100, 200),
                (Some(2), 200, 260),
                (None, 260, 300),
                (Some(3), 300, 330)
            ]
        );
        let (part, rest) = encode(0, 40).cut(30);
        assert_eq!(part, encode(0, 30));
        assert_eq!(rest, Some(encode(30, 40)));
    }
}
