//! `plan` and `align`: what `edit` would do, and the words it goes by.
//!
//! read the clip → find the words → place the edits → say the new words (their length decides the timeline) → follow
//! faces where the edits are → lay out the timeline, within scenes and where heads fit each other. `edit` begins with
//! the same steps, in this file.

use crate::stages::track::{self, Followed};
use crate::stages::{change, listen, look, source::Source, speak, words};
use crate::{ChangeRequest, FaceRequest, Observer, ProjectError, RenderRequest, Stage};
use edit::cuts::Energy;
use edit::export::{self, ClipRef, Plan};
use edit::latents::{self, Snapped};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditList, Timeline, TimelineError, Transcript};
use media::Clip;
use methods::ltx_video::Order;
use speech::transcript::Written;
use speech::wave::Wave;
use std::fmt::Write as _;
use std::path::Path;
use units::{Seconds, TemporalStride};

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFormat {
    /// For reading.
    Table,
    /// For programs.
    Json,
    /// `OpenTimelineIO`.
    Otio,
    /// CMX3600.
    Edl,
    /// Final Cut Pro.
    Fcpxml,
}

/// What `edit` would do.
pub struct EditPlan {
    pub(super) source: Source,
    pub(super) transcript: Transcript,
    pub(super) edits: EditList,
    pub(super) speech: Vec<Wave>,
    pub(super) timeline: Timeline,
    pub(super) energy: Option<Energy>,
    pub(super) followed: Followed,
    /// What was moved to whole latents.
    snapped: Vec<Snapped>,
}

/// What an edit is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFor {
    /// A model that makes mouths.
    Mouths,
    /// One that makes whole pictures, whose seams are wider, on frames or on whole latents.
    Pictures(Order),
}

impl PlanFor {
    /// What a job's model makes.
    pub(super) fn of(request: &RenderRequest) -> Self {
        match &request.video {
            None => Self::Mouths,
            Some(video) => Self::Pictures(video.order),
        }
    }

    pub(super) fn config(self) -> TimelineConfig {
        let stride = stride(self != Self::Mouths);
        match self {
            Self::Pictures(Order::Latents) => stride.map(TimelineConfig::for_latents),
            _ => stride.map(TimelineConfig::for_stride),
        }
        .unwrap_or_default()
    }
}

/// Works out what `edit` would do; renders nothing.
pub fn plan(
    clip: &Path,
    change: &ChangeRequest,
    face: FaceRequest,
    model: PlanFor,
    observer: &mut dyn Observer,
) -> Result<EditPlan, ProjectError> {
    let config = model.config();
    observer.begin(Stage::Read, 0);
    let source = Source::open(clip)?;
    source.tell_warnings(observer);
    source.sound()?;
    let energy = Some(listen::energy(&source.clip)?);
    observer.end(Stage::Read);
    let transcript = words::find(change, &source, change::needs_words(change), observer)?;
    observer.begin(Stage::Plan, 0);
    let edits = change::edit_list(change, &transcript, &source, energy.as_ref())?;
    for cut in edits.moved() {
        observer.warn(&format!(
            "{}: the cut at {:.2} was moved to {:.2}, out of a word",
            cut.origin, cut.from, cut.to
        ));
    }
    let mut told = Vec::new();
    let edits = match config.latents {
        None => edits,
        Some(stride) => {
            let (edits, moved) = latents::snapped(&edits, &source.clock, stride, &transcript)
                .map_err(change::edit_error)?;
            told = moved;
            edits
        }
    };
    observer.end(Stage::Plan);
    let rate = source.sound()?.rate;
    let speech = speak::new_speech(change, &edits, transcript.language(), rate, observer)?;
    let durations: Vec<Seconds> = speech.iter().map(Wave::duration).collect();
    let edits = match config.latents {
        None => edits,
        Some(stride) => {
            let (edits, moved) =
                latents::padded(&edits, &durations, &source.clock, stride, &transcript)
                    .map_err(change::edit_error)?;
            told.extend(moved);
            edits
        }
    };
    for snapped in &told {
        observer.warn(&snapped.to_string());
    }
    let runs = look::around(&edits, &source.clock, &durations, &config);
    let followed = track::follow(&source, &runs, observer)?;
    let chosen = followed.choose(&source, face, energy.as_ref())?;
    let pose = |a, b| {
        chosen
            .as_ref()
            .map_or(0.0, |chosen| chosen.pose_distance(a, b))
    };
    let timeline = Timeline::plan(&TimelineInput {
        edits: &edits,
        clock: &source.clock,
        sound: source.sound_clock(),
        speech: &durations,
        protect: &[],
        shots: followed.shots(),
        pose: Some(&pose),
        config: &config,
    })
    .map_err(timeline_error)?;
    Ok(EditPlan {
        source,
        transcript,
        edits,
        speech,
        timeline,
        energy,
        followed,
        snapped: told,
    })
}

/// Frames a latent of the embedded model, or of one that makes whole pictures: what seams are measured in.
fn stride(of_pictures: bool) -> Option<TemporalStride> {
    TemporalStride::new(if of_pictures { 8 } else { 4 }).ok()
}

/// Frames a latent of the model that a job uses.
pub(super) fn stride_of(request: &RenderRequest) -> Option<TemporalStride> {
    stride(request.video.is_some())
}

pub(super) fn timeline_error(error: TimelineError) -> ProjectError {
    match error {
        TimelineError::NothingLeft { .. } => ProjectError::usage(error.to_string()),
        other => ProjectError::fault("plan", other),
    }
}

impl EditPlan {
    /// The plan as text.
    pub fn export(&self, format: PlanFormat) -> Result<String, ProjectError> {
        let video = &self.source.video;
        let path = self.source.path();
        let clip = ClipRef {
            name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            path: path
                .canonicalize()
                .unwrap_or_else(|_| path.to_owned())
                .display()
                .to_string(),
            rate: video.rate,
            width: video.width,
            height: video.height,
            frames: video.frames,
            sound: self.source.sound_clock(),
            channels: self
                .source
                .audio
                .as_ref()
                .map_or(0, |audio| u32::from(audio.channels)),
        };
        let plan = Plan {
            clip: &clip,
            clock: &self.source.clock,
            transcript: &self.transcript,
            edits: &self.edits,
            timeline: &self.timeline,
            snapped: &self.snapped,
        };
        let fault = |error: &dyn std::fmt::Display| ProjectError::fault("plan", error);
        match format {
            PlanFormat::Table => Ok(self.table(&plan)),
            PlanFormat::Json => export::json(&plan).map_err(|error| fault(&error)),
            PlanFormat::Otio => Ok(export::otio(&plan)),
            PlanFormat::Edl => Ok(export::edl(&plan)),
            PlanFormat::Fcpxml => export::fcpxml(&plan).map_err(|error| fault(&error)),
        }
    }

    fn table(&self, plan: &Plan<'_>) -> String {
        let mut text = String::new();
        for row in export::table(plan) {
            let span = |range: &std::ops::Range<Seconds>| {
                format!("{:8.2} – {:8.2}", range.start.0, range.end.0)
            };
            let kind = format!("{:?}", row.kind).to_lowercase();
            let what = match (row.says.as_deref(), row.words.as_str()) {
                (Some(new), "") => format!("+ {new}"),
                (Some(new), old) => format!("{old} → {new}"),
                (None, old) => old.to_owned(),
            };
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "{kind:8} {}  →  {}  {what}",
                span(&row.source),
                span(&row.output)
            );
        }
        for snapped in &self.snapped {
            let _ = writeln!(text, "{snapped}");
        }
        let _ = writeln!(
            text,
            "{} frames, {:.2} s → {} frames, {:.2} s",
            self.source.video.frames,
            self.source.duration().0,
            self.timeline.frames(),
            self.timeline.clock.end().0
        );
        text
    }
}

/// Times of known words in a file with sound.
pub fn align(
    clip: &Path,
    text: &str,
    language: &str,
    observer: &mut dyn Observer,
) -> Result<Transcript, ProjectError> {
    let clip = Clip::open(clip, &crate::stages::confined()).map_err(crate::stages::media_error)?;
    clip.sound().map_err(crate::stages::media_error)?;
    words::align(&clip, text, language, observer)
}

/// A transcript in the format that a file's name asks for.
pub fn format_transcript(transcript: &Transcript, path: &Path) -> String {
    match Written::for_path(path) {
        Written::Json => speech::transcript::to_json(transcript),
        Written::Srt => speech::transcript::to_srt(transcript),
        Written::Vtt => speech::transcript::to_vtt(transcript),
    }
}
