//! Jobs: the pipelines `edit`, `sync` and `dub`, each one file, with resume, progress and a report.
//!
//! A pipeline wires the other crates together in the order in which a clip flows: read, align, plan, speak,
//! track, generate, render. What it finishes is kept in a job folder beside the output until the output stands.

mod error;
mod job;
mod observer;
mod report;

pub use error::{FailureClass, ProjectError};
pub use job::{Job, JobKey};
pub use observer::{Observer, Silent, Stage};
pub use report::{
    Report, ReportEdit, ReportInput, ReportModel, ReportOutput, ReportSpan, SpanKind, peak_memory_bytes,
};
