//! `reword plan`: what `edit` would do, for people, programs and other editors.

use super::shared;
use crate::arguments::{EditOrder, PlanArguments, PlanFormat};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(
    arguments: PlanArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let change = shared::change(arguments.change, settings)?;
    let face = shared::face(settings)?;
    let of_pictures = super::models::makes_pictures(settings.model.as_deref())?;
    let model = match (of_pictures, arguments.order) {
        (true, order) => project::PlanFor::Pictures(shared::order(order)),
        (false, EditOrder::Pixels) => project::PlanFor::Mouths,
        (false, EditOrder::Latents) => return Err(shared::not_for_video("--order")),
    };
    let plan = project::plan(
        &arguments.clip,
        &change,
        face,
        model,
        &mut terminal.progress(),
    )?;
    let format = match arguments.format {
        PlanFormat::Table if terminal.json() => project::PlanFormat::Json,
        PlanFormat::Table => project::PlanFormat::Table,
        PlanFormat::Json => project::PlanFormat::Json,
        PlanFormat::Otio => project::PlanFormat::Otio,
        PlanFormat::Edl => project::PlanFormat::Edl,
        PlanFormat::Fcpxml => project::PlanFormat::Fcpxml,
    };
    let text = plan.export(format)?;
    if let Some(path) = &arguments.output {
        return shared::write_whole(path, text.as_bytes());
    }
    terminal.result(&text);
    Ok(())
}
