//! `reword edit`: change what is said; the picture follows.

use super::shared;
use crate::arguments::EditArguments;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(
    arguments: EditArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let change = shared::change(arguments.change, settings)?;
    let output = arguments
        .output
        .unwrap_or_else(|| shared::beside(&arguments.clip, "edited"));
    let request = shared::render_request(arguments.clip, output, arguments.model, settings)?;
    let report = project::edit(&request, &change, &mut terminal.progress())?;
    shared::finish(&report, settings, terminal)
}
