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
    /// Filter a folder of videos into shards, and say what was dropped and why
    Curate(CurateArguments),
    /// Put all clips of a folder into shards, unfiltered
    Pack(PackArguments),
    /// Say what a folder of shards holds
    Inspect(InspectArguments),
}

/// `reword data curate`
#[derive(Clone, Debug, Args)]
pub(crate) struct CurateArguments {
    /// A folder of videos; `index.tsv` in it may say who is seen (`file`, `identity`)
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Where shards, the log and the funnel go
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,

    /// Bounds of the filters as TOML [default: those of the `EditYourself` paper]
    #[arg(long, value_name = "FILE")]
    pub(crate) thresholds: Option<PathBuf>,

    /// Measure and judge, but write no shards
    #[arg(long)]
    pub(crate) dry: bool,

    #[command(flatten)]
    pub(crate) shards: ShardArguments,
}

/// `reword data pack`
#[derive(Clone, Debug, Args)]
pub(crate) struct PackArguments {
    /// A folder of videos; `index.tsv` and `words.tsv` in it are taken along
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Where shards go
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) shards: ShardArguments,
}

/// `reword data inspect`
#[derive(Clone, Debug, Args)]
pub(crate) struct InspectArguments {
    /// A folder of shards
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// How shards are written, and which part of the work this process does.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShardArguments {
    /// Megabytes of a shard, about
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) shard_size: u64,

    /// This worker's number, from 0: it takes every `--workers`-th clip
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) worker: usize,

    /// How many workers share the folder
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) workers: usize,

    /// Decode clips in this process: faster, for footage that is trusted
    #[arg(long)]
    pub(crate) trusted: bool,
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
