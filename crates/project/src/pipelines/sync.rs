//! `sync`: a new track of the same length; every mouth follows it.
//!
//! The clip keeps its length: shorter speech is followed by room tone, longer speech is cut with a warning.

use super::plan::timeline_error;
use super::render::{Settled, render};
use crate::report::Report;
use crate::stages::{assemble, confined, listen, media_error, output, source::Source};
use crate::watch::Watch;
use crate::{Job, JobKey, Observer, ProjectError, RenderRequest, Stage};
use edit::{SoundClock, Timeline};
use media::sound::SoundFile;
use std::path::Path;
use units::Seconds;

/// Lip-syncs a clip to a new track.
pub fn sync(
    request: &RenderRequest,
    speech: &Path,
    observer: &mut dyn Observer,
) -> Result<Report, ProjectError> {
    let mut watch = Watch::new(observer);
    output::check_clip(&request.clip)?;
    output::check(&request.output, &[&request.clip, speech])?;
    watch.begin(Stage::Read, 0);
    let source = Source::open(&request.clip)?;
    let sound = SoundFile::open(speech, &confined()).map_err(media_error)?;
    let info = sound.info().map_err(media_error)?.clone();
    // The new track's own sound tells who speaks only when it is the clip's; the clip's own tells it best.
    let energy = source
        .audio
        .as_ref()
        .map(|_| listen::energy(&source.clip))
        .transpose()?;
    watch.end(Stage::Read);
    let rate = source.audio.as_ref().map_or(info.rate, |audio| audio.rate);
    let clock = source.sound_clock().unwrap_or(SoundClock {
        rate,
        samples: 0,
        start: Seconds::ZERO,
    });
    let length =
        Seconds(info.samples as f64 / f64::from(info.rate.hertz())) + info.start.max(Seconds::ZERO);
    let timeline = Timeline::sync(&source.clock, clock, length).map_err(timeline_error)?;
    let excess = length - source.duration();
    if excess > source.video.rate.frame_duration() {
        watch.warn(&format!(
            "{} is {excess:.2} longer than the clip; its end is cut; `reword dub` retimes the clip instead",
            speech.display()
        ));
    }
    let mut key = JobKey::new();
    key.add("pipeline", b"sync");
    key.add_request(request)?;
    key.add_file("speech", speech)?;
    let job = Job::open(&request.output, &key, request.resume)?;
    let track = job.path("track.wav");
    if !job.has("track.done") {
        assemble::replaced(&timeline, &sound, &track, &mut watch)?;
        job.write("track.done", b"")?;
    }
    let settled = Settled {
        request,
        source: &source,
        timeline: &timeline,
        energy: energy.as_ref(),
        edits: Vec::new(),
        track: &track,
        needs_face: true,
        job,
    };
    render(settled, &mut watch)
}
