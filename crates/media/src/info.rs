//! What is in a clip.

mod colour;
mod extras;
mod format;
mod times;

pub use colour::{ColourRange, ColourTags, ContentLight, HdrMetadata, MasteringDisplay, Matrix};
pub use extras::{Chapter, OtherTrack, Tag, TrackKind};
pub use format::{Chroma, PixelFormat, Rotation};
pub use times::{FrameTimes, TimeBase};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use units::{FrameIndex, FrameRate, SampleIndex, SampleRate, Seconds};

/// What a clip holds. All times count from the clip's zero: the earlier of its first frame and
/// its first sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipInfo {
    /// The file.
    pub path: PathBuf,
    /// The container, by libav's short name (`mov,mp4,m4a,3gp,3g2,mj2`, `matroska,webm`, …).
    pub container: String,
    /// From zero to the end of the longer of picture and sound.
    pub duration: Seconds,
    /// The picture.
    pub video: Option<VideoInfo>,
    /// The sound (of several tracks, the one that players choose).
    pub audio: Option<AudioInfo>,
    /// The file's own tags, such as `title`.
    pub tags: Vec<Tag>,
    /// Its chapters, in order.
    pub chapters: Vec<Chapter>,
    /// Its tracks beside the picture and the sound.
    pub others: Vec<OtherTrack>,
    /// Whole sentences about what is odd in the file.
    pub warnings: Vec<String>,
}

/// The picture of a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// Short name, `h264` for example.
    pub codec: String,
    /// Pixels in a row as shown, that is after rotation.
    pub width: u32,
    /// Rows as shown, that is after rotation.
    pub height: u32,
    /// Pixels in a row as stored.
    pub coded_width: u32,
    /// Rows as stored.
    pub coded_height: u32,
    /// How the stored picture is turned to be shown.
    pub rotation: Rotation,
    /// The display matrix as stored (nine fixed-point numbers), carried to the output.
    pub display_matrix: Option<[i32; 9]>,
    /// Width to height of one stored pixel.
    pub pixel_aspect: (u32, u32),
    /// The nominal rate; the mean rate where it varies.
    pub rate: FrameRate,
    /// True where frames do not follow one rate.
    pub variable: bool,
    /// How many frames there are.
    pub frames: u64,
    /// When each frame starts, and when the last one ends.
    pub times: FrameTimes,
    /// How decoded frames are laid out.
    pub format: PixelFormat,
    /// Primaries, transfer, matrix, range.
    pub colour: ColourTags,
    /// HDR10 metadata.
    pub hdr: HdrMetadata,
    /// Frames that decoding can start at, ascending.
    pub keyframes: Vec<FrameIndex>,
    /// Bits a second.
    pub bit_rate: u64,
    /// The track's tags, such as `language`.
    pub tags: Vec<Tag>,
    /// True for interlaced pictures.
    pub interlaced: bool,
    /// Frames that the container's index promises beyond those that the file holds: a copy or a recording that
    /// was cut off. Zero for a whole file.
    pub missing: u64,
}

/// The sound of a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioInfo {
    /// Short name, `aac` for example.
    pub codec: String,
    /// Samples a second.
    pub rate: SampleRate,
    /// Channels.
    pub channels: u16,
    /// libav's name of the layout: `mono`, `stereo`, `5.1`, …
    pub layout: String,
    /// Samples of each channel, without the codec's priming.
    pub samples: u64,
    /// When the first sample sounds.
    pub start: Seconds,
    /// Bits a second.
    pub bit_rate: u64,
    /// The track's number in the file.
    pub stream: usize,
    /// The track's tags, such as `language`.
    pub tags: Vec<Tag>,
}

impl AudioInfo {
    /// When the last sample has sounded.
    pub fn end(&self) -> Seconds {
        self.start + self.rate.start_of(SampleIndex(self.samples))
    }

    /// The sample that sounds at a time of the clip, clamped to the track.
    pub fn sample_at(&self, time: Seconds) -> SampleIndex {
        let sample = self.rate.nearest(time - self.start);
        SampleIndex(sample.0.min(self.samples))
    }
}

impl VideoInfo {
    /// How long a frame of a constant rate is shown.
    pub fn frame_duration(&self) -> Seconds {
        self.rate.frame_duration()
    }
}
