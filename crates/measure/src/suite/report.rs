//! What a suite found: one line a system, every clip behind it.

use super::benchmark::Gone;
use super::config::SystemKind;
use crate::metric::{Metric, Score};
use crate::pair::PairReport;
use crate::statistics::{Interval, bootstrap};
use crate::table::{Table, heading, number};
use serde::Serialize;
use std::path::PathBuf;

/// One clip of one system.
#[derive(Clone, Debug, Serialize)]
pub struct ClipResult {
    /// The clip's name.
    pub clip: String,
    /// Why it counts as failed; `None` for a success.
    pub failure: Option<String>,
    /// What was measured; `None` where there was nothing to measure.
    pub report: Option<PairReport>,
}

/// One metric of one system.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The metric's name.
    pub metric: &'static str,
    /// Mean over clips with its 95 % bootstrap interval; distances of sets have no interval.
    pub value: Option<Interval>,
    /// Clips with a number (for distances of sets: 1).
    pub clips: usize,
    /// The commonest reason why there is none.
    pub reason: Option<String>,
}

/// One system.
#[derive(Clone, Debug, Serialize)]
pub struct SystemReport {
    /// Its name.
    pub name: String,
    /// Where its clips come from.
    pub kind: SystemKind,
    /// One entry a clip, in the suite's order.
    pub clips: Vec<ClipResult>,
    /// One entry a metric.
    pub cells: Vec<Cell>,
    /// Clips that succeeded.
    pub successes: usize,
    /// Their share with its 95 % bootstrap interval.
    pub success: Option<Interval>,
}

/// The whole suite.
#[derive(Clone, Debug, Serialize)]
pub struct SuiteReport {
    /// The version of this format.
    pub version: u32,
    /// The program's version.
    pub program: String,
    /// The title.
    pub title: String,
    /// The seed of the bootstrap.
    pub seed: u64,
    /// Metrics in order.
    pub metrics: Vec<&'static str>,
    /// Systems in order.
    pub systems: Vec<SystemReport>,
    /// Clips that the benchmark's list has and the folder does not.
    pub gone: Vec<Gone>,
    /// Files of the networks that ran, and what is missing.
    pub notes: Vec<String>,
    /// Where the plots and pictures lie.
    pub files: Vec<PathBuf>,
}

/// Metrics that are distances of whole sets.
pub(super) const SET_METRICS: [&str; 3] = ["fid", "fvd", "fvd-debiased"];

impl SystemReport {
    /// Puts the clips of a system together; `sets` are the scores of whole sets.
    pub(super) fn new(
        name: String,
        kind: SystemKind,
        clips: Vec<ClipResult>,
        metrics: &[&'static Metric],
        sets: &[Score],
        seed: u64,
    ) -> Self {
        let cells = metrics
            .iter()
            .map(|metric| {
                if let Some(score) = sets.iter().find(|score| score.metric == metric.name) {
                    return Cell {
                        metric: metric.name,
                        value: score.value.map(Interval::alone),
                        clips: usize::from(score.value.is_some()),
                        reason: score.reason.clone(),
                    };
                }
                let scores: Vec<&Score> = clips
                    .iter()
                    .filter_map(|clip| clip.report.as_ref())
                    .flat_map(|report| &report.scores)
                    .filter(|score| score.metric == metric.name)
                    .collect();
                let values: Vec<f64> = scores.iter().filter_map(|score| score.value).collect();
                Cell {
                    metric: metric.name,
                    value: bootstrap(&values, seed),
                    clips: values.len(),
                    reason: scores.iter().find_map(|score| score.reason.clone()),
                }
            })
            .collect();
        let wins: Vec<f64> = clips
            .iter()
            .map(|clip| f64::from(u8::from(clip.failure.is_none())))
            .collect();
        Self {
            name,
            kind,
            success: bootstrap(&wins, seed),
            successes: clips.iter().filter(|clip| clip.failure.is_none()).count(),
            clips,
            cells,
        }
    }

    /// The share of clips that succeeded, for a table.
    fn share(&self) -> String {
        let share = self.successes as f64 / self.clips.len().max(1) as f64;
        let counts = format!(
            "{:.1} % ({}/{}",
            100.0 * share,
            self.successes,
            self.clips.len()
        );
        match self.success {
            Some(Interval {
                low: Some(low),
                high: Some(high),
                ..
            }) => format!("{counts}) [{:.0}, {:.0}]", 100.0 * low, 100.0 * high),
            _ => format!("{counts})"),
        }
    }
}

impl SuiteReport {
    fn metric(name: &str) -> Option<&'static Metric> {
        crate::metric::find(name).ok()
    }

    /// Metrics for which at least one system has a number.
    fn filled(&self) -> Vec<usize> {
        (0..self.metrics.len())
            .filter(|index| {
                self.systems.iter().any(|system| {
                    system
                        .cells
                        .get(*index)
                        .is_some_and(|cell| cell.value.is_some())
                })
            })
            .collect()
    }

    /// One line a system: success, then every metric that has numbers, `mean [low, high]`.
    pub fn table(&self) -> Table {
        let filled = self.filled();
        let mut heads = vec!["system".to_owned(), "success ↑".to_owned()];
        heads.extend(
            filled
                .iter()
                .filter_map(|index| Some(heading(Self::metric(self.metrics.get(*index)?)?))),
        );
        let rows = self
            .systems
            .iter()
            .map(|system| {
                let mut row = vec![system.name.clone(), system.share()];
                row.extend(filled.iter().filter_map(|index| {
                    Some(cell_text(system.cells.get(*index)?, system.clips.len()))
                }));
                row
            })
            .collect();
        Table {
            heads,
            rows,
            notes: self.notes_of_table(&filled),
        }
    }

    fn notes_of_table(&self, filled: &[usize]) -> Vec<String> {
        let mut notes = vec![format!(
            "means over clips with 95 % bootstrap intervals ({} resamples, seed {}), none of a single clip; `n=` where fewer clips than all have a number",
            crate::statistics::RESAMPLES,
            self.seed
        )];
        let left: Vec<&str> = self
            .metrics
            .iter()
            .enumerate()
            .filter(|(index, _)| !filled.contains(index))
            .map(|(_, name)| *name)
            .collect();
        if !left.is_empty() {
            notes.push(format!("without a number: {}", left.join(", ")));
        }
        for system in &self.systems {
            for clip in &system.clips {
                if let Some(failure) = &clip.failure {
                    notes.push(format!(
                        "failed: {} on {}: {failure}",
                        system.name, clip.clip
                    ));
                }
                if let Some(copy) = clip.report.as_ref().and_then(|report| report.copy)
                    && matches!(system.kind, SystemKind::Files | SystemKind::Reword)
                {
                    notes.push(format!("{} on {}: {copy}", system.name, clip.clip));
                }
            }
        }
        if !self.gone.is_empty() {
            let names: Vec<&str> = self.gone.iter().map(|gone| gone.name.as_str()).collect();
            notes.push(format!("gone: {} clips: {}", names.len(), names.join(", ")));
        }
        notes.extend(self.notes.iter().cloned());
        notes
    }

    /// One line a system and metric, machine-readable: mean, low, high, clips.
    pub fn long_table(&self) -> Table {
        let heads = ["system", "metric", "mean", "low", "high", "clips"];
        let mut rows = Vec::new();
        for system in &self.systems {
            let line = |metric: &str, value: Option<Interval>, clips: usize| {
                let text = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
                vec![
                    system.name.clone(),
                    metric.to_owned(),
                    text(value.map(|v| v.mean)),
                    text(value.and_then(|v| v.low)),
                    text(value.and_then(|v| v.high)),
                    clips.to_string(),
                ]
            };
            rows.push(line("success", system.success, system.clips.len()));
            for cell in &system.cells {
                rows.push(line(cell.metric, cell.value, cell.clips));
            }
        }
        Table {
            heads: heads.map(str::to_owned).to_vec(),
            rows,
            notes: Vec::new(),
        }
    }

    /// One line a system and clip: every metric's number, and why it failed.
    pub fn clip_table(&self) -> Table {
        let mut heads = vec!["system".to_owned(), "clip".to_owned()];
        heads.extend(self.metrics.iter().map(|name| (*name).to_owned()));
        heads.push("reason".to_owned());
        let mut rows = Vec::new();
        for system in &self.systems {
            for clip in &system.clips {
                let mut row = vec![system.name.clone(), clip.clip.clone()];
                for metric in &self.metrics {
                    let value = clip.report.as_ref().and_then(|report| report.value(metric));
                    row.push(value.map(|value| value.to_string()).unwrap_or_default());
                }
                row.push(clip.failure.clone().unwrap_or_default());
                rows.push(row);
            }
        }
        Table {
            heads,
            rows,
            notes: Vec::new(),
        }
    }
}

fn cell_text(cell: &Cell, clips: usize) -> String {
    let Some(value) = cell.value else {
        return "–".to_owned();
    };
    let mean = number(value.mean);
    if SET_METRICS.contains(&cell.metric) {
        return mean;
    }
    let few = (cell.clips < clips).then(|| format!("n={}", cell.clips));
    let bounds = value.low.zip(value.high);
    let bounds = bounds.map(|(low, high)| format!("{}, {}", number(low), number(high)));
    let beside: Vec<String> = bounds.into_iter().chain(few).collect();
    if beside.is_empty() {
        mean
    } else {
        format!("{mean} [{}]", beside.join(", "))
    }
}
