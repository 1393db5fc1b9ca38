//! A recipe carried out without the program: `cargo run -p train --example run -- recipes/NAME.toml`.
//!
//! With `--validate WEIGHTS` these are measured, and nothing is trained. What `reword train` does, less its progress line, shards of ranks and low-rank additions.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example may stop at the first fault and says what it does"
)]

use std::path::Path;

use train::engine::{Run, StepReport, Watcher};
use train::export::{self, Stored};
use train::ranks::Ranks;
use train::recipe::Recipe;
use train::setup::{self, Surroundings};
use train::stage::Validation;

struct Lines;

impl Watcher for Lines {
    fn step(&mut self, report: &StepReport) {
        if report.step.is_multiple_of(25) {
            println!(
                "{} of {}: {:.4} {:.3?}",
                report.step, report.steps, report.loss, report.values
            );
        }
    }

    fn validated(&mut self, step: u64, validation: &Validation) {
        println!("validation at {step}: {:.3?}", validation.measures);
    }

    fn stopped(&self) -> bool {
        false
    }

    fn seconds(&self) -> f64 {
        0.0
    }
}

fn work(path: &Path) -> train::Result<()> {
    let mut recipe = Recipe::open(path)?;
    let validate = std::env::args().skip_while(|a| a != "--validate").nth(1);
    if let Some(weights) = &validate {
        recipe = setup::of_weights(recipe, Path::new(weights))?;
    }
    let around = Surroundings {
        base: path.parent().unwrap_or(Path::new(".")).to_owned(),
        sandbox: media::Sandbox::InProcess,
        embedded: &|_| None,
        progress: &|_, _, _| {},
    };
    let mut stage = setup::stage(&recipe, &around)?;
    if validate.is_some() {
        let found = setup::validated(stage.as_mut())?;
        println!("{:.3?}", found.measures);
        return Ok(());
    }
    let folder = setup::run_folder(path);
    let mut ranks = Ranks::alone();
    let mut run = Run::start(&recipe, stage.as_mut(), &mut ranks, Some(&folder))?;
    run.finish(&mut Lines)?;
    let values = run.shipped()?;
    let path = folder.join("model.safetensors");
    export::model(&path, run.parameters(), &values, None, Stored::F16)?;
    println!("{}", path.display());
    Ok(())
}

fn main() {
    let path = std::env::args().nth(1).unwrap();
    // Autograd walks its graph by recursion, as deep as the network is.
    let worker = std::thread::Builder::new().stack_size(512 << 20);
    let run = worker.spawn(move || work(Path::new(&path))).unwrap();
    if let Err(error) = run.join().unwrap() {
        println!("{error}");
    }
}
