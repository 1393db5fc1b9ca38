//! Flags that every command takes.

use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

/// In which numbers the model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtypeName {
    /// 32 bit
    F32,
    /// The upper half of them: less memory
    Bf16,
}

/// The part of the picture that is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegionName {
    /// The lower face.
    Lip,
    /// The whole face.
    Face,
    /// The head with its hair.
    Head,
    /// The whole picture.
    Whole,
    /// The hands, which nothing here can find.
    Hands,
    /// Left edge, top edge, width, height.
    Box([u32; 4]),
}

impl RegionName {
    /// Reads a region as it is written on the command line and in settings files.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "lip" => Self::Lip,
            "face" => Self::Face,
            "head" => Self::Head,
            "whole" => Self::Whole,
            "hands" => Self::Hands,
            _ => {
                let numbers: Option<Vec<u32>> = text
                    .split(',')
                    .map(|part| part.trim().parse().ok())
                    .collect();
                let own = numbers.and_then(|numbers| <[u32; 4]>::try_from(numbers).ok());
                return own.map(Self::Box).ok_or_else(|| {
                    format!("there is no region `{text}`; use lip, face, head, whole or a box x,y,w,h in pixels")
                });
            }
        })
    }
}

/// Flags common to all commands. Every one can also be set by a `REWORD_*` variable or in `reword.toml`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Common flags")]
pub(crate) struct CommonArguments {
    /// The model: a name (`reword models list`) or the path of a weight file [default: tiny]
    #[arg(long, global = true, env = "REWORD_MODEL", value_name = "NAME|PATH")]
    pub(crate) model: Option<String>,

    /// How the model is conditioned and sampled [default: edit-yourself]
    #[arg(long, global = true, env = "REWORD_METHOD", value_name = "NAME")]
    pub(crate) method: Option<String>,

    /// Where the model computes: auto, cpu, cuda, cuda:N, vulkan or metal; cuda needs a build with that feature, the last two are not there yet [default: auto, the processor]
    #[arg(long, global = true, env = "REWORD_DEVICE", value_name = "NAME")]
    pub(crate) device: Option<String>,

    /// In which numbers the model computes [default: f32]
    #[arg(long, global = true, env = "REWORD_DTYPE", value_enum)]
    pub(crate) dtype: Option<DtypeName>,

    /// Use no more memory than this, such as 2GiB; refuse what can't be done with it [default: no limit]
    #[arg(long, global = true, env = "REWORD_MEMORY", value_name = "SIZE")]
    pub(crate) memory: Option<String>,

    /// Denoising steps [default: the model's own]
    #[arg(long, global = true, env = "REWORD_STEPS", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) steps: Option<u32>,

    /// The seed of the noise: the same seed gives the same file [default: 0]
    #[arg(long, global = true, env = "REWORD_SEED")]
    pub(crate) seed: Option<u64>,

    /// How strongly the lips follow the sound; 1 is the model as it is [default: the model's own]
    #[arg(
        long,
        global = true,
        env = "REWORD_AUDIO_GUIDANCE",
        value_name = "FACTOR"
    )]
    pub(crate) audio_guidance: Option<f32>,

    /// The part of the picture that is made anew: lip (the lower face), face, head (with its hair), whole, or a box
    /// x,y,w,h in pixels: left edge, top edge, width, height [default: lip; `rerender` has none]
    #[arg(long, global = true, env = "REWORD_REGION", value_name = "NAME|X,Y,W,H", value_parser = RegionName::parse)]
    pub(crate) region: Option<RegionName>,

    /// Which face: its number from the left, counted from 1, or a point `x,y` on it [default: the one that speaks]
    #[arg(long, global = true, env = "REWORD_FACE", value_name = "N|X,Y")]
    pub(crate) face: Option<String>,

    /// Change nothing before this time, in seconds (edit, plan, sync)
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) from: Option<f64>,

    /// Change nothing from this time on, in seconds (edit, plan, sync)
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) to: Option<f64>,

    /// For a first look, fast: lips lent from other moments of the clip without the model's changes (half the steps
    /// with models that make lips by themselves), and pictures of 360 pixels on their shorter side
    #[arg(long, global = true)]
    pub(crate) preview: bool,

    /// Go on with a run that was stopped
    #[arg(long, global = true)]
    pub(crate) resume: bool,

    /// Write a report of what was done, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Print progress and results as JSON lines
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print more; twice for all there is
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Read settings from this file only; for `forward`, the network's configuration: a config.json or a preset
    #[arg(long, global = true, value_name = "FILE|NAME")]
    pub(crate) config: Option<PathBuf>,
}
