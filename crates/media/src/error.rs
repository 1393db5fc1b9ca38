//! What can go wrong between a file and its frames.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;
use units::Seconds;

/// An error about a media file. Every variant names the file; all values are plain, so that an
/// error can cross from the decoding child to its parent.
#[derive(Clone, Debug, Error, PartialEq, Serialize, Deserialize)]
pub enum MediaError {
    /// There is no such file.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The path is a folder.
    #[error("{} is a folder, not a media file", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to open or read the file.
    #[error("{} can't be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The bytes are no container that can be read.
    #[error("{} is not a media file: {reason}", path.display())]
    NotMedia {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        reason: String,
    },
    /// The container starts well but lacks what is needed to read it.
    #[error("{} is cut short: {reason}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// There is sound but no picture.
    #[error("{} has no video, only sound", path.display())]
    NoVideo {
        /// The file.
        path: PathBuf,
    },
    /// There is a picture but no sound.
    #[error("{} has no sound", path.display())]
    NoSound {
        /// The file.
        path: PathBuf,
    },
    /// There is neither picture nor sound.
    #[error("{} has neither video nor sound", path.display())]
    NoStreams {
        /// The file.
        path: PathBuf,
    },
    /// This build of libav has no decoder for the stream.
    #[error("{}: no decoder for {codec} in this build of libav", path.display())]
    NoDecoder {
        /// The file.
        path: PathBuf,
        /// The codec's name.
        codec: String,
    },
    /// There is a video stream, but nothing in it decodes.
    #[error("{}: no frame of its {codec} stream can be decoded", path.display())]
    NoFrames {
        /// The file.
        path: PathBuf,
        /// The codec's name.
        codec: String,
    },
    /// The picture is larger than the limit.
    #[error(
        "{}: pictures of {width}x{height} are beyond the limit of {limit} pixels",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Pixels allowed.
        limit: u64,
    },
    /// A range of frames that the clip does not have.
    #[error("{} has {frames} frames; {start}..{end} are not among them", path.display())]
    FrameRange {
        /// The file.
        path: PathBuf,
        /// First frame asked for.
        start: u64,
        /// One past the last frame asked for.
        end: u64,
        /// Frames in the clip.
        frames: u64,
    },
    /// A range of samples that the clip does not have.
    #[error("{} has {samples} samples; {start}..{end} are not among them", path.display())]
    SampleRange {
        /// The file.
        path: PathBuf,
        /// First sample asked for.
        start: u64,
        /// One past the last sample asked for.
        end: u64,
        /// Samples in the clip.
        samples: u64,
    },
    /// Decoding failed in the middle.
    #[error("{} can't be decoded at {at:.3}: {reason}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Where in the clip.
        at: Seconds,
        /// libav's words.
        reason: String,
    },
    /// The decoding child ended or spoke nonsense.
    #[error("{}: the decoder process failed: {reason}", path.display())]
    Child {
        /// The file.
        path: PathBuf,
        /// What was seen of it.
        reason: String,
    },
}

impl MediaError {
    /// The file that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotFound { path }
            | Self::Folder { path }
            | Self::Empty { path }
            | Self::Unreadable { path, .. }
            | Self::NotMedia { path, .. }
            | Self::Truncated { path, .. }
            | Self::NoVideo { path }
            | Self::NoSound { path }
            | Self::NoStreams { path }
            | Self::NoDecoder { path, .. }
            | Self::NoFrames { path, .. }
            | Self::TooLarge { path, .. }
            | Self::FrameRange { path, .. }
            | Self::SampleRange { path, .. }
            | Self::Decode { path, .. }
            | Self::Child { path, .. } => path,
        }
    }

    /// The same error about another path: the child does not know the file's name.
    #[must_use]
    pub(crate) fn about(mut self, name: &Path) -> Self {
        match &mut self {
            Self::NotFound { path }
            | Self::Folder { path }
            | Self::Empty { path }
            | Self::Unreadable { path, .. }
            | Self::NotMedia { path, .. }
            | Self::Truncated { path, .. }
            | Self::NoVideo { path }
            | Self::NoSound { path }
            | Self::NoStreams { path }
            | Self::NoDecoder { path, .. }
            | Self::NoFrames { path, .. }
            | Self::TooLarge { path, .. }
            | Self::FrameRange { path, .. }
            | Self::SampleRange { path, .. }
            | Self::Decode { path, .. }
            | Self::Child { path, .. } => *path = name.to_path_buf(),
        }
        self
    }
}
