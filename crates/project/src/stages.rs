//! The stages that pipelines are made of.

pub(crate) mod assemble;
pub(crate) mod change;
pub(crate) mod composite;
pub(crate) mod extras;
pub(crate) mod frames;
pub(crate) mod heads;
pub(crate) mod lend;
pub(crate) mod lips;
pub(crate) mod listen;
pub(crate) mod look;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod moments;
pub(crate) mod output;
pub(crate) mod pictures;
pub(crate) mod retouch;
pub(crate) mod sound_file;
pub(crate) mod source;
pub(crate) mod speak;
pub(crate) mod track;
pub(crate) mod words;

use crate::ProjectError;
use media::{MediaError, OpenOptions, Sandbox};

/// A media failure as a job sees it: nearly always the file's.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
pub(crate) fn media_error(error: MediaError) -> ProjectError {
    ProjectError::input(error.to_string())
}

/// Files of users are decoded in a confined child process.
pub(crate) fn confined() -> OpenOptions {
    OpenOptions {
        sandbox: Sandbox::Child,
    }
}
