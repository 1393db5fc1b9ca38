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
use media::sound::{MonoReader, SoundFile};
use speech::wave::Wave;
use std::ops::Range;
use std::path::Path;
use units::{FrameIndex, SampleIndex, Seconds};

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
        if let Some(video) = request.fills() {
            return Err(ProjectError::usage(format!(
                "{} makes pictures from pictures and does not hear, so no mouth could follow the track",
                video.files.name
            ))
            .with_hint("leave --model out: `tiny` makes mouths; or give EditYourself's parts for it with --adapter"));
        }
        output::check_clip(&request.clip)?;
        output::check(&request.output, &[&request.clip, path])?;
        watch.begin(Stage::Read, 0);
        let source = Source::open(&request.clip)?.within(request.memory)?;
        source.tell_warnings(watch);
        let speech = SoundFile::open(path, &confined()).map_err(media_error)?;
        let info = speech.info().map_err(media_error)?;
        let length = info.rate.start_of(SampleIndex(info.samples)) + info.start.max(Seconds::ZERO);
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

    /// The track's file.
    pub(super) const fn track(&self) -> &Path {
        self.path
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

    /// The new track between two moments of the clip, at the clip's rate; silent where it has ended.
    pub(super) fn speech_in(&self, part: &Range<Seconds>) -> Result<Wave, ProjectError> {
        let rate = self.source.sound()?.rate;
        let info = self.speech.info().map_err(media_error)?;
        let sample = |time: Seconds| {
            let at = info.rate.nearest((time - info.start).max(Seconds::ZERO));
            SampleIndex(at.0.min(info.samples))
        };
        let range = sample(part.start)..sample(part.end);
        let mut reader =
            MonoReader::of_range(self.speech.clip(), range, rate).map_err(media_error)?;
        let late = (info.start - part.start).max(Seconds::ZERO);
        let mut samples = vec![0.0; rate.samples_in(late) as usize];
        while let Some(block) = reader.next_block().map_err(media_error)? {
            samples.extend_from_slice(&block);
        }
        samples.resize(rate.samples_in(part.end - part.start) as usize, 0.0);
        Ok(Wave { rate, samples })
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
        let job = self.job(pipeline, settings)?;
        let track = job.path("track.wav");
        if !job.has("track.done") {
            assemble::replaced(timeline, &self.speech, &track, watch)?;
            job.write("track.done", b"")?;
        }
        let retimed = pipeline == "dub";
        self.settle(job, timeline, edits, followed, along, retimed, watch)
    }

    /// Renders a timeline whose only new speech is `speech`, laid into the clip's own track.
    pub(super) fn render_part(
        self,
        timeline: &Timeline,
        speech: Wave,
        edits: Vec<ReportEdit>,
        followed: Followed,
        along: Along,
        watch: &mut Watch<'_>,
    ) -> Result<Report, ProjectError> {
        let job = self.job("sync", b"part")?;
        let track = job.path("track.wav");
        if !job.has("track.done") {
            assemble::edited(&self.source, timeline, &[speech], &track, watch)?;
            job.write("track.done", b"")?;
        }
        self.settle(job, timeline, edits, followed, along, false, watch)
    }

    fn job(&self, pipeline: &str, settings: &[u8]) -> Result<Job, ProjectError> {
        let mut key = JobKey::new();
        key.add("pipeline", pipeline.as_bytes());
        key.add_request(self.request)?;
        key.add_file("speech", self.path)?;
        key.add("timeline", settings);
        Job::open(&self.request.output, &key, self.request.resume)
    }

    fn settle(
        self,
        job: Job,
        timeline: &Timeline,
        edits: Vec<ReportEdit>,
        followed: Followed,
        along: Along,
        retimed: bool,
        watch: &mut Watch<'_>,
    ) -> Result<Report, ProjectError> {
        let track = job.path("track.wav");
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
                track: Some(&track),
                keeps_sound: false,
                needs_face: true,
                retimed,
                job,
            },
            watch,
        )
    }
}
