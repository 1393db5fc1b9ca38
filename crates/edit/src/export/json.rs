//! The plan as JSON, for programs that know `reword`.

use super::{ClipRef, Plan, Row, table};
use crate::edits::MovedCut;
use crate::latents::Snapped;
use crate::{PictureRun, SoundRun};
use serde::Serialize;
use std::ops::Range;
use thiserror::Error;
use units::FrameIndex;

/// The version of the form.
pub const JSON_VERSION: u32 = 1;

/// A plan that can't be written as JSON.
#[derive(Debug, Error)]
#[error("the plan can't be written as JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

#[derive(Serialize)]
struct Form<'a> {
    version: u32,
    clip: &'a ClipRef,
    output: Output,
    edits: Vec<Row>,
    moved_cuts: &'a [MovedCut],
    snapped: &'a [Snapped],
    pictures: Vec<Placed<'a, PictureRun>>,
    sound: Vec<Placed<'a, SoundRun>>,
    lips: &'a [Range<FrameIndex>],
    rerender: &'a [Range<FrameIndex>],
}

#[derive(Serialize)]
struct Output {
    frames: u64,
    seconds: f64,
    samples: u64,
}

/// A run with the output frames or samples it fills, half-open.
#[derive(Serialize)]
struct Placed<'a, Run> {
    out: [u64; 2],
    #[serde(flatten)]
    run: &'a Run,
}

/// The plan as indented JSON.
pub fn json(plan: &Plan<'_>) -> Result<String, JsonError> {
    let timeline = plan.timeline;
    let form = Form {
        version: JSON_VERSION,
        clip: plan.clip,
        output: Output {
            frames: timeline.frames(),
            seconds: timeline.clock.end().0,
            samples: timeline.samples(),
        },
        edits: table(plan),
        moved_cuts: plan.edits.moved(),
        snapped: plan.snapped,
        pictures: timeline
            .picture_runs()
            .map(|(out, run)| Placed {
                out: [out.start.0, out.end.0],
                run,
            })
            .collect(),
        sound: timeline
            .sound_runs()
            .map(|(out, run)| Placed {
                out: [out.start.0, out.end.0],
                run,
            })
            .collect(),
        lips: &timeline.lips,
        rerender: &timeline.rerender,
    };
    Ok(serde_json::to_string_pretty(&form)?)
}
