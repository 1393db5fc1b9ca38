//! Plans for people and for other programs: table, JSON, OTIO, EDL, FCPXML.
//!
//! Other editors cut recorded footage; they don't hold what is to be made. So kept stretches
//! become clips, removals become dissolves between clips, and new speech becomes a gap of the
//! right length that bears the new words. Pictures are counted in frames of the nominal rate.

mod edl;
mod fcpxml;
mod json;
mod otio;
mod segments;
mod table;
mod timecode;

use crate::latents::Snapped;
use crate::{EditList, FrameClock, SoundClock, Timeline, Transcript};
use serde::Serialize;
use units::FrameRate;

pub use edl::edl;
pub use fcpxml::{FcpxmlError, fcpxml};
pub use json::{JSON_VERSION, JsonError, json};
pub use otio::otio;
pub use table::{Row, table};
pub use timecode::Timecode;

/// The clip that a plan cuts, as other programs need to know it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipRef {
    /// Its name, without folders.
    pub name: String,
    /// Its path, absolute where the other program is to find it.
    pub path: String,
    /// Nominal frame rate.
    pub rate: FrameRate,
    /// Width as displayed, in pixels.
    pub width: u32,
    /// Height as displayed, in pixels.
    pub height: u32,
    /// Frames.
    pub frames: u64,
    /// Its sound, where it has any.
    pub sound: Option<SoundClock>,
    /// Channels of its sound.
    pub channels: u32,
}

/// Everything that an export says.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The clip.
    pub clip: &'a ClipRef,
    /// When its frames are shown.
    pub clock: &'a FrameClock,
    /// Its words.
    pub transcript: &'a Transcript,
    /// What happens to it.
    pub edits: &'a EditList,
    /// Where everything in the output comes from.
    pub timeline: &'a Timeline,
    /// What of the edits was moved to whole latents, where that is asked for.
    pub snapped: &'a [Snapped],
}

impl Plan<'_> {
    /// What an insertion says, for a label.
    fn label(&self, insertion: usize) -> String {
        let speech = self
            .edits
            .insertions()
            .nth(insertion)
            .map(|(_, speech)| speech);
        match speech {
            Some(speech) if speech.is_silent() => "pause".to_owned(),
            Some(speech) if !speech.pieces.is_empty() => speech.text(),
            _ => "new speech".to_owned(),
        }
    }

    /// The name without its extension.
    fn title(&self) -> &str {
        match self.clip.name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &self.clip.name,
        }
    }
}

/// A path as the URL that other programs write: `file://` for an absolute one.
fn url(path: &str) -> String {
    use std::fmt::Write as _;
    let mut url = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
