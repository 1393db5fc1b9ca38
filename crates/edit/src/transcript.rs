//! Words with times, and the ordered list of them.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;
use units::Seconds;

/// The version of the JSON form.
const VERSION: u32 = 1;

/// What a transcript may not exceed; checked before any work is done on it.
pub mod limits {
    /// Words a transcript: a day of fast speech has about 300,000.
    pub const WORDS: usize = 1_000_000;
    /// Bytes of one word's text.
    pub const WORD_BYTES: usize = 1_024;
    /// The latest time in seconds: a week.
    pub const SECONDS: f64 = 604_800.0;
}

/// A transcript that can't be used, with the place. Words are counted from one, as people count.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TranscriptError {
    /// A version of the JSON form that this build doesn't know.
    #[error("the transcript has version {found}; this build reads version {VERSION}")]
    Version {
        /// What the file says.
        found: u32,
    },
    /// More words than [`limits::WORDS`].
    #[error("the transcript has {count} words; the limit is {}", limits::WORDS)]
    TooManyWords {
        /// Words in it.
        count: usize,
    },
    /// A word without any text.
    #[error("word {number} (at {start:.2}) has no text")]
    EmptyWord {
        /// Which word, counted from one.
        number: usize,
        /// Its start.
        start: Seconds,
    },
    /// A word longer than [`limits::WORD_BYTES`].
    #[error(
        "word {number} (at {start:.2}) is {bytes} bytes long; the limit is {}",
        limits::WORD_BYTES
    )]
    LongWord {
        /// Which word, counted from one.
        number: usize,
        /// Its start.
        start: Seconds,
        /// Its length.
        bytes: usize,
    },
    /// A time that is infinite, not a number, negative, or beyond [`limits::SECONDS`].
    #[error(
        "word {number} “{text}” has the time {time}, which is outside 0 to {} s",
        limits::SECONDS
    )]
    Time {
        /// Which word, counted from one.
        number: usize,
        /// Its text.
        text: String,
        /// The offending time in seconds.
        time: f64,
    },
    /// A word that ends before it starts.
    #[error("word {number} “{text}” ends at {end:.3}, before its start at {start:.3}")]
    Backwards {
        /// Which word, counted from one.
        number: usize,
        /// Its text.
        text: String,
        /// Its start.
        start: Seconds,
        /// Its end.
        end: Seconds,
    },
    /// A word that starts before the one before it has ended.
    #[error(
        "word {number} “{text}” starts at {start:.3}, before “{before}” ends at {before_end:.3}"
    )]
    Overlap {
        /// Which word, counted from one.
        number: usize,
        /// Its text.
        text: String,
        /// Its start.
        start: Seconds,
        /// The word before.
        before: String,
        /// Its end.
        before_end: Seconds,
    },
    /// A confidence outside 0 to 1.
    #[error("word {number} “{text}” has the confidence {confidence}, which is outside 0 to 1")]
    Confidence {
        /// Which word, counted from one.
        number: usize,
        /// Its text.
        text: String,
        /// The offending value.
        confidence: f32,
    },
}

/// A spoken word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// As written, punctuation included.
    pub text: String,
    /// When it starts.
    pub start: Seconds,
    /// When it ends (half-open).
    pub end: Seconds,
    /// How sure the recogniser or aligner is, 0 to 1.
    #[serde(default)]
    pub confidence: Option<f32>,
    /// Who speaks.
    #[serde(default)]
    pub speaker: Option<String>,
}

impl Word {
    /// A word with text and times alone.
    pub fn new(text: impl Into<String>, start: Seconds, end: Seconds) -> Self {
        Self {
            text: text.into(),
            start,
            end,
            confidence: None,
            speaker: None,
        }
    }
}

/// The spoken words of a clip, in order, none overlapping another.
///
/// The JSON form is `{"version":1,"language":"en","words":[{"text":"…","start":0.41,"end":0.66,
/// "confidence":0.98,"speaker":null}]}`, times in seconds. Reading it checks it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Transcript {
    language: Option<String>,
    words: Vec<Word>,
}

#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    #[serde(default)]
    language: Option<String>,
    words: Vec<Word>,
}

impl TryFrom<Form> for Transcript {
    type Error = TranscriptError;

    fn try_from(form: Form) -> Result<Self, TranscriptError> {
        if form.version != VERSION {
            return Err(TranscriptError::Version {
                found: form.version,
            });
        }
        Self::new(form.language, form.words)
    }
}

impl From<Transcript> for Form {
    fn from(transcript: Transcript) -> Self {
        Self {
            version: VERSION,
            language: transcript.language,
            words: transcript.words,
        }
    }
}

impl Transcript {
    /// Checks the words: text present, times finite and in order, no overlap, within [`limits`].
    ///
    /// `language` is a BCP 47 tag (`en`, `pt-BR`).
    pub fn new(language: Option<String>, words: Vec<Word>) -> Result<Self, TranscriptError> {
        if words.len() > limits::WORDS {
            return Err(TranscriptError::TooManyWords { count: words.len() });
        }
        let mut before: Option<&Word> = None;
        for (index, word) in words.iter().enumerate() {
            check(index + 1, word, before)?;
            before = Some(word);
        }
        Ok(Self { language, words })
    }

    /// Takes words as recognisers write them: surrounding space is trimmed, empty words are
    /// dropped, words are sorted by start, and one that overlaps the next is cut short there.
    /// Anything worse is an error, as in [`Transcript::new`].
    pub fn from_rough(language: Option<String>, words: Vec<Word>) -> Result<Self, TranscriptError> {
        if words.len() > limits::WORDS {
            return Err(TranscriptError::TooManyWords { count: words.len() });
        }
        let mut tidy: Vec<Word> = words
            .into_iter()
            .filter_map(|mut word| {
                let text = word.text.trim();
                if text.is_empty() {
                    return None;
                }
                if text.len() != word.text.len() {
                    word.text = text.to_owned();
                }
                Some(word)
            })
            .collect();
        tidy.sort_by(|a, b| a.start.total_cmp(&b.start));
        let starts: Vec<Seconds> = tidy.iter().skip(1).map(|word| word.start).collect();
        for (word, next) in tidy.iter_mut().zip(starts) {
            if word.end > next {
                word.end = next;
            }
        }
        Self::new(language, tidy)
    }

    /// The BCP 47 tag of the language, when known.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// The words in order.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words, owned.
    pub fn into_words(self) -> Vec<Word> {
        self.words
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True without any word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The silence before word `index` (for `index == len`, after the last word), bounded by the
    /// clip's start and by `duration`. Words that end beyond `duration` are cut there.
    pub fn gap(&self, index: usize, duration: Seconds) -> Range<Seconds> {
        let start = index
            .checked_sub(1)
            .and_then(|before| self.words.get(before))
            .map_or(Seconds::ZERO, |word| word.end.min(duration));
        let end = self
            .words
            .get(index)
            .map_or(duration, |word| word.start.min(duration));
        start..end.max(start)
    }

    /// The word that sounds at a time strictly inside it, with its index.
    pub fn word_inside(&self, time: Seconds) -> Option<(usize, &Word)> {
        let index = self.words.partition_point(|word| word.end <= time);
        let word = self.words.get(index)?;
        (word.start < time && time < word.end).then_some((index, word))
    }

    /// The text of a run of words, joined as the language writes them; out-of-range parts are
    /// left out.
    pub fn text(&self, words: Range<usize>) -> String {
        let end = words.end.min(self.words.len());
        let run = self
            .words
            .get(words.start.min(end)..end)
            .unwrap_or_default();
        crate::text::join(run.iter().map(|word| word.text.as_str()))
    }
}

fn check(number: usize, word: &Word, before: Option<&Word>) -> Result<(), TranscriptError> {
    for time in [word.start.0, word.end.0] {
        if !(0.0..=limits::SECONDS).contains(&time) {
            return Err(TranscriptError::Time {
                number,
                text: word.text.clone(),
                time,
            });
        }
    }
    if word.text.trim().is_empty() {
        return Err(TranscriptError::EmptyWord {
            number,
            start: word.start,
        });
    }
    if word.text.len() > limits::WORD_BYTES {
        return Err(TranscriptError::LongWord {
            number,
            start: word.start,
            bytes: word.text.len(),
        });
    }
    if word.end < word.start {
        return Err(TranscriptError::Backwards {
            number,
            text: word.text.clone(),
            start: word.start,
            end: word.end,
        });
    }
    if let Some(before) = before
        && word.start < before.end
    {
        return Err(TranscriptError::Overlap {
            number,
            text: word.text.clone(),
            start: word.start,
            before: before.text.clone(),
            before_end: before.end,
        });
    }
    if let Some(confidence) = word.confidence
        && !(0.0..=1.0).contains(&confidence)
    {
        return Err(TranscriptError::Confidence {
            number,
            text: word.text.clone(),
            confidence,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start: f64, end: f64) -> Word {
        Word::new(text, Seconds(start), Seconds(end))
    }

    #[test]
    fn the_json_form_round_trips() {
        let json = r#"{"version":1,"language":"en","words":[{"text":"Hi,","start":0.41,"end":0.66,"confidence":0.98,"speaker":null}]}"#;
        let transcript: Transcript = serde_json::from_str(json).unwrap();
        assert_eq!(transcript.language(), Some("en"));
        assert_eq!(transcript.words()[0].end, Seconds(0.66));
        assert_eq!(serde_json::to_string(&transcript).unwrap(), json);
    }

    #[test]
    fn missing_fields_are_none() {
        let json = r#"{"version":1,"words":[{"text":"a","start":0,"end":1}]}"#;
        let transcript: Transcript = serde_json::from_str(json).unwrap();
        assert_eq!(transcript.language(), None);
        assert_eq!(transcript.words()[0].confidence, None);
    }

    #[test]
    fn bad_words_are_refused_with_their_place() {
        let bad = |words| Transcript::new(None, words).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                bad(vec![word("a", 0.0, 1.0), word("b", 0.5, 2.0)]),
                bad(vec![word("a", 1.0, 0.5)]),
                bad(vec![word(" ", 0.0, 0.5)]),
                bad(vec![word("a", f64::NAN, 0.5)]),
                bad(vec![word("a", -1.0, 0.5)]),
                bad(vec![word("a", 0.0, f64::INFINITY)]),
                bad(vec![word(&"a".repeat(2000), 0.0, 1.0)]),
                bad(vec![Word {
                    confidence: Some(1.5),
                    ..word("a", 0.0, 1.0)
                }]),
                serde_json::from_str::<Transcript>(r#"{"version":2,"words":[]}"#)
                    .unwrap_err()
                    .to_string(),
            ]
            .join("\n")
        );
    }

    #[test]
    fn rough_words_are_tidied() {
        let tidy = Transcript::from_rough(
            None,
            vec![
                word(" b", 0.5, 2.0),
                word("a", 0.0, 0.7),
                word("", 0.1, 0.2),
            ],
        )
        .unwrap();
        assert_eq!(tidy.words(), [word("a", 0.0, 0.5), word("b", 0.5, 2.0)]);
    }

    #[test]
    fn gaps_lie_between_the_words() {
        let transcript =
            Transcript::new(None, vec![word("a", 0.2, 0.5), word("b", 0.9, 1.0)]).unwrap();
        let gap = |index| transcript.gap(index, Seconds(2.0));
        assert_eq!(gap(0), Seconds(0.0)..Seconds(0.2));
        assert_eq!(gap(1), Seconds(0.5)..Seconds(0.9));
        assert_eq!(gap(2), Seconds(1.0)..Seconds(2.0));
        assert_eq!(transcript.word_inside(Seconds(0.3)).unwrap().0, 0);
        assert_eq!(transcript.word_inside(Seconds(0.5)), None);
    }
}
