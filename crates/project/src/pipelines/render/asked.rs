//! What a job asks of a model that makes whole pictures.

use crate::report::ReportModel;
use crate::stages::heads::Heads;
use crate::stages::listen::MelFile;
use crate::stages::pictures::Pictures;
use crate::stages::source::Source;
use crate::stages::video::regions::{self, Regions};
use crate::stages::video::{self, fill, fill::Fills};
use crate::watch::Watch;
use crate::{Job, Observer, ProjectError, RenderRequest, VideoRequest};
use edit::{PictureRun, Timeline};
use media::Clip;
use methods::ltx_video::{Made, PartsConfig};
use speech::mel::MelConfig;
use std::ops::Range;
use units::FrameIndex;

/// What a video model is asked for.
pub(super) struct Asked<'a> {
    pub(super) video: &'a VideoRequest,
    pub(super) request: &'a RenderRequest,
    pub(super) source: &'a Source,
    pub(super) timeline: &'a Timeline,
    pub(super) pictures: &'a Pictures,
    pub(super) heads: &'a Heads,
    pub(super) lips: &'a [Range<FrameIndex>],
    pub(super) retimed: bool,
    /// What is heard; nothing in a clip without sound.
    pub(super) sound: Option<&'a Clip>,
    pub(super) shots: &'a [FrameIndex],
}

impl Asked<'_> {
    /// Has the model make what is not recorded and, where it hears, what must follow new words.
    pub(super) fn fills(
        &self,
        job: &Job,
        observer: &mut Watch<'_>,
    ) -> Result<(Fills, Option<ReportModel>), ProjectError> {
        let regions = self.regions()?;
        if regions.is_none() && self.timeline.pictures.iter().any(is_new_speech) {
            observer.warn(&format!(
                "{} does not hear: the mouth in the new pictures does not follow the new words",
                self.video.files.name
            ));
        }
        let made = regions::made_of(self.timeline, self.pictures, regions.as_ref());
        if made.iter().all(|made| *made == Made::Nothing) {
            return Ok((Fills::none(), None));
        }
        if self.timeline.rerender.is_empty() {
            video::check_region(self.video, self.request.region)?;
        }
        let video = video::load(self.video, self.request, &self.source.video, observer)?;
        let sound = match (video.hears(), self.sound) {
            (Some(true), Some(sound)) => Some(MelFile::write_as(
                MelConfig::WHISPER,
                sound,
                &job.path("mel"),
            )?),
            (Some(false), Some(sound)) => Some(MelFile::write(sound, &job.path("mel"))?),
            (Some(_), None) => {
                return Err(ProjectError::input(format!(
                    "{} has no sound that the new pictures could follow",
                    self.source.path().display()
                ))
                .with_hint("leave --adapter out: the base model makes pictures without sound"));
            }
            (None, _) => None,
        };
        let wanted = fill::Wanted {
            made: &made,
            regions: regions.as_ref(),
            sound: sound.as_ref(),
            shots: self.shots,
        };
        let fills = fill::make(
            &video,
            self.request,
            self.source,
            self.pictures,
            &wanted,
            job,
            observer,
        )?;
        let model = ReportModel {
            name: video.name,
            sha256: video.sha256,
            steps: video.preset.first.schedule.steps() as u32,
        };
        Ok((fills, Some(model)))
    }

    /// Regions that follow new words, for a model that hears, and those that are rendered anew, for any.
    fn regions(&self) -> Result<Option<Regions<'_>>, ProjectError> {
        let info = &self.source.video;
        let hears = video::mask_margin(self.video)?;
        if hears.is_none() && self.timeline.rerender.is_empty() {
            return Ok(None);
        }
        Ok(Some(Regions {
            region: self.request.region,
            lips: if hears.is_some() { self.lips } else { &[] },
            anew: &self.timeline.rerender,
            heads: self.heads,
            retimed: self.retimed,
            size: (info.height as usize, info.width as usize),
            margin: hears.unwrap_or(PartsConfig::default().mask_margin),
        }))
    }
}

fn is_new_speech(run: &PictureRun) -> bool {
    matches!(
        run,
        PictureRun::Bed {
            insertion: Some(_),
            ..
        } | PictureRun::Seam {
            insertion: Some(_),
            ..
        }
    )
}
