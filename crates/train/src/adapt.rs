//! A small `LoRA` fitted to one speaker's own clip.

use std::path::Path;

use media::Sandbox;
use models::ModelFile;

use crate::data::footage::FootageClip;
use crate::engine::{Outcome, Run, Watcher};
use crate::error::{Result, TrainError};
use crate::export;
use crate::ranks::Ranks;
use crate::recipe::Recipe;
use crate::setup::{self, Surroundings};
use crate::stage::EditYourselfStage;

/// How a clip is adapted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptOptions {
    /// Optimiser steps.
    pub steps: u64,
    /// Rank of the additions.
    pub rank: usize,
    /// Seconds of the clip that are used.
    pub seconds: f64,
    /// Names all random numbers.
    pub seed: u64,
}

impl Default for AdaptOptions {
    fn default() -> Self {
        Self {
            steps: 150,
            rank: 8,
            seconds: 60.0,
            seed: 0,
        }
    }
}

/// The recipe by which a clip of `latents` latents is adapted to.
///
/// # Errors
/// When an option is out of range.
pub fn recipe(options: AdaptOptions, latents: usize) -> Result<Recipe> {
    // Windows as long as the model's blocks, or as the clip.
    let window = latents.saturating_sub(1).clamp(2, 9);
    // A handful of steps is a trial, which nobody measures.
    let validate = if options.steps < 20 { 0 } else { options.steps };
    let AdaptOptions {
        steps,
        rank,
        seconds,
        seed,
    } = options;
    Recipe::parse(
        "adapt",
        &format!(
            r#"
            version = 1
            stage = "edit-yourself"
            seed = {seed}
            steps = {steps}
            [model]
            weights = "tiny"
            lora = {{ rank = {rank}, alpha = {rank}.0, targets = ["*.attn1.to_*", "*.audio_attn.to_*", "*.ff.net.*"] }}
            [data]
            sources = [{{ path = "." }}]
            seconds = {seconds:?}
            reference_frames = 24
            # Only looked at by models that see the recorded mouth.
            counterparts = 2
            [batch]
            samples = 2
            copies = 2
            latents = [{window}]
            [optimiser]
            rate = 1e-3
            matrices = "adamw"
            betas = [0.9, 0.98]
            decay = 0.0
            clip = 1.0
            average = 0.98
            [rate]
            warm_up = 10
            fall = "cosine"
            end = 0.05
            [timesteps]
            mean = 1.6
            pure = 0.3
            [conditions]
            audio = 0.9
            first_frame = 0.0
            video = 1.0
            identity = 1.0
            [objective]
            readout = 0.2
            references = "alike"
            # One clip's latents are few for a reader of so many numbers.
            reader = {{ ridge = 3000.0, shape = 4 }}
            [log]
            every = 10
            checkpoint_every = 1000000
            validate_every = {validate}
            validate = 4
            tensorboard = false
            "#
        ),
    )
}

/// Fits a `LoRA` to `clip` and writes it to `output`.
///
/// # Errors
/// When the clip shows too little of a face, or a file can't be written.
pub fn adapt(
    clip: &Path,
    model: &ModelFile,
    output: &Path,
    options: AdaptOptions,
    sandbox: Sandbox,
    watcher: &mut dyn Watcher,
) -> Result<Outcome> {
    let whole = |_: usize, _: usize, _: Option<&str>| {};
    let none = |_: &str| None;
    let around = Surroundings {
        base: Path::new(".").to_owned(),
        sandbox,
        embedded: &none,
        progress: &whole,
    };
    // Two latents are the least; how many there are decides the window.
    let first = recipe(options, 10)?;
    let footage = FootageClip {
        id: clip.display().to_string(),
        path: clip.to_owned(),
        identity: "speaker".to_owned(),
        weight: 1.0,
        held_out: false,
        packed: None,
    };
    let library = setup::library_of(&first, model, &[footage], &around)?;
    let latents = library
        .train
        .iter()
        .map(crate::data::ClipLatents::latents)
        .max()
        .unwrap_or(0);
    if latents < 4 {
        return Err(TrainError::clip(
            clip,
            format!("a face is seen for {latents} latents, at least 4 are needed"),
        ));
    }
    let recipe = recipe(options, latents)?;
    let parameters = setup::parameters(&recipe, model)?;
    let mut stage = EditYourselfStage::new(recipe.clone(), parameters, library)?;
    let mut ranks = Ranks::alone();
    let mut run = Run::start(&recipe, &mut stage, &mut ranks, None)?;
    let outcome = run.finish(watcher)?;
    let values = run.shipped()?;
    if let Some(lora) = &recipe.model.lora {
        export::lora(output, &values, lora)?;
    }
    Ok(outcome)
}
