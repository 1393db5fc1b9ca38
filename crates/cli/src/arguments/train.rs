//! `train`, `adapt`.

use clap::Args;
use std::path::PathBuf;

/// `reword train`
#[derive(Clone, Debug, Args)]
pub(crate) struct TrainArguments {
    /// What is trained, on what, how, for how long: a TOML file as under recipes/
    #[arg(value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,

    /// Where checkpoints, logs and weights go [default: runs/NAME beside the recipe]
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,

    /// Only check the recipe and say what it would train
    #[arg(long)]
    pub(crate) check: bool,

    /// Only measure these weights on the recipe's held-out clips, and train nothing
    #[arg(long, value_name = "WEIGHTS")]
    pub(crate) validate: Option<PathBuf>,

    /// Decode clips in this process: faster, for footage that is trusted
    #[arg(long)]
    pub(crate) trusted: bool,
}

/// `reword adapt`
#[derive(Clone, Debug, Args)]
pub(crate) struct AdaptArguments {
    /// A clip of the speaker: at least a second, better a minute
    #[arg(value_name = "CLIP")]
    pub(crate) clip: PathBuf,

    /// Where the `LoRA` goes [default: CLIP.lora.safetensors]
    #[arg(short, long, value_name = "LORA")]
    pub(crate) output: Option<PathBuf>,

    /// Optimiser steps
    #[arg(long = "train-steps", value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) train_steps: u64,

    /// Rank of the `LoRA`
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) rank: u16,

    /// Seconds of the clip that are used
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) seconds: f64,
}
