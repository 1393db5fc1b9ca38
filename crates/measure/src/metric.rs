//! The metrics by name: what each is, which way is better, what it needs.

use crate::MeasureError;
use serde::Serialize;

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
    /// Nearer to zero is better.
    Zero,
}

impl Better {
    /// An arrow for tables.
    pub fn arrow(self) -> &'static str {
        match self {
            Self::Higher => "↑",
            Self::Lower => "↓",
            Self::Zero => "→0",
        }
    }
}

/// A network that a metric can't do without, by the name of its weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but the two clips.
    Nothing,
    /// One of the networks of [`crate::WEIGHT_FILES`].
    Network(&'static str),
    /// Places that the caller names: cuts, words, or a report.
    Places(&'static str),
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in options, tables and JSON.
    pub name: &'static str,
    /// Its unit; empty for pure numbers.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What it needs.
    pub needs: Needs,
    /// One line of what it says; the procedure stands in docs/metrics.md.
    pub about: &'static str,
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    better: Better,
    needs: Needs,
    about: &'static str,
) -> Metric {
    Metric {
        name,
        unit,
        better,
        needs,
        about,
    }
}

use Better::{Higher, Lower, Zero};
use Needs::{Network, Nothing, Places};

/// All metrics, in the order of tables.
pub const METRICS: [Metric; 33] = [
    metric("psnr", "dB", Higher, Nothing, "whole frames, RGB"),
    metric(
        "ssim",
        "",
        Higher,
        Nothing,
        "whole frames, luma, as Wang et al.",
    ),
    metric(
        "ssim-rgb",
        "",
        Higher,
        Nothing,
        "whole frames, mean of red, green and blue",
    ),
    metric(
        "mouth-psnr",
        "dB",
        Higher,
        Nothing,
        "the made box of the head crop",
    ),
    metric(
        "mouth-ssim",
        "",
        Higher,
        Nothing,
        "the made box of the head crop, luma",
    ),
    metric(
        "outside-max",
        "levels",
        Lower,
        Nothing,
        "largest change of a pixel outside the mask",
    ),
    metric(
        "outside-psnr",
        "dB",
        Higher,
        Nothing,
        "pixels outside the mask",
    ),
    metric(
        "edge-flicker",
        "levels",
        Lower,
        Nothing,
        "change in time of the difference along the mask's border",
    ),
    metric(
        "mouth-correlation",
        "",
        Higher,
        Nothing,
        "mouth openings against the reference",
    ),
    metric(
        "lmd",
        "px",
        Lower,
        Nothing,
        "distance of lip landmarks, heads scaled to a crop of 256 px",
    ),
    metric(
        "lip-leak",
        "",
        Lower,
        Nothing,
        "mouth motion in silence over the reference's in speech",
    ),
    metric(
        "face-found",
        "",
        Higher,
        Nothing,
        "share of the reference's faces that are still found",
    ),
    metric(
        "lip-agreement",
        "",
        Higher,
        Nothing,
        "lips and sound by our own scorer (no SyncNet), as they stand",
    ),
    metric(
        "lip-offset",
        "frames",
        Zero,
        Nothing,
        "by how much the sound is late by that scorer, frames of 40 ms",
    ),
    metric(
        "seam-pixels",
        "",
        Lower,
        Places("seams"),
        "brightness step at cuts over the clip's own 95th percentile",
    ),
    metric(
        "seam-flow",
        "",
        Lower,
        Places("seams"),
        "motion step at cuts over the clip's own 95th percentile",
    ),
    metric(
        "seam-pose",
        "",
        Lower,
        Places("seams"),
        "head step at cuts over the clip's own 95th percentile",
    ),
    metric(
        "niqe",
        "",
        Lower,
        Network("niqe"),
        "distance of the made frames' statistics from natural ones",
    ),
    metric(
        "brisque",
        "",
        Lower,
        Network("brisque"),
        "opinion that the made frames' statistics predict",
    ),
    metric(
        "lpips",
        "",
        Lower,
        Network("lpips"),
        "perceptual distance, whole frames",
    ),
    metric(
        "fid",
        "",
        Lower,
        Network("inception"),
        "frames of both clips, clean resize",
    ),
    metric(
        "fvd",
        "",
        Lower,
        Network("i3d"),
        "windows of 16 frames at 224x224",
    ),
    metric(
        "fvd-debiased",
        "",
        Lower,
        Network("videomae"),
        "the same by VideoMAE's features, which hang less on content (CD-FVD)",
    ),
    metric(
        "subject-consistency",
        "",
        Higher,
        Network("dino"),
        "VBench: the made frames' likeness to the first and the one before, by DINO",
    ),
    metric(
        "background-consistency",
        "",
        Higher,
        Network("clip"),
        "VBench: the same by CLIP",
    ),
    metric(
        "csim",
        "",
        Higher,
        Network("face-id"),
        "cosine of face embeddings, frame by frame",
    ),
    metric(
        "identity-drift",
        "/min",
        Zero,
        Network("face-id"),
        "slope of the cosine to the reference's mean face",
    ),
    metric(
        "sync-c",
        "",
        Higher,
        Network("syncnet"),
        "SyncNet's confidence",
    ),
    metric(
        "sync-d",
        "",
        Lower,
        Network("syncnet"),
        "SyncNet's least distance",
    ),
    metric(
        "sync-offset",
        "frames",
        Zero,
        Network("syncnet"),
        "SyncNet's offset, frames of 40 ms",
    ),
    metric(
        "sync-words",
        "",
        Lower,
        Network("syncnet"),
        "SyncNet's distance within the words given",
    ),
    metric(
        "seconds-per-second",
        "",
        Lower,
        Places("report"),
        "time of making a second of output",
    ),
    metric(
        "peak-memory",
        "MiB",
        Lower,
        Places("report"),
        "largest memory in use while making it",
    ),
];

/// A metric by its name.
///
/// # Errors
/// [`MeasureError::NoMetric`].
pub fn find(name: &str) -> Result<&'static Metric, MeasureError> {
    METRICS
        .iter()
        .find(|metric| metric.name == name)
        .ok_or_else(|| MeasureError::NoMetric {
            name: name.to_owned(),
        })
}

/// A metric's value, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The metric's name.
    pub metric: &'static str,
    /// The number, when there is one.
    pub value: Option<f64>,
    /// Why there is none, in one sentence.
    pub reason: Option<String>,
}

impl Score {
    /// A number; one that is not finite is no number.
    pub fn value(metric: &'static str, value: f64) -> Self {
        if value.is_finite() {
            Self {
                metric,
                value: Some(value),
                reason: None,
            }
        } else {
            Self::missing(metric, format!("the result was {value}"))
        }
    }

    /// No number.
    pub fn missing(metric: &'static str, reason: impl Into<String>) -> Self {
        Self {
            metric,
            value: None,
            reason: Some(reason.into()),
        }
    }

    /// A number where there is one, the reason otherwise.
    pub fn of<E: std::fmt::Display>(metric: &'static str, value: Result<f64, E>) -> Self {
        match value {
            Ok(value) => Self::value(metric, value),
            Err(reason) => Self::missing(metric, reason.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{METRICS, Score, find};

    #[test]
    fn names_are_unique_and_found() {
        for metric in &METRICS {
            assert_eq!(find(metric.name).unwrap(), metric);
            assert_eq!(METRICS.iter().filter(|m| m.name == metric.name).count(), 1);
        }
        assert!(find("loudness").is_err());
    }

    #[test]
    fn infinity_is_no_score() {
        let score = Score::value("psnr", f64::INFINITY);
        assert_eq!(score.value, None);
        assert!(score.reason.unwrap().contains("inf"));
    }
}
