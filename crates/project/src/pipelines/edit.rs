//! `edit`: change what is said; the picture follows.
//!
//! plan → assemble the new track → follow the head where the mouth must change → make mouths → put together → write.

use super::plan::{EditPlan, PlanFor, plan};
use super::render::{Settled, render};
use crate::report::{Report, ReportEdit};
use crate::stages::extras::Along;
use crate::stages::{assemble, output};
use crate::watch::Watch;
use crate::{ChangeRequest, Job, JobKey, Observer, ProjectError, RenderRequest};
use edit::EditKind;
use edit::export::{ClipRef, Plan};

/// Edits a clip.
pub fn edit(
    request: &RenderRequest,
    change: &ChangeRequest,
    observer: &mut dyn Observer,
) -> Result<Report, ProjectError> {
    let mut watch = Watch::new(observer);
    output::check_clip(&request.clip)?;
    output::check(&request.output, &[&request.clip])?;
    let model = PlanFor::of(request);
    let mut planned = plan(&request.clip, change, request.face, model, &mut watch)?;
    planned.source = planned.source.within(request.memory)?;
    let mut key = JobKey::new();
    key.add("pipeline", b"edit");
    key.add_request(request)?;
    key.add(
        "timeline",
        &serde_json::to_vec(&planned.timeline)
            .map_err(|error| ProjectError::fault("plan", error))?,
    );
    for wave in &planned.speech {
        let bytes: Vec<u8> = wave
            .samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        key.add("speech", &bytes);
    }
    let job = Job::open(&request.output, &key, request.resume)?;
    let track = job.path("track.wav");
    if !job.has("track.done") {
        assemble::edited(
            &planned.source,
            &planned.timeline,
            &planned.speech,
            &track,
            &mut watch,
        )?;
        job.write("track.done", b"")?;
    }
    let along = Along::edited(
        &planned.source,
        &planned.edits,
        &planned.timeline,
        &job,
        &mut watch,
    )?;
    render(
        Settled {
            request,
            source: &planned.source,
            timeline: &planned.timeline,
            energy: planned.energy.as_ref(),
            edits: report_edits(&planned),
            followed: planned.followed,
            along,
            reworded: !planned.speech.is_empty(),
            track: Some(&track),
            keeps_sound: false,
            needs_face: false,
            retimed: false,
            job,
        },
        &mut watch,
    )
}

/// The edits as the report tells them; kept stretches are left out.
fn report_edits(planned: &EditPlan) -> Vec<ReportEdit> {
    let clip = ClipRef {
        name: String::new(),
        path: String::new(),
        rate: planned.source.video.rate,
        width: 0,
        height: 0,
        frames: planned.source.video.frames,
        sound: None,
        channels: 0,
    };
    let plan = Plan {
        clip: &clip,
        clock: &planned.source.clock,
        transcript: &planned.transcript,
        edits: &planned.edits,
        timeline: &planned.timeline,
        snapped: &[],
    };
    edit::export::table(&plan)
        .into_iter()
        .filter(|row| row.kind != EditKind::Keep)
        .map(|row| ReportEdit {
            kind: format!("{:?}", row.kind).to_lowercase(),
            old: Some(row.words).filter(|words| !words.is_empty()),
            new: row.says,
            source: [row.source.start.0, row.source.end.0],
            output: [row.output.start.0, row.output.end.0],
        })
        .collect()
}
