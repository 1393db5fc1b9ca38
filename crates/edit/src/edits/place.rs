//! Wishes onto the clip: cuts placed, conflicts found.

use super::conflicts::{uses, without_yielding};
use super::{Edit, EditError, EditKind, EditList, MovedCut, NewSpeech, Request, Wish};
use crate::Transcript;
use crate::cuts::{CutConfig, Energy, Lean, in_gap, near};
use crate::script::Piece;
use crate::transcript::limits;
use std::collections::BTreeMap;
use std::ops::Range;
use units::Seconds;

/// Shorter changes of a pause are not worth a cut.
const LEAST_CHANGE: Seconds = Seconds(0.04);

pub(super) fn place(
    requests: &[Request],
    transcript: &Transcript,
    duration: Seconds,
    energy: Option<&Energy>,
    config: &CutConfig,
) -> Result<EditList, EditError> {
    if !(duration.0 > 0.0 && duration.is_finite()) {
        return Err(EditError::NoDuration);
    }
    let chosen = without_yielding(requests, transcript, duration)?;
    let placer = Placer {
        transcript,
        duration,
        energy,
        config,
        uses: uses(&chosen),
    };
    let mut moved = Vec::new();
    let mut edits = Vec::with_capacity(chosen.len());
    for request in &chosen {
        edits.extend(placer.edit(request, &mut moved)?);
    }
    settle(&mut edits, transcript);
    let mut list = EditList::new(edits, transcript, duration)?;
    // Taking every word away by name leaves silence, which nobody wants; by time, somebody may.
    let by_word = chosen
        .iter()
        .any(|request| matches!(request.wish, Wish::Remove(_)));
    let speaks = |edit: &Edit| match (edit.kind, &edit.speech) {
        (EditKind::Remove, _) => false,
        (_, Some(speech)) => !speech.is_silent(),
        (_, None) => !edit.words.is_empty(),
    };
    if by_word && !list.edits.iter().any(speaks) {
        return Err(EditError::NothingLeft);
    }
    list.moved = moved;
    Ok(list)
}

struct Placer<'a> {
    transcript: &'a Transcript,
    duration: Seconds,
    energy: Option<&'a Energy>,
    config: &'a CutConfig,
    uses: BTreeMap<usize, usize>,
}

impl Placer<'_> {
    /// The cut in the silence before a word. Two edits that meet there share one cut.
    fn cut(&self, index: usize, lean: Lean) -> Seconds {
        let gap = self.transcript.gap(index, self.duration);
        let shared = self.uses.get(&index).copied().unwrap_or_default() > 1;
        let lean = if shared { Lean::Middle } else { lean };
        in_gap(&gap, lean, self.energy, self.config)
    }

    fn edit(
        &self,
        request: &Request,
        moved: &mut Vec<MovedCut>,
    ) -> Result<Option<Edit>, EditError> {
        let edit = |kind, source: Range<Seconds>, words: Range<usize>, speech| Edit {
            kind,
            source,
            words,
            speech,
            lasts: None,
            origin: request.origin.clone(),
        };
        Ok(Some(match &request.wish {
            Wish::Remove(words) => {
                let source = self.removed(words);
                // Recognisers write words without length; there is nothing to cut.
                if source.end <= source.start {
                    return Ok(None);
                }
                edit(EditKind::Remove, source, words.clone(), None)
            }
            Wish::Replace(words, speech) => {
                let guard = self.config.guard;
                let source = self.cut(words.start, Lean::BeforeNext(guard))
                    ..self.cut(words.end, Lean::AfterPrevious(guard));
                let speech = self.with_pauses(speech, words, &source);
                edit(EditKind::Replace, source, words.clone(), Some(speech))
            }
            Wish::Insert(at, speech) => {
                let cut = self.cut(*at, self.lean_of_insertion(*at));
                edit(EditKind::Insert, cut..cut, *at..*at, Some(speech.clone()))
            }
            Wish::Pause(at, seconds) => return Ok(self.pause(*at, *seconds, request)),
            Wish::RemoveSpan { span, exact } => {
                let source = self.span(span, &request.origin)?;
                let source = if *exact {
                    source
                } else {
                    self.nudged(&source, &request.origin, moved)
                };
                if source.end <= source.start {
                    return Err(EditError::Empty {
                        origin: request.origin.clone(),
                        at: span.start,
                    });
                }
                let words = super::keep(source.clone(), self.transcript).words;
                edit(EditKind::Remove, source, words, None)
            }
            Wish::Retime { span, lasts } => {
                let source = self.span(span, &request.origin)?;
                if !(lasts.0 > 0.0 && lasts.0 <= limits::SECONDS) {
                    return Err(EditError::Empty {
                        origin: request.origin.clone(),
                        at: span.start,
                    });
                }
                let words = super::keep(source.clone(), self.transcript).words;
                Edit {
                    lasts: Some(*lasts),
                    ..edit(EditKind::Retime, source, words, Some(NewSpeech::default()))
                }
            }
            Wish::Rerender(span) => {
                let source = self.span(span, &request.origin)?;
                let words = super::keep(source.clone(), self.transcript).words;
                edit(EditKind::Rerender, source, words, None)
            }
        }))
    }

    /// A stretch inside the clip; its end may hang over by a rounding error.
    fn span(&self, span: &Range<Seconds>, origin: &str) -> Result<Range<Seconds>, EditError> {
        let inside = span.start.0 >= 0.0
            && span.start < self.duration
            && span.end <= self.duration + Seconds(0.05);
        if !inside {
            return Err(EditError::Outside {
                origin: origin.to_owned(),
                duration: self.duration,
            });
        }
        if span.end <= span.start {
            return Err(EditError::Empty {
                origin: origin.to_owned(),
                at: span.start,
            });
        }
        Ok(span.start..span.end.min(self.duration))
    }

    fn nudged(
        &self,
        span: &Range<Seconds>,
        origin: &str,
        moved: &mut Vec<MovedCut>,
    ) -> Range<Seconds> {
        let mut cut = |time| {
            let placed = near(
                time,
                self.transcript,
                self.duration,
                self.energy,
                self.config,
            );
            if placed.beyond_reach {
                moved.push(MovedCut {
                    origin: origin.to_owned(),
                    from: time,
                    to: placed.time,
                });
            }
            placed.time
        };
        cut(span.start)..cut(span.end)
    }

    /// Removed words take half of the silence on each side with them, so that what is left
    /// between the words that stay is as long as the silences were; at the clip's ends all of it.
    fn removed(&self, words: &Range<usize>) -> Range<Seconds> {
        let gap = |index| self.transcript.gap(index, self.duration);
        let short = |gap: Range<Seconds>| gap.end - gap.start <= self.config.end_silence;
        let start = if words.start == 0 && short(gap(0)) {
            Seconds::ZERO
        } else {
            self.cut(words.start, Lean::Middle)
        };
        let end = if words.end == self.transcript.len() && short(gap(words.end)) {
            self.duration
        } else if words.start == 0 {
            self.cut(words.end, Lean::BeforeNext(self.config.breath))
        } else {
            self.cut(words.end, Lean::Middle)
        };
        start..end
    }

    /// The recorded silence that the cuts of a replacement take away is given back around it.
    fn with_pauses(
        &self,
        speech: &NewSpeech,
        words: &Range<usize>,
        source: &Range<Seconds>,
    ) -> NewSpeech {
        let lead = self.transcript.gap(words.start, self.duration).end - source.start;
        let tail = source.end - self.transcript.gap(words.end, self.duration).start;
        NewSpeech {
            pieces: speech.pieces.clone(),
            lead: lead.max(Seconds::ZERO),
            tail: tail.max(Seconds::ZERO),
        }
    }

    /// New words belong to the sentence before them, unless that has ended.
    fn lean_of_insertion(&self, at: usize) -> Lean {
        let breath = self.config.breath;
        let before = at
            .checked_sub(1)
            .and_then(|index| self.transcript.words().get(index));
        match before {
            None => Lean::BeforeNext(breath),
            Some(_) if at == self.transcript.len() => Lean::AfterPrevious(breath),
            Some(word) if ends_sentence(&word.text) => Lean::BeforeNext(breath),
            Some(_) => Lean::AfterPrevious(breath),
        }
    }

    /// A longer pause is an inserted silence, a shorter one a cut in the middle of it.
    fn pause(&self, at: usize, seconds: Seconds, request: &Request) -> Option<Edit> {
        let gap = self.transcript.gap(at, self.duration);
        let now = gap.end - gap.start;
        let (kind, source, speech) = if seconds > now + LEAST_CHANGE {
            let cut = self.cut(at, Lean::Middle);
            let speech = NewSpeech {
                pieces: vec![Piece::Pause(seconds - now)],
                ..NewSpeech::default()
            };
            (EditKind::Insert, cut..cut, Some(speech))
        } else if seconds + LEAST_CHANGE < now {
            let half = seconds / 2.0;
            let source = match at {
                0 => gap.start..gap.end - seconds,
                _ if at == self.transcript.len() => gap.start + seconds..gap.end,
                _ => gap.start + half..gap.end - half,
            };
            (EditKind::Remove, source, None)
        } else {
            return None;
        };
        Some(Edit {
            kind,
            source,
            words: at..at,
            speech,
            lasts: None,
            origin: request.origin.clone(),
        })
    }
}

fn ends_sentence(text: &str) -> bool {
    let end = text.trim_end_matches(|character: char| {
        matches!(
            character,
            '"' | '”' | '’' | '\'' | ')' | '»' | '」' | '』' | '）'
        )
    });
    end.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।'])
}

/// Two edits whose cuts share a silence may overlap there by less than a word: the later one
/// begins where the earlier one ends.
fn settle(edits: &mut [Edit], transcript: &Transcript) {
    edits.sort_by(|a, b| {
        let start = a.source.start.total_cmp(&b.source.start);
        start
            .then(a.words.start.cmp(&b.words.start))
            .then(a.source.end.total_cmp(&b.source.end))
    });
    for index in 1..edits.len() {
        let Some((head, [edit, ..])) = edits.split_at_mut_checked(index) else {
            continue;
        };
        let Some(before) = head.last() else { continue };
        let shared = edit.source.start..before.source.end;
        if shared.start >= shared.end {
            continue;
        }
        let words = transcript.words();
        let next = words.partition_point(|word| word.end <= shared.start);
        let silent = words.get(next).is_none_or(|word| word.start >= shared.end);
        if silent && edit.source.end >= shared.end && !edit.words.is_empty() {
            edit.source.start = shared.end;
        }
    }
}
