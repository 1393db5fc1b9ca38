//! `edit`, `plan`, `dub`, `sync`, `rerender`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What should change, in whichever way it is said.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChangeArguments {
    /// The text as it should be spoken; `-` reads it from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) script: Option<PathBuf>,

    /// The words as they were spoken, with times (or plain text, which is aligned first)
    /// [default: a transcript that lies beside the clip]
    #[arg(long, value_name = "WORDS")]
    pub(crate) transcript: Option<PathBuf>,

    /// Remove a word wherever it is said, or a span of seconds such as 12.4-13.1
    #[arg(long, value_name = "WORD|A-B")]
    pub(crate) remove: Vec<String>,

    /// Say other words instead: "Tuesday=Wednesday"
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) replace: Vec<String>,

    /// Remove filler words and shorten long pauses
    #[arg(long)]
    pub(crate) fillers: bool,

    /// Cut exactly where `--remove A-B` says, not at the nearest good place
    #[arg(long)]
    pub(crate) exact: bool,

    /// A recording of the new words, in their order
    #[arg(long, value_name = "FILE", conflicts_with = "voice")]
    pub(crate) speech: Option<PathBuf>,

    /// The voice that says new words: flite, espeak, command:PROGRAM, openai, elevenlabs [default: flite]
    #[arg(long, value_name = "ENGINE[:VOICE]", env = "REWORD_VOICE")]
    pub(crate) voice: Option<String>,

    /// The language of the words, as a two-letter code [default: the transcript's, else en]
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Option<String>,
}

/// What goes with the model that makes pictures.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ModelArguments {
    /// Put a `LoRA` beside the model's weights, at a strength (1 where none is said); give it again for more
    #[arg(long, value_name = "FILE[:STRENGTH]")]
    pub(crate) lora: Vec<String>,

    /// `EditYourself`'s parts for a video model, in one file: with them it makes mouths that follow the sound
    #[arg(long, value_name = "FILE")]
    pub(crate) adapter: Option<PathBuf>,

    /// What the picture shows, for models that take text [default: a caption that fits every speaker]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,

    /// What the picture should not show, for models that take text [default: the model's own]
    #[arg(long, value_name = "TEXT")]
    pub(crate) negative_prompt: Option<String>,

    /// Make pictures at a smaller size first, then again at twice that, as LTX-Video's own pipeline does; takes the
    /// latent upsampler
    #[arg(long)]
    pub(crate) two_pass: bool,

    /// How strongly pictures follow the prompt, over the negative one [default: the settings of the weights]
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) guidance: Option<f64>,

    /// How strongly pictures are led away from those of a model with less attention [default: the settings of the weights]
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) stg: Option<f64>,

    /// How the blocks of a long stretch lie at its ends [default: averaged]
    #[arg(long, value_enum)]
    pub(crate) block_ends: Option<BlockEnds>,

    /// Whether edits fall on frames or between whole latents of a video model
    #[arg(long, value_enum, default_value_t)]
    pub(crate) order: EditOrder,

    /// Spare steps where little changes, by what `reword models fit-cache` wrote [default: compute all]
    #[arg(long, value_name = "FILE")]
    pub(crate) step_cache: Option<PathBuf>,
}

/// How moving blocks end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BlockEnds {
    /// Full blocks that overlap, and what they say averaged
    Averaged,
    /// The last frames share a block with the first
    Circular,
}

/// What is laid out when pictures are edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditOrder {
    /// Frames: edits fall where they are asked for
    #[default]
    Pixels,
    /// The recording's latents of eight frames: cuts move to their borders, new speech is padded to their length
    Latents,
}

/// `reword edit`
#[derive(Clone, Debug, Args)]
pub(crate) struct EditArguments {
    /// The video
    pub(crate) clip: PathBuf,

    #[command(flatten)]
    pub(crate) change: ChangeArguments,

    #[command(flatten)]
    pub(crate) model: ModelArguments,

    /// Where the result goes [default: beside the clip, as NAME.edited.mp4]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For reading
    #[default]
    Table,
    /// For programs
    Json,
    /// OpenTimelineIO
    Otio,
    /// CMX3600
    Edl,
    /// Final Cut Pro
    Fcpxml,
}

/// `reword plan`
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArguments {
    /// The video
    pub(crate) clip: PathBuf,

    #[command(flatten)]
    pub(crate) change: ChangeArguments,

    /// Whether edits fall on frames or between whole latents, for models that make whole pictures
    #[arg(long, value_enum, default_value_t)]
    pub(crate) order: EditOrder,

    /// How the plan is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: PlanFormat,

    /// Write the plan to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `reword sync`
#[derive(Clone, Debug, Args)]
pub(crate) struct SyncArguments {
    /// The video
    pub(crate) clip: PathBuf,

    /// The new track: any file with sound
    #[arg(long, value_name = "FILE")]
    pub(crate) speech: PathBuf,

    #[command(flatten)]
    pub(crate) model: ModelArguments,

    /// Where the result goes [default: beside the clip, as NAME.synced.mp4]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `reword rerender`
#[derive(Clone, Debug, Args)]
pub(crate) struct RerenderArguments {
    /// The video
    pub(crate) clip: PathBuf,

    /// The stretch that is made anew, in seconds, such as 3.2-4.0; it grows to the model's whole latents
    #[arg(long, value_name = "A-B")]
    pub(crate) span: String,

    #[command(flatten)]
    pub(crate) model: ModelArguments,

    /// Where the result goes [default: beside the clip, as NAME.rerendered.mp4]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `reword dub`
#[derive(Clone, Debug, Args)]
pub(crate) struct DubArguments {
    /// The video
    pub(crate) clip: PathBuf,

    /// The new track: any file with sound
    #[arg(long, value_name = "FILE")]
    pub(crate) speech: PathBuf,

    /// The text of the new track: pauses are then stretched before speech, and phrases that clip and track share
    /// stay together; `-` reads it from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) script: Option<PathBuf>,

    /// The words of the clip, to match them with the script
    /// [default: a transcript that lies beside the clip]
    #[arg(long, value_name = "WORDS", requires = "script")]
    pub(crate) transcript: Option<PathBuf>,

    /// The language of the script, as a two-letter code [default: en]
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Option<String>,

    #[command(flatten)]
    pub(crate) model: ModelArguments,

    /// Where the result goes [default: beside the clip, as NAME.dubbed.mp4]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
