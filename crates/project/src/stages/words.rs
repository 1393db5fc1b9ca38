//! The words of the clip: given, found beside it, or aligned from plain text.

use super::media_error;
use super::source::Source;
use crate::{ChangeRequest, Observer, ProjectError, Stage};
use edit::Transcript;
use media::Clip;
use media::sound::MonoReader;
use speech::align::{AlignError, Aligner};
use speech::transcript::{ParseError, TranscriptFileError};
use std::path::{Path, PathBuf};
use units::SampleRate;

/// Alignment holds the sound at 16 kHz; beyond this many seconds it would not fit beside everything else.
const LONGEST_ALIGNMENT: f64 = 3.0 * 3600.0;

/// Endings of files beside a clip that may hold its words, best first.
const BESIDE: [&str; 7] = ["words.json", "json", "TextGrid", "ctm", "srt", "vtt", "txt"];

/// The transcript for a change. Without one, and without need of one, it is empty.
pub(crate) fn find(
    change: &ChangeRequest,
    source: &Source,
    needed: bool,
    observer: &mut dyn Observer,
) -> Result<Transcript, ProjectError> {
    let given = change.transcript.clone();
    let explicit = given.is_some();
    let Some(path) = given.or_else(|| beside(source.path())) else {
        if needed {
            let clip = source.path().display();
            return Err(ProjectError::missing(format!("there is no transcript of {clip}")).with_hint(format!(
                "give one with --transcript (JSON of Whisper and others, SRT, VTT, TextGrid, or the spoken words as plain text), \
                 or lay it beside the clip as {}",
                source.path().with_extension("words.json").display()
            )));
        }
        return Transcript::new(None, Vec::new())
            .map_err(|error| ProjectError::fault("plan", error));
    };
    match load(&path, change, source, observer) {
        // A file that merely lies there is no reason to fail where no words are needed.
        Err(_) if !explicit && !needed => {
            Transcript::new(None, Vec::new()).map_err(|error| ProjectError::fault("plan", error))
        }
        other => other,
    }
}

/// Times of known words in a file with sound.
pub(crate) fn align(
    clip: &Clip,
    text: &str,
    language: &str,
    observer: &mut dyn Observer,
) -> Result<Transcript, ProjectError> {
    let path = clip.info().path.display().to_string();
    let sound = clip.sound().map_err(media_error)?;
    if sound.end().0 > LONGEST_ALIGNMENT {
        return Err(ProjectError::input(format!(
            "{path} is longer than 3 hours; aligning it at once needs too much memory"
        ))
        .with_hint("cut it into parts, or give a transcript with times"));
    }
    observer.begin(Stage::Align, 0);
    let mut samples = vec![0.0; SampleRate::SPEECH.samples_in(sound.start) as usize];
    let mut reader = MonoReader::new(clip, SampleRate::SPEECH).map_err(media_error)?;
    while let Some(block) = reader.next_block().map_err(media_error)? {
        samples.extend_from_slice(&block);
    }
    let aligned = Aligner::new()
        .align(&samples, text, language)
        .map_err(|error| align_error(&path, error))?;
    if aligned.method == speech::align::Method::SyntheticVoice && language.starts_with("en") {
        observer.warn("the English acoustic model is missing (Debian's pocketsphinx-en-us); word times are rougher");
    }
    observer.end(Stage::Align);
    Ok(aligned.transcript)
}

fn align_error(path: &str, error: AlignError) -> ProjectError {
    match error {
        AlignError::NoWords => ProjectError::input("the text has no words to align"),
        other => ProjectError::input(format!("can't align the words with {path}: {other}"))
            .with_hint("the text must be what is said, word by word"),
    }
}

fn load(
    path: &Path,
    change: &ChangeRequest,
    source: &Source,
    observer: &mut dyn Observer,
) -> Result<Transcript, ProjectError> {
    match speech::transcript::read(path) {
        Ok(loaded) => {
            if loaded.interpolated > 0 {
                observer.warn(&format!(
                    "{} has times for captions only; {} words got theirs by their length",
                    path.display(),
                    loaded.interpolated
                ));
            }
            Ok(loaded.transcript)
        }
        // Text in no known format is the spoken words themselves.
        Err(TranscriptFileError::Content {
            source: ParseError::Unknown,
            ..
        }) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                ProjectError::input(format!("can't read {}: {error}", path.display()))
            })?;
            source.sound()?;
            let language = change.language.as_deref().unwrap_or("en");
            align(&source.clip, &text, language, observer)
        }
        Err(TranscriptFileError::Read { path, source })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Err(ProjectError::input(format!(
                "there is no transcript {}",
                path.display()
            )))
        }
        Err(error) => Err(ProjectError::input(error.to_string())),
    }
}

/// A transcript that lies beside the clip.
fn beside(clip: &Path) -> Option<PathBuf> {
    BESIDE
        .iter()
        .map(|ending| clip.with_extension(ending))
        .find(|path| path.is_file())
}
