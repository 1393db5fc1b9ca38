//! The timeline: for every output frame and every output sample, where it comes from.
//!
//! Sound leads. It is cut where the cuts fall, to the sample. Pictures follow: every kept run
//! starts at the source frame whose time agrees best with the sound at that place, so that the two
//! never differ by more than half a frame and no error adds up; frames to be made fill what lies
//! between. At the end, the sound is trimmed or padded to the last frame's end.

mod layout;
mod part;
mod retime;
mod seams;
mod sound;

use crate::bed::{BedConfig, PoseDistance, SeamFrame};
use crate::clock::{ClockError, FrameClock, SoundClock};
use crate::edits::EditList;
use crate::transcript::limits;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;
use units::{FrameIndex, SampleIndex, Seconds, TemporalStride};

/// A timeline that can't be planned.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TimelineError {
    /// Not one duration for each insertion.
    #[error(
        "the edit list has {insertions} insertions, but {durations} durations of new speech were given"
    )]
    Durations {
        /// Insertions in the edit list.
        insertions: usize,
        /// Durations given.
        durations: usize,
    },
    /// A duration that is negative, not a number, or beyond [`limits::SECONDS`].
    #[error("new speech {insertion} lasts {seconds} s, which is no duration")]
    Duration {
        /// Which insertion.
        insertion: usize,
        /// Its duration.
        seconds: f64,
    },
    /// New speech for a clip without a sound track's rate.
    #[error("there is new speech, but no sound track to put it in")]
    NoSound,
    /// No picture would be left.
    #[error("the edits leave {seconds:.3}, less than one frame")]
    NothingLeft {
        /// What would be left.
        seconds: Seconds,
    },
    /// Source times that are no clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

/// How a timeline is planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimelineConfig {
    /// Frames each side of a removal that dissolve: one latent of the default model.
    pub seam: u64,
    /// Frames each side of new pictures whose mouth is made too: speech sounds reach over.
    pub lips_margin: u64,
    /// How beds are planned.
    pub bed: BedConfig,
    /// Seams and mouths on whole latents of the recording, for edits that lie between such
    /// ([`crate::latents::snapped`]): frames a latent.
    pub latents: Option<TemporalStride>,
}

impl Default for TimelineConfig {
    fn default() -> Self {
        Self {
            seam: 4,
            lips_margin: 2,
            bed: BedConfig::default(),
            latents: None,
        }
    }
}

impl TimelineConfig {
    /// The defaults for a model of this temporal stride: seams of one latent each side.
    pub fn for_stride(stride: TemporalStride) -> Self {
        Self {
            seam: stride.frames(),
            ..Self::default()
        }
    }

    /// Seams and mouths of whole latents of the recording: one latent each side.
    pub fn for_latents(stride: TemporalStride) -> Self {
        Self {
            lips_margin: stride.frames(),
            latents: Some(stride),
            ..Self::for_stride(stride)
        }
    }
}

/// What a timeline is planned from.
#[derive(Clone, Copy)]
pub struct TimelineInput<'a> {
    /// The edits.
    pub edits: &'a EditList,
    /// When the source frames are shown.
    pub clock: &'a FrameClock,
    /// The source's sound; none for a clip without.
    pub sound: Option<SoundClock>,
    /// How long the new speech of each insertion is, in the order of [`EditList::insertions`],
    /// without its lead and tail. For a silent one, [`crate::edits::NewSpeech::pauses`]; for a
    /// retimed stretch, the length of its new sound.
    pub speech: &'a [Seconds],
    /// Stretches of the source that retiming leaves at their speed (words, when asked for).
    pub protect: &'a [Range<Seconds>],
    /// The first frames of the source's shots after the first one, ascending. Beds and dissolves
    /// stay inside a shot.
    pub shots: &'a [FrameIndex],
    /// How different the pose is in two source frames, where known.
    pub pose: Option<PoseDistance<'a>>,
    /// Settings.
    pub config: &'a TimelineConfig,
}

impl<'a> TimelineInput<'a> {
    /// What is always needed; nothing protected, one shot, poses not known.
    pub fn new(
        edits: &'a EditList,
        clock: &'a FrameClock,
        sound: Option<SoundClock>,
        speech: &'a [Seconds],
        config: &'a TimelineConfig,
    ) -> Self {
        Self {
            edits,
            clock,
            sound,
            speech,
            protect: &[],
            shots: &[],
            pose: None,
            config,
        }
    }

    /// The shot that a source frame belongs to.
    fn shot_of(&self, frame: FrameIndex) -> Range<FrameIndex> {
        let next = self.shots.partition_point(|&first| first <= frame);
        let start = next.checked_sub(1).and_then(|index| self.shots.get(index));
        let end = self.shots.get(next).copied();
        let total = FrameIndex(self.clock.frames());
        start.copied().unwrap_or_default()..end.unwrap_or(total).min(total)
    }
}

/// Output frames in a row that come from the same place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PictureRun {
    /// Source frames as recorded.
    Source {
        /// Which.
        source: Range<FrameIndex>,
    },
    /// Source frames shown out of order, under newly generated lips.
    Bed {
        /// The source frame of each output frame.
        frames: Vec<FrameIndex>,
        /// The insertion that it belongs to.
        insertion: Option<usize>,
    },
    /// Pictures between two source frames.
    Seam {
        /// One entry for each output frame.
        frames: Vec<SeamFrame>,
        /// The insertion that it belongs to; none at a removal.
        insertion: Option<usize>,
    },
}

impl PictureRun {
    /// Output frames.
    pub fn len(&self) -> u64 {
        match self {
            Self::Source { source } => source.end.since(source.start),
            Self::Bed { frames, .. } => frames.len() as u64,
            Self::Seam { frames, .. } => frames.len() as u64,
        }
    }

    /// True without a frame; a timeline has no such run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Output samples in a row that come from the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SoundRun {
    /// Source samples as recorded.
    Source {
        /// Which.
        samples: Range<SampleIndex>,
    },
    /// New speech.
    Speech {
        /// Which insertion.
        insertion: usize,
        /// Its samples, at the source's rate.
        samples: Range<SampleIndex>,
    },
    /// Silence of the recording's room.
    RoomTone {
        /// How much of it.
        samples: u64,
    },
}

impl SoundRun {
    /// Output samples.
    pub fn len(&self) -> u64 {
        match self {
            Self::Source { samples } | Self::Speech { samples, .. } => {
                samples.end.since(samples.start)
            }
            Self::RoomTone { samples } => *samples,
        }
    }

    /// True without a sample; a timeline has no such run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where an edit ended up in the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedEdit {
    /// Its position in [`EditList::edits`].
    pub edit: usize,
    /// Output frames; empty for a removal, at the frame that follows it.
    pub frames: Range<FrameIndex>,
    /// Output time by the sound; empty for a removal.
    pub time: Range<Seconds>,
}

/// Where everything in the output comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Every output frame in order.
    pub pictures: Vec<PictureRun>,
    /// Every output sample in order; empty for a clip without sound.
    pub sound: Vec<SoundRun>,
    /// Output frames whose mouth is to be made anew: ascending, apart from each other.
    pub lips: Vec<Range<FrameIndex>>,
    /// Output frames to be rendered anew in a region: ascending, apart from each other, all of them
    /// in [`PictureRun::Source`].
    pub rerender: Vec<Range<FrameIndex>>,
    /// When every output frame is shown.
    pub clock: FrameClock,
    /// Where the edits ended up, one entry for each edit, kept stretches included.
    pub edits: Vec<PlacedEdit>,
}

impl Timeline {
    /// Plans a timeline.
    pub fn plan(input: &TimelineInput<'_>) -> Result<Self, TimelineError> {
        let mut layout = layout::Layout::new(input)?;
        layout.fill_beds(input);
        layout.finish(input)
    }

    /// The plan of `sync`: the recorded pictures and length, every mouth made anew under new
    /// sound of `speech` seconds. Shorter sound is followed by room tone, longer sound is cut.
    ///
    /// Give the clip's own track (or, without one, a track of no samples at the wanted rate).
    pub fn sync(
        clock: &FrameClock,
        sound: SoundClock,
        speech: Seconds,
    ) -> Result<Self, TimelineError> {
        if !(0.0..=limits::SECONDS).contains(&speech.0) {
            return Err(TimelineError::Duration {
                insertion: 0,
                seconds: speech.0,
            });
        }
        let frames = FrameIndex::ZERO..FrameIndex(clock.frames());
        Ok(Self {
            lips: vec![frames],
            ..Self::recorded(clock, given(clock, sound, speech))
        })
    }

    /// The same pictures, every mouth made anew under new sound of `speech` seconds, which replaces all sound. Shorter
    /// sound is followed by room tone, longer sound is cut.
    #[must_use]
    pub fn under(mut self, sound: SoundClock, speech: Seconds) -> Self {
        self.sound = given(&self.clock, sound, speech);
        self.lips = vec![FrameIndex::ZERO..FrameIndex(self.frames())];
        self
    }

    /// Output frames.
    pub fn frames(&self) -> u64 {
        self.clock.frames()
    }

    /// Output samples of each channel.
    pub fn samples(&self) -> u64 {
        self.sound.iter().map(SoundRun::len).sum()
    }

    /// The picture runs with the output frames they fill.
    pub fn picture_runs(&self) -> impl Iterator<Item = (Range<FrameIndex>, &PictureRun)> {
        let mut next = FrameIndex::ZERO;
        self.pictures.iter().map(move |run| {
            let start = next;
            next += run.len();
            (start..next, run)
        })
    }

    /// The sound runs with the output samples they fill.
    pub fn sound_runs(&self) -> impl Iterator<Item = (Range<SampleIndex>, &SoundRun)> {
        let mut next = SampleIndex::ZERO;
        self.sound.iter().map(move |run| {
            let start = next;
            next += run.len();
            (start..next, run)
        })
    }

    /// The source frame under every output frame; of a seam, the one seen most.
    pub fn source_frames(&self) -> Vec<FrameIndex> {
        let mut frames = Vec::with_capacity(self.clock.starts().len());
        for run in &self.pictures {
            match run {
                PictureRun::Source { source } => {
                    frames.extend((source.start.0..source.end.0).map(FrameIndex));
                }
                PictureRun::Bed { frames: bed, .. } => frames.extend(bed),
                PictureRun::Seam { frames: seam, .. } => frames.extend(
                    seam.iter()
                        .map(|frame| if frame.weight < 0.5 { frame.a } else { frame.b }),
                ),
            }
        }
        frames
    }
}

/// New sound of `speech` seconds under all pictures, and room tone behind it.
fn given(clock: &FrameClock, sound: SoundClock, speech: Seconds) -> Vec<SoundRun> {
    let total = sound.rate.nearest(clock.end()).0;
    let said = sound.rate.samples_in(speech).min(total);
    let mut runs = vec![
        SoundRun::Speech {
            insertion: 0,
            samples: SampleIndex::ZERO..SampleIndex(said),
        },
        SoundRun::RoomTone {
            samples: total - said,
        },
    ];
    runs.retain(|run| !run.is_empty());
    runs
}
