//! Any program as a voice: text on its standard input, a WAV on its standard output.

use super::process::{Engine, run};
use super::{Spoken, Voice, VoiceError};
use crate::wave::Wave;
use std::process::Command;

/// A program that turns text into speech.
#[derive(Clone, Debug)]
pub struct CommandVoice {
    program: String,
    arguments: Vec<String>,
}

impl CommandVoice {
    /// A program and its arguments.
    pub fn new(program: impl Into<String>, arguments: Vec<String>) -> Self {
        Self {
            program: program.into(),
            arguments,
        }
    }

    /// From one line: parts separated by blanks, quotes around parts with blanks. No shell is involved.
    pub fn parse(line: &str) -> Result<Self, VoiceError> {
        let mut parts = Vec::new();
        let mut current = String::new();
        let mut started = false;
        let mut quote = None;
        for c in line.chars() {
            match quote {
                Some(q) if c == q => quote = None,
                Some(_) => current.push(c),
                None if c == '"' || c == '\'' => {
                    quote = Some(c);
                    started = true;
                }
                None if c.is_whitespace() => {
                    if started {
                        parts.push(std::mem::take(&mut current));
                    }
                    started = false;
                }
                None => {
                    current.push(c);
                    started = true;
                }
            }
        }
        if started {
            parts.push(current);
        }
        let mut parts = parts.into_iter();
        match parts.next().filter(|program| !program.is_empty()) {
            Some(program) if quote.is_none() => Ok(Self::new(program, parts.collect())),
            Some(_) => Err(VoiceError::Needs {
                engine: "command",
                what: format!("its quotes closed: {line}"),
            }),
            None => Err(VoiceError::Needs {
                engine: "command",
                what: "a program, as in command:PROGRAM ARGUMENTS".to_owned(),
            }),
        }
    }
}

impl Voice for CommandVoice {
    fn name(&self) -> String {
        format!("command:{}", self.program)
    }

    fn say(&self, text: &str) -> Result<Spoken, VoiceError> {
        let engine = Engine {
            name: &self.program,
            help: "no such program",
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        let wave = Wave::from_bytes(&run(&engine, command, text.as_bytes())?)?;
        Spoken::checked(&self.program, text, wave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_like_a_shell_would() {
        let voice = CommandVoice::parse("say  -v 'My Voice' \"a b\"c ''").unwrap();
        assert_eq!(voice.program, "say");
        assert_eq!(voice.arguments, ["-v", "My Voice", "a bc", ""]);
        assert!(CommandVoice::parse(" ").is_err());
        assert!(CommandVoice::parse("say 'open").is_err());
    }

    #[test]
    fn a_program_speaks_fails_or_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.wav");
        let wave = Wave {
            rate: units::SampleRate::SPEECH,
            samples: vec![0.25; 1600],
        };
        wave.write(&path).unwrap();
        let cat = CommandVoice::new("cat", vec![path.to_string_lossy().into_owned()]);
        assert_eq!(cat.say("hello").unwrap().wave, wave);
        let missing = CommandVoice::new("no-such-program-here", vec![]);
        let error = missing.say("hello").unwrap_err().to_string();
        assert_eq!(
            error,
            "no-such-program-here is not installed: no such program"
        );
        let failing =
            CommandVoice::parse("sh -c 'echo first >&2; echo no voice >&2; exit 3'").unwrap();
        let error = failing.say("hello").unwrap_err().to_string();
        assert_eq!(error, "sh failed (exit status: 3); it said: no voice");
        let echo = CommandVoice::new("cat", vec![]);
        assert!(matches!(echo.say("hello"), Err(VoiceError::Wave(_))));
    }
}
