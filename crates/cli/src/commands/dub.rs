//! `reword dub`: a new track of another length; the pictures are retimed, then the lips follow.

use super::shared;
use crate::arguments::DubArguments;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use project::DubRequest;

/// Runs the command.
pub(crate) fn run(
    arguments: DubArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let script = arguments.script.as_deref();
    let dub = DubRequest {
        script: script.map(shared::read_text).transpose()?,
        transcript: arguments.transcript,
        language: arguments.language.or_else(|| settings.language.clone()),
    };
    let output = arguments
        .output
        .unwrap_or_else(|| shared::beside(&arguments.clip, "dubbed"));
    let request = shared::render_request(arguments.clip, output, arguments.model, settings)?;
    let report = project::dub(&request, &arguments.speech, &dub, &mut terminal.progress())?;
    shared::finish(&report, settings, terminal)
}
