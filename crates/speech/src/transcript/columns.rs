//! Lines of columns: CTM, label tracks, and word lists.

use super::rough::Rough;
use super::{Format, Parsed};

/// What a column layout takes from a line's fields.
type Layout = fn(&[&str]) -> Option<Rough>;

/// Reads a text all of whose lines fit one layout (comments and a header line aside).
pub(super) fn parse(text: &str) -> Option<Parsed> {
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with(";;"))
        .map(fields)
        .collect();
    let layouts: [(Format, Layout); 3] = [
        (Format::Ctm, ctm),
        (Format::Lines, times_first),
        (Format::Lines, word_first),
    ];
    layouts.iter().find_map(|(format, layout)| {
        let read = |lines: &[Vec<&str>]| {
            lines
                .iter()
                .map(|l| layout(l))
                .collect::<Option<Vec<Rough>>>()
        };
        // The first line may be a header.
        let mut words = read(&lines).or_else(|| read(lines.get(1..)?))?;
        if words.is_empty() {
            return None;
        }
        in_seconds(&mut words);
        words.retain(|w| !is_silence(&w.text));
        Some(Parsed {
            format: *format,
            language: None,
            groups: vec![words],
        })
    })
}

/// Tab-separated fields may hold blanks; otherwise blanks or commas separate.
fn fields(line: &str) -> Vec<&str> {
    if line.contains('\t') {
        return line.split('\t').map(str::trim).collect();
    }
    let blanks: Vec<&str> = line.split_whitespace().collect();
    if blanks.len() > 2 {
        blanks
    } else {
        line.split([',', ';']).map(str::trim).collect()
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|t: &f64| t.is_finite() && *t >= 0.0)
}

/// `file channel start duration word [confidence] [type speaker]`.
fn ctm(fields: &[&str]) -> Option<Rough> {
    let [_, channel, start, duration, word, rest @ ..] = fields else {
        return None;
    };
    if channel.len() > 8 || number(word).is_some() && rest.is_empty() {
        return None;
    }
    let start = number(start)?;
    let confidence = match rest.first() {
        Some(&"NA") | None => None,
        Some(text) => Some(number(text)? as f32),
    };
    Some(Rough {
        text: (*word).to_owned(),
        start: Some(start),
        end: Some(start + number(duration)?),
        confidence,
        ..Rough::default()
    })
}

/// `start end word`.
fn times_first(fields: &[&str]) -> Option<Rough> {
    let [start, end, word @ ..] = fields else {
        return None;
    };
    word_of(&word.join(" "), start, end)
}

/// `word start end`.
fn word_first(fields: &[&str]) -> Option<Rough> {
    let [word, start, end, ..] = fields else {
        return None;
    };
    word_of(word, start, end)
}

fn word_of(text: &str, start: &str, end: &str) -> Option<Rough> {
    let (start, end) = (number(start)?, number(end)?);
    (end >= start).then(|| Rough {
        text: text.trim_matches('"').to_owned(),
        start: Some(start),
        end: Some(end),
        ..Rough::default()
    })
}

/// The GRID corpus counts in 25 kHz samples: whole numbers, the first of them silence's, too large for seconds.
fn in_seconds(words: &mut [Rough]) {
    let times = || words.iter().flat_map(|w| [w.start, w.end]).flatten();
    let last = times().fold(0.0, f64::max);
    if times().all(|t| t.fract() == 0.0)
        && last >= 10_000.0
        && words.first().is_some_and(|w| is_silence(&w.text))
    {
        for word in words {
            word.start = word.start.map(|t| t / 25_000.0);
            word.end = word.end.map(|t| t / 25_000.0);
        }
    }
}

/// What aligners write for no word.
pub(super) fn is_silence(text: &str) -> bool {
    let lower = text.trim().to_lowercase();
    matches!(
        lower.as_str(),
        "" | "sil"
            | "sp"
            | "<eps>"
            | "<sil>"
            | "<s>"
            | "</s>"
            | "<p:>"
            | "<p>"
            | "#"
            | "[silence]"
            | "!sil"
    )
}
