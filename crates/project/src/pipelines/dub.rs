//! `dub`: a new track of another length; the pictures are retimed on whole frames, then every mouth follows.

use super::plan::timeline_error;
use super::render::{Settled, render};
use crate::report::{Report, ReportEdit};
use crate::stages::{assemble, confined, listen, media_error, output, source::Source};
use crate::watch::Watch;
use crate::{Job, JobKey, Observer, ProjectError, RenderRequest, Stage};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditList, SoundClock, Timeline, Transcript};
use media::sound::SoundFile;
use std::path::Path;
use units::Seconds;

/// Gives a clip a new track of another length.
pub fn dub(
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
    let energy = source
        .audio
        .as_ref()
        .map(|_| listen::energy(&source.clip))
        .transpose()?;
    watch.end(Stage::Read);
    let length =
        Seconds(info.samples as f64 / f64::from(info.rate.hertz())) + info.start.max(Seconds::ZERO);
    let none =
        Transcript::new(None, Vec::new()).map_err(|error| ProjectError::fault("plan", error))?;
    let edits = EditList::retime(&none, source.duration(), length)
        .map_err(|error| ProjectError::input(format!("{}: {error}", speech.display())))?;
    let rate = source.audio.as_ref().map_or(info.rate, |audio| audio.rate);
    let clock = source.sound_clock().unwrap_or(SoundClock {
        rate,
        samples: 0,
        start: Seconds::ZERO,
    });
    let mut timeline = Timeline::plan(&TimelineInput {
        edits: &edits,
        clock: &source.clock,
        sound: Some(clock),
        speech: &[length],
        protect: &[],
        shots: &[],
        pose: None,
        config: &TimelineConfig::default(),
    })
    .map_err(timeline_error)?;
    timeline.lips = vec![units::FrameIndex::ZERO..units::FrameIndex(timeline.frames())];
    let change = length.0 / source.duration().0.max(1e-9);
    if !(0.6..=1.7).contains(&change) {
        watch.warn(&format!(
            "the new track is {change:.2} times as long as the clip; movements will look unnatural"
        ));
    }
    let mut key = JobKey::new();
    key.add("pipeline", b"dub");
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
        edits: vec![ReportEdit {
            kind: "retime".to_owned(),
            old: None,
            new: None,
            source: [0.0, source.duration().0],
            output: [0.0, timeline.clock.end().0],
        }],
        track: &track,
        needs_face: true,
        job,
    };
    render(settled, &mut watch)
}
