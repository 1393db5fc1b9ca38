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
    /// Fetch a published model; shows files, sizes and licences first
    Pull {
        /// Its name, from `reword models list`
        name: String,
        /// Show what would be fetched, and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Compare keys, shapes and dtypes with what they should be; name each difference
    Verify {
        /// A published model that was fetched, or the path of a weight file
        name: String,
        /// For a path: the preset to compare with [default: the file's own config]
        #[arg(long, value_name = "NAME")]
        preset: Option<String>,
        /// Compare the bytes with the hub's checksums too, which reads everything
        #[arg(long)]
        checksums: bool,
    },
    /// Fit a step cache to a model: how its result changes with the signal of its first block
    FitCache {
        /// The transformer's weights
        #[arg(long, value_name = "FILE")]
        weights: PathBuf,
        /// The transformer's config.json or preset [default: the weights' own]
        #[arg(long, value_name = "FILE|NAME")]
        network: Option<PathBuf>,
        /// Saved tensors as `forward ltx-transformer` takes them, with noise as latents; several
        #[arg(long, value_name = "FILE", required = true)]
        inputs: Vec<PathBuf>,
        /// Denoising steps
        #[arg(long, value_name = "N", default_value_t = 40)]
        cache_steps: usize,
        /// Degree of the polynomial
        #[arg(long, default_value_t = 4)]
        degree: usize,
        /// Where the coefficients go, as JSON
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
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
    /// Which figures: sync, edit, lips, ops, gpu [default: sync and edit]
    pub(crate) name: Option<String>,

    /// For lips: clips whose mouths are made anew from their own sound, and from the next one's
    pub(crate) clips: Vec<PathBuf>,

    /// For ops and gpu: only cases whose name holds this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,

    /// For ops: threads of either side [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// For ops and gpu: pairs of runs a case
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub(crate) rounds: usize,

    /// For ops and gpu: seconds after which a case is cut short
    #[arg(long, value_name = "SECONDS", default_value_t = 6.0)]
    pub(crate) seconds: f64,

    /// For ops: processor time instead of the clock's, for busy machines
    #[arg(long)]
    pub(crate) cpu: bool,

    /// For ops and gpu: the Python that has PyTorch
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) python: PathBuf,

    /// For ops and gpu: a Markdown page that the tables are written to, in place of those of an earlier run
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}
