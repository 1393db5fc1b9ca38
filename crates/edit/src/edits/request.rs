//! Wishes: edits before their cuts are placed.

use super::NewSpeech;
use crate::diff::{ScriptDiff, WordOp};
use std::ops::Range;
use units::Seconds;

/// An edit that somebody asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// As the user wrote it (`--remove "um"`), for messages and reports.
    pub origin: String,
    /// What is to happen.
    pub wish: Wish,
    /// A wish that gives way where another one touches the same stretch (filler words).
    pub yields: bool,
}

/// What is to happen, in words or in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Leave out words.
    Remove(Range<usize>),
    /// Say something else in place of words.
    Replace(Range<usize>, NewSpeech),
    /// Say something before a word (the word count for the end).
    Insert(usize, NewSpeech),
    /// Make the silence before a word (the word count for the clip's end) this long.
    Pause(usize, Seconds),
    /// Leave out a stretch of time; cuts stay where they are when `exact`.
    RemoveSpan {
        /// Where.
        span: Range<Seconds>,
        /// Cut there and nowhere else, through a word if need be.
        exact: bool,
    },
    /// Stretch or shorten a stretch of time; the place is taken as it is.
    Retime {
        /// Where.
        span: Range<Seconds>,
        /// Its new length.
        lasts: Seconds,
    },
    /// Render a stretch of time anew; the place is taken as it is.
    Rerender(Range<Seconds>),
}

impl Request {
    /// A wish that insists.
    pub fn new(origin: impl Into<String>, wish: Wish) -> Self {
        Self {
            origin: origin.into(),
            wish,
            yields: false,
        }
    }
}

/// The wishes of a script: one for every operation that is not a kept run.
pub fn from_diff(diff: &ScriptDiff) -> Vec<Request> {
    diff.ops
        .iter()
        .filter_map(|op| {
            let (wish, origin) = match op {
                WordOp::Keep { .. } => return None,
                WordOp::Remove { words } => (Wish::Remove(words.clone()), numbers("remove", words)),
                WordOp::Insert { at, pieces, .. } => (
                    Wish::Insert(*at, speech(pieces)),
                    format!("the script's insertion before word {}", at + 1),
                ),
                WordOp::Replace { words, pieces, .. } => (
                    Wish::Replace(words.clone(), speech(pieces)),
                    numbers("replacement", words),
                ),
                WordOp::Pause { at, seconds } => (
                    Wish::Pause(*at, *seconds),
                    format!("the script's pause before word {}", at + 1),
                ),
            };
            Some(Request::new(origin, wish))
        })
        .collect()
}

fn speech(pieces: &[crate::script::Piece]) -> NewSpeech {
    NewSpeech {
        pieces: pieces.to_vec(),
        ..NewSpeech::default()
    }
}

fn numbers(what: &str, words: &Range<usize>) -> String {
    let what = if what == "remove" { "removal" } else { what };
    if words.len() == 1 {
        format!("the script's {what} of word {}", words.start + 1)
    } else {
        format!(
            "the script's {what} of words {} to {}",
            words.start + 1,
            words.end
        )
    }
}
