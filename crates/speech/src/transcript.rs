//! Transcripts of other tools: words with times, whatever wrote them.
//!
//! The format is told by content, never by a file's name. Byte order marks, CRLF, UTF-16 and Latin-1 are accepted;
//! words without times of their own get them by interpolation, and [`Loaded::interpolated`] says so.

mod captions;
mod columns;
mod decode;
mod json;
mod rough;
mod textgrid;
mod write;

pub use write::{Written, to_json, to_srt, to_vtt, write};

use edit::{Transcript, TranscriptError};
use rough::Rough;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The largest file that is read, in bytes: a day of words in the wordiest format.
pub const LARGEST_FILE: u64 = 64 << 20;

/// A transcript that can't be read or written.
#[derive(Debug, Error)]
pub enum TranscriptFileError {
    /// The file can't be read.
    #[error("cannot read the transcript {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("the transcript {path} has {bytes} bytes; the limit is {LARGEST_FILE}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The content can't be used.
    #[error("cannot use the transcript {path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParseError,
    },
    /// The file can't be written.
    #[error("cannot write the transcript {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Content that is no transcript.
#[derive(Debug, Error, PartialEq)]
pub enum ParseError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Bytes of something else (sound, video, an archive).
    #[error("it is not text")]
    Binary,
    /// Text in no known format.
    #[error(
        "its format is not known (known are JSON of reword, WhisperX, whisper.cpp, OpenAI, Deepgram and AWS Transcribe, \
         SRT, VTT, TextGrid, CTM, and lines of words with times)"
    )]
    Unknown,
    /// A known format, broken.
    #[error("{format}, line {line}: {what}")]
    Broken {
        /// The format.
        format: Format,
        /// The line, counted from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A known format without words.
    #[error("it is {0} without any word")]
    NoWords(Format),
    /// Words that make no transcript.
    #[error(transparent)]
    Words(#[from] TranscriptError),
}

/// Who wrote a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own JSON.
    Own,
    /// `WhisperX`, `whisper-timestamped`, `faster-whisper`: segments with words.
    WhisperX,
    /// `whisper.cpp`'s `-oj` and `-ojf`.
    WhisperCpp,
    /// `OpenAI`'s verbose JSON.
    OpenAi,
    /// Deepgram.
    Deepgram,
    /// AWS Transcribe.
    AwsTranscribe,
    /// A JSON list of words, or of segments with words (Vosk, Videogrep).
    JsonList,
    /// `SubRip` captions.
    Srt,
    /// `WebVTT` captions.
    Vtt,
    /// A Praat `TextGrid`.
    TextGrid,
    /// NIST's time-marked conversation file.
    Ctm,
    /// Lines of a word with start and end, in either order.
    Lines,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Own => "reword's JSON",
            Self::WhisperX => "WhisperX JSON",
            Self::WhisperCpp => "whisper.cpp JSON",
            Self::OpenAi => "OpenAI JSON",
            Self::Deepgram => "Deepgram JSON",
            Self::AwsTranscribe => "AWS Transcribe JSON",
            Self::JsonList => "a JSON list of words",
            Self::Srt => "SRT",
            Self::Vtt => "VTT",
            Self::TextGrid => "a TextGrid",
            Self::Ctm => "CTM",
            Self::Lines => "lines of words with times",
        })
    }
}

/// A transcript that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The words.
    pub transcript: Transcript,
    /// What it was.
    pub format: Format,
    /// Words whose times are not measured but spread by length over the time of their caption or gap.
    pub interpolated: usize,
}

/// Reads a transcript of any known format.
pub fn read(path: &Path) -> Result<Loaded, TranscriptFileError> {
    let fail = |source| TranscriptFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fail)?;
    let size = file
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)? as u64;
    if size > LARGEST_FILE {
        return Err(TranscriptFileError::TooLarge {
            path: path.to_owned(),
            bytes: std::fs::metadata(path).map_or(size, |m| m.len()),
        });
    }
    parse(&bytes).map_err(|source| TranscriptFileError::Content {
        path: path.to_owned(),
        source,
    })
}

/// Reads a transcript of any known format from memory.
pub fn parse(bytes: &[u8]) -> Result<Loaded, ParseError> {
    let text = decode::text(bytes)?;
    let start = text.trim_start();
    if start.is_empty() {
        return Err(ParseError::Empty);
    }
    let parsed = if start.starts_with(['{', '[']) && !start.starts_with("[pause") {
        json::parse(start)?
    } else if start.starts_with("WEBVTT") {
        captions::vtt(&text)
    } else if textgrid::looks_like(start) {
        textgrid::parse(start)?
    } else if captions::looks_like_srt(start) {
        captions::srt(&text)
    } else {
        columns::parse(&text).ok_or(ParseError::Unknown)?
    };
    let Parsed {
        format,
        language,
        groups,
    } = parsed;
    let mut words = Vec::new();
    let mut interpolated = 0;
    for group in groups {
        let (timed, guessed) = rough::timed(group);
        words.extend(timed);
        interpolated += guessed;
    }
    if words.is_empty() {
        return Err(ParseError::NoWords(format));
    }
    Ok(Loaded {
        transcript: Transcript::from_rough(language, words)?,
        format,
        interpolated,
    })
}

/// What a reader of a format finds: words in groups (captions, segments) that words without times are spread over.
struct Parsed {
    format: Format,
    language: Option<String>,
    groups: Vec<Vec<Rough>>,
}

#[cfg(test)]
mod tests;
