//! `--fillers`: filler words go, long pauses become short.

use super::phrases::{find, index};
use super::{EditError, FILLERS, Request, Wish, filler_words};
use crate::Transcript;
use crate::text::parts;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use units::Seconds;

/// What counts as a filler and as a long pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FillerConfig {
    /// Pauses between words longer than this are shortened.
    pub longest_pause: Seconds,
    /// To this length.
    pub pause: Seconds,
    /// The language where the transcript doesn't say.
    pub language: String,
    /// More words to remove, in any language.
    pub also: Vec<String>,
}

impl Default for FillerConfig {
    fn default() -> Self {
        Self {
            longest_pause: Seconds(1.0),
            pause: Seconds(0.5),
            language: "en".to_owned(),
            also: Vec::new(),
        }
    }
}

/// The wishes of `--fillers`. They give way to any other wish that touches the same place. None
/// when there is nothing to tidy.
pub fn fillers(transcript: &Transcript, config: &FillerConfig) -> Result<Vec<Request>, EditError> {
    let language = transcript.language().unwrap_or(&config.language);
    let Some(list) = filler_words(language) else {
        return Err(EditError::Language {
            language: language.to_owned(),
            known: FILLERS
                .iter()
                .map(|&(known, _)| known)
                .collect::<Vec<_>>()
                .join(", "),
        });
    };
    let words = index(transcript);
    let wanted = list
        .iter()
        .copied()
        .chain(config.also.iter().map(String::as_str));
    let mut found: Vec<Range<usize>> = wanted
        .map(parts)
        .filter(|wanted| !wanted.is_empty())
        .flat_map(|wanted| find(&wanted, &words))
        .collect();
    found.sort_by_key(|words| (words.start, words.end));
    let mut runs: Vec<Range<usize>> = Vec::new();
    for words in found {
        match runs.last_mut() {
            Some(last) if words.start <= last.end => last.end = last.end.max(words.end),
            _ => runs.push(words),
        }
    }
    let yields = |origin: &str, wish| Request {
        origin: origin.to_owned(),
        wish,
        yields: true,
    };
    let pauses = transcript
        .words()
        .windows(2)
        .enumerate()
        .filter_map(|(before, pair)| {
            let [left, right] = pair else { return None };
            let after = before + 1;
            let removed = runs
                .iter()
                .any(|run| run.start <= after && after <= run.end);
            let long = right.start - left.end > config.longest_pause;
            (long && !removed).then(|| yields("--fillers", Wish::Pause(after, config.pause)))
        });
    let mut requests: Vec<Request> = pauses.collect();
    requests.extend(
        runs.into_iter()
            .map(|words| yields("--fillers", Wish::Remove(words))),
    );
    Ok(requests)
}
