//! One-line edits: `--remove "um"`, `--remove 12.4-13.1`, `--replace "Tuesday=Wednesday"`.

use super::{EditError, NewSpeech, Request, Wish};
use crate::Transcript;
use crate::text::parts;
use std::ops::Range;
use units::Seconds;

/// What `--remove VALUE` asks for: a stretch of time (`12.4-13.1`, seconds), or every occurrence
/// of a word or phrase.
pub fn remove(
    value: &str,
    exact: bool,
    transcript: &Transcript,
) -> Result<Vec<Request>, EditError> {
    let origin = format!("--remove {}", quoted(value));
    if let Some(span) = time_span(value) {
        if span.end <= span.start {
            return Err(EditError::Empty {
                origin,
                at: span.start,
            });
        }
        return Ok(vec![Request::new(origin, Wish::RemoveSpan { span, exact })]);
    }
    let found = occurrences(value, &origin, transcript)?;
    // Occurrences side by side ("um um") go in one cut.
    let mut runs: Vec<Range<usize>> = Vec::new();
    for words in found {
        match runs.last_mut() {
            Some(last) if last.end == words.start => last.end = words.end,
            _ => runs.push(words),
        }
    }
    Ok(runs
        .into_iter()
        .map(|words| Request::new(origin.clone(), Wish::Remove(words)))
        .collect())
}

/// What `--replace OLD=NEW` asks for: every occurrence of OLD becomes NEW.
pub fn replace(value: &str, transcript: &Transcript) -> Result<Vec<Request>, EditError> {
    let origin = format!("--replace {}", quoted(value));
    let syntax = |problem: &str| EditError::Syntax {
        origin: origin.clone(),
        problem: problem.to_owned(),
    };
    let Some((old, new)) = value.split_once('=') else {
        return Err(syntax(
            "has no `=`; write `--replace \"old words=new words\"`",
        ));
    };
    let new = new.split_whitespace().collect::<Vec<_>>().join(" ");
    if !crate::text::is_spoken(&new) {
        return Err(syntax(
            "says nothing after the `=`; to leave words out, use `--remove`",
        ));
    }
    if parts(old) == parts(&new) {
        return Err(syntax("replaces words by the same words"));
    }
    let found = occurrences(old, &origin, transcript)?;
    Ok(found
        .into_iter()
        .map(|words| {
            Request::new(
                origin.clone(),
                Wish::Replace(words, NewSpeech::say(new.clone())),
            )
        })
        .collect())
}

/// Every place where a phrase is said, as whole words, from left to right without overlap.
fn occurrences(
    phrase: &str,
    origin: &str,
    transcript: &Transcript,
) -> Result<Vec<Range<usize>>, EditError> {
    let wanted = parts(phrase);
    if wanted.is_empty() {
        return Err(EditError::Syntax {
            origin: origin.to_owned(),
            problem: "names no word".to_owned(),
        });
    }
    let found = find(&wanted, &index(transcript));
    if found.is_empty() {
        return Err(EditError::NotFound {
            origin: origin.to_owned(),
            phrase: phrase.trim().to_owned(),
        });
    }
    Ok(found)
}

/// The comparing parts of every word.
pub(super) fn index(transcript: &Transcript) -> Vec<Vec<String>> {
    transcript
        .words()
        .iter()
        .map(|word| parts(&word.text))
        .collect()
}

/// Every run of whole words whose parts are the wanted ones.
pub(super) fn find(wanted: &[String], words: &[Vec<String>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < words.len() {
        match match_at(wanted, words, start) {
            Some(end) => {
                found.push(start..end);
                start = end;
            }
            None => start += 1,
        }
    }
    found
}

fn match_at(wanted: &[String], words: &[Vec<String>], start: usize) -> Option<usize> {
    let mut rest = wanted;
    for (index, word) in words.iter().enumerate().skip(start) {
        if word.is_empty() && index == start {
            return None;
        }
        rest = rest.strip_prefix(word.as_slice())?;
        if rest.is_empty() {
            return Some(index + 1);
        }
    }
    None
}

/// `12.4-13.1` as times; nothing for other text.
pub fn time_span(value: &str) -> Option<Range<Seconds>> {
    let (from, to) = value.trim().split_once(['-', '–'])?;
    let time = |text: &str| -> Option<Seconds> {
        let text = text.trim();
        let plain = !text.is_empty()
            && text
                .chars()
                .all(|character| character.is_ascii_digit() || character == '.');
        plain.then(|| text.parse().ok().map(Seconds)).flatten()
    };
    Some(time(from)?..time(to)?)
}

fn quoted(value: &str) -> String {
    if time_span(value).is_some() {
        value.trim().to_owned()
    } else {
        format!("\"{value}\"")
    }
}
