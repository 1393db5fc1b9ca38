//! A track that is given whole: how `sync` and `dub` begin and end.

use super::render::{Settled, render};
use crate::report::{Report, ReportEdit};
use crate::stages::extras::Along;
use crate::stages::track::{self, Followed};
use crate::stages::{assemble, confined, listen, media_error, output, source::Source};
use crate::watch::Watch;
use crate::{Job, JobKey, Observer, ProjectError, RenderRequest, Stage};
use edit::cuts::Energy;
use edit::{SoundClock, Timeline};
use media::sound::SoundFile;
use std::path::Path;
use units::{FrameIndex, Seconds};

/// A clip and the track that it is to speak.
pub(super) struct Given<'a> {
    request: &'a RenderRequest,
    path: &'a Path,
    pub(super) source: Source,
    pub(super) speech: SoundFile,
    /// The clip's own sound tells who speaks.
    energy: Option<Energy>,
    /// How long the new track is.
    pub(super) length: Seconds,
}

impl<'a> Given<'a> {
    /// Checks the paths and opens clip and track.
    pub(super) fn open(
        request: &'a RenderRequest,
        path: &'a Path,
        watch: &mut Watch<'_>,
    ) -> Result<Self, ProjectError> {
        output::check_clip(&request.clip)?;
        output::check(&request.output, &[&request.clip, path])?;
        watch.begin(Stage::Read, 0);
        let source = Source::open(&request.clip)?;
        source.tell_warnings(watch);
        let speech = SoundFile::open(path, &confined()).map_err(media_error)?;
        let info = speech.info().map_err(media_error)?;
        let length =
            info.rate.start_of(units::SampleIndex(info.samples)) + info.start.max(Seconds::ZERO);
        let energy = source
            .audio
            .as_ref()
            .map(|_| listen::energy(&source.clip))
            .transpose()?;
        watch.end(Stage::Read);
        Ok(Self {
            request,
            path,
            source,
            speech,
            energy,
            length,
        })
    }

    /// Faces and scene cuts of the whole clip: every mouth is made anew.
    pub(super) fn follow(&self, watch: &mut Watch<'_>) -> Result<Followed, ProjectError> {
        let whole = FrameIndex::ZERO..FrameIndex(self.source.video.frames);
        track::follow(&self.source, &[whole], watch)
    }

    /// The clip's sound; for a clip without, a track of no samples at the new track's rate.
    pub(super) fn sound_clock(&self) -> Result<SoundClock, ProjectError> {
        let info = self.speech.info().map_err(media_error)?;
        Ok(self.source.sound_clock().unwrap_or(SoundClock {
            rate: info.rate,
            samples: 0,
            start: Seconds::ZERO,
        }))
    }

    /// Renders a timeline under the new track. `settings` is what the result depends on beyond clip, track and
    /// request.
    pub(super) fn render(
        self,
        pipeline: &str,
        settings: &[u8],
        timeline: &Timeline,
        edits: Vec<ReportEdit>,
        followed: Followed,
        along: Along,
        watch: &mut Watch<'_>,
    ) -> Result<Report, ProjectError> {
        let mut key = JobKey::new();
        key.add("pipeline", pipeline.as_bytes());
        key.add_request(self.request)?;
        key.add_file("speech", self.path)?;
        key.add("timeline", settings);
        let job = Job::open(&self.request.output, &key, self.request.resume)?;
        let track = job.path("track.wav");
        if !job.has("track.done") {
            assemble::replaced(timeline, &self.speech, &track, watch)?;
            job.write("track.done", b"")?;
        }
        render(
            Settled {
                request: self.request,
                source: &self.source,
                timeline,
                energy: self.energy.as_ref(),
                edits,
                followed,
                along,
                reworded: true,
                track: &track,
                needs_face: true,
                job,
            },
            watch,
        )
    }
}
