//! The containers that are written, and what each can hold.

use super::RenderError;
use std::path::Path;

/// The containers that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Mp4,
    Mov,
    Mkv,
    Webm,
}

impl Container {
    /// By the file name's extension.
    pub(super) fn of(path: &Path) -> Result<Self, RenderError> {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("mp4" | "m4v") => Ok(Self::Mp4),
            Some("mov" | "qt") => Ok(Self::Mov),
            Some("mkv") => Ok(Self::Mkv),
            Some("webm") => Ok(Self::Webm),
            _ => Err(RenderError::Container {
                path: path.to_path_buf(),
            }),
        }
    }

    /// libav's name of the muxer.
    pub(super) fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Mkv => "matroska",
            Self::Webm => "webm",
        }
    }

    /// The codec that pictures of a codec are written in.
    pub(super) fn video_codec(self, source: &str) -> &'static str {
        match (self, source) {
            (Self::Webm, _) | (Self::Mp4 | Self::Mkv, "vp9") => "vp9",
            (_, "hevc") => "hevc",
            (Self::Mov | Self::Mkv, "prores") => "prores",
            _ => "h264",
        }
    }
}
