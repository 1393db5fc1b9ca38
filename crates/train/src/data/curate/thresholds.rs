//! The filters and their bounds.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::error::{Result, TrainError};

/// Filters in the order in which clips pass them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The file can't be read to its end, or lacks picture or sound.
    Corrupt,
    /// Another file has the same bytes.
    Duplicate,
    /// Frames a second.
    FrameRate,
    /// Frames.
    Length,
    /// Bits a second.
    BitRate,
    /// Scene cuts.
    Cuts,
    /// People.
    Faces,
    /// Share of frames with the face.
    Presence,
    /// Size of the face.
    Size,
    /// Sharpness of the mouth.
    Sharpness,
    /// Share of time with speech.
    Speech,
    /// Correlation of mouth and sound.
    Agreement,
    /// Offset of sound and picture.
    Offset,
}

impl Filter {
    /// All, in order.
    pub const ALL: [Self; 13] = [
        Self::Corrupt,
        Self::Duplicate,
        Self::FrameRate,
        Self::Length,
        Self::BitRate,
        Self::Cuts,
        Self::Faces,
        Self::Presence,
        Self::Size,
        Self::Sharpness,
        Self::Speech,
        Self::Agreement,
        Self::Offset,
    ];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Duplicate => "duplicate",
            Self::FrameRate => "frame rate",
            Self::Length => "length",
            Self::BitRate => "bit rate",
            Self::Cuts => "scene cuts",
            Self::Faces => "faces",
            Self::Presence => "face present",
            Self::Size => "face size",
            Self::Sharpness => "mouth sharpness",
            Self::Speech => "speech",
            Self::Agreement => "agreement",
            Self::Offset => "offset",
        }
    }
}

/// Bounds; the defaults are the paper's (`EditYourself` 4.1), or ours where it says nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Frames a second, least and most.
    pub frame_rate: [f64; 2],
    /// Fewest frames.
    pub frames: u64,
    /// Least bits a second of the picture.
    pub bit_rate: u64,
    /// Most scene cuts.
    pub cuts: usize,
    /// Most people.
    pub faces: usize,
    /// Least share of frames with the face.
    pub presence: f64,
    /// Least distance between the eyes, pixels.
    pub eyes: f64,
    /// Least sharpness of the mouth: the standard deviation of its Laplacian, in the head crop, 0..255.
    pub sharpness: f64,
    /// Least share of the sound that is speech.
    pub speech: f64,
    /// Least correlation of mouth opening and what the sound encoder reads, at the best offset. The paper asks for
    /// Sync-C of 3 by `SyncNet`.
    pub agreement: f64,
    /// Largest offset of sound and picture, seconds.
    pub offset: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            frame_rate: [24.0, 60.0],
            frames: 121,
            bit_rate: 2_000_000,
            cuts: 0,
            faces: 1,
            presence: 0.95,
            eyes: 40.0,
            sharpness: 3.0,
            speech: 0.3,
            agreement: 0.25,
            offset: 0.04,
        }
    }
}

impl Thresholds {
    /// Reads a TOML file; what it does not name keeps its default.
    ///
    /// # Errors
    /// When it can't be read, has an unknown key, or a value out of range.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let found: Self = toml::from_str(&text).map_err(|error| TrainError::RecipeText {
            origin: path.display().to_string(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        let [low, high] = found.frame_rate;
        let shares = [
            ("presence", found.presence, 0.0, 1.0),
            ("speech", found.speech, 0.0, 1.0),
            ("agreement", found.agreement, -1.0, 1.0),
            ("offset", found.offset, 0.0, 10.0),
            ("eyes", found.eyes, 0.0, 10_000.0),
            ("sharpness", found.sharpness, 0.0, 255.0),
            ("frame_rate", low, 1.0, high.min(1000.0)),
        ];
        for (key, value, least, most) in shares {
            if !(least..=most).contains(&value) {
                return Err(TrainError::RecipeRange {
                    origin: path.display().to_string(),
                    key: key.to_owned(),
                    found: value.to_string(),
                    range: format!("within {least}..{most}"),
                });
            }
        }
        Ok(found)
    }

    /// Decides where a clip falls, by what was measured.
    pub fn judge(&self, mut verdict: Verdict) -> Verdict {
        // These do not depend on bounds.
        if matches!(verdict.failed, Some(Filter::Corrupt | Filter::Duplicate)) {
            return verdict;
        }
        let e = &verdict.examined;
        let [low, high] = self.frame_rate;
        // A rate such as 23.976 counts as the 24 that it stands for.
        let rate_fits = |rate: f64| rate >= low - 0.05 && rate <= high + 0.05;
        let checks: [(Filter, bool, String); 11] = [
            (
                Filter::FrameRate,
                e.rate.is_none_or(rate_fits),
                format!("{:.2} frames a second", e.rate.unwrap_or(0.0)),
            ),
            (
                Filter::Length,
                e.frames.is_none_or(|n| n >= self.frames),
                format!("{} frames", e.frames.unwrap_or(0)),
            ),
            (
                Filter::BitRate,
                e.bit_rate.is_none_or(|n| n >= self.bit_rate),
                format!("{} kbit/s", e.bit_rate.unwrap_or(0) / 1000),
            ),
            (
                Filter::Cuts,
                e.cuts.is_none_or(|n| n <= self.cuts),
                format!("{} scene cuts", e.cuts.unwrap_or(0)),
            ),
            (
                Filter::Faces,
                e.faces.is_none_or(|n| n >= 1 && n <= self.faces),
                format!("{} people", e.faces.unwrap_or(0)),
            ),
            (
                Filter::Presence,
                e.presence.is_none_or(|x| x >= self.presence),
                format!(
                    "a face in {:.0} % of frames",
                    100.0 * e.presence.unwrap_or(0.0)
                ),
            ),
            (
                Filter::Size,
                e.eyes.is_none_or(|x| x >= self.eyes),
                format!("{:.0} pixels between the eyes", e.eyes.unwrap_or(0.0)),
            ),
            (
                Filter::Sharpness,
                e.sharpness.is_none_or(|x| x >= self.sharpness),
                format!("mouth sharpness {:.1}", e.sharpness.unwrap_or(0.0)),
            ),
            (
                Filter::Speech,
                e.speech.is_none_or(|x| x >= self.speech),
                format!(
                    "speech in {:.0} % of the time",
                    100.0 * e.speech.unwrap_or(0.0)
                ),
            ),
            (
                Filter::Agreement,
                e.agreement.is_none_or(|x| x >= self.agreement),
                format!(
                    "mouth and sound correlate {:.2}",
                    e.agreement.unwrap_or(0.0)
                ),
            ),
            (
                Filter::Offset,
                // One frame of measuring is not finer than the bound.
                e.offset.is_none_or(|x| x.abs() <= self.offset + 1e-6),
                format!("sound is off by {:.0} ms", 1000.0 * e.offset.unwrap_or(0.0)),
            ),
        ];
        let fallen = checks.into_iter().find(|(_, holds, _)| !holds);
        (verdict.failed, verdict.reason) = match fallen {
            Some((filter, _, reason)) => (Some(filter), Some(reason)),
            None => (None, None),
        };
        verdict
    }
}
