//! `OpenAI`'s `POST /audio/speech` and its many imitations.

use super::{needed, optional, post};
use crate::voice::{Spoken, Voice, VoiceError};
use crate::wave::Wave;

const ENGINE: &str = "openai";

/// A voice on a server that speaks `OpenAI`'s protocol.
#[derive(Clone, Debug)]
pub struct OpenAi {
    /// The address before `/audio/speech`.
    pub base: String,
    /// The key; empty for servers that need none.
    pub key: String,
    /// The model.
    pub model: String,
    /// The voice.
    pub voice: String,
}

impl OpenAi {
    /// `OPENAI_API_KEY`; `OPENAI_BASE_URL` for another server (the key may then be missing); `OPENAI_TTS_MODEL`. The
    /// voice is `alloy` unless named.
    pub fn from_environment(voice: &str) -> Result<Self, VoiceError> {
        let base = optional("OPENAI_BASE_URL");
        let key = match &base {
            Some(_) => optional("OPENAI_API_KEY").unwrap_or_default(),
            None => needed(ENGINE, "OPENAI_API_KEY")?,
        };
        Ok(Self {
            base: base.unwrap_or_else(|| "https://api.openai.com/v1".to_owned()),
            key,
            model: optional("OPENAI_TTS_MODEL").unwrap_or_else(|| "gpt-4o-mini-tts".to_owned()),
            voice: if voice.is_empty() { "alloy" } else { voice }.to_owned(),
        })
    }
}

impl Voice for OpenAi {
    fn name(&self) -> String {
        format!("{ENGINE}:{}", self.voice)
    }

    fn say(&self, text: &str) -> Result<Spoken, VoiceError> {
        let address = format!("{}/audio/speech", self.base.trim_end_matches('/'));
        let bearer = format!("Bearer {}", self.key);
        let mut headers = Vec::new();
        if !self.key.is_empty() {
            headers.push(("authorization", bearer.as_str()));
        }
        let body = serde_json::json!({
            "model": self.model,
            "voice": self.voice,
            "input": text,
            "response_format": "wav",
        });
        let answer = post(ENGINE, &address, &headers, &body)?;
        Spoken::checked(ENGINE, text, Wave::from_bytes(&answer.body)?)
    }
}
