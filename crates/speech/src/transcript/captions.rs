//! `SubRip` and `WebVTT` captions.

use super::rough::Rough;
use super::{Format, Parsed};

/// A caption: its times and lines.
struct Cue<'t> {
    start: f64,
    end: f64,
    lines: Vec<&'t str>,
}

/// A caption's time line: within the first lines, as a number may stand before it.
pub(super) fn looks_like_srt(text: &str) -> bool {
    text.lines().take(8).any(|line| times(line).is_some())
}

pub(super) fn srt(text: &str) -> Parsed {
    let groups = cues(text)
        .iter()
        .map(|cue| spoken(&cue.lines.join(" "), cue.start, cue.end).0)
        .collect();
    Parsed {
        format: Format::Srt,
        language: None,
        groups,
    }
}

pub(super) fn vtt(text: &str) -> Parsed {
    let language = text
        .lines()
        .take(10)
        .find_map(|line| line.strip_prefix("Language:"))
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty());
    let mut groups = Vec::new();
    // Rolling captions repeat the line above, without its times: it was said already.
    let mut said: Vec<String> = Vec::new();
    for cue in cues(text) {
        let mut now = Vec::new();
        let rolls = cue.end - cue.start < 0.05
            || cue.lines.iter().filter(|l| !l.trim().is_empty()).count() > 1;
        for line in &cue.lines {
            let (words, stamped) = spoken(line, cue.start, cue.end);
            let plain: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
            let plain = plain.join(" ");
            if plain.is_empty() {
                continue;
            }
            let repeated = !stamped && rolls && said.contains(&plain);
            now.push(plain);
            if !repeated {
                groups.push(words);
            }
        }
        if !now.is_empty() {
            said = now;
        }
    }
    // Several unstamped lines of one caption share its time.
    Parsed {
        format: Format::Vtt,
        language,
        groups: share_cues(groups),
    }
}

/// Joins neighbouring groups that were spread over the same caption, so that its lines follow each other.
fn share_cues(groups: Vec<Vec<Rough>>) -> Vec<Vec<Rough>> {
    let bounds = |group: &[Rough]| {
        let all_bound = group.iter().all(|w| w.bound);
        let start = group.first().and_then(|w| w.start);
        let end = group.last().and_then(|w| w.end);
        all_bound.then_some((start, end))
    };
    let mut out: Vec<Vec<Rough>> = Vec::new();
    for mut group in groups {
        if let Some(last) = out.last_mut()
            && let (Some(a), Some(b)) = (bounds(last), bounds(&group))
            && a == b
        {
            if let Some(word) = last.last_mut() {
                word.end = None;
            }
            if let Some(word) = group.first_mut() {
                word.start = None;
            }
            last.extend(group);
            continue;
        }
        out.push(group);
    }
    out
}

fn cues(text: &str) -> Vec<Cue<'_>> {
    let mut cues: Vec<Cue<'_>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if let Some((start, end)) = times(line) {
            cues.push(Cue {
                start,
                end,
                lines: Vec::new(),
            });
            inside = true;
        } else if line.is_empty() {
            // A line of blanks is part of a rolling caption; an empty one ends it.
            inside = false;
        } else if inside && let Some(cue) = cues.last_mut() {
            cue.lines.push(line);
        }
    }
    cues
}

/// `00:00:01,599 --> 00:00:03,919`, hours optional, settings after it ignored.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("-->")?;
    let end = rest.split_whitespace().next()?;
    Some((clock(start.trim())?, clock(end)?))
}

/// `[h:]mm:ss[.,]mmm` in seconds.
fn clock(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() < 2 || parts.len() > 3 {
        return None;
    }
    for part in parts {
        let value: f64 = part.replace(',', ".").parse().ok()?;
        if !(0.0..1e6).contains(&value) {
            return None;
        }
        seconds = seconds * 60.0 + value;
    }
    Some(seconds)
}

/// The words of a caption's text, and whether it holds times of its own (`<00:00:01.000>`). Tags, sound descriptions
/// in brackets and notes are left out; `<v Ann>` names the speaker.
fn spoken(line: &str, start: f64, end: f64) -> (Vec<Rough>, bool) {
    let mut speaker = None;
    let mut text = String::new();
    let mut pieces: Vec<(f64, String)> = Vec::new();
    let mut from = start;
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        let (before, tail) = rest.split_at(open);
        text.push_str(before);
        let Some(close) = tail.find('>') else {
            // A lone `<` is text.
            text.push('<');
            rest = tail.get(1..).unwrap_or("");
            continue;
        };
        let tag = tail.get(1..close).unwrap_or("");
        if let Some(time) = clock(tag) {
            pieces.push((from, std::mem::take(&mut text)));
            from = time;
        } else if let Some(name) = tag.strip_prefix("v ").or_else(|| tag.strip_prefix("v.")) {
            speaker = Some(name.trim().to_owned());
        }
        rest = tail.get(close + 1..).unwrap_or("");
    }
    text.push_str(rest);
    pieces.push((from, text));
    let stamped = pieces.len() > 1;
    let mut words = Vec::new();
    let count = pieces.len();
    for (n, (from, text)) in pieces.iter().enumerate() {
        let until = pieces.get(n + 1).map_or(end, |p| p.0).max(*from);
        let until = if n + 1 == count {
            end.max(*from)
        } else {
            until
        };
        let mut group = Rough::spread(&unmarked(text), *from, until, speaker.as_deref());
        if stamped && let [single] = group.as_mut_slice() {
            single.bound = false;
        }
        words.extend(group);
    }
    (words, stamped)
}

/// Text without `[Music]`, `{\an8}`, notes, and with the usual entities read.
fn unmarked(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' if depth > 0 => {
                depth -= 1;
                out.push(' ');
            }
            '\u{266a}' | '\u{266b}' => out.push(' '),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    if depth > 0 {
        // An open bracket without its partner is text.
        text.clone_into(&mut out);
    }
    for (entity, c) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&lrm;", ""),
        ("&rlm;", ""),
        ("&amp;", "&"),
    ] {
        out = out.replace(entity, c);
    }
    out
}
