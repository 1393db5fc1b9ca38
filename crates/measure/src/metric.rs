//! The metrics by name: what each is, which way is better, what it needs.

mod table;

pub use table::METRICS;

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
    /// Something that the caller names: cuts, words, a report, a program.
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
