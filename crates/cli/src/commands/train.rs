//! `reword train`: a recipe carried out, with one line of progress.

use crate::arguments::TrainArguments;
use crate::failure::Failure;
use crate::terminal::Terminal;
use indicatif::ProgressBar;
use media::Sandbox;
use models::ModelFile;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use train::engine::{Run, StepReport, Watcher};
use train::export::{self, Stored};
use train::ranks::{Meeting, Ranks};
use train::recipe::Recipe;
use train::setup::{self, Surroundings};
use train::stage::Validation;
use train::{Result, TrainError};

/// Autograd walks its graph by recursion, as deep as the network is.
const STACK: usize = 512 << 20;

/// Runs the command.
pub(crate) fn run(
    arguments: &TrainArguments,
    terminal: &Terminal,
) -> std::result::Result<(), Failure> {
    on_deep_stack(|| train(arguments, terminal))
}

/// Runs `work` on a thread whose stack is deep enough for autograd.
pub(crate) fn on_deep_stack(
    work: impl FnOnce() -> Result<()> + Send,
) -> std::result::Result<(), Failure> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work);
        match worker.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result.map_err(failure),
            Ok(Err(_)) => Err(Failure::fault("training broke down")),
            Err(error) => Err(Failure::fault(format!("no thread for training: {error}"))),
        }
    })
}

fn train(arguments: &TrainArguments, terminal: &Terminal) -> Result<()> {
    let mut recipe = Recipe::open(&arguments.recipe)?;
    if let Some(weights) = &arguments.validate {
        recipe = setup::of_weights(recipe, weights)?;
    }
    let base = arguments.recipe.parent().unwrap_or_else(|| Path::new("."));
    let base = if base.as_os_str().is_empty() {
        Path::new(".")
    } else {
        base
    };
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    let left_out: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let progress = |done: usize, total: usize, reason: Option<&str>| {
        if let Some(reason) = reason
            && let Ok(mut list) = left_out.lock()
        {
            list.push(reason.to_owned());
        }
        let Ok(mut bar) = bar.lock() else { return };
        if bar.is_none() {
            *bar = terminal.bar(
                total as u64,
                "clips     {wide_bar} {pos}/{len} {eta:>5} left",
            );
        }
        terminal.event(&serde_json::json!({"event": "progress", "stage": "clips", "done": done, "total": total}));
        if let Some(bar) = bar.as_ref() {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    };
    let around = Surroundings {
        base: base.to_owned(),
        sandbox: if arguments.trusted {
            Sandbox::InProcess
        } else {
            Sandbox::Child
        },
        embedded: &embedded,
        progress: &progress,
    };
    if arguments.check {
        let parameters = setup::parameters(&recipe, &setup::weights(&recipe, &around)?)?;
        let (trained, all) = parameters.count();
        terminal.result(&format!(
            "{}: {} steps of stage {}, {trained} of {all} parameters move",
            arguments.recipe.display(),
            recipe.steps,
            recipe.stage.name()
        ));
        return Ok(());
    }
    let mut stage = setup::stage(&recipe, &around)?;
    if let Ok(mut bar) = bar.lock()
        && let Some(bar) = bar.take()
    {
        bar.finish_and_clear();
    }
    if let Ok(list) = left_out.lock()
        && !list.is_empty()
    {
        terminal.note(&format!(
            "{} clips are left out, for example: {}",
            list.len(),
            list.first().map_or("", String::as_str)
        ));
    }
    if arguments.validate.is_some() {
        let validation = setup::validated(stage.as_mut())?;
        for (name, value) in &validation.measures {
            terminal.result(&format!("{name} {value:.3}"));
        }
        return Ok(());
    }
    let meeting = Meeting::of_variables(|name| std::env::var(name).ok())?;
    let mut ranks = match &meeting {
        Some(meeting) => Ranks::meet(meeting, &recipe.key()?)?,
        None => Ranks::alone(),
    };
    let leads = ranks.rank() == 0;
    let folder = arguments
        .output
        .clone()
        .unwrap_or_else(|| setup::run_folder(&arguments.recipe));
    let (trained, all) = stage.parameters().count();
    let mut run = Run::start(&recipe, stage.as_mut(), &mut ranks, Some(&folder))?;
    let mut watcher = Progress::new(terminal, recipe.steps);
    terminal.note(&format!(
        "{trained} of {all} parameters move; the run is kept in {}",
        folder.display()
    ));
    let outcome = run.finish(&mut watcher);
    watcher.end();
    let outcome = outcome?;
    if leads {
        let values = run.shipped()?;
        let path = folder.join("model.safetensors");
        let lora = recipe.model.lora.as_ref();
        export::model(&path, run.parameters(), &values, lora, Stored::F16)?;
        if let Some(lora) = lora {
            export::lora(&folder.join("lora.safetensors"), &values, lora)?;
        }
        terminal.note(&format!(
            "{} steps, last loss {:.4}",
            outcome.steps, outcome.loss
        ));
        terminal.result(&path.display().to_string());
    }
    Ok(())
}

fn embedded(name: &str) -> Option<ModelFile> {
    (name == "tiny").then(|| ModelFile::from_bytes("tiny", project::embedded_model()).ok())?
}

/// One line: loss, samples a second, time left; JSON lines for programs.
pub(crate) struct Progress<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
    started: Instant,
    samples: u64,
    steps: u64,
    told: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(terminal: &'a Terminal, steps: u64) -> Self {
        Self {
            terminal,
            bar: terminal.bar(steps, "{msg} {wide_bar} {pos}/{len} {eta:>5} left"),
            started: Instant::now(),
            samples: 0,
            steps: 0,
            told: None,
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Progress<'_> {
    fn step(&mut self, report: &StepReport) {
        self.samples += report.samples;
        self.steps += 1;
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let rate = self.samples as f64 / seconds;
        let left = seconds / self.steps as f64 * report.steps.saturating_sub(report.step) as f64;
        let text = format!("loss {:.4}  {rate:.1} samples/s", report.loss);
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.set_position(report.step);
            return;
        }
        // Without a bar a line every ten seconds is enough.
        let now = Instant::now();
        let due = self
            .told
            .is_none_or(|told| now.duration_since(told).as_secs() >= 10);
        if due || report.step == report.steps {
            self.told = Some(now);
            self.terminal.note(&format!(
                "step {}/{}  {text}  {left:.0} s left",
                report.step, report.steps
            ));
            self.terminal.event(&serde_json::json!({
                "event": "progress", "stage": "train", "done": report.step, "total": report.steps, "loss": report.loss,
                "samples_per_second": rate, "seconds": seconds, "seconds_left": left, "values": report.values,
            }));
        }
    }

    fn validated(&mut self, step: u64, validation: &Validation) {
        let measures: Vec<String> = validation
            .measures
            .iter()
            .map(|(name, value)| format!("{name} {value:.3}"))
            .collect();
        let text = format!("validation after step {step}: {}", measures.join(", "));
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.note(&text)),
            None => self.terminal.note(&text),
        }
        self.terminal.event(&serde_json::json!({"event": "validation", "step": step, "values": validation.measures}));
    }

    fn stopped(&self) -> bool {
        self.terminal.stopped()
    }

    fn seconds(&self) -> f64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |d| d.as_secs_f64())
    }
}

/// Wording and exit code by what went wrong.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err takes")]
pub(crate) fn failure(error: TrainError) -> Failure {
    let text = error.to_string();
    match error {
        TrainError::Recipe(_) | TrainError::RecipeText { .. } | TrainError::RecipeRange { .. } => {
            Failure::usage(text)
        }
        TrainError::Stopped { step } => Failure::stopped(format!("stopped after step {step}"))
            .with_hint("run the same command again to go on"),
        TrainError::OtherRun { .. } => {
            Failure::usage(text).with_hint("give another --output, or remove the checkpoints")
        }
        TrainError::Io { .. }
        | TrainError::File { .. }
        | TrainError::Clip { .. }
        | TrainError::Data(_)
        | TrainError::Weights(_) => Failure::input(text),
        TrainError::Model(_) | TrainError::Method(_) => Failure::input(text),
        TrainError::NotFinite { .. } => Failure::fault(text),
        TrainError::Ranks { .. } | TrainError::Tensor(_) => Failure::fault(text),
    }
}
