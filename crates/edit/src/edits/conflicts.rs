//! Which wishes stand in each other's way.

use super::{EditError, Request, Wish};
use crate::Transcript;
use std::collections::BTreeMap;
use std::ops::Range;
use units::Seconds;

/// How a wish touches the transcript: words taken, or the silence before a word.
#[derive(Clone, Debug, PartialEq)]
enum Touch {
    Words(Range<usize>),
    Before(usize),
}

fn touch(wish: &Wish) -> Option<Touch> {
    match wish {
        Wish::Remove(words) | Wish::Replace(words, _) => Some(Touch::Words(words.clone())),
        Wish::Insert(at, _) | Wish::Pause(at, _) => Some(Touch::Before(*at)),
        Wish::RemoveSpan { .. } | Wish::Retime { .. } | Wish::Rerender(_) => None,
    }
}

/// Checks wishes in words against each other, and drops the yielding ones that touch another.
pub(super) fn without_yielding(
    requests: &[Request],
    transcript: &Transcript,
    duration: Seconds,
) -> Result<Vec<Request>, EditError> {
    let count = transcript.len();
    let mut taken: Vec<(Range<usize>, &Request)> = Vec::new();
    let mut points: BTreeMap<usize, &Request> = BTreeMap::new();
    let mut spans: Vec<Range<Seconds>> = Vec::new();
    let at_word = |index: usize| {
        transcript
            .words()
            .get(index)
            .map_or(duration, |word| word.start)
    };
    let overlap = |first: &Request, second: &Request, index: usize| EditError::Overlap {
        first: first.origin.clone(),
        second: second.origin.clone(),
        at: at_word(index),
    };
    for request in requests {
        let outside = match touch(&request.wish) {
            Some(Touch::Words(words)) => words.end > count || words.start > words.end,
            Some(Touch::Before(at)) => at > count,
            None => false,
        };
        if outside {
            return Err(EditError::Outside {
                origin: request.origin.clone(),
                duration,
            });
        }
    }
    for request in requests.iter().filter(|request| !request.yields) {
        match touch(&request.wish) {
            Some(Touch::Words(words)) => {
                if words.is_empty() {
                    let at = at_word(words.start);
                    return Err(EditError::Empty {
                        origin: request.origin.clone(),
                        at,
                    });
                }
                taken.push((words, request));
            }
            Some(Touch::Before(at)) => {
                if let Some(first) = points.insert(at, request) {
                    return Err(overlap(first, request, at));
                }
            }
            None => spans.extend(span_of(&request.wish)),
        }
    }
    taken.sort_by_key(|(words, _)| (words.start, words.end));
    for pair in taken.windows(2) {
        if let [(first, one), (second, other)] = pair
            && second.start < first.end
        {
            return Err(overlap(one, other, second.start));
        }
    }
    // Words are taken in order, so the run that may hold a point is the last that starts before.
    let run_around = |at: usize| {
        let after = taken.partition_point(|(words, _)| words.start < at);
        after
            .checked_sub(1)
            .and_then(|index| taken.get(index))
            .filter(|(words, _)| at < words.end)
    };
    for (&at, request) in &points {
        if let Some((_, first)) = run_around(at) {
            return Err(overlap(first, request, at));
        }
        // The length of a silence can't be set where an edit takes part of it away.
        if matches!(request.wish, Wish::Pause(..)) {
            let from = taken.partition_point(|(words, _)| words.end < at);
            if let Some((words, first)) = taken.get(from)
                && words.start <= at
            {
                return Err(overlap(first, request, at));
            }
        }
    }
    let touched_time = |range: Range<Seconds>| {
        spans
            .iter()
            .any(|span| span.start < range.end && range.start < span.end)
    };
    let free = |request: &Request| match touch(&request.wish) {
        Some(Touch::Words(words)) if words.is_empty() => false,
        Some(Touch::Words(words)) => {
            let first = taken.partition_point(|(other, _)| other.end <= words.start);
            let clear = taken
                .get(first)
                .is_none_or(|(other, _)| other.start >= words.end);
            let inside = points.range(words.start + 1..words.end).next().is_none();
            let end = words
                .end
                .checked_sub(1)
                .and_then(|last| transcript.words().get(last));
            clear
                && inside
                && !touched_time(at_word(words.start)..end.map_or(duration, |word| word.end))
        }
        Some(Touch::Before(at)) => {
            let after = taken.partition_point(|(words, _)| words.end < at);
            let clear = taken.get(after).is_none_or(|(words, _)| words.start > at);
            clear && !points.contains_key(&at) && !touched_time(transcript.gap(at, duration))
        }
        None => true,
    };
    Ok(requests
        .iter()
        .filter(|request| !request.yields || free(request))
        .cloned()
        .collect())
}

fn span_of(wish: &Wish) -> Option<Range<Seconds>> {
    match wish {
        Wish::RemoveSpan { span, .. } | Wish::Retime { span, .. } | Wish::Rerender(span) => {
            Some(span.clone())
        }
        _ => None,
    }
}

/// How many edits have an edge in each silence.
pub(super) fn uses(requests: &[Request]) -> BTreeMap<usize, usize> {
    let mut uses = BTreeMap::new();
    for request in requests {
        match touch(&request.wish) {
            Some(Touch::Words(words)) => {
                *uses.entry(words.start).or_default() += 1;
                *uses.entry(words.end).or_default() += 1;
            }
            Some(Touch::Before(at)) => *uses.entry(at).or_default() += 1,
            None => {}
        }
    }
    uses
}
