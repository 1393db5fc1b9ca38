//! `models`, `forward`, `bench`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `reword models`
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelsArguments {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// What to show of the models.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Every known model: its size, its licence, whether it is here
    List,
    /// What one weight file holds: its configuration, tensors and checksum
    Info {
        /// A name or a path
        #[arg(default_value = "tiny")]
        name: String,
    },
}

/// `reword forward`
#[derive(Clone, Debug, Args)]
pub(crate) struct ForwardArguments {
    /// The network's name
    pub(crate) network: String,

    /// Its weights: safetensors in one file, an index of shards, or a folder; or GGUF
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: PathBuf,

    /// The input tensors, as safetensors
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: PathBuf,

    /// Where the output tensors go
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// `reword bench`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArguments {
    /// Which figures: sync, edit, lips [default: sync and edit]
    pub(crate) name: Option<String>,

    /// For lips: clips whose mouths are made anew from their own sound, and from the next one's
    pub(crate) clips: Vec<PathBuf>,
}
