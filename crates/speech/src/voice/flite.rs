//! flite as a separate program: offline English voices whose word and phone times are exact.

use super::process::{Engine, run};
use super::{Spoken, Voice, VoiceError};
use crate::align::Phone;
use crate::align::text::tokens;
use crate::wave::Wave;
use edit::Word;
use std::process::Command;
use units::Seconds;

const ENGINE: Engine = Engine {
    name: "flite",
    help: "install it (Debian: apt install flite)",
};

/// A voice of flite: `slt` (female), `rms`, `awb`, `kal` (male).
#[derive(Clone, Debug)]
pub struct Flite {
    voice: String,
}

impl Flite {
    /// A voice by name; an empty name is `slt`.
    pub fn new(voice: &str) -> Self {
        let voice = if voice.is_empty() { "slt" } else { voice };
        Self {
            voice: voice.to_owned(),
        }
    }

    fn run(&self, text: &str, arguments: &[&str]) -> Result<String, VoiceError> {
        let mut command = Command::new("flite");
        command.args(["-voice", &self.voice, "-t", text]);
        command.args(arguments);
        Ok(String::from_utf8_lossy(&run(&ENGINE, command, b"")?).into_owned())
    }
}

/// A phone as flite says it.
struct Segment {
    name: String,
    start: f64,
    end: f64,
}

impl Voice for Flite {
    fn name(&self) -> String {
        format!("flite:{}", self.voice)
    }

    fn say(&self, text: &str) -> Result<Spoken, VoiceError> {
        let tokens = tokens(text, true);
        let sentence: Vec<String> = tokens
            .iter()
            .map(|token| {
                let said = token
                    .spoken
                    .first()
                    .map_or_else(String::new, |w| w.join(" "));
                let stop = token.text.chars().last().filter(|c| ".,;:!?".contains(*c));
                said + &stop.map(String::from).unwrap_or_default()
            })
            .collect();
        // A text without a blank would be taken for a file's name.
        let sentence = format!(" {} ", sentence.join(" "));
        let folder = tempfile::tempdir().map_err(|source| VoiceError::Run {
            engine: ENGINE.name.to_owned(),
            source,
        })?;
        let path = folder.path().join("said.wav");
        let target = path.to_string_lossy().into_owned();
        let segments = segments(&self.run(&sentence, &["-psdur", "-o", &target])?);
        let wave = Wave::read(&path)?;
        let mut spoken = Spoken::checked("flite", text, wave)?;
        let words: Vec<&String> = tokens
            .iter()
            .flat_map(|t| t.spoken.first().into_iter().flatten())
            .collect();
        let owners: Vec<usize> = tokens
            .iter()
            .enumerate()
            .flat_map(|(n, t)| {
                t.spoken
                    .first()
                    .map_or(0, Vec::len)
                    .checked_sub(0)
                    .map(|c| vec![n; c])
                    .unwrap_or_default()
            })
            .collect();
        let alone: Vec<Vec<String>> = self.alone(&words)?;
        if alone.len() == words.len() {
            let phones = owned(&segments, &alone, &owners);
            spoken.words = Some(
                tokens
                    .iter()
                    .enumerate()
                    .filter_map(|(n, token)| {
                        let first = phones.iter().find(|p| p.word == n)?;
                        let last = phones.iter().rfind(|p| p.word == n)?;
                        Some(Word {
                            text: token.text.clone(),
                            start: first.start,
                            end: last.end,
                            confidence: Some(1.0),
                            speaker: None,
                        })
                    })
                    .collect(),
            );
            spoken.phones = Some(phones);
        }
        Ok(spoken)
    }
}

impl Flite {
    /// The phones of each word by itself: sentences of one word, which pauses part.
    fn alone(&self, words: &[&String]) -> Result<Vec<Vec<String>>, VoiceError> {
        let list: Vec<String> = words.iter().map(|w| format!("{w}.")).collect();
        let said = self.run(
            &format!(" {} ", list.join(" \n\n ")),
            &["-ps", "-o", "none"],
        )?;
        let mut groups: Vec<Vec<String>> = Vec::new();
        let mut open = false;
        for name in said.split_whitespace() {
            if name == "pau" {
                open = false;
                continue;
            }
            if !open {
                groups.push(Vec::new());
                open = true;
            }
            if let Some(group) = groups.last_mut() {
                group.push(name.to_owned());
            }
        }
        Ok(groups)
    }
}

/// Reads `name:end` pairs; times of one utterance start where the last one's end.
fn segments(text: &str) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    let mut base = 0.0;
    let mut before = 0.0;
    for field in text.split_whitespace() {
        let Some((name, end)) = field.rsplit_once(':') else {
            continue;
        };
        let Ok(end) = end.parse::<f64>() else {
            continue;
        };
        if base + end < before {
            base = before;
        }
        out.push(Segment {
            name: name.to_owned(),
            start: before,
            end: base + end,
        });
        before = base + end;
    }
    out
}

/// Gives each segment to a word: the cheapest mapping of the sentence's phones onto those of the words alone, which
/// differ from them where words meet.
fn owned(segments: &[Segment], alone: &[Vec<String>], owners: &[usize]) -> Vec<Phone> {
    let said: Vec<&Segment> = segments.iter().filter(|s| s.name != "pau").collect();
    let expected: Vec<(&str, usize)> = alone
        .iter()
        .zip(owners)
        .flat_map(|(phones, &owner)| phones.iter().map(move |p| (p.as_str(), owner)))
        .collect();
    let (rows, columns) = (said.len(), expected.len());
    let mut table = vec![vec![0_usize; columns + 1]; rows + 1];
    for i in (0..=rows).rev() {
        for j in (0..=columns).rev() {
            let cell = |i: usize, j: usize| table.get(i).and_then(|r| r.get(j)).copied();
            let change = match (said.get(i), expected.get(j)) {
                (Some(s), Some((name, _))) => {
                    cell(i + 1, j + 1).map(|c| c + usize::from(s.name != *name))
                }
                _ => None,
            };
            let more = said.get(i).and_then(|_| cell(i + 1, j)).map(|c| c + 1);
            let less = expected.get(j).and_then(|_| cell(i, j + 1)).map(|c| c + 1);
            let best = [change, more, less]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(0);
            if let Some(slot) = table.get_mut(i).and_then(|r| r.get_mut(j)) {
                *slot = best;
            }
        }
    }
    let cell = |i: usize, j: usize| table.get(i).and_then(|r| r.get(j)).copied();
    let mut phones = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let Some(segment) = said.get(i) {
        let owner = expected.get(j).or(expected.last()).map_or(0, |e| e.1);
        let here = cell(i, j).unwrap_or(0);
        let differs = expected.get(j).is_some_and(|e| e.0 != segment.name);
        if j < columns && cell(i + 1, j + 1).is_some_and(|c| here == c + usize::from(differs)) {
            j += 1;
        } else if j < columns && cell(i, j + 1).is_some_and(|c| here == c + 1) {
            j += 1;
            continue;
        }
        i += 1;
        phones.push(Phone {
            name: segment.name.to_uppercase(),
            word: owner,
            start: Seconds(segment.start),
            end: Seconds(segment.end),
        });
    }
    phones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_word_gets_its_times() {
        let text = "On May 3rd, she paid $5.20; okay?";
        let spoken = match Flite::new("slt").say(text) {
            Ok(spoken) => spoken,
            Err(error @ VoiceError::NotInstalled { .. }) => {
                println!("skipped: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let words = spoken.words.unwrap();
        let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        assert_eq!(
            texts,
            ["On", "May", "3rd,", "she", "paid", "$5.20;", "okay?"]
        );
        for pair in words.windows(2) {
            assert!(pair[0].start < pair[0].end && pair[0].end <= pair[1].start);
        }
        // "five dollars and twenty cents" is long.
        assert!((words[5].end - words[5].start).0 > 0.9);
        assert!(words[6].end <= spoken.wave.duration());
        let phones = spoken.phones.unwrap();
        let last = phones.last().unwrap();
        assert_eq!((last.name.as_str(), last.word), ("EY", 6));
    }

    #[test]
    fn a_voice_that_is_not_there_is_said() {
        match Flite::new("nobody").say("hello there") {
            Err(
                VoiceError::NotInstalled { .. }
                | VoiceError::Failed { .. }
                | VoiceError::NoSound { .. }
                | VoiceError::Wave(_),
            ) => {}
            // flite itself falls back to its first voice with a warning.
            Ok(spoken) => assert!(spoken.wave.duration().0 > 0.2),
            Err(error) => panic!("{error}"),
        }
    }
}
