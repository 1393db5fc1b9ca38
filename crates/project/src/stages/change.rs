//! From what the user asked for to an edit list.

use super::source::Source;
use crate::{ChangeRequest, ProjectError};
use edit::cuts::{CutConfig, Energy};
use edit::diff::Verdict;
use edit::edits::{self, FillerConfig, Request, Wish};
use edit::script::{Script, ScriptError};
use edit::{EditError, EditList, Transcript, diff};
use units::Seconds;

/// True when the request can't be understood without words.
pub(crate) fn needs_words(change: &ChangeRequest) -> bool {
    change.script.is_some()
        || change.fillers
        || !change.replace.is_empty()
        || change.remove.iter().any(|value| {
            // A span of seconds is understood without words; the empty transcript tells which ones are.
            Transcript::new(None, Vec::new())
                .is_ok_and(|none| edits::remove(value, true, &none).is_err())
        })
}

/// Places every wish on the clip.
pub(crate) fn edit_list(
    change: &ChangeRequest,
    transcript: &Transcript,
    source: &Source,
    energy: Option<&Energy>,
) -> Result<EditList, ProjectError> {
    let mut requests = Vec::new();
    if let Some(text) = &change.script {
        requests.extend(from_script(text, transcript)?);
    }
    for value in &change.remove {
        requests.extend(edits::remove(value, change.exact, transcript).map_err(edit_error)?);
    }
    for value in &change.replace {
        requests.extend(edits::replace(value, transcript).map_err(edit_error)?);
    }
    if change.fillers {
        let mut config = FillerConfig::default();
        if let Some(language) = &change.language {
            config.language.clone_from(language);
        }
        requests.extend(edits::fillers(transcript, &config).map_err(edit_error)?);
    }
    restrict(&mut requests, change, transcript);
    if requests.is_empty() {
        let message = if change.fillers {
            "there are no filler words and no long pauses to remove"
        } else {
            "nothing to change"
        };
        return Err(ProjectError::usage(message));
    }
    let list = EditList::build(
        &requests,
        transcript,
        source.duration(),
        energy,
        &CutConfig::default(),
    )
    .map_err(edit_error)?;
    if list.is_identity() {
        return Err(ProjectError::usage("nothing to change"));
    }
    Ok(list)
}

fn from_script(text: &str, transcript: &Transcript) -> Result<Vec<Request>, ProjectError> {
    let script = Script::parse(text).map_err(|error| script_error(&error))?;
    let difference = diff::diff(transcript, &script);
    match difference.verdict {
        Verdict::Same => Err(ProjectError::usage("the script says what the clip says; nothing to change")
            .with_hint("change the words in the script, then run this again")),
        Verdict::Unrelated => Err(ProjectError::input(format!(
            "the script does not match the transcript: only {:.0} % of the words are common",
            difference.similarity * 100.0
        ))
        .with_hint("start from the transcript's own words (`reword plan` shows them) and change only what should change")),
        Verdict::Edited => Ok(edits::from_diff(&difference)),
    }
}

/// Keeps what lies between `--from` and `--to`.
fn restrict(requests: &mut Vec<Request>, change: &ChangeRequest, transcript: &Transcript) {
    if change.from.is_none() && change.to.is_none() {
        return;
    }
    let from = change.from.unwrap_or(Seconds::ZERO);
    let to = change.to.unwrap_or(Seconds(f64::INFINITY));
    let word = |index: usize| {
        transcript
            .words()
            .get(index)
            .map_or(Seconds(f64::INFINITY), |word| word.start)
    };
    requests.retain(|request| {
        let at = match &request.wish {
            Wish::Remove(words) | Wish::Replace(words, _) => word(words.start),
            Wish::Insert(index, _) | Wish::Pause(index, _) => word(*index).min(
                transcript
                    .words()
                    .last()
                    .map_or(Seconds::ZERO, |word| word.end),
            ),
            Wish::RemoveSpan { span, .. } | Wish::Retime { span, .. } | Wish::Rerender(span) => {
                span.start
            }
        };
        at >= from && at < to
    });
}

/// An edit that can't be made is wrong use, with the edit's own words.
pub(crate) fn edit_error(error: EditError) -> ProjectError {
    match error {
        EditError::NotFound { .. } => ProjectError::usage(error.to_string())
            .with_hint("`reword plan` with --json shows the transcript's words"),
        EditError::Transcript(inner) => ProjectError::input(inner.to_string()),
        other => ProjectError::usage(other.to_string()),
    }
}

fn script_error(error: &ScriptError) -> ProjectError {
    ProjectError::input(error.to_string())
}
