//! What a file holds beside its picture and its sound: tags, chapters, further tracks.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use units::Seconds;

/// A note of a file or a track, such as `title` or `language`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// libav's name of it.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// A chapter of a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    /// When it runs, on the clip's time axis.
    pub time: Range<Seconds>,
    /// Its tags, `title` among them.
    pub tags: Vec<Tag>,
}

/// What a further track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrackKind {
    /// Another sound track.
    Sound,
    /// Subtitles or captions.
    Subtitles,
    /// A second picture.
    Picture,
    /// A cover picture.
    Cover,
    /// Timecodes, positions, attached fonts, and the like.
    Data,
}

/// A track beside the picture and the sound that players choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherTrack {
    /// Its number in the file.
    pub stream: usize,
    /// What it carries.
    pub kind: TrackKind,
    /// Short name of its codec; empty where libav has none.
    pub codec: String,
    /// Its tags, `language` among them.
    pub tags: Vec<Tag>,
    /// libav's flags: default, forced, comment, and so on.
    pub disposition: i32,
}

impl OtherTrack {
    /// The track as a person would call it: what it is, and its language where that is known.
    pub fn name(&self) -> String {
        let what = match self.kind {
            TrackKind::Sound => "sound track",
            TrackKind::Subtitles => "subtitle track",
            TrackKind::Picture => "picture track",
            TrackKind::Cover => "cover picture",
            TrackKind::Data => "data track",
        };
        let language = self
            .tags
            .iter()
            .find(|tag| tag.key == "language" && tag.value != "und");
        match language {
            Some(tag) => format!("{what} {} ({})", self.stream, tag.value),
            None => format!("{what} {}", self.stream),
        }
    }
}
