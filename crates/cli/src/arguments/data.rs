//! `data`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `reword data`
#[derive(Clone, Debug, Args)]
pub(crate) struct DataArguments {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

/// What to do with training data.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Render a talking head that says a text, with the exact truth beside it
    Synth(SynthArguments),
}

/// `reword data synth`
#[derive(Clone, Debug, Args)]
pub(crate) struct SynthArguments {
    /// What the head says [default: the sample clip's text]
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Identity, pose, light: the same seed gives the same head
    #[arg(long = "head", value_name = "SEED")]
    pub(crate) head: Option<u64>,

    /// Width and height in pixels
    #[arg(long, value_name = "WxH", default_value = "640x640")]
    pub(crate) size: String,

    /// Frames per second
    #[arg(long, value_name = "FPS", default_value_t = 25)]
    pub(crate) rate: u32,

    /// Where the clip goes; words and truth are written beside it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}
