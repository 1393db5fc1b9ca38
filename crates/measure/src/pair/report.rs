//! What is said about a pair of clips.

use crate::metric::Score;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A clip in a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipSummary {
    /// The file.
    pub path: PathBuf,
    /// Frames.
    pub frames: u64,
    /// Frames a second, nominal.
    pub fps: f64,
    /// Pixels as shown.
    pub width: u32,
    /// Pixels as shown.
    pub height: u32,
    /// Frames in which the face was seen; `None` where faces were not looked for.
    pub faces: Option<u64>,
}

/// How a made clip gives its reference back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyKind {
    /// Every frame is equal in every value.
    Exact,
    /// The same pictures, compressed or scaled anew.
    Recompressed,
}

/// What a made clip is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Original {
    /// The clip that it is measured against.
    Reference,
    /// The clip that the system was given, where that is another one.
    Input,
}

/// A copy where a made clip should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Copied {
    /// How near it is.
    pub kind: CopyKind,
    /// Of what.
    pub of: Original,
    /// How much later in the original its pictures stand, seconds; not 0 where a copy was cut off or filled up in front.
    pub lag: f64,
    /// Whether left and right have changed places.
    pub mirrored: bool,
}

impl std::fmt::Display for Copied {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = match self.of {
            Original::Reference => "reference",
            Original::Input => "input",
        };
        match self.kind {
            CopyKind::Exact => write!(formatter, "every frame equals the {of}"),
            CopyKind::Recompressed => {
                write!(formatter, "the pictures are the {of}'s, compressed anew")
            }
        }?;
        if self.mirrored {
            write!(formatter, ", mirrored")?;
        }
        if self.lag > 0.0 {
            write!(formatter, ", from {:.2} s on", self.lag)?;
        } else if self.lag < 0.0 {
            write!(formatter, ", {:.2} s later", -self.lag)?;
        }
        write!(formatter, ": this is a copy")
    }
}

/// A curve over the frames of a pair, for plots and contact sheets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FrameCurve {
    /// PSNR of the mouth (of the frame where there is no face), dB, one entry a pair.
    pub psnr: Vec<Option<f64>>,
    /// The reference's frame of each pair; the made clip's is the pair's number.
    pub partners: Vec<u64>,
    /// Mouth opening of the made clip.
    pub made_opening: Vec<Option<f32>>,
    /// Mouth opening of the reference, at the same pairs.
    pub reference_opening: Vec<Option<f32>>,
}

/// What was measured about one pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairReport {
    /// The version of this format.
    pub version: u32,
    /// The made clip.
    pub made: ClipSummary,
    /// The reference.
    pub reference: ClipSummary,
    /// Pairs of frames that were compared.
    pub compared: u64,
    /// Whether the made clip is a copy.
    pub copy: Option<Copied>,
    /// One entry for each metric that was asked for, in their order.
    pub scores: Vec<Score>,
    /// Lengths, rates and whatever else the reader should know.
    pub notes: Vec<String>,
    /// The networks that ran, and the files that they came from.
    pub networks: BTreeMap<&'static str, String>,
    /// Identity by minute: mean cosine of the made face to the reference's mean face.
    pub identity_by_minute: Vec<Option<f64>>,
    /// Frame by frame; not part of the JSON report.
    #[serde(skip)]
    pub curve: FrameCurve,
}

impl PairReport {
    /// A metric's number.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.scores
            .iter()
            .find(|score| score.metric == metric)?
            .value
    }
}
