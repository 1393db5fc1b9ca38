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
    /// The same pictures, compressed anew.
    Recompressed,
}

/// A curve over the frames of a pair, for plots and contact sheets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FrameCurve {
    /// PSNR of the mouth (of the frame where there is no face), dB, one entry a pair.
    pub psnr: Vec<Option<f64>>,
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
    pub copy: Option<CopyKind>,
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
