//! JSON of many tools, told apart by its shape.

use super::rough::Rough;
use super::{Format, ParseError, Parsed};
use edit::Transcript;
use serde_json::Value;

pub(super) fn parse(text: &str) -> Result<Parsed, ParseError> {
    let value: Value = serde_json::from_str(text).map_err(|error| ParseError::Broken {
        format: Format::JsonList,
        line: error.line(),
        what: "it is not valid JSON".to_owned(),
    })?;
    let language = value
        .get("language")
        .or_else(|| value.pointer("/result/language"))
        .or_else(|| value.pointer("/params/language"))
        .or_else(|| value.pointer("/results/language_code"))
        .and_then(Value::as_str)
        .map(tag)
        .filter(|tag| !tag.is_empty());
    let found = |format, groups| {
        Ok(Parsed {
            format,
            language: language.clone(),
            groups,
        })
    };
    if value.get("version").is_some_and(Value::is_number) && value.get("words").is_some() {
        return own(value);
    }
    if let Some(channels) = list(value.pointer("/results/channels")) {
        return found(Format::Deepgram, deepgram(channels));
    }
    if let Some(items) = list(value.pointer("/results/items")) {
        return found(Format::AwsTranscribe, vec![aws(items)]);
    }
    if let Some(segments) = list(value.get("transcription")) {
        return found(
            Format::WhisperCpp,
            segments.iter().map(whisper_cpp).collect(),
        );
    }
    let top = list(value.get("words"));
    if let Some(segments) = list(value.get("segments")) {
        if segments.iter().any(|s| list(s.get("words")).is_some()) {
            return found(Format::WhisperX, segments.iter().map(segment).collect());
        }
        // OpenAI lists words beside the segments, when asked for them.
        if let Some(words) = top.filter(|w| !w.is_empty()) {
            return found(Format::OpenAi, vec![words.iter().map(word).collect()]);
        }
        return found(Format::OpenAi, segments.iter().map(segment).collect());
    }
    if let Some(words) = top.or_else(|| list(value.get("word_segments"))) {
        return found(Format::OpenAi, vec![words.iter().map(word).collect()]);
    }
    if let Some(words) = list(value.get("result")) {
        return found(Format::JsonList, vec![words.iter().map(word).collect()]);
    }
    if let Value::Array(items) = &value
        && items.iter().all(Value::is_object)
        && items.iter().any(|i| text_of(i).is_some())
    {
        let sentence = |item: &Value| text_of(item).is_some_and(|t| t.trim().contains(' '));
        let is_segment = |item: &Value| list(item.get("words")).is_some() || sentence(item);
        let groups = if items.iter().any(is_segment) {
            items.iter().map(segment).collect()
        } else {
            vec![items.iter().map(word).collect()]
        };
        return found(Format::JsonList, groups);
    }
    Err(ParseError::Unknown)
}

/// Our own form is strict: it is read by the type that writes it.
fn own(value: Value) -> Result<Parsed, ParseError> {
    let transcript: Transcript =
        serde_json::from_value(value).map_err(|error| ParseError::Broken {
            format: Format::Own,
            line: error.line().max(1),
            what: error.to_string(),
        })?;
    let language = transcript.language().map(str::to_owned);
    let words = transcript
        .into_words()
        .into_iter()
        .map(|word| Rough {
            text: word.text,
            start: Some(word.start.0),
            end: Some(word.end.0),
            confidence: word.confidence,
            speaker: word.speaker,
            bound: false,
        })
        .collect();
    Ok(Parsed {
        format: Format::Own,
        language,
        groups: vec![words],
    })
}

fn list(value: Option<&Value>) -> Option<&[Value]> {
    value?.as_array().map(Vec::as_slice)
}

/// `OpenAI` names languages in English.
fn tag(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "english" => "en".to_owned(),
        "german" => "de".to_owned(),
        "french" => "fr".to_owned(),
        "spanish" => "es".to_owned(),
        "italian" => "it".to_owned(),
        "portuguese" => "pt".to_owned(),
        "dutch" => "nl".to_owned(),
        "russian" => "ru".to_owned(),
        "chinese" => "zh".to_owned(),
        "japanese" => "ja".to_owned(),
        "korean" => "ko".to_owned(),
        "arabic" => "ar".to_owned(),
        "hindi" => "hi".to_owned(),
        _ => name.to_owned(),
    }
}

/// A number, or a number written as text.
fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn first<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names
        .iter()
        .find_map(|name| value.get(name).filter(|v| !v.is_null()))
}

fn text_of(value: &Value) -> Option<&str> {
    first(value, &["punctuated_word", "word", "text", "content"])?.as_str()
}

fn speaker(value: &Value) -> Option<String> {
    match first(value, &["speaker", "speaker_label", "speaker_id"])? {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn word(value: &Value) -> Rough {
    Rough {
        text: text_of(value).unwrap_or_default().to_owned(),
        start: number(first(value, &["start", "start_time", "startTime"])),
        end: number(first(value, &["end", "end_time", "endTime"])),
        confidence: number(first(
            value,
            &["confidence", "score", "conf", "probability"],
        ))
        .map(|c| c as f32),
        speaker: speaker(value),
        bound: false,
    }
}

/// A segment's words, or its text spread over its time.
fn segment(value: &Value) -> Vec<Rough> {
    let who = speaker(value);
    let whole = word(value);
    match list(value.get("words")).filter(|words| !words.is_empty()) {
        Some(words) => {
            let mut words: Vec<Rough> = words.iter().map(word).collect();
            if let Some(last) = words.last_mut() {
                last.end = last.end.or(whole.end.filter(|_| last.start.is_some()));
            }
            for word in &mut words {
                word.speaker = word.speaker.take().or_else(|| who.clone());
            }
            words
        }
        None => Rough::spread(
            &whole.text,
            whole.start.unwrap_or(0.0),
            whole.end.or(whole.start).unwrap_or(0.0),
            who.as_deref(),
        ),
    }
}

/// The best alternative of every channel; a channel's words are one group.
fn deepgram(channels: &[Value]) -> Vec<Vec<Rough>> {
    channels
        .iter()
        .filter_map(|channel| list(channel.pointer("/alternatives/0/words")))
        .map(|words| words.iter().map(word).collect())
        .collect()
}

/// Items are words and punctuation marks; a mark joins the word before it.
fn aws(items: &[Value]) -> Vec<Rough> {
    let mut words: Vec<Rough> = Vec::new();
    for item in items {
        let best = item.pointer("/alternatives/0").unwrap_or(item);
        let text = text_of(best).unwrap_or_default();
        if item.get("type").and_then(Value::as_str) == Some("punctuation") {
            if let Some(last) = words.last_mut() {
                last.text.push_str(text);
            }
            continue;
        }
        words.push(Rough {
            text: text.to_owned(),
            confidence: number(best.get("confidence")).map(|c| c as f32),
            ..word(item)
        });
    }
    words
}

/// Tokens (with `-ojf`) joined to words at their leading blanks, or the text of the segment. Times are in ms.
fn whisper_cpp(segment: &Value) -> Vec<Rough> {
    let time = |value: &Value, which: &str| {
        number(value.get("offsets").and_then(|o| o.get(which))).map(|ms| ms / 1000.0)
    };
    let tokens = list(segment.get("tokens")).unwrap_or(&[]);
    let mut words: Vec<Rough> = Vec::new();
    for token in tokens {
        let text = token.get("text").and_then(Value::as_str).unwrap_or("");
        // `[_BEG_]`, `[_TT_150]`: marks of the model.
        if text.starts_with("[_") || text.starts_with("<|") || text.is_empty() {
            continue;
        }
        let probability = number(token.get("p")).map(|p| p as f32);
        match words.last_mut() {
            Some(last) if !text.starts_with(' ') => {
                last.text.push_str(text);
                last.end = time(token, "to").or(last.end);
                last.confidence = match (last.confidence, probability) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            _ => words.push(Rough {
                text: text.trim_start().to_owned(),
                start: time(token, "from"),
                end: time(token, "to"),
                confidence: probability,
                ..Rough::default()
            }),
        }
    }
    if !words.is_empty() {
        return words;
    }
    let text = segment.get("text").and_then(Value::as_str).unwrap_or("");
    let (start, end) = (
        time(segment, "from").unwrap_or(0.0),
        time(segment, "to").unwrap_or(0.0),
    );
    let mut words = Rough::spread(text, start, end, None);
    if let [single] = words.as_mut_slice() {
        // One word a segment (`-ml 1`): its times are its own.
        single.bound = false;
    }
    words
}
