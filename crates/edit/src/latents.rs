//! Edits and ranges of frames that are whole latents of a model: latent 0 is frame 0, latent n frames
//! `s(n-1)+1..sn+1` (EditYourself 3.3).

mod retimed;

use crate::edits::{Edit, EditError, EditKind, EditList};
use crate::{FrameClock, Transcript};
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use units::{FrameIndex, Seconds, TemporalStride};

pub use retimed::retimed;

/// What of an edit was moved to whole latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SnappedPart {
    /// Where it begins in the clip.
    Start,
    /// Where it ends in the clip.
    End,
    /// How long its new sound is, which is padded with silence.
    Length,
}

/// A part of an edit that was moved to whole latents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapped {
    /// The edit, as the user wrote it.
    pub origin: String,
    /// What of it.
    pub part: SnappedPart,
    /// Where the cut was, or how long the sound is.
    pub from: Seconds,
    /// Where the cut is, or how long the sound became.
    pub to: Seconds,
    /// The word that the cut falls into.
    pub through: Option<String>,
}

impl fmt::Display for Snapped {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            part,
            from,
            to,
            through,
        } = self;
        match part {
            SnappedPart::Start => write!(text, "{origin}: begins at {to:.2}, not {from:.2}"),
            SnappedPart::End => write!(text, "{origin}: ends at {to:.2}, not {from:.2}"),
            SnappedPart::Length => write!(text, "{origin}: lasts {to:.2}, not {from:.2}"),
        }?;
        text.write_str(", to be whole latents")?;
        match through {
            Some(word) => write!(text, "; that is within “{word}”"),
            None => Ok(()),
        }
    }
}

/// Shorter moves are roundings.
const LEAST: Seconds = Seconds(1e-3);

/// The edits with every cut moved to the nearest border between two latents of the recording. What is removed is a latent
/// at least.
pub fn snapped(
    list: &EditList,
    clock: &FrameClock,
    stride: TemporalStride,
    transcript: &Transcript,
) -> Result<(EditList, Vec<Snapped>), EditError> {
    let borders = Borders {
        clock,
        step: stride.frames(),
        end: list.duration(),
    };
    let mut told = Vec::new();
    let mut edits = Vec::new();
    let mut done = 0;
    for edit in list.edits() {
        if edit.kind == EditKind::Keep {
            continue;
        }
        let mut start = borders.nearest(edit.source.start);
        let mut end = borders.nearest(edit.source.end).max(start);
        if start == end && edit.kind != EditKind::Remove {
            // Nothing can be put in before the first latent, or behind frames that are no whole one.
            let last = borders.at_or_before(clock.frames().saturating_sub(1));
            let is_border = clock.frames() % borders.step == 1;
            let last = if is_border { clock.frames() } else { last };
            start = start.max(1).min(last);
        }
        start = start.max(done);
        end = if edit.source.is_empty() {
            start
        } else {
            end.max(start)
        };
        if edit.kind == EditKind::Remove && end == start {
            // The latent in its middle.
            let middle = clock.at((edit.source.start + edit.source.end) / 2.0);
            start = borders.at_or_before(middle.0).max(done);
            end = borders.after(start);
        }
        done = end;
        let source = borders.time(start)..borders.time(end);
        for (part, from, to) in [
            (SnappedPart::Start, edit.source.start, source.start),
            (SnappedPart::End, edit.source.end, source.end),
        ] {
            let once = part == SnappedPart::Start || !edit.source.is_empty();
            if once && (to - from).abs() > LEAST {
                told.push(Snapped {
                    origin: edit.origin.clone(),
                    part,
                    from,
                    to,
                    through: word_at(transcript, to),
                });
            }
        }
        if edit.kind == EditKind::Remove && source.is_empty() {
            continue;
        }
        edits.push(Edit {
            source,
            ..edit.clone()
        });
    }
    Ok((EditList::new(edits, transcript, list.duration())?, told))
}

/// The edits with silence behind the new speech of each, which lasts as long as `speech` says, so that it fills whole
/// latents.
pub fn padded(
    list: &EditList,
    speech: &[Seconds],
    clock: &FrameClock,
    stride: TemporalStride,
    transcript: &Transcript,
) -> Result<(EditList, Vec<Snapped>), EditError> {
    let latent = clock.nominal() * stride.frames() as f64;
    let mut told = Vec::new();
    let mut durations = speech.iter();
    let mut edits = list.edits().to_vec();
    for edit in &mut edits {
        let Some(new) = &mut edit.speech else {
            continue;
        };
        let said = durations.next().copied().unwrap_or_default();
        let from = new.lead + said + new.tail;
        let count = (from.0 / latent.0 - 1e-6).ceil().max(0.0);
        let to = latent * count;
        if (to - from).abs() > LEAST {
            new.tail += to - from;
            told.push(Snapped {
                origin: edit.origin.clone(),
                part: SnappedPart::Length,
                from,
                to,
                through: None,
            });
        }
    }
    Ok((EditList::new(edits, transcript, list.duration())?, told))
}

/// The word that a cut falls into.
fn word_at(transcript: &Transcript, time: Seconds) -> Option<String> {
    let inside = |word: &&crate::Word| word.start + LEAST < time && time + LEAST < word.end;
    let words = transcript.words().iter();
    words.into_iter().find(inside).map(|word| word.text.clone())
}

/// The frames at which latents begin, with the end of the clip.
struct Borders<'a> {
    clock: &'a FrameClock,
    step: u64,
    end: Seconds,
}

impl Borders<'_> {
    fn nearest(&self, time: Seconds) -> u64 {
        let frame = self.clock.nearest(time).0;
        let low = self.at_or_before(frame);
        let high = self.after(low);
        let away = |frame: u64| (self.time(frame) - time).abs();
        if away(high) < away(low) { high } else { low }
    }

    fn at_or_before(&self, frame: u64) -> u64 {
        match frame.checked_sub(1) {
            None => 0,
            Some(_) if frame >= self.clock.frames() => self.clock.frames(),
            Some(behind) => behind / self.step * self.step + 1,
        }
    }

    /// The next one; of the clip's end, itself.
    fn after(&self, border: u64) -> u64 {
        let next = if border == 0 { 1 } else { border + self.step };
        next.min(self.clock.frames())
    }

    fn time(&self, border: u64) -> Seconds {
        if border == 0 {
            Seconds::ZERO
        } else if border >= self.clock.frames() {
            self.end
        } else {
            self.clock.start_of(FrameIndex(border))
        }
    }
}

/// The frames of whole latents: a latent of which only a part were made would not fit the recorded rest. Stretches of
/// different shots are made apart.
pub fn whole_latents(
    asked: &Range<FrameIndex>,
    shots: &[FrameIndex],
    total: u64,
    stride: TemporalStride,
) -> Vec<Range<FrameIndex>> {
    let inside = shots.iter().map(|first| first.0);
    let inside: Vec<u64> = inside
        .filter(|first| asked.contains(&FrameIndex(*first)))
        .collect();
    let mut starts = vec![asked.start.0];
    starts.extend(inside.iter().filter(|first| **first != asked.start.0));
    let mut ends: Vec<u64> = starts.iter().skip(1).copied().collect();
    ends.push(asked.end.0);
    let pieces = starts.into_iter().zip(ends);
    pieces
        .map(|(start, end)| {
            let next = shots.partition_point(|first| first.0 <= start);
            let first = next.checked_sub(1).and_then(|index| shots.get(index));
            let shot = first.map_or(0, |first| first.0)
                ..shots.get(next).map_or(total, |first| first.0).min(total);
            within_shot(start..end, &shot, stride)
        })
        .collect()
}

/// A range within a shot, lengthened on both sides to whole latents as far as the shot goes. What begins with the shot
/// has a latent of one frame in front; anything else begins on a latent of its own.
fn within_shot(range: Range<u64>, shot: &Range<u64>, stride: TemporalStride) -> Range<FrameIndex> {
    let step = stride.frames();
    let Range { start, end } = range;
    let length = end - start;
    if start == shot.start {
        let end = (start + stride.padded(length)).min(shot.end);
        return FrameIndex(start)..FrameIndex(end);
    }
    let missing = length.next_multiple_of(step) - length;
    // The shot's first frame stays in front, as the latent before the first one made.
    let before = start - shot.start - 1;
    let behind = shot.end - end;
    let left = (missing / 2).min(before);
    let right = (missing - left).min(behind);
    let left = (missing - right).min(before);
    FrameIndex(start - left)..FrameIndex(end + right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eight() -> TemporalStride {
        TemporalStride::new(8).unwrap()
    }

    fn snap(asked: Range<u64>, shots: &[u64], total: u64) -> Vec<[u64; 2]> {
        let shots: Vec<FrameIndex> = shots.iter().copied().map(FrameIndex).collect();
        let asked = FrameIndex(asked.start)..FrameIndex(asked.end);
        let found = whole_latents(&asked, &shots, total, eight());
        found
            .into_iter()
            .map(|range| [range.start.0, range.end.0])
            .collect()
    }

    #[test]
    fn a_stretch_grows_to_whole_latents_on_both_sides() {
        assert_eq!(snap(80..100, &[], 250), [[78, 102]]);
        assert_eq!(snap(80..96, &[], 250), [[80, 96]]);
        // At either end of the clip there is one side only.
        assert_eq!(snap(0..12, &[], 250), [[0, 17]]);
        assert_eq!(snap(240..250, &[], 250), [[234, 250]]);
        assert_eq!(snap(1..4, &[], 250), [[1, 9]]);
        // A cut parts it, and nothing reaches over.
        assert_eq!(snap(80..100, &[90], 250), [[74, 90], [90, 107]]);
        assert_eq!(snap(1..4, &[], 6), [[1, 6]]);
    }

    proptest! {
        #[test]
        fn all_that_was_asked_for_is_made_in_whole_latents(
            start in 0_u64..200, length in 1_u64..60, cut in 0_u64..260, behind in 0_u64..40,
        ) {
            let end = start + length;
            let total = end + behind;
            let shots: Vec<u64> = (cut > 0 && cut < total).then_some(cut).into_iter().collect();
            let found = snap(start..end, &shots, total);
            let mut next = None;
            for range in found.iter().map(|[start, end]| *start..*end) {
                prop_assert!(range.start < range.end && range.end <= total);
                prop_assert!(next.is_none_or(|next| next == range.start));
                next = Some(range.end);
                let parts = shots.iter().any(|cut| range.start < *cut && *cut < range.end);
                prop_assert!(!parts, "{:?} over a cut", range);
                let first = shots.iter().rev().find(|cut| **cut <= range.start).copied().unwrap_or(0);
                let last = shots.iter().find(|cut| **cut >= range.end).copied().unwrap_or(total);
                let count = range.end - range.start;
                let whole = if range.start == first { count % 8 == 1 } else { count % 8 == 0 };
                // Where it is not whole, the shot has no more frames.
                prop_assert!(whole || range.end == last && range.start <= first + 1, "{:?}", range);
            }
            prop_assert!(found[0][0] <= start && found[found.len() - 1][1] >= end);
            let all: u64 = found.iter().map(|range| range[1] - range[0]).sum();
            prop_assert!(all < length + 8 * found.len() as u64);
        }
    }
}
