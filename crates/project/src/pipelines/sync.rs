//! `sync`: a new track of the same length; every mouth follows it.
//!
//! The clip keeps its length: shorter speech is followed by room tone, longer speech is cut with a warning. With
//! `--from` or `--to`, the new track is heard in that part only, at its own place, and the rest stays as recorded.

use super::given::Given;
use super::plan::timeline_error;
use crate::report::{Report, ReportEdit};
use crate::stages::extras::Along;
use crate::watch::Watch;
use crate::{Observer, ProjectError, RenderRequest};
use edit::Timeline;
use std::ops::Range;
use std::path::Path;
use units::Seconds;

/// Lip-syncs a clip to a new track.
pub fn sync(
    request: &RenderRequest,
    speech: &Path,
    observer: &mut dyn Observer,
) -> Result<Report, ProjectError> {
    let mut watch = Watch::new(observer);
    let given = Given::open(request, speech, &mut watch)?;
    let followed = given.follow(&mut watch)?;
    let along = Along::unmoved(&given.source);
    let (clock, sound) = (&given.source.clock, given.sound_clock()?);
    let Some(part) = part(request, &given)? else {
        let timeline = Timeline::sync(clock, sound, given.length).map_err(timeline_error)?;
        return given.render(
            "sync",
            b"",
            &timeline,
            Vec::new(),
            followed,
            along,
            &mut watch,
        );
    };
    let timeline = Timeline::sync_part(clock, sound, &part);
    let edit = ReportEdit {
        kind: "sync".to_owned(),
        old: None,
        new: None,
        source: [part.start.0, part.end.0],
        output: [part.start.0, part.end.0],
    };
    let new = given.speech_in(&part)?;
    given.render_part(&timeline, new, vec![edit], followed, along, &mut watch)
}

/// The part that `--from` and `--to` ask for.
fn part(
    request: &RenderRequest,
    given: &Given<'_>,
) -> Result<Option<Range<Seconds>>, ProjectError> {
    if request.from.is_none() && request.to.is_none() {
        return Ok(None);
    }
    let end = given.source.duration();
    let from = request.from.unwrap_or(Seconds::ZERO);
    let to = request.to.unwrap_or(end).min(end);
    if from >= to {
        return Err(ProjectError::usage(format!(
            "--from {:.2} lies beyond the clip's end at {end:.2}",
            from.0
        )));
    }
    given.source.sound()?;
    Ok(Some(from..to))
}
