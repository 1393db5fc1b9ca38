//! Which source frames are looked at before the timeline is planned: where edits join pictures, scene cuts and the
//! way the head is held decide how.

use edit::timeline::TimelineConfig;
use edit::{EditKind, EditList, FrameClock};
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// Source frames followed on each side of those that are shown under new lips: smoothing and lead-in look there, and
/// there are the moments that lend their lips.
pub(crate) const AROUND: u64 = 72;

/// Stretches this near to each other are looked at as one: shorter gaps cost more in seeking than in looking.
const JOIN: u64 = 48;

/// The runs of source frames that planning, lips and seams of an edit list can ask for, ascending and apart.
/// `speech` is the length of each insertion's new sound.
pub(crate) fn around(
    edits: &EditList,
    clock: &FrameClock,
    speech: &[Seconds],
    config: &TimelineConfig,
) -> Vec<Range<FrameIndex>> {
    // A seam, the mouths beside it, the frames that lead them in and out, and what smoothing sees of those.
    let margin = config.seam + config.lips_margin + 2 * AROUND + 2;
    let total = clock.frames();
    let mut runs: Vec<Range<FrameIndex>> = Vec::new();
    let mut add = |from: Seconds, to: Seconds, reach: u64| {
        let start = clock.nearest(from) - (reach + margin);
        let end = clock.nearest(to) + (reach + margin);
        runs.push(start..FrameIndex(end.0.min(total)));
    };
    let mut insertion = 0;
    for edit in edits.edits() {
        let Range { start, end } = edit.source;
        match edit.kind {
            EditKind::Keep => {}
            EditKind::Remove => {
                add(start, start, 0);
                add(end, end, 0);
            }
            EditKind::Insert | EditKind::Replace => {
                // A bed goes no further than it has frames more than the footage that it replaces.
                let said = speech.get(insertion).copied().unwrap_or_default();
                let extra = edit
                    .speech
                    .as_ref()
                    .map_or(said, |speech| speech.lead + said + speech.tail)
                    - (end - start);
                let reach = extra.max(Seconds::ZERO).min(config.bed.reach);
                add(start, end, (reach.0 / clock.nominal().0).ceil() as u64 + 1);
            }
            EditKind::Retime | EditKind::Rerender => add(start, end, 0),
        }
        insertion += usize::from(edit.speech.is_some());
    }
    runs.sort_by_key(|run| run.start);
    let mut joined: Vec<Range<FrameIndex>> = Vec::with_capacity(runs.len());
    for run in runs.into_iter().filter(|run| run.start < run.end) {
        match joined.last_mut() {
            Some(last) if run.start <= last.end + JOIN => last.end = last.end.max(run.end),
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use edit::cuts::CutConfig;
    use edit::{Transcript, edits};
    use units::FrameRate;

    fn runs(removals: &[&str]) -> Vec<Range<FrameIndex>> {
        let none = Transcript::new(None, Vec::new()).unwrap();
        let requests: Vec<_> = removals
            .iter()
            .flat_map(|removal| edits::remove(removal, true, &none).unwrap())
            .collect();
        let config = CutConfig::default();
        let list = EditList::build(&requests, &none, Seconds(60.0), None, &config).unwrap();
        let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 1500).unwrap();
        around(&list, &clock, &[], &TimelineConfig::default())
    }

    #[test]
    fn only_the_ends_of_a_long_removal_are_looked_at() {
        let margin = 4 + 2 + 2 * AROUND + 2;
        let at = |frame: u64| FrameIndex(frame.saturating_sub(margin))..FrameIndex(frame + margin);
        assert_eq!(runs(&["10-40"]), [at(250), at(1000)]);
        let whole = FrameIndex(750 - margin)..FrameIndex(800 + margin);
        let start = FrameIndex(0)..FrameIndex(10 + margin);
        assert_eq!(runs(&["30-32", "0-0.4"]), [start, whole]);
        assert_eq!(runs(&["59-60"]).last().unwrap().end, FrameIndex(1500));
    }
}
