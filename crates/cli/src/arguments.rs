//! The command line: every command and flag, as fixed by the product. Help texts are the documentation.

mod common;
mod data;
mod editing;
mod eval;
mod inspect;
mod train;
mod words;

pub(crate) use common::{CommonArguments, DtypeName, RegionName};
pub(crate) use data::{
    CurateArguments, DataArguments, DataCommand, InspectArguments, PackArguments, ShardArguments,
    SynthArguments,
};
pub(crate) use editing::{
    BlockEnds, ChangeArguments, DubArguments, EditArguments, EditOrder, ModelArguments,
    PlanArguments, PlanFormat, RerenderArguments, SyncArguments,
};
pub(crate) use eval::{EvalArguments, LpipsName};
pub(crate) use inspect::{BenchArguments, ForwardArguments, ModelsArguments, ModelsCommand};
pub(crate) use train::{AdaptArguments, TrainArguments};
pub(crate) use words::{AlignArguments, TranscribeArguments};

use clap::{Parser, Subcommand};

/// Rewrite what was said; the video follows.
#[derive(Debug, Parser)]
#[command(
    name = "reword",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Change what is said in a clip: by a script, or by one-line edits
    Edit(EditArguments),
    /// Give a clip a new track of another length: retime it, then move the lips
    Dub(DubArguments),
    /// Give a clip a new track of the same length: move the lips
    Sync(SyncArguments),
    /// Make a part of the picture anew for a stretch of the clip; its sound stays as it is
    Rerender(RerenderArguments),
    /// Find the words and their times from the sound alone
    Transcribe(TranscribeArguments),
    /// Find the times of known words
    Align(AlignArguments),
    /// Show what `edit` would do; render nothing
    Plan(PlanArguments),
    /// List the models, or show what a weight file holds
    Models(ModelsArguments),
    /// Training data: filter, pack and inspect footage; synthetic talking heads
    Data(DataArguments),
    /// Train or fine-tune by a recipe; goes on where it was stopped
    Train(TrainArguments),
    /// Fit a small `LoRA` to one speaker's own clip
    Adapt(AdaptArguments),
    /// Run one network on saved tensors
    Forward(ForwardArguments),
    /// Measure a made clip against its reference, or many by a suite
    Eval(EvalArguments),
    /// Measure the speed figures that the README quotes
    Bench(BenchArguments),
    /// Say what this machine can run, and what is missing
    Doctor,
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn the_argument_table_is_consistent() {
        Arguments::command().debug_assert();
    }
}
