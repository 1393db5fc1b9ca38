//! `ElevenLabs`: `POST /v1/text-to-speech/{voice}/with-timestamps`, which tells the time of every character.

use super::{needed, optional, post};
use crate::voice::{Spoken, Voice, VoiceError};
use crate::wave::Wave;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edit::Word;
use serde::Deserialize;
use units::{SampleRate, Seconds};

const ENGINE: &str = "elevenlabs";
/// The format asked for: 16-bit samples at this rate.
const RATE: u32 = 24_000;

/// A cloned or ready-made voice of `ElevenLabs`.
#[derive(Clone, Debug)]
pub struct ElevenLabs {
    /// The address before `/v1`.
    pub base: String,
    /// The key.
    pub key: String,
    /// The model.
    pub model: String,
    /// The voice's id.
    pub voice: String,
}

#[derive(Deserialize)]
struct Timed {
    audio_base64: String,
    alignment: Option<Characters>,
}

#[derive(Deserialize)]
struct Characters {
    #[serde(rename = "characters")]
    letters: Vec<String>,
    #[serde(rename = "character_start_times_seconds")]
    starts: Vec<f64>,
    #[serde(rename = "character_end_times_seconds")]
    ends: Vec<f64>,
}

impl ElevenLabs {
    /// `ELEVENLABS_API_KEY`, `ELEVENLABS_BASE_URL`, `ELEVENLABS_MODEL`. The voice's id must be named.
    pub fn from_environment(voice: &str) -> Result<Self, VoiceError> {
        if voice.is_empty() {
            return Err(VoiceError::Needs {
                engine: ENGINE,
                what: "the id of a voice, as in elevenlabs:ID".to_owned(),
            });
        }
        Ok(Self {
            base: optional("ELEVENLABS_BASE_URL")
                .unwrap_or_else(|| "https://api.elevenlabs.io".to_owned()),
            key: needed(ENGINE, "ELEVENLABS_API_KEY")?,
            model: optional("ELEVENLABS_MODEL")
                .unwrap_or_else(|| "eleven_multilingual_v2".to_owned()),
            voice: voice.to_owned(),
        })
    }
}

impl Voice for ElevenLabs {
    fn name(&self) -> String {
        format!("{ENGINE}:{}", self.voice)
    }

    fn say(&self, text: &str) -> Result<Spoken, VoiceError> {
        // The id becomes part of an address.
        if !self
            .voice
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return Err(VoiceError::Needs {
                engine: ENGINE,
                what: "the id of a voice (letters and digits)".to_owned(),
            });
        }
        let address = format!(
            "{}/v1/text-to-speech/{}/with-timestamps?output_format=pcm_{RATE}",
            self.base.trim_end_matches('/'),
            self.voice
        );
        let body = serde_json::json!({ "text": text, "model_id": self.model });
        let answer = post(ENGINE, &address, &[("xi-api-key", &self.key)], &body)?;
        let wrong = |what: String| VoiceError::Answer {
            engine: ENGINE,
            what,
        };
        let timed: Timed =
            serde_json::from_slice(&answer.body).map_err(|error| wrong(error.to_string()))?;
        let bytes = STANDARD
            .decode(timed.audio_base64.trim())
            .map_err(|error| wrong(error.to_string()))?;
        let rate = SampleRate::new(answer.rate_hint.unwrap_or(RATE))
            .map_err(|error| wrong(error.to_string()))?;
        let samples = bytes
            .chunks_exact(2)
            .map(|b| b.try_into().map(i16::from_le_bytes).unwrap_or_default())
            .map(|sample| f32::from(sample) / 32_768.0)
            .collect();
        let mut spoken = Spoken::checked(ENGINE, text, Wave { rate, samples })?;
        spoken.words = timed.alignment.as_ref().and_then(words);
        Ok(spoken)
    }
}

/// Words from the times of their characters; none when the lists do not fit each other.
fn words(timed: &Characters) -> Option<Vec<Word>> {
    let count = timed.letters.len();
    if timed.starts.len() != count || timed.ends.len() != count {
        return None;
    }
    let mut words: Vec<Word> = Vec::new();
    let mut open = false;
    let times = timed.starts.iter().zip(&timed.ends);
    for (character, (&start, &end)) in timed.letters.iter().zip(times) {
        if character.trim().is_empty() {
            open = false;
            continue;
        }
        if !open {
            words.push(Word::new("", Seconds(start), Seconds(end)));
            open = true;
        }
        if let Some(word) = words.last_mut() {
            word.text.push_str(character);
            word.end = Seconds(end);
        }
    }
    Some(words)
}
