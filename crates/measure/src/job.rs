//! What the report of the job that made a clip says: where its seams are, how long it took, how much memory.

use crate::MeasureError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A job's report (`--report`), as far as measuring needs it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct JobReport {
    output: Output,
    #[serde(default)]
    spans: Vec<Span>,
    #[serde(default)]
    timings: BTreeMap<String, f64>,
    #[serde(default)]
    peak_memory_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Output {
    frames: u64,
    seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Span {
    out: [u64; 2],
    source: Option<[u64; 2]>,
}

impl JobReport {
    /// Reads a report.
    ///
    /// # Errors
    /// When the file can't be read or is no report.
    pub fn read(path: &Path) -> Result<Self, MeasureError> {
        let text = std::fs::read_to_string(path).map_err(MeasureError::files("read", path))?;
        serde_json::from_str(&text).map_err(|error| MeasureError::text(path, &error))
    }

    /// First output frames after each place where the source does not go on: removals, insertions and their ends.
    pub fn seams(&self) -> Vec<u64> {
        self.spans
            .iter()
            .zip(self.spans.iter().skip(1))
            .filter(|(before, after)| match (before.source, after.source) {
                (Some([_, end]), Some([start, _])) => end != start,
                _ => true,
            })
            .map(|(_, after)| after.out[0])
            .filter(|frame| *frame > 0 && *frame < self.output.frames)
            .collect()
    }

    /// Seconds of work for a second of output; `None` for an output without length.
    pub fn seconds_per_second(&self) -> Option<f64> {
        let total: f64 = self.timings.values().sum();
        (self.output.seconds > 0.0 && !self.timings.is_empty()).then(|| total / self.output.seconds)
    }

    /// The largest amount of memory in use, MiB; `None` where the report does not say.
    pub fn peak_memory(&self) -> Option<f64> {
        (self.peak_memory_bytes > 0).then(|| self.peak_memory_bytes as f64 / f64::from(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::JobReport;

    #[test]
    fn seams_are_where_the_source_jumps() {
        let report: JobReport = serde_json::from_str(
            r#"{"version": 1, "output": {"path": "a.mp4", "frames": 100, "seconds": 4.0, "fps": 25.0},
                "spans": [{"kind": "copied", "out": [0, 20], "source": [0, 20]},
                          {"kind": "lipsynced", "out": [20, 30], "source": [20, 30]},
                          {"kind": "reencoded", "out": [30, 50], "source": [45, 65]},
                          {"kind": "generated", "out": [50, 60], "source": null},
                          {"kind": "copied", "out": [60, 100], "source": [65, 105]}],
                "timings": {"track": 1.5, "lips": 6.5}, "peak_memory_bytes": 1048576}"#,
        )
        .unwrap();
        assert_eq!(report.seams(), [30, 50, 60]);
        assert_eq!(report.seconds_per_second(), Some(2.0));
        assert_eq!(report.peak_memory(), Some(1.0));
    }
}
