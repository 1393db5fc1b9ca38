//! The loop: rounds, gradients, steps, averages, logs, checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::average::Average;
use crate::checkpoint;
use crate::error::{Result, TrainError};
use crate::gradients::Gradients;
use crate::log::{Curve, EventFile, Journal, Line, plot, write_png};
use crate::optimiser::Optimiser;
use crate::ranks::Ranks;
use crate::recipe::Recipe;
use crate::stage::{Round, Stage, Validation};

/// What a step was like.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Steps that are done.
    pub step: u64,
    /// Steps of the run.
    pub steps: u64,
    /// The loss that was minimised.
    pub loss: f64,
    /// Parts and measures by name, the gradient's norm and the rate among them.
    pub values: BTreeMap<String, f64>,
    /// Samples of all ranks in the step.
    pub samples: u64,
}

/// Who watches a run, tells it the time, and may stop it.
pub trait Watcher {
    /// After every step.
    fn step(&mut self, report: &StepReport);
    /// After every validation.
    fn validated(&mut self, step: u64, validation: &Validation);
    /// Whether to stop after this step; what is done is kept.
    fn stopped(&self) -> bool;
    /// Seconds since 1970, for the names and times in `TensorBoard` files. The engine itself reads no clock.
    fn seconds(&self) -> f64;
}

/// A watcher that watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn step(&mut self, _: &StepReport) {}
    fn validated(&mut self, _: u64, _: &Validation) {}
    fn stopped(&self) -> bool {
        false
    }
    fn seconds(&self) -> f64 {
        0.0
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps that are done.
    pub steps: u64,
    /// The last loss.
    pub loss: f64,
    /// Where it went on, when it was resumed.
    pub resumed_from: Option<u64>,
}

/// A run on its way.
pub struct Run<'a> {
    recipe: &'a Recipe,
    stage: &'a mut dyn Stage,
    ranks: &'a mut Ranks,
    folder: Option<PathBuf>,
    optimiser: Optimiser,
    average: Average,
    key: String,
    frozen: String,
    step: u64,
    resumed_from: Option<u64>,
}

/// Files that a run adds to.
struct Writers {
    journal: Journal,
    events: Option<EventFile>,
    /// Sums since the last line, and over how many steps.
    sums: BTreeMap<String, f64>,
    count: u64,
}

impl<'a> Run<'a> {
    /// Starts a run, or goes on with the last checkpoint of `folder`. Without a folder nothing is written.
    ///
    /// # Errors
    /// When the checkpoint is of another run, or the recipe does not fit the parameters.
    pub fn start(
        recipe: &'a Recipe,
        stage: &'a mut dyn Stage,
        ranks: &'a mut Ranks,
        folder: Option<&Path>,
    ) -> Result<Self> {
        let parameters = stage.parameters();
        let names: Vec<String> = parameters.trained().keys().cloned().collect();
        let mut optimiser = Optimiser::new(parameters, recipe.optimiser.groups(&names))?;
        let mut average = Average::new(parameters, recipe.optimiser.average)?;
        let key = recipe.key()?;
        let frozen = parameters.frozen_digest()?;
        let mut step = 0;
        let mut resumed_from = None;
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
            if let Some(last) = checkpoint::list(folder)?.last() {
                step = checkpoint::read(
                    last,
                    (&key, &frozen),
                    parameters,
                    &mut optimiser,
                    &mut average,
                )?;
                resumed_from = Some(step);
            }
        }
        Ok(Self {
            recipe,
            stage,
            ranks,
            folder: folder.map(Path::to_owned),
            optimiser,
            average,
            key,
            frozen,
            step,
            resumed_from,
        })
    }

    /// The moving average with what the stage adds to it: what is shipped.
    ///
    /// # Errors
    /// When a sample can't be read or shapes do not fit.
    pub fn shipped(&mut self) -> Result<BTreeMap<String, candle_core::Tensor>> {
        let mut values = self.average.tensors(self.stage.parameters())?;
        let added = self.stage.complete(&values)?;
        values.extend(added);
        Ok(values)
    }

    /// What moves and what stays.
    pub fn parameters(&self) -> &crate::Parameters {
        self.stage.parameters()
    }

    /// Goes on to the recipe's last step.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] when the watcher stops it, after a checkpoint; others when a step fails.
    pub fn finish(&mut self, watcher: &mut dyn Watcher) -> Result<Outcome> {
        let leads = self.ranks.rank() == 0;
        let folder = self.folder.clone().filter(|_| leads);
        let mut writers = folder
            .as_deref()
            .map(|f| self.writers(f, watcher))
            .transpose()?;
        let mut loss = f64::NAN;
        let log = self.recipe.log.clone();
        while self.step < self.recipe.steps {
            let report = self.one()?;
            loss = report.loss;
            watcher.step(&report);
            let done = self.step == self.recipe.steps;
            let stopped = watcher.stopped();
            if let Some(writers) = &mut writers {
                writers.add(
                    &report,
                    self.step.is_multiple_of(log.every) || done || stopped,
                    watcher,
                )?;
            }
            if log.validate_every > 0
                && (self.step.is_multiple_of(log.validate_every) || done)
                && leads
            {
                let average = self.average.tensors(self.stage.parameters())?;
                let validation = self.stage.validate(&average, self.step)?;
                watcher.validated(self.step, &validation);
                if let (Some(writers), Some(folder)) = (&mut writers, &folder) {
                    writers.validation(self.step, &validation, folder, watcher)?;
                }
            }
            if let Some(folder) = &folder
                && (self.step.is_multiple_of(log.checkpoint_every) || done || stopped)
            {
                self.keep(folder)?;
            }
            if stopped && !done {
                return Err(TrainError::Stopped { step: self.step });
            }
        }
        Ok(Outcome {
            steps: self.step,
            loss,
            resumed_from: self.resumed_from,
        })
    }

    fn keep(&self, folder: &Path) -> Result<()> {
        checkpoint::write(
            folder,
            self.step,
            &self.key,
            self.stage.parameters(),
            &self.optimiser,
            &self.average,
            (&self.frozen, self.recipe.log.keep),
        )?;
        Ok(())
    }

    fn writers(&self, folder: &Path, watcher: &dyn Watcher) -> Result<Writers> {
        let path = folder.join("recipe.toml");
        std::fs::write(&path, self.recipe.text()?).map_err(TrainError::io(&path))?;
        Ok(Writers {
            journal: Journal::open(&folder.join("log.jsonl"), self.step)?,
            events: if self.recipe.log.tensorboard {
                Some(EventFile::create(
                    &folder.join("tensorboard"),
                    watcher.seconds(),
                )?)
            } else {
                None
            },
            sums: BTreeMap::new(),
            count: 0,
        })
    }

    /// One optimiser step.
    fn one(&mut self) -> Result<StepReport> {
        let recipe = self.recipe;
        let done = self.step as f64 / recipe.steps as f64;
        let rounds = recipe.batch.accumulate.max(1) as u64;
        let (rank, world) = (self.ranks.rank() as u64, self.ranks.world() as u64);
        let each = recipe.batch.samples as u64;
        let mut gradients = Gradients::default();
        let mut values: BTreeMap<String, f64> = BTreeMap::new();
        let mut loss = 0.0;
        for part in 0..rounds {
            let round = Round {
                step: self.step,
                done,
                part,
                first: (part * world + rank) * each,
                samples: recipe.batch.samples,
            };
            let (losses, tape) = nn::tape::recorded(|| self.stage.losses(&round));
            let losses = losses?;
            let value = f64::from(losses.total.to_scalar::<f32>()?);
            self.finite("the loss", value)?;
            loss += value / rounds as f64;
            for (name, value) in losses.parts {
                *values.entry(name).or_default() += value / rounds as f64;
            }
            let store = tape.backward(&losses.total)?;
            let own = Gradients::take(&store, self.stage.parameters())?;
            gradients.add(&own, 1.0 / rounds as f32);
        }
        // A parameter that one rank's samples did not touch must still have a place in the sum.
        if world > 1 {
            for (name, var) in self.stage.parameters().trained() {
                let zeros = || vec![0.0; var.elem_count()];
                gradients.0.entry(name.clone()).or_insert_with(zeros);
            }
            self.ranks.average(&mut gradients)?;
            let mut shared = [loss as f32];
            self.ranks.average_flat(&mut shared)?;
            loss = f64::from(shared[0]);
        }
        gradients.0.retain(|name, _| self.stage.moves(name, done));
        let norm = if recipe.optimiser.clip > 0.0 {
            gradients.clip(recipe.optimiser.clip)
        } else {
            gradients.norm()
        };
        self.finite("the gradient's norm", norm)?;
        let factor = recipe.rate.factor(self.step, recipe.steps);
        self.optimiser
            .step(self.stage.parameters(), &gradients, factor)?;
        self.average.update(self.stage.parameters())?;
        self.step += 1;
        values.insert("gradient".to_owned(), norm);
        values.insert("rate".to_owned(), factor);
        Ok(StepReport {
            step: self.step,
            steps: recipe.steps,
            loss,
            values,
            samples: rounds * world * each,
        })
    }

    fn finite(&self, what: &str, value: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        Err(TrainError::NotFinite {
            step: self.step,
            what: what.to_owned(),
            value,
        })
    }
}

impl Writers {
    /// Counts a step in, and writes the averages when `now`.
    fn add(&mut self, report: &StepReport, now: bool, watcher: &dyn Watcher) -> Result<()> {
        let loss = [("loss".to_owned(), report.loss)];
        for (name, value) in loss.into_iter().chain(report.values.clone()) {
            *self.sums.entry(name).or_default() += value;
        }
        self.count += 1;
        if !now {
            return Ok(());
        }
        let count = self.count as f64;
        let values: BTreeMap<String, f64> = std::mem::take(&mut self.sums)
            .into_iter()
            .map(|(name, sum)| (name, sum / count))
            .collect();
        self.count = 0;
        self.line(report.step, "train", values, watcher)
    }

    fn line(
        &mut self,
        step: u64,
        kind: &str,
        values: BTreeMap<String, f64>,
        watcher: &dyn Watcher,
    ) -> Result<()> {
        if let Some(events) = &mut self.events {
            for (name, value) in &values {
                events.scalar(watcher.seconds(), step, &format!("{kind}/{name}"), *value)?;
            }
        }
        self.journal.write(&Line {
            step,
            kind: kind.to_owned(),
            values,
        })
    }

    /// Writes measures, the sheet, and the plots of everything so far.
    fn validation(
        &mut self,
        step: u64,
        validation: &Validation,
        folder: &Path,
        watcher: &dyn Watcher,
    ) -> Result<()> {
        self.line(step, "validation", validation.measures.clone(), watcher)?;
        if let Some(sheet) = &validation.sheet {
            let path = folder.join("sheets");
            std::fs::create_dir_all(&path).map_err(TrainError::io(&path))?;
            write_png(&path.join(format!("step-{step:08}.png")), sheet)?;
            if let Some(events) = &mut self.events {
                events.image(watcher.seconds(), step, "validation/sheet", sheet)?;
            }
        }
        let lines = Journal::read(&folder.join("log.jsonl"))?;
        for kind in ["train", "validation"] {
            let mut curves: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
            for line in lines.iter().filter(|line| line.kind == kind) {
                for (name, value) in &line.values {
                    // These have scales of their own.
                    if !["rate", "gradient"].contains(&name.as_str()) {
                        let points = curves.entry(name).or_default();
                        points.push((line.step as f64, *value));
                    }
                }
            }
            let curves: Vec<Curve> = curves
                .into_iter()
                .map(|(name, points)| Curve {
                    name: name.to_owned(),
                    points,
                })
                .collect();
            if !curves.is_empty() {
                write_png(
                    &folder.join(format!("{kind}.png")),
                    &plot(&curves, 960, 480),
                )?;
            }
        }
        Ok(())
    }
}
