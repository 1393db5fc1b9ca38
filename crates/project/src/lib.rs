//! Jobs: the pipelines `edit`, `sync`, `dub` and `rerender`, each one file, with resume, progress and a report.
//!
//! A pipeline wires the other crates together in the order in which a clip flows: read, align, plan, speak,
//! track, generate, render. What it finishes is kept in a job folder beside the output until the output stands.

mod error;
mod job;
mod observer;
mod openings;
mod pipelines;
mod report;
mod request;
mod stages;
mod video_files;
mod watch;

pub use error::{FailureClass, ProjectError};
pub use job::{Job, JobKey};

pub use observer::{Observer, Silent, Stage};
pub use openings::mouth_openings;
pub use pipelines::{
    EditPlan, PlanFor, PlanFormat, align, dub, edit, format_transcript, plan, rerender, sync,
};
pub use report::{
    Report, ReportEdit, ReportInput, ReportModel, ReportOutput, ReportSpan, SpanKind,
    peak_memory_bytes,
};
pub use request::{
    ChangeRequest, DubRequest, FaceRequest, LoraRequest, PixelBox, Precision, RegionRequest,
    RenderRequest, VideoRequest,
};

pub use video_files::{VideoFiles, video_files};

/// The embedded model's file.
pub fn embedded_model() -> &'static [u8] {
    stages::model::embedded()
}

/// The embedded model's SHA-256.
pub fn embedded_checksum() -> String {
    stages::model::embedded_checksum()
}
