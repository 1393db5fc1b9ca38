//! Writing transcripts: our JSON, SRT, VTT.

use super::TranscriptFileError;
use edit::{Transcript, Word};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use units::Seconds;

/// Formats that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Our JSON.
    Json,
    /// `SubRip` captions.
    Srt,
    /// `WebVTT` captions with a time for every word.
    Vtt,
}

impl Written {
    /// The format that a file's name asks for: JSON unless it ends in `.srt` or `.vtt`.
    pub fn for_path(path: &Path) -> Self {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "srt" => Self::Srt,
            "vtt" => Self::Vtt,
            _ => Self::Json,
        }
    }
}

/// Most letters of a caption.
const CAPTION_LETTERS: usize = 42 * 2;
/// The longest caption.
const CAPTION_TIME: Seconds = Seconds(6.0);
/// A pause that ends a caption.
const CAPTION_PAUSE: Seconds = Seconds(0.8);

/// Writes a transcript beside the target and renames it, so that the file appears whole or not at all.
pub fn write(
    transcript: &Transcript,
    path: &Path,
    format: Written,
) -> Result<(), TranscriptFileError> {
    let text = match format {
        Written::Json => to_json(transcript),
        Written::Srt => to_srt(transcript),
        Written::Vtt => to_vtt(transcript),
    };
    let fail = |source| TranscriptFileError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

/// Our JSON, one word a line.
pub fn to_json(transcript: &Transcript) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let language = transcript.language().map_or("null".to_owned(), quoted);
    let mut out = format!("{{\"version\":1,\"language\":{language},\"words\":[");
    for (n, word) in transcript.words().iter().enumerate() {
        let confidence = word.confidence.map_or("null".to_owned(), |c| {
            serde_json::Value::from((f64::from(c) * 1000.0).round() / 1000.0).to_string()
        });
        let speaker = word.speaker.as_deref().map_or("null".to_owned(), quoted);
        let _ = write!(
            out,
            "{}\n{{\"text\":{},\"start\":{},\"end\":{},\"confidence\":{confidence},\"speaker\":{speaker}}}",
            if n == 0 { "" } else { "," },
            quoted(&word.text),
            number(word.start),
            number(word.end),
        );
    }
    out.push_str("\n]}\n");
    out
}

/// Seconds to the microsecond, as short as possible.
fn number(time: Seconds) -> serde_json::Value {
    serde_json::Value::from((time.0 * 1e6).round() / 1e6)
}

/// `SubRip` captions of up to two lines.
pub fn to_srt(transcript: &Transcript) -> String {
    let mut out = String::new();
    for (n, caption) in captions(transcript.words()).iter().enumerate() {
        let (Some(first), Some(last)) = (caption.first(), caption.last()) else {
            continue;
        };
        let text = one_line(caption.iter().map(|w| w.text.as_str()));
        let _ = write!(
            out,
            "{}\n{} --> {}\n{text}\n\n",
            n + 1,
            clock(first.start, ','),
            clock(last.end, ',')
        );
    }
    out
}

/// `WebVTT` captions with a time before every word but the first.
pub fn to_vtt(transcript: &Transcript) -> String {
    let mut out = String::from("WEBVTT\n");
    if let Some(language) = transcript.language() {
        let _ = write!(out, "Kind: captions\nLanguage: {language}\n");
    }
    out.push('\n');
    for caption in captions(transcript.words()) {
        let (Some(first), Some(last)) = (caption.first(), caption.last()) else {
            continue;
        };
        let _ = writeln!(
            out,
            "{} --> {}",
            clock(first.start, '.'),
            clock(last.end, '.')
        );
        if let Some(speaker) = &first.speaker {
            let _ = write!(out, "<v {}>", escaped(speaker));
        }
        for (n, word) in caption.iter().enumerate() {
            if n > 0 {
                let _ = write!(out, " <{}>", clock(word.start, '.'));
            }
            out.push_str(&escaped(&one_line([word.text.as_str()])));
        }
        out.push_str("\n\n");
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn one_line<'t>(words: impl IntoIterator<Item = &'t str>) -> String {
    let words: Vec<&str> = words.into_iter().flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// Groups of words that are shown together: they end at a pause, at another speaker, after a sentence, or when full.
fn captions(words: &[Word]) -> Vec<&[Word]> {
    let mut groups = Vec::new();
    let mut from = 0;
    let mut letters = 0;
    for (n, pair) in words.windows(2).enumerate() {
        let [word, next] = pair else { continue };
        letters += word.text.chars().count() + 1;
        let begun = words.get(from).map_or(word.start, |w| w.start);
        let sentence = word.text.ends_with(['.', '?', '!']) && letters > 20;
        if sentence
            || next.start - word.end >= CAPTION_PAUSE
            || next.speaker != word.speaker
            || letters + next.text.chars().count() > CAPTION_LETTERS
            || next.end - begun > CAPTION_TIME
        {
            groups.push(words.get(from..=n).unwrap_or(&[]));
            from = n + 1;
            letters = 0;
        }
    }
    if let Some(rest) = words.get(from..).filter(|rest| !rest.is_empty()) {
        groups.push(rest);
    }
    groups
}

/// `hh:mm:ss.mmm`.
fn clock(time: Seconds, point: char) -> String {
    let ms = (time.0.max(0.0) * 1000.0).round() as u64;
    format!(
        "{:02}:{:02}:{:02}{point}{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}
