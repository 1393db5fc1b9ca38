//! Voices on servers, with the user's own key: `ElevenLabs`, and whatever speaks `OpenAI`'s `/audio/speech`.

mod elevenlabs;
mod openai;

pub use elevenlabs::ElevenLabs;
pub use openai::OpenAi;

use super::VoiceError;
use std::time::Duration;

/// Most bytes of an answer.
const LARGEST_ANSWER: u64 = 256 << 20;

/// A server's answer.
struct Answer {
    body: Vec<u8>,
    rate_hint: Option<u32>,
}

/// Posts JSON and gives the answer's body; anything but success is an error with the server's words.
fn post(
    engine: &'static str,
    address: &str,
    headers: &[(&str, &str)],
    body: &serde_json::Value,
) -> Result<Answer, VoiceError> {
    let unreachable = |source| VoiceError::Unreachable {
        engine,
        address: address.to_owned(),
        source: Box::new(source),
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_mins(5)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent
        .post(address)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request
        .send(body.to_string().as_bytes())
        .map_err(unreachable)?;
    let status = response.status();
    let rate_hint = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .and_then(|kind| kind.split("rate=").nth(1))
        .and_then(|rate| rate.split(';').next()?.trim().parse().ok());
    let body = response
        .body_mut()
        .with_config()
        .limit(LARGEST_ANSWER)
        .read_to_vec()
        .map_err(unreachable)?;
    if !status.is_success() {
        return Err(VoiceError::Refused {
            engine,
            status: status.as_u16(),
            said: said(&body),
        });
    }
    Ok(Answer { body, rate_hint })
}

/// What a refusal says: the message inside its JSON, or the start of its text.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let inner = json.as_ref().and_then(|json| {
        [
            "/error/message",
            "/detail/message",
            "/message",
            "/detail",
            "/error",
        ]
        .iter()
        .find_map(|place| json.pointer(place)?.as_str())
    });
    let line = inner.unwrap_or(&text).split_whitespace();
    line.collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}

/// A variable of the environment that must be there.
fn needed(engine: &'static str, name: &str) -> Result<String, VoiceError> {
    optional(name).ok_or_else(|| VoiceError::Needs {
        engine,
        what: format!("a key in the environment variable {name}"),
    })
}

fn optional(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests;
