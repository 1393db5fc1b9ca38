//! New speech for insertions and replacements: said by a voice, or cut out of a recording.

use super::media_error;
use crate::{ChangeRequest, Observer, ProjectError, Stage};
use edit::EditList;
use edit::edits::NewSpeech;
use edit::script::Piece;
use media::sound::SoundFile;
use speech::align::Aligner;
use speech::voice::{self, Voice, VoiceError};
use speech::wave::Wave;
use std::path::Path;
use units::{SampleRate, Seconds};

/// The voice that speaks when nobody chose one.
const DEFAULT_VOICE: &str = "flite";

/// The voice for languages other than English.
const FOREIGN_VOICE: &str = "espeak";

/// Silence kept at the ends of new speech.
const EDGE: Seconds = Seconds(0.02);

/// What every insertion of an edit list sounds like, in order, at the clip's rate.
pub(crate) fn new_speech(
    change: &ChangeRequest,
    edits: &EditList,
    language: Option<&str>,
    rate: SampleRate,
    observer: &mut dyn Observer,
) -> Result<Vec<Wave>, ProjectError> {
    let insertions: Vec<&NewSpeech> = edits.insertions().map(|(_, speech)| speech).collect();
    if insertions.is_empty() {
        if let Some(path) = &change.speech {
            observer.warn(&format!(
                "{} is not used: no new words are said",
                path.display()
            ));
        }
        return Ok(Vec::new());
    }
    observer.begin(Stage::Speak, insertions.len() as u64);
    let language = change.language.as_deref().or(language).unwrap_or("en");
    let waves = match &change.speech {
        Some(path) => recorded(path, &insertions, language, rate, observer)?,
        None => spoken(
            change.voice.as_deref(),
            &insertions,
            language,
            rate,
            observer,
        )?,
    };
    observer.end(Stage::Speak);
    Ok(waves)
}

fn spoken(
    name: Option<&str>,
    insertions: &[&NewSpeech],
    language: &str,
    rate: SampleRate,
    observer: &mut dyn Observer,
) -> Result<Vec<Wave>, ProjectError> {
    let english = language.is_empty() || language.to_lowercase().starts_with("en");
    let name = name.map_or_else(
        || {
            if english {
                DEFAULT_VOICE.to_owned()
            } else {
                format!("{FOREIGN_VOICE}:{language}")
            }
        },
        str::to_owned,
    );
    let voice = voice::by_name(&name).map_err(voice_error)?;
    let mut waves = Vec::with_capacity(insertions.len());
    for speech in insertions {
        waves.push(say(voice.as_ref(), speech, rate)?);
        observer.advance(1);
    }
    Ok(waves)
}

/// The pieces of one insertion, one after the other.
fn say(voice: &dyn Voice, speech: &NewSpeech, rate: SampleRate) -> Result<Wave, ProjectError> {
    let mut samples = Vec::new();
    for piece in &speech.pieces {
        match piece {
            Piece::Say { text, .. } => {
                let said = voice.say(text).map_err(voice_error)?;
                samples.extend(trimmed(&said.wave.at_rate(rate)).samples);
            }
            Piece::Pause(length) => {
                samples.resize(samples.len() + rate.samples_in(*length) as usize, 0.0);
            }
        }
    }
    Ok(Wave { rate, samples })
}

/// Cuts a recording of all new words into one part for each insertion.
fn recorded(
    path: &Path,
    insertions: &[&NewSpeech],
    language: &str,
    rate: SampleRate,
    observer: &mut dyn Observer,
) -> Result<Vec<Wave>, ProjectError> {
    let file = SoundFile::open(path, &super::confined()).map_err(media_error)?;
    let wave = Wave {
        rate,
        samples: file.read_mono(rate).map_err(media_error)?,
    };
    let speaking = insertions
        .iter()
        .filter(|speech| !speech.is_silent())
        .count();
    let mut bounds = vec![0];
    if speaking > 1 {
        let heard = file.read_mono(SampleRate::SPEECH).map_err(media_error)?;
        let text: Vec<String> = insertions.iter().map(|speech| speech.text()).collect();
        let aligned = Aligner::new()
            .align(&heard, &text.join(" "), language)
            .map_err(|error| {
                ProjectError::input(format!(
                    "can't find the new words in {}: {error}",
                    path.display()
                ))
                .with_hint("the recording must say all new words, in their order, and nothing else")
            })?;
        let words = aligned.transcript.words();
        let mut next = 0;
        for text in text.iter().filter(|text| !text.is_empty()) {
            next += edit::script::words_of(text).len();
            if let (Some(before), Some(after)) = (
                next.checked_sub(1).and_then(|last| words.get(last)),
                words.get(next),
            ) {
                bounds.push(
                    rate.nearest((before.end + after.start) / 2.0)
                        .as_usize()
                        .min(wave.samples.len()),
                );
            }
        }
    }
    bounds.push(wave.samples.len());
    if bounds.len() != speaking + 1 {
        return Err(ProjectError::input(format!(
            "{} has {} parts, but {speaking} places need new words",
            path.display(),
            bounds.len() - 1
        )));
    }
    let mut parts = bounds.windows(2);
    let mut waves = Vec::with_capacity(insertions.len());
    for speech in insertions {
        if speech.is_silent() {
            waves.push(Wave {
                rate,
                samples: vec![0.0; rate.samples_in(speech.pauses()) as usize],
            });
        } else {
            let part = match parts.next() {
                Some(&[from, to]) => wave.samples.get(from..to).unwrap_or_default().to_vec(),
                _ => Vec::new(),
            };
            waves.push(trimmed(&Wave {
                rate,
                samples: part,
            }));
        }
        observer.advance(1);
    }
    Ok(waves)
}

/// Without the silence at its ends: what lies more than 40 dB under the loudest 10 ms.
fn trimmed(wave: &Wave) -> Wave {
    let hop = (wave.rate.hertz() as usize / 100).max(1);
    let levels: Vec<f32> = wave.samples.chunks(hop).map(speech::energy::rms).collect();
    let loudest = levels.iter().copied().fold(0.0, f32::max);
    let heard = |level: &f32| *level > loudest * 0.01;
    let (Some(first), Some(last)) = (
        levels.iter().position(heard),
        levels.iter().rposition(heard),
    ) else {
        return wave.clone();
    };
    let edge = wave.rate.samples_in(EDGE) as usize;
    let from = (first * hop).saturating_sub(edge);
    let to = ((last + 1) * hop + edge).min(wave.samples.len());
    Wave {
        rate: wave.rate,
        samples: wave.samples.get(from..to).unwrap_or_default().to_vec(),
    }
}

fn voice_error(error: VoiceError) -> ProjectError {
    match error {
        VoiceError::NotInstalled { .. } | VoiceError::Needs { .. } => {
            ProjectError::missing(error.to_string())
        }
        VoiceError::Unknown { .. } => ProjectError::usage(error.to_string()),
        VoiceError::Unreachable { .. } | VoiceError::Refused { .. } => {
            ProjectError::missing(error.to_string())
        }
        other => ProjectError::input(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_at_the_ends_is_trimmed_and_nothing_else() {
        let rate = SampleRate::new(16_000).unwrap();
        let mut samples = vec![0.0; 8000];
        samples.extend((0..16_000).map(|n| (n as f32 * 0.3).sin() * 0.4));
        samples.extend(vec![0.0; 4000]);
        let wave = trimmed(&Wave { rate, samples });
        assert!(
            (wave.duration().0 - 1.04).abs() < 0.02,
            "{}",
            wave.duration()
        );
        let silent = Wave {
            rate,
            samples: vec![0.0; 1000],
        };
        assert_eq!(trimmed(&silent), silent);
    }
}
