//! A run as a file: what is trained, on what, how, for how long.
//!
//! Recipes are TOML. Unknown keys are errors, and so are values out of range; the message names the range.

mod check;
mod data;
mod model;
mod objective;

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use data::{Batch, DataRecipe, MaskKind, Source};
pub use model::{DTypeName, ModelRecipe, OptimiserRecipe, Part, RateScale, RuleName};
pub use objective::{
    Objective, ReadoutRecipe, References, SoundObjective, SyncObjective, TeacherRecipe,
    VaeObjective,
};

use crate::conditions::ConditionRates;
use crate::data::prepare::hex;
use crate::error::{Result, TrainError};
use crate::rate::RateSchedule;
use crate::timesteps::Timesteps;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// The sound encoder, on the mouths of recordings.
    AudioEncoder,
    /// The video autoencoder.
    Vae,
    /// The transformer, by masked flow matching.
    EditYourself,
    /// The scorer of lips against sound.
    SyncScorer,
}

impl StageName {
    /// The name in recipes and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AudioEncoder => "audio-encoder",
            Self::Vae => "vae",
            Self::EditYourself => "edit-yourself",
            Self::SyncScorer => "sync-scorer",
        }
    }
}

/// What is written while a run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Steps between two lines of the log; each line averages over them.
    pub every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Checkpoints that are kept.
    pub keep: usize,
    /// Steps between two validations with sheets of samples; 0 for none.
    pub validate_every: u64,
    /// Samples that are validated.
    pub validate: usize,
    /// Whether `TensorBoard` files are written.
    pub tensorboard: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            every: 10,
            checkpoint_every: 500,
            keep: 2,
            validate_every: 500,
            validate: 8,
            tensorboard: true,
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Of this format: 1.
    pub version: u32,
    /// What is trained.
    pub stage: StageName,
    /// Names all random numbers of the run.
    #[serde(default)]
    pub seed: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Weights at the start, and which of them move.
    pub model: ModelRecipe,
    /// Footage.
    pub data: DataRecipe,
    /// Samples a step.
    #[serde(default)]
    pub batch: Batch,
    /// How parameters move.
    pub optimiser: OptimiserRecipe,
    /// The rate over the steps.
    #[serde(default)]
    pub rate: RateSchedule,
    /// Noise levels.
    #[serde(default)]
    pub timesteps: Timesteps,
    /// Which conditions a sample gets.
    #[serde(default)]
    pub conditions: ConditionRates,
    /// Losses of the stage `edit-yourself`.
    #[serde(default)]
    pub objective: Objective,
    /// Losses of the stage `audio-encoder`.
    #[serde(default)]
    pub sound: SoundObjective,
    /// Losses of the stage `sync-scorer`.
    #[serde(default)]
    pub sync: SyncObjective,
    /// Losses of the stage `vae`.
    #[serde(default)]
    pub vae: VaeObjective,
    /// What is written.
    #[serde(default)]
    pub log: Log,
}

impl Recipe {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it can't be read, has an unknown key, or a value out of range.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads and checks a text; `origin` names it in messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(origin: &str, text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).map_err(|error| TrainError::RecipeText {
            origin: origin.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        recipe.check(origin)?;
        Ok(recipe)
    }

    /// The recipe as TOML, every default written out.
    ///
    /// # Errors
    /// When it can't be written as TOML.
    pub fn text(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| TrainError::Recipe(error.to_string()))
    }

    /// What decides the losses of a run: SHA-256 of everything but the log, in hexadecimal. A checkpoint goes on under the same key only.
    ///
    /// # Errors
    /// When it can't be written as TOML.
    pub fn key(&self) -> Result<String> {
        let same = Self {
            log: Log::default(),
            ..self.clone()
        };
        let hash = Sha256::digest(same.text()?.as_bytes());
        Ok(hex(&hash, 32))
    }
}

#[cfg(test)]
mod tests;
