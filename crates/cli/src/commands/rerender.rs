//! `reword rerender`: a region of a stretch made anew; its sound and all around it stay as recorded.

use super::shared;
use crate::arguments::{EditOrder, RerenderArguments};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use edit::edits::time_span;

/// Runs the command.
pub(crate) fn run(
    arguments: RerenderArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let span = time_span(&arguments.span).ok_or_else(|| {
        Failure::usage(format!(
            "--span {} is not a span of seconds",
            arguments.span
        ))
        .with_hint("write its first and last second, such as 3.2-4.0")
    })?;
    if settings.region.is_none() {
        return Err(
            Failure::usage("which part of the picture is to be made anew?")
                .with_hint("say it with --region: face, head, whole, or a box x,y,w,h in pixels"),
        );
    }
    if settings.from.is_some() || settings.to.is_some() {
        return Err(Failure::usage("`rerender` has no --from and --to")
            .with_hint("--span says where pictures are made anew"));
    }
    if arguments.model.order != EditOrder::default() {
        return Err(Failure::usage("`rerender` has no --order")
            .with_hint("it moves nothing: the span grows to whole latents by itself"));
    }
    let output = arguments
        .output
        .unwrap_or_else(|| shared::beside(&arguments.clip, "rerendered"));
    let request = shared::render_request(arguments.clip, output, arguments.model, settings)?;
    let report = project::rerender(&request, &span, &mut terminal.progress())?;
    shared::finish(&report, settings, terminal)
}
