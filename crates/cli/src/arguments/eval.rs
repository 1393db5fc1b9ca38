//! `eval`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The network behind LPIPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LpipsName {
    /// `AlexNet`, the usual choice
    Alex,
    /// VGG 16
    Vgg,
    /// `SqueezeNet` 1.1
    Squeeze,
}

/// `reword eval`
#[derive(Clone, Debug, Args)]
pub(crate) struct EvalArguments {
    /// The clip that was made
    #[arg(required_unless_present_any = ["suite", "list"])]
    pub(crate) generated: Option<PathBuf>,

    /// The clip that it is measured against
    #[arg(required_unless_present_any = ["suite", "list"])]
    pub(crate) reference: Option<PathBuf>,

    /// Measure many systems on many clips, as a TOML file lists them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["generated", "list"])]
    pub(crate) suite: Option<PathBuf>,

    /// Where a suite's tables, plots and pictures go [default: beside the suite]
    #[arg(short, long, value_name = "FOLDER", requires = "suite")]
    pub(crate) output: Option<PathBuf>,

    /// List the metrics and the weight files that some need
    #[arg(long)]
    pub(crate) list: bool,

    /// Only these metrics, separated by commas [default: all but ssim-rgb]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) metrics: Vec<String>,

    /// Print a table in Markdown
    #[arg(long, conflicts_with = "csv")]
    pub(crate) markdown: bool,

    /// Print comma-separated values
    #[arg(long)]
    pub(crate) csv: bool,

    /// A box that may differ, in pixels; may be given more than once [default: the mouth box of the reference's face]
    #[arg(long, value_name = "X,Y,W,H")]
    pub(crate) mask: Vec<String>,

    /// First frames after cuts of the made clip, in seconds, separated by commas
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    pub(crate) seams: Vec<f64>,

    /// Words whose sync is wanted, in seconds of the made clip, separated by commas
    #[arg(long, value_name = "START-END", value_delimiter = ',')]
    pub(crate) words: Vec<String>,

    /// The report (`--report`) of the job that made the clip: its seams, time and memory
    #[arg(long, value_name = "FILE")]
    pub(crate) job: Option<PathBuf>,

    /// The clip that the system was given, where that is not the reference: a copy of it is told too
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Bring frames of another size to the reference's
    #[arg(long)]
    pub(crate) fit: bool,

    /// Folders with weight files of measuring networks
    #[arg(
        long,
        env = "REWORD_METRIC_WEIGHTS",
        value_name = "FOLDER",
        value_delimiter = ':'
    )]
    pub(crate) weights: Vec<PathBuf>,

    /// The program behind motion-smoothness: it makes the pictures between frames
    #[arg(long, value_name = "COMMAND")]
    pub(crate) interpolator: Option<String>,

    /// The network behind LPIPS
    #[arg(long, value_enum, default_value = "alex")]
    pub(crate) lpips: LpipsName,

    /// The shortest face track that sync scores are taken of, in frames of 40 ms
    #[arg(long, value_name = "FRAMES", default_value_t = 50)]
    pub(crate) sync_track: usize,
}
