//! The report of a job (`--report`), version 1. Frame ranges are half-open.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a job did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this format.
    pub version: u32,
    /// The program's version.
    pub program: String,
    /// What was read.
    pub input: ReportInput,
    /// What was written.
    pub output: ReportOutput,
    /// The model, when one ran.
    pub model: Option<ReportModel>,
    /// The seed of the noise.
    pub seed: u64,
    /// Every edit with its source and output times.
    pub edits: Vec<ReportEdit>,
    /// Every output frame, once.
    pub spans: Vec<ReportSpan>,
    /// Seconds a stage.
    pub timings: BTreeMap<String, f64>,
    /// The largest amount of memory that was in use.
    pub peak_memory_bytes: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// The clip.
#[derive(Clone, Debug, Serialize)]
pub struct ReportInput {
    /// Its path.
    pub path: PathBuf,
    /// Its frames.
    pub frames: u64,
    /// Frames a second, nominal.
    pub fps: f64,
    /// Pixels, as displayed.
    pub width: usize,
    /// Pixels, as displayed.
    pub height: usize,
    /// Its length.
    pub seconds: f64,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct ReportOutput {
    /// Its path.
    pub path: PathBuf,
    /// Its frames.
    pub frames: u64,
    /// Frames a second, nominal.
    pub fps: f64,
    /// Pixels, as displayed.
    pub width: usize,
    /// Pixels, as displayed.
    pub height: usize,
    /// Its length.
    pub seconds: f64,
}

/// The model that ran.
#[derive(Clone, Debug, Serialize)]
pub struct ReportModel {
    /// Its name.
    pub name: String,
    /// The checksum of its weights, SHA-256.
    pub sha256: String,
    /// Denoising steps.
    pub steps: u32,
}

/// One edit.
#[derive(Clone, Debug, Serialize)]
pub struct ReportEdit {
    /// `remove`, `insert`, `replace`, `retime`, …
    pub kind: String,
    /// What was said there.
    pub old: Option<String>,
    /// What is said there now.
    pub new: Option<String>,
    /// Seconds in the clip.
    pub source: [f64; 2],
    /// Seconds in the output.
    pub output: [f64; 2],
}

/// How a run of output frames came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanKind {
    /// Stream-copied: the recorded bits.
    Copied,
    /// The recorded frames, encoded again.
    Reencoded,
    /// New pictures.
    Generated,
    /// Recorded pictures with a new mouth.
    Lipsynced,
}

/// A run of output frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportSpan {
    /// How it came about.
    pub kind: SpanKind,
    /// Its output frames.
    pub out: [u64; 2],
    /// The frames of the clip that it shows.
    pub source: Option<[u64; 2]>,
}

/// The most memory that this process has held, in bytes; 0 where the system does not say.
pub fn peak_memory_bytes() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}
