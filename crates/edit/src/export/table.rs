//! The plan as rows for a person; whoever prints them draws the lines.

use super::Plan;
use crate::EditKind;
use serde::Serialize;
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// One edit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What happens.
    pub kind: EditKind,
    /// Where in the clip.
    pub source: Range<Seconds>,
    /// Where in the output.
    pub output: Range<Seconds>,
    /// The same in output frames.
    pub frames: Range<FrameIndex>,
    /// The recorded words there.
    pub words: String,
    /// What is said instead, where anything is.
    pub says: Option<String>,
    /// Who asked for it; empty for kept stretches.
    pub origin: String,
}

/// A row for every edit, kept stretches included, in order.
pub fn table(plan: &Plan<'_>) -> Vec<Row> {
    let mut insertion = 0;
    let placed = plan.timeline.edits.iter();
    placed
        .filter_map(|placed| {
            let edit = plan.edits.edits().get(placed.edit)?;
            let says = edit.speech.as_ref().map(|_| {
                insertion += 1;
                plan.label(insertion - 1)
            });
            Some(Row {
                kind: edit.kind,
                source: edit.source.clone(),
                output: placed.time.clone(),
                frames: placed.frames.clone(),
                words: plan.transcript.text(edit.words.clone()),
                says,
                origin: edit.origin.clone(),
            })
        })
        .collect()
}
