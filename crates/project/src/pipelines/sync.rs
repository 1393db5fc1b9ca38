//! `sync`: a new track of the same length; every mouth follows it.
//!
//! The clip keeps its length: shorter speech is followed by room tone, longer speech is cut with a warning.

use super::given::Given;
use super::plan::timeline_error;
use crate::report::Report;
use crate::stages::extras::Along;
use crate::watch::Watch;
use crate::{Observer, ProjectError, RenderRequest};
use edit::Timeline;
use std::path::Path;

/// Lip-syncs a clip to a new track.
pub fn sync(
    request: &RenderRequest,
    speech: &Path,
    observer: &mut dyn Observer,
) -> Result<Report, ProjectError> {
    let mut watch = Watch::new(observer);
    let given = Given::open(request, speech, &mut watch)?;
    let followed = given.follow(&mut watch)?;
    let timeline = Timeline::sync(&given.source.clock, given.sound_clock()?, given.length)
        .map_err(timeline_error)?;
    let along = Along::unmoved(&given.source);
    given.render(
        "sync",
        b"",
        &timeline,
        Vec::new(),
        followed,
        along,
        &mut watch,
    )
}
