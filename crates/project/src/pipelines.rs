//! The pipelines, one file each.

mod dub;
mod edit;
mod given;
mod plan;
mod render;
mod rerender;
mod spans;
mod sync;

pub use dub::dub;
pub use edit::edit;
pub use plan::{EditPlan, PlanFor, PlanFormat, align, format_transcript, plan};
pub use rerender::rerender;
pub use sync::sync;
