//! `reword sync`: a new track of the same length; the lips follow it.

use super::shared;
use crate::arguments::SyncArguments;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(
    arguments: SyncArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let output = arguments
        .output
        .unwrap_or_else(|| shared::beside(&arguments.clip, "synced"));
    let request = shared::render_request(arguments.clip, output, arguments.model, settings)?;
    let report = project::sync(&request, &arguments.speech, &mut terminal.progress())?;
    shared::finish(&report, settings, terminal)
}
