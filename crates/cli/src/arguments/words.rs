//! `transcribe` and `align`.

use clap::Args;
use std::path::PathBuf;

/// `reword transcribe`
#[derive(Clone, Debug, Args)]
pub(crate) struct TranscribeArguments {
    /// A file with sound
    pub(crate) clip: PathBuf,

    /// Where the words go: .json, .srt or .vtt [default: standard output, as JSON]
    #[arg(short, long, value_name = "WORDS")]
    pub(crate) output: Option<PathBuf>,
}

/// `reword align`
#[derive(Clone, Debug, Args)]
pub(crate) struct AlignArguments {
    /// A file with sound
    pub(crate) clip: PathBuf,

    /// The text that is spoken in it; `-` reads it from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) script: PathBuf,

    /// The language of the text, as a two-letter code
    #[arg(long, value_name = "CODE", default_value = "en")]
    pub(crate) language: String,

    /// Where the words go: .json, .srt or .vtt [default: standard output, as JSON]
    #[arg(short, long, value_name = "WORDS")]
    pub(crate) output: Option<PathBuf>,
}
