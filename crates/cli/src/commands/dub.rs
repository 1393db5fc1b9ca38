//! `reword dub`: a new track of another length; the pictures are retimed, then the lips follow.

use super::shared;
use crate::arguments::DubArguments;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(
    arguments: DubArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if arguments.script.is_some() {
        terminal.note(
            "warning: --script is not used yet: the pictures are retimed evenly, not by words",
        );
    }
    let output = arguments
        .output
        .unwrap_or_else(|| shared::beside(&arguments.clip, "dubbed"));
    let request = shared::render_request(arguments.clip, output, settings)?;
    let report = project::dub(&request, &arguments.speech, &mut terminal.progress())?;
    shared::finish(&report, settings, terminal)
}
