//! espeak-ng as a separate program: phonemes, and a robotic voice for about a hundred languages.

use super::process::{Engine, run};
use super::{Spoken, Voice, VoiceError};
use crate::wave::Wave;
use std::process::Command;

const ENGINE: Engine = Engine {
    name: "espeak-ng",
    help: "install it (Debian: apt install espeak-ng)",
};
/// Silence that parts the words of [`each_word`] in ms; no word is silent for half as long.
const BREAK: usize = 500;

/// espeak-ng's voice: robotic, but in about a hundred languages.
#[derive(Clone, Debug)]
pub struct Espeak {
    /// Its name for the voice or language (`en-us`, `de`).
    pub voice: String,
}

impl Voice for Espeak {
    fn name(&self) -> String {
        format!("espeak:{}", self.voice)
    }

    /// Gives no word times: espeak-ng's program does not tell them.
    fn say(&self, text: &str) -> Result<Spoken, VoiceError> {
        let mut command = Command::new("espeak-ng");
        command.args(["-v", &self.voice, "-z", "--stdin", "--stdout"]);
        let wave = Wave::from_bytes(&run(&ENGINE, command, text.as_bytes())?)?;
        Spoken::checked("espeak-ng", text, wave)
    }
}

/// espeak-ng's voice for a language tag: `en` is its American English.
pub(crate) fn voice_of(language: &str) -> &str {
    match language {
        "" | "en" => "en-us",
        "zh" => "cmn",
        other => other,
    }
}

/// The phonemes of each word, in espeak-ng's own names separated by `_`. `language` is a voice of espeak-ng.
pub fn phonemes(words: &[String], language: &str) -> Result<Vec<String>, VoiceError> {
    let ask = |text: &str| {
        let mut command = Command::new("espeak-ng");
        command.args(["-q", "-x", "--sep=_", "-v", voice_of(language), "--stdin"]);
        run(&ENGINE, command, text.as_bytes()).map(|out| String::from_utf8_lossy(&out).into_owned())
    };
    // A paragraph each, so that each line of the answer belongs to one word.
    let plain_words: Vec<String> = words.iter().map(|word| plain(word)).collect();
    let text = plain_words.join("\n\n");
    let lines: Vec<String> = ask(&text)?
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    if lines.len() == words.len() {
        return Ok(lines);
    }
    // Some words made several clauses or none: ask one by one.
    words
        .iter()
        .map(|word| Ok(ask(word)?.split_whitespace().collect::<Vec<_>>().join("_")))
        .collect()
}

/// Each word spoken by itself, without the silence around it.
pub(crate) fn each_word(words: &[String], language: &str) -> Result<Vec<Wave>, VoiceError> {
    let voice = voice_of(language);
    let mut waves = Vec::with_capacity(words.len());
    for group in words.chunks(200) {
        let mut parts = split(&speak_apart(group, voice)?);
        if parts.len() != group.len() {
            parts = group
                .iter()
                .map(|word| {
                    let whole = speak_apart(std::slice::from_ref(word), voice)?;
                    let samples = split(&whole).into_iter().flat_map(|p| p.samples).collect();
                    Ok(Wave {
                        rate: whole.rate,
                        samples,
                    })
                })
                .collect::<Result<_, VoiceError>>()?;
        }
        waves.extend(parts);
    }
    Ok(waves)
}

fn speak_apart(words: &[String], voice: &str) -> Result<Wave, VoiceError> {
    let body: Vec<String> = words.iter().map(|word| plain(word)).collect();
    let text = format!(
        "<speak>{}</speak>",
        body.join(&format!(" <break time=\"{BREAK}ms\"/> "))
    );
    let mut command = Command::new("espeak-ng");
    command.args(["-m", "-z", "-v", voice, "--stdin", "--stdout"]);
    Ok(Wave::from_bytes(&run(&ENGINE, command, text.as_bytes())?)?)
}

/// Letters, digits, apostrophes and blanks: nothing that could be markup.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !c.is_ascii_punctuation() || *c == '\'')
        .filter(|c| !c.is_control())
        .collect()
}

/// The stretches of sound between digital silences of at least half a break.
fn split(wave: &Wave) -> Vec<Wave> {
    let least = wave.rate.hertz() as usize * BREAK / 2000;
    let mut parts = Vec::new();
    let mut start = None;
    let mut last = 0;
    for (n, &sample) in wave.samples.iter().enumerate() {
        if sample == 0.0 {
            continue;
        }
        match start {
            Some(from) if n - last > least => {
                parts.push(from..last + 1);
                start = Some(n);
            }
            None => start = Some(n),
            _ => {}
        }
        last = n;
    }
    if let Some(from) = start {
        parts.push(from..last + 1);
    }
    parts
        .into_iter()
        .map(|range| Wave {
            rate: wave.rate,
            samples: wave.samples.get(range).unwrap_or(&[]).to_vec(),
        })
        .collect()
}
