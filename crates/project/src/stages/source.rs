//! The clip that a job works on, opened and checked, with its clocks.

use super::{media_error, memory};
use crate::observer::as_warning;
use crate::{Observer, ProjectError};
use edit::{FrameClock, SoundClock};
use media::{AudioInfo, Clip, VideoInfo};
use std::path::Path;
use units::Seconds;

/// An open clip with picture and sound.
pub(crate) struct Source {
    /// The file.
    pub(crate) clip: Clip,
    /// Its pictures.
    pub(crate) video: VideoInfo,
    /// Its sound; a clip without can still be given some.
    pub(crate) audio: Option<AudioInfo>,
    /// When its frames are shown.
    pub(crate) clock: FrameClock,
    /// Bytes of its decoded frames that may be kept.
    pub(crate) frame_memory: usize,
}

impl Source {
    /// Opens a clip that has pictures.
    pub(crate) fn open(path: &Path) -> Result<Self, ProjectError> {
        let clip = Clip::open(path, &super::confined()).map_err(media_error)?;
        let info = clip.info();
        let Some(video) = info.video.clone() else {
            return Err(ProjectError::input(format!(
                "{} has no video, only sound",
                path.display()
            ))
            .with_hint("give a video; `--speech` is where sound goes"));
        };
        if video.missing > 0 {
            let there = video.frames;
            return Err(ProjectError::input(format!(
                "{} is cut short: its index promises {} frames, {there} are there",
                path.display(),
                there + video.missing
            ))
            .with_hint(
                "copy or download it again; `ffmpeg -i CLIP -c copy FIXED.mp4` saves what is there",
            ));
        }
        let audio = info.audio.clone();
        let starts = video.times.starts().collect();
        let clock = FrameClock::new(starts, video.times.end(), video.rate).map_err(|error| {
            ProjectError::input(format!(
                "the frame times of {} make no sense: {error}",
                path.display()
            ))
        })?;
        Ok(Self {
            clip,
            video,
            audio,
            clock,
            frame_memory: memory::FRAMES,
        })
    }

    /// The same clip for a job that may use so many bytes in all; an error where they are too few.
    pub(crate) fn within(mut self, memory: Option<u64>) -> Result<Self, ProjectError> {
        self.frame_memory = memory::plan(memory, &self.video)?;
        Ok(self)
    }

    /// Says what is odd in the file.
    pub(crate) fn tell_warnings(&self, observer: &mut dyn Observer) {
        for warning in &self.clip.info().warnings {
            observer.warn(&as_warning(warning));
        }
    }

    /// The sound, or a sentence about its absence.
    pub(crate) fn sound(&self) -> Result<&AudioInfo, ProjectError> {
        self.audio.as_ref().ok_or_else(|| {
            ProjectError::input(format!(
                "{} has no sound, so there is nothing to edit by",
                self.path().display()
            ))
            .with_hint("`reword sync` gives a silent clip a track: reword sync CLIP --speech FILE")
        })
    }

    /// The sound on the frame clock's time axis.
    pub(crate) fn sound_clock(&self) -> Option<SoundClock> {
        self.audio.as_ref().map(|audio| SoundClock {
            rate: audio.rate,
            samples: audio.samples,
            start: audio.start,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.clip.info().path
    }

    /// Its length: that of the longer of picture and sound.
    pub(crate) fn duration(&self) -> Seconds {
        self.clock.end()
    }
}
