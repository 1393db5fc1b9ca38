//! Voices that say new words.

pub mod command;
pub mod espeak;
pub mod flite;
pub mod http;
mod process;

use crate::align::Phone;
use crate::wave::{Wave, WaveError};
use edit::Word;
use thiserror::Error;
use units::Seconds;

/// Something that turns text into speech.
pub trait Voice: Send + Sync {
    /// How it is chosen: engine and voice, such as `flite:slt`.
    fn name(&self) -> String;

    /// Says a text.
    ///
    /// # Errors
    /// When the engine is not installed, fails, or says nothing.
    fn say(&self, text: &str) -> Result<Spoken, VoiceError>;
}

/// What a voice said.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// The sound.
    pub wave: Wave,
    /// The text's words with their times in the sound, where the engine tells them.
    pub words: Option<Vec<Word>>,
    /// Its phones, where the engine tells them.
    pub phones: Option<Vec<Phone>>,
}

impl Spoken {
    /// A wave without times; an engine's empty answer to a text with letters is an error.
    fn checked(engine: &str, text: &str, wave: Wave) -> Result<Self, VoiceError> {
        if wave.duration() <= Seconds(0.0) && text.chars().any(char::is_alphanumeric) {
            return Err(VoiceError::NoSound {
                engine: engine.to_owned(),
            });
        }
        Ok(Self {
            wave,
            words: None,
            phones: None,
        })
    }
}

/// A voice by the name that users give: `ENGINE` or `ENGINE:VOICE`, with the engines `flite`, `espeak`, `command`,
/// `elevenlabs`, `openai`.
pub fn by_name(name: &str) -> Result<Box<dyn Voice>, VoiceError> {
    let (engine, voice) = name.split_once(':').unwrap_or((name, ""));
    Ok(match engine {
        "flite" => Box::new(flite::Flite::new(voice)),
        "espeak" => Box::new(espeak::Espeak {
            voice: espeak::voice_of(voice).to_owned(),
        }),
        "command" => Box::new(command::CommandVoice::parse(voice)?),
        "elevenlabs" => Box::new(http::ElevenLabs::from_environment(voice)?),
        "openai" => Box::new(http::OpenAi::from_environment(voice)?),
        _ => {
            return Err(VoiceError::Unknown {
                name: name.to_owned(),
            });
        }
    })
}

/// A voice that can't speak.
#[derive(Debug, Error)]
pub enum VoiceError {
    /// The engine's program is not there.
    #[error("{engine} is not installed: {help}")]
    NotInstalled {
        /// The program.
        engine: String,
        /// What to do.
        help: String,
    },
    /// The engine's program can't be run.
    #[error("cannot run {engine}")]
    Run {
        /// The program.
        engine: String,
        /// Why.
        source: std::io::Error,
    },
    /// The engine ended with an error.
    #[error("{engine} failed ({status}); it said: {said}")]
    Failed {
        /// The program.
        engine: String,
        /// How it ended.
        status: String,
        /// Its last words.
        said: String,
    },
    /// The engine did not answer in time.
    #[error("{engine} gave no answer in {seconds} s")]
    Stuck {
        /// The program.
        engine: String,
        /// How long it had.
        seconds: u64,
    },
    /// The engine answered without end.
    #[error("{engine} answered with more than 512 MiB")]
    TooMuch {
        /// The program.
        engine: String,
    },
    /// The engine answered with nothing to hear.
    #[error("{engine} made no sound")]
    NoSound {
        /// The engine.
        engine: String,
    },
    /// The engine's answer is no WAV.
    #[error(transparent)]
    Wave(#[from] WaveError),
    /// No engine has this name.
    #[error("there is no voice “{name}”; engines are flite, espeak, command, elevenlabs, openai")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// An engine needs something that was not given.
    #[error("{engine} needs {what}")]
    Needs {
        /// The engine.
        engine: &'static str,
        /// What is missing and where to put it.
        what: String,
    },
    /// A server can't be reached or breaks off.
    #[error("cannot reach {engine} at {address}")]
    Unreachable {
        /// The engine.
        engine: &'static str,
        /// The server.
        address: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// A server refuses.
    #[error("{engine} refused ({status}): {said}")]
    Refused {
        /// The engine.
        engine: &'static str,
        /// The HTTP status.
        status: u16,
        /// The start of its answer.
        said: String,
    },
    /// A server's answer is of another form.
    #[error("{engine} answered in a form that is not understood: {what}")]
    Answer {
        /// The engine.
        engine: &'static str,
        /// What is wrong with it.
        what: String,
    },
}
