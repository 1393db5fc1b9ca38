//! `reword adapt`: a small `LoRA` for one speaker.

use super::train::{Progress, on_deep_stack};
use crate::arguments::AdaptArguments;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use media::Sandbox;
use models::ModelFile;
use train::adapt::{AdaptOptions, adapt};

/// Runs the command.
pub(crate) fn run(
    arguments: &AdaptArguments,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| arguments.clip.with_extension("lora.safetensors"));
    let options = AdaptOptions {
        steps: arguments.train_steps,
        rank: usize::from(arguments.rank),
        seconds: arguments.seconds,
        seed: settings.seed,
    };
    on_deep_stack(|| {
        let model = match settings.model.as_deref() {
            None | Some("tiny") => ModelFile::from_bytes("tiny", project::embedded_model())?,
            Some(path) => ModelFile::open(path)?,
        };
        let mut watcher = Progress::new(terminal, options.steps);
        let outcome = adapt(
            &arguments.clip,
            &model,
            &output,
            options,
            Sandbox::Child,
            &mut watcher,
        );
        watcher.end();
        let outcome = outcome?;
        terminal.note(&format!(
            "{} steps, last loss {:.4}",
            outcome.steps, outcome.loss
        ));
        terminal.result(&output.display().to_string());
        Ok(())
    })
}
