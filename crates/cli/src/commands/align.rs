//! `reword align`: times of known words.

use super::shared;
use crate::arguments::AlignArguments;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(arguments: &AlignArguments, terminal: &Terminal) -> Result<(), Failure> {
    let text = shared::read_text(&arguments.script)?;
    let transcript = project::align(
        &arguments.clip,
        &text,
        &arguments.language,
        &mut terminal.progress(),
    )?;
    match &arguments.output {
        Some(path) => {
            let written = project::format_transcript(&transcript, path);
            shared::write_whole(path, written.as_bytes())?;
            terminal.result(&path.display().to_string());
        }
        None => terminal.result(&project::format_transcript(
            &transcript,
            std::path::Path::new("words.json"),
        )),
    }
    Ok(())
}
