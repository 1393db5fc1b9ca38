//! What can go wrong in rendering.

use crate::MediaError;
use crate::frame::FrameError;
use crate::info::PixelFormat;
use crate::libav::WriteFailure;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use thiserror::Error;
use units::FrameIndex;

/// Any error of a maker.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A render that did not come about. Nothing is left of its output.
#[derive(Debug, Error)]
pub enum RenderError {
    /// The source could not be read.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The output's extension names no container that is written.
    #[error(
        "{} can't be written: the name must end in .mp4, .mov, .mkv or .webm",
        path.display()
    )]
    Container {
        /// The output.
        path: PathBuf,
    },
    /// The output could not be made or written.
    #[error("{} can't be written: {reason}", path.display())]
    Unwritable {
        /// The output.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The disk filled up.
    #[error("{} can't be written: the disk is full", path.display())]
    DiskFull {
        /// The output.
        path: PathBuf,
    },
    /// There is nothing to write.
    #[error("the result would have no frames")]
    NoFrames,
    /// libav has no encoder for the codec.
    #[error("this build of libav can't encode {codec}")]
    NoEncoder {
        /// The encoder's name.
        codec: String,
    },
    /// The encoder refused its settings or a frame.
    #[error("encoding {codec} failed: {reason}")]
    Encoder {
        /// The encoder's name.
        codec: String,
        /// libav's words.
        reason: String,
    },
    /// A made frame of the wrong size or format.
    #[error(
        "the picture made for {output} is {}x{} ({}), not {}x{} ({})",
        found.0, found.1, found.2, expected.0, expected.1, expected.2
    )]
    Mismatch {
        /// Which frame.
        output: FrameIndex,
        /// Its stored width, height and format.
        found: (usize, usize, PixelFormat),
        /// The output's.
        expected: (usize, usize, PixelFormat),
    },
    /// A frame maker failed.
    #[error("the picture for {output} could not be made")]
    Frame {
        /// Which frame.
        output: FrameIndex,
        /// Why.
        source: BoxError,
    },
    /// The sound maker failed.
    #[error("the sound could not be made")]
    Sound {
        /// Why.
        source: BoxError,
    },
    /// Blocks of different rates or channel counts.
    #[error("the sound changes from {expected} Hz, {channels} channels in the middle")]
    SoundChanged {
        /// The first block's rate.
        expected: u32,
        /// The first block's channels.
        channels: usize,
    },
    /// The journal of a render that can go on could not be written or read.
    #[error("the job's encoded pictures can't be kept: {source}")]
    Journal {
        /// The system's words.
        source: io::Error,
    },
    /// A picture could not be brought to the output's format.
    #[error(transparent)]
    Picture(#[from] FrameError),
}

impl RenderError {
    pub(super) fn journal(source: io::Error) -> Self {
        Self::Journal { source }
    }
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> RenderError {
    let path = path.to_path_buf();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => RenderError::DiskFull { path },
        ErrorKind::NotFound => RenderError::Unwritable {
            path,
            reason: "its folder does not exist".to_owned(),
        },
        _ => RenderError::Unwritable {
            path,
            reason: error.to_string(),
        },
    }
}

pub(super) fn write_failure(path: &Path, failure: WriteFailure) -> RenderError {
    match failure {
        WriteFailure::Io(error) => unwritable(path, &error),
        WriteFailure::Libav(code) => RenderError::Unwritable {
            path: path.to_path_buf(),
            reason: format!("the container was refused ({code})"),
        },
    }
}
