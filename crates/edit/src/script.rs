//! The script: the text as the user wants it spoken.
//!
//! Plain text, with two marks: `[pause 0.6]` (seconds) and `{speaker}`, which holds for the words
//! after it. Square brackets that don't say `pause` are text (`[sic]`), since transcripts have them.

mod tokens;

use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;
use units::Seconds;

pub use tokens::words_of;

/// The longest script in bytes: a million words.
pub const MAX_BYTES: usize = 8 << 20;
/// The longest `[pause …]` in seconds.
pub const MAX_PAUSE: f64 = 60.0;
/// The longest `{speaker}` name in bytes.
pub const MAX_SPEAKER_BYTES: usize = 64;

/// A script that can't be used, with the place.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ScriptError {
    /// Nothing to say.
    #[error("the script has no words")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("the script has {bytes} bytes; the limit is {MAX_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A mark that is opened and not closed on its line.
    #[error("line {line}: `{mark}` is not closed")]
    Unclosed {
        /// Counted from one.
        line: usize,
        /// Its beginning.
        mark: String,
    },
    /// A pause that isn't one.
    #[error(
        "line {line}: `{mark}` is not a pause; write `[pause 0.6]` with 0 to {MAX_PAUSE} seconds"
    )]
    Pause {
        /// Counted from one.
        line: usize,
        /// As written.
        mark: String,
    },
    /// A speaker without a name, or with one longer than [`MAX_SPEAKER_BYTES`].
    #[error(
        "line {line}: `{mark}` is not a speaker; write `{{name}}` with 1 to {MAX_SPEAKER_BYTES} bytes"
    )]
    Speaker {
        /// Counted from one.
        line: usize,
        /// As written.
        mark: String,
    },
}

/// A word of a script, with the punctuation that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptWord {
    /// As written.
    pub text: String,
    /// Who says it, where a mark says so.
    pub speaker: Option<String>,
    /// Where it stands in the script, in bytes.
    range: Range<usize>,
}

/// What is to be said at a place, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Words to be spoken.
    Say {
        /// The words, as written.
        text: String,
        /// Who says them, where known.
        speaker: Option<String>,
    },
    /// Silence.
    Pause(Seconds),
}

/// A parsed script: words in order, pauses between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    source: String,
    words: Vec<ScriptWord>,
    /// Pauses by the word that follows them.
    pauses: Vec<(usize, Seconds)>,
    /// The words that a mark stands in front of, ascending: text on both sides is not one piece.
    breaks: Vec<usize>,
}

impl Script {
    /// Reads a script. Text without a single spoken word is an error.
    pub fn parse(source: &str) -> Result<Self, ScriptError> {
        if source.len() > MAX_BYTES {
            return Err(ScriptError::TooLong {
                bytes: source.len(),
            });
        }
        let mut script = Self {
            source: source.to_owned(),
            words: Vec::new(),
            pauses: Vec::new(),
            breaks: Vec::new(),
        };
        let mut speaker: Option<String> = None;
        let mut from = 0;
        let mut position = 0;
        while let Some((open, mark)) = next_mark(source, position)? {
            match mark {
                Mark::Text { end } => {
                    position = end;
                    continue;
                }
                Mark::Pause { seconds, end } => {
                    script.take_words(from..open, speaker.as_deref());
                    script.pauses.push((script.words.len(), seconds));
                    (from, position) = (end, end);
                }
                Mark::Speaker { name, end } => {
                    script.take_words(from..open, speaker.as_deref());
                    speaker = Some(name);
                    (from, position) = (end, end);
                }
            }
            script.breaks.push(script.words.len());
        }
        script.take_words(from..source.len(), speaker.as_deref());
        if script.words.is_empty() {
            return Err(ScriptError::Empty);
        }
        Ok(script)
    }

    fn take_words(&mut self, range: Range<usize>, speaker: Option<&str>) {
        let text = self.source.get(range.clone()).unwrap_or_default();
        let words = tokens::ranges(text).into_iter().map(|word| ScriptWord {
            text: collapse(text.get(word.clone()).unwrap_or_default()),
            speaker: speaker.map(str::to_owned),
            range: range.start + word.start..range.start + word.end,
        });
        self.words.extend(words);
    }

    /// The words in order.
    pub fn words(&self) -> &[ScriptWord] {
        &self.words
    }

    /// The pauses, each with the index of the word that follows it (the word count at the end).
    pub fn pauses(&self) -> &[(usize, Seconds)] {
        &self.pauses
    }

    /// The script without its marks.
    pub fn text(&self) -> String {
        self.pieces(0..self.words.len(), false)
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Say { text, .. } => Some(text),
                Piece::Pause(_) => None,
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What a run of words says, with the pauses between them, and with those at both ends when
    /// `ends` is set.
    pub(crate) fn pieces(&self, words: Range<usize>, ends: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut from = words.start;
        let mut stops: Vec<usize> = {
            let first = self.breaks.partition_point(|&stop| stop < words.start);
            let inside = self.breaks.iter().skip(first);
            inside
                .take_while(|&&stop| stop <= words.end)
                .copied()
                .collect()
        };
        stops.push(words.end);
        stops.dedup();
        for stop in stops {
            if let (Some(first), Some(last)) =
                (self.words.get(from), self.words.get(stop.wrapping_sub(1)))
                && from < stop
            {
                let text = self.source.get(first.range.start..last.range.end);
                pieces.push(Piece::Say {
                    text: collapse(text.unwrap_or_default()),
                    speaker: first.speaker.clone(),
                });
            }
            from = stop;
            let inside = words.start < stop && stop < words.end;
            if inside || ends {
                let first = self.pauses.partition_point(|&(at, _)| at < stop);
                let here = self.pauses.iter().skip(first);
                pieces.extend(
                    here.take_while(|&&(at, _)| at == stop)
                        .map(|&(_, seconds)| Piece::Pause(seconds)),
                );
            }
        }
        pieces
    }
}

enum Mark {
    Pause {
        seconds: Seconds,
        end: usize,
    },
    Speaker {
        name: String,
        end: usize,
    },
    /// A bracket that is text; the search goes on at `end`.
    Text {
        end: usize,
    },
}

/// The next bracket or brace from a byte position on.
fn next_mark(source: &str, from: usize) -> Result<Option<(usize, Mark)>, ScriptError> {
    let rest = source.get(from..).unwrap_or_default();
    let Some(offset) = rest.find(['[', '{']) else {
        return Ok(None);
    };
    let open = from + offset;
    let tail = source.get(open..).unwrap_or_default();
    let line_of = || source.get(..open).unwrap_or_default().matches('\n').count() + 1;
    let line_text = tail.lines().next().unwrap_or_default();
    let unclosed = || ScriptError::Unclosed {
        line: line_of(),
        mark: line_text.chars().take(24).collect(),
    };
    if tail.starts_with('{') {
        let Some(close) = line_text.find('}') else {
            return Err(unclosed());
        };
        let name = line_text.get(1..close).unwrap_or_default().trim();
        if name.is_empty() || name.len() > MAX_SPEAKER_BYTES || name.contains('{') {
            return Err(ScriptError::Speaker {
                line: line_of(),
                mark: line_text.chars().take(MAX_SPEAKER_BYTES + 2).collect(),
            });
        }
        let name = name.to_owned();
        let end = open + close + 1;
        return Ok(Some((open, Mark::Speaker { name, end })));
    }
    let inside = line_text.get(1..).unwrap_or_default();
    let word: String = inside
        .trim_start()
        .chars()
        .take_while(|character| character.is_alphabetic())
        .flat_map(char::to_lowercase)
        .collect();
    if word != "pause" {
        return Ok(Some((open, Mark::Text { end: open + 1 })));
    }
    let Some(close) = line_text.find(']') else {
        return Err(unclosed());
    };
    let number = line_text.get(1..close).unwrap_or_default().trim_start();
    let number = number.get("pause".len()..).unwrap_or_default().trim();
    let number = number.strip_suffix('s').unwrap_or(number).trim_end();
    match number.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_PAUSE).contains(&seconds) => {
            let seconds = Seconds(seconds);
            let end = open + close + 1;
            Ok(Some((open, Mark::Pause { seconds, end })))
        }
        _ => Err(ScriptError::Pause {
            line: line_of(),
            mark: line_text.get(..=close).unwrap_or_default().to_owned(),
        }),
    }
}

/// One space for every run of white space, none at the ends.
fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str, speaker: Option<&str>) -> Piece {
        Piece::Say {
            text: text.to_owned(),
            speaker: speaker.map(str::to_owned),
        }
    }

    #[test]
    fn marks_are_read() {
        let script =
            Script::parse("{Ann} Hello, [pause 0.6] world.\n{Bob}Good  [sic]\nday [PAUSE 1 s]")
                .unwrap();
        assert_eq!(
            script.pieces(0..script.words().len(), true),
            [
                say("Hello,", Some("Ann")),
                Piece::Pause(Seconds(0.6)),
                say("world.", Some("Ann")),
                say("Good [sic] day", Some("Bob")),
                Piece::Pause(Seconds(1.0)),
            ]
        );
        assert_eq!(script.pauses(), [(1, Seconds(0.6)), (5, Seconds(1.0))]);
        assert_eq!(script.text(), "Hello, world. Good [sic] day");
        assert_eq!(
            script.pieces(1..3, false),
            [say("world.", Some("Ann")), say("Good", Some("Bob"))]
        );
    }

    #[test]
    fn bad_scripts_are_refused_with_their_line() {
        let bad = |text: &str| Script::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                bad(""),
                bad(" \n… 😀"),
                bad("a\n{b"),
                bad("a\nb [pause 2\nc]"),
                bad("[pause]"),
                bad("[pause -1]"),
                bad("[pause 61]"),
                bad("[pause NaN]"),
                bad("{}"),
                bad(&format!("{{{}}}", "x".repeat(65))),
                bad(&"a ".repeat(5 << 20)),
            ]
            .join("\n")
        );
    }
}
