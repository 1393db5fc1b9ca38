//! `train`.

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

    /// Decode clips in this process: faster, for footage that is trusted
    #[arg(long)]
    pub(crate) trusted: bool,
}
