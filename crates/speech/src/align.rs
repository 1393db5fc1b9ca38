//! Times of the words of a known text.
//!
//! English is aligned by the acoustic model of Debian's `pocketsphinx-en-us` (read by code of our own: no program of
//! pocketsphinx is run), every other language against espeak-ng's voice for it.

mod adapt;
mod dtw;
mod english;
mod features;
mod graph;
mod lexicon;
mod model;
mod search;
pub mod text;

pub use model::AcousticModelError;

use crate::voice::VoiceError;
use edit::{Transcript, TranscriptError, Word};
use english::English;
use std::path::{Path, PathBuf};
use text::{Token, tokens};
use thiserror::Error;
use units::Seconds;

/// Where the model is looked for, first the folder that this variable names.
const MODEL_VARIABLE: &str = "REWORD_ALIGN_MODEL";
const MODEL_FOLDERS: [&str; 3] = [
    "/usr/share/pocketsphinx/model/en-us",
    "/usr/local/share/pocketsphinx/model/en-us",
    "/opt/homebrew/share/pocketsphinx/model/en-us",
];

/// A text that can't be aligned.
#[derive(Debug, Error)]
pub enum AlignError {
    /// The acoustic model can't be read.
    #[error(transparent)]
    Model(#[from] AcousticModelError),
    /// The pronouncing dictionary can't be read.
    #[error("cannot read the pronouncing dictionary {path}")]
    Dictionary {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Text without a word.
    #[error("the text to align has no words")]
    NoWords,
    /// Sound without a sample.
    #[error("there is no sound to align the text with")]
    NoSound,
    /// No path through the sound says the text.
    #[error(
        "the text does not match the sound: there is no way to say its {words} words in {seconds:.1} s"
    )]
    NoMatch {
        /// Words of the text.
        words: usize,
        /// Length of the sound.
        seconds: f64,
    },
    /// The voice that the sound is compared with can't speak.
    #[error("cannot align text in the language “{language}”")]
    Voice {
        /// The language asked for.
        language: String,
        /// Why.
        source: VoiceError,
    },
    /// The words found are no transcript: too many, or too long.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
}

/// A phone with its times.
#[derive(Clone, Debug, PartialEq)]
pub struct Phone {
    /// `ARPAbet` without stress, or the engine's own name.
    pub name: String,
    /// The word that it belongs to, counted from zero.
    pub word: usize,
    /// When it starts.
    pub start: Seconds,
    /// When it ends (half-open).
    pub end: Seconds,
}

/// How a text was aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By an acoustic model of the language: to about 10 ms.
    AcousticModel,
    /// By the English acoustic model, with the phonemes that espeak-ng knows for the language's words.
    BorrowedModel,
    /// Against a synthetic voice: to some 50 ms for half of the words, and 0.4 s for the worst tenth.
    SyntheticVoice,
}

/// Words and phones with their times.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// The words, with confidences.
    pub transcript: Transcript,
    /// The phones of English words; empty for other languages.
    pub phones: Vec<Phone>,
    /// How it was done.
    pub method: Method,
    /// Words that no dictionary has; their pronunciation was guessed.
    pub guessed: Vec<String>,
}

/// What an aligner finds for each token.
struct Timed {
    /// In order; each token has at least one.
    phones: Vec<Phone>,
    confidences: Vec<f32>,
    guessed: Vec<String>,
}

/// Aligns texts with sound. Holds the acoustic model, which takes a tenth of a second to read.
pub struct Aligner {
    english: Result<English, AcousticModelError>,
}

impl Aligner {
    /// An aligner with the installed acoustic model: the folder in `REWORD_ALIGN_MODEL`, or that of Debian's
    /// `pocketsphinx-en-us`. Without one, English is aligned as other languages are.
    pub fn new() -> Self {
        let folder = std::env::var_os(MODEL_VARIABLE).map_or_else(
            || {
                let installed = MODEL_FOLDERS.iter().map(PathBuf::from);
                let first = installed.clone().find(|folder| folder.is_dir());
                first.unwrap_or_else(|| PathBuf::from("/usr/share/pocketsphinx/model/en-us"))
            },
            PathBuf::from,
        );
        Self::with_model(&folder)
    }

    /// An aligner with the acoustic model in a folder (`en-us/` and `cmudict-en-us.dict` in it).
    pub fn with_model(folder: &Path) -> Self {
        Self {
            english: English::read(folder),
        }
    }

    /// Why English can't be aligned by the acoustic model, if so.
    pub fn model_error(&self) -> Option<&AcousticModelError> {
        self.english.as_ref().err()
    }

    /// Finds when the words of `text` are said in 16 kHz samples in -1..1. `language` is a tag such as `en`, `en-GB` or
    /// `pt`. Marks of scripts in the text are left out; words keep their punctuation. Memory grows with the text and
    /// the sound, about 10 MB for a minute.
    ///
    /// # Errors
    /// Text without words, sound that is too short for it, a language without a voice.
    pub fn align(
        &self,
        samples: &[f32],
        text: &str,
        language: &str,
    ) -> Result<Alignment, AlignError> {
        let is_english = language.is_empty()
            || language
                .get(..2)
                .is_some_and(|l| l.eq_ignore_ascii_case("en"));
        let tokens = tokens(text, is_english);
        if tokens.is_empty() {
            return Err(AlignError::NoWords);
        }
        if samples.is_empty() {
            return Err(AlignError::NoSound);
        }
        let (timed, method) = match &self.english {
            Ok(english) if is_english => (english.align(samples, &tokens)?, Method::AcousticModel),
            Ok(english) => match english.align_foreign(samples, &tokens, language) {
                Ok(timed) => (timed, Method::BorrowedModel),
                // Words that can't be followed by borrowed phones may still be found by likeness.
                Err(AlignError::NoMatch { .. }) => {
                    let timed = dtw::align(samples, &tokens, language)?;
                    (timed, Method::SyntheticVoice)
                }
                Err(error) => return Err(error),
            },
            Err(_) => {
                let timed = dtw::align(samples, &tokens, language)?;
                (timed, Method::SyntheticVoice)
            }
        };
        let end = samples.len() as f64 / 16_000.0;
        let language = if language.is_empty() { "en" } else { language };
        let words = words(&tokens, &timed, Seconds(end));
        Ok(Alignment {
            transcript: Transcript::from_rough(Some(language.to_owned()), words)?,
            phones: match method {
                Method::AcousticModel => timed.phones,
                Method::BorrowedModel | Method::SyntheticVoice => Vec::new(),
            },
            method,
            guessed: timed.guessed,
        })
    }
}

impl Default for Aligner {
    fn default() -> Self {
        Self::new()
    }
}

/// Aligns one text with the installed models: [`Aligner::align`] without keeping the aligner.
pub fn align(samples: &[f32], text: &str, language: &str) -> Result<Transcript, AlignError> {
    Aligner::new()
        .align(samples, text, language)
        .map(|alignment| alignment.transcript)
}

/// A word for each token, from its first phone to its last.
fn words(tokens: &[Token], timed: &Timed, end: Seconds) -> Vec<Word> {
    let mut spans: Vec<Option<(Seconds, Seconds)>> = vec![None; tokens.len()];
    for phone in &timed.phones {
        if let Some(span) = spans.get_mut(phone.word) {
            let start = span.map_or(phone.start, |s| s.0);
            *span = Some((start, phone.end.min(end)));
        }
    }
    let mut before = Seconds::ZERO;
    tokens
        .iter()
        .enumerate()
        .map(|(index, token)| {
            let (start, stop) = spans
                .get(index)
                .copied()
                .flatten()
                .unwrap_or((before, before));
            before = stop;
            Word {
                text: token.text.clone(),
                start,
                end: stop.max(start),
                confidence: timed.confidences.get(index).copied(),
                speaker: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
