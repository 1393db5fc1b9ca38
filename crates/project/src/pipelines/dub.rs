//! `dub`: a new track of another length; the pictures are retimed, on frames or on whole latents, then every mouth follows.
//!
//! Without a script the retiming is even. With the track's text, pauses take it up first, and phrases that clip and
//! track share start and end together (see `edit::anchors`).

use super::given::Given;
use super::plan::{PlanFor, timeline_error};
use crate::report::{Report, ReportEdit};
use crate::stages::extras::Along;
use crate::stages::track::Followed;
use crate::stages::{change, listen, words};
use crate::watch::Watch;
use crate::{ChangeRequest, DubRequest, Observer, ProjectError, RenderRequest, Stage};
use edit::anchors::{AnchorConfig, anchors, stretches};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditKind, EditList, Timeline, Transcript, latents};
use std::ops::Range;
use std::path::Path;
use units::{Seconds, TemporalStride};

/// Slower or faster than this, movements look wrong.
const NATURAL: std::ops::RangeInclusive<f64> = 0.6..=1.7;

/// Gives a clip a new track of another length.
pub fn dub(
    request: &RenderRequest,
    speech: &Path,
    dub: &DubRequest,
    observer: &mut dyn Observer,
) -> Result<Report, ProjectError> {
    let mut watch = Watch::new(observer);
    if request.from.is_some() || request.to.is_some() {
        return Err(ProjectError::usage(
            "dub retimes the whole clip; --from and --to can't be used with it",
        )
        .with_hint("`reword sync` lays a track under a part of a clip"));
    }
    let given = Given::open(request, speech, &mut watch)?;
    let (duration, lasts) = (given.source.duration(), given.length);
    let Words {
        clip,
        anchors,
        spoken,
    } = Words::find(&given, dub, &mut watch)?;
    let followed = given.follow(&mut watch)?;
    let pieces = stretches(&anchors, duration, lasts);
    let (edits, timeline) = match PlanFor::of(request).config() {
        TimelineConfig {
            latents: Some(stride),
            ..
        } => by_latents(&given, stride, &pieces, &spoken, &followed)?,
        _ => by_frames(&given, &clip, &pieces, &spoken, &followed)?,
    };
    let change = lasts.0 / duration.0.max(1e-9);
    if !NATURAL.contains(&change) {
        watch.warn(&format!(
            "the new track is {change:.2} times as long as the clip; movements will look unnatural"
        ));
    }
    let told = told(&edits, &timeline);
    let settings =
        serde_json::to_vec(&timeline).map_err(|error| ProjectError::fault("plan", error))?;
    let along = Along::retimed(&edits, &timeline);
    given.render(
        "dub", &settings, &timeline, told, followed, along, &mut watch,
    )
}

/// Stretches at their new lengths, frame by frame.
fn by_frames(
    given: &Given<'_>,
    clip: &Transcript,
    pieces: &[(Range<Seconds>, Seconds)],
    spoken: &[Range<Seconds>],
    followed: &Followed,
) -> Result<(EditList, Timeline), ProjectError> {
    let edits = EditList::retimed(clip, given.source.duration(), pieces)
        .map_err(|error| ProjectError::input(format!("{}: {error}", given.track().display())))?;
    let lengths: Vec<Seconds> = pieces.iter().map(|(_, lasts)| *lasts).collect();
    let mut timeline = Timeline::plan(&TimelineInput {
        edits: &edits,
        clock: &given.source.clock,
        sound: Some(given.sound_clock()?),
        speech: &lengths,
        protect: spoken,
        shots: followed.shots(),
        pose: None,
        config: &TimelineConfig::default(),
    })
    .map_err(timeline_error)?;
    timeline.lips = vec![units::FrameIndex::ZERO..units::FrameIndex(timeline.frames())];
    Ok((edits, timeline))
}

/// The same by latents that are left out or put in, as EditYourself does.
fn by_latents(
    given: &Given<'_>,
    stride: TemporalStride,
    pieces: &[(Range<Seconds>, Seconds)],
    spoken: &[Range<Seconds>],
    followed: &Followed,
) -> Result<(EditList, Timeline), ProjectError> {
    let clock = &given.source.clock;
    let edits = latents::retimed(clock, stride, pieces, spoken).map_err(change::edit_error)?;
    let silences: Vec<Seconds> = edits
        .insertions()
        .map(|(_, speech)| speech.pauses())
        .collect();
    let sound = given.sound_clock()?;
    let timeline = Timeline::plan(&TimelineInput {
        edits: &edits,
        clock,
        sound: Some(sound),
        speech: &silences,
        protect: &[],
        shots: followed.shots(),
        pose: None,
        config: &TimelineConfig::for_latents(stride),
    })
    .map_err(timeline_error)?;
    Ok((edits, timeline.under(sound, given.length)))
}

/// What the report says of the edits: everything that is not as it was.
fn told(edits: &EditList, timeline: &Timeline) -> Vec<ReportEdit> {
    let placed = timeline.edits.iter();
    let edits = placed.filter_map(|placed| Some((placed, edits.edits().get(placed.edit)?)));
    edits
        .filter(|(_, edit)| edit.kind != EditKind::Keep)
        .map(|(placed, edit)| ReportEdit {
            kind: "retime".to_owned(),
            old: None,
            new: None,
            source: [edit.source.start.0, edit.source.end.0],
            output: [placed.time.start.0, placed.time.end.0],
        })
        .collect()
}

/// What the retiming goes by.
struct Words {
    clip: Transcript,
    anchors: Vec<edit::anchors::Anchor>,
    /// Where the clip's speaker speaks: these stretches keep their pace as long as pauses can take up the change.
    spoken: Vec<Range<Seconds>>,
}

impl Words {
    fn find(
        given: &Given<'_>,
        dub: &DubRequest,
        watch: &mut Watch<'_>,
    ) -> Result<Self, ProjectError> {
        let none = Transcript::new(None, Vec::new())
            .map_err(|error| ProjectError::fault("plan", error))?;
        let Some(script) = &dub.script else {
            return Ok(Self {
                clip: none,
                anchors: Vec::new(),
                spoken: Vec::new(),
            });
        };
        let language = dub.language.as_deref().unwrap_or("en");
        let track = words::align(given.speech.clip(), script, language, watch)?;
        let change = ChangeRequest {
            transcript: dub.transcript.clone(),
            ..ChangeRequest::default()
        };
        let clip = words::find(&change, &given.source, false, watch)?;
        watch.begin(Stage::Plan, 0);
        let found = if clip.is_empty() {
            watch.warn("there is no transcript of the clip; its pauses are found by ear, and no phrases are matched");
            Vec::new()
        } else {
            let config = AnchorConfig::default();
            let (duration, lasts) = (given.source.duration(), given.length);
            let found = anchors(&clip, &track, duration, lasts, &config);
            if found.is_empty() {
                watch.warn("clip and script share no phrases and not the number of sentences; only pauses are stretched first");
            }
            found
        };
        let spoken = if !clip.is_empty() {
            phrases(&clip)
        } else if given.source.audio.is_some() {
            listen::speech(&given.source.clip)?
        } else {
            Vec::new()
        };
        watch.end(Stage::Plan);
        Ok(Self {
            clip,
            anchors: found,
            spoken,
        })
    }
}

/// Stretches of words without a pause between them.
fn phrases(transcript: &Transcript) -> Vec<Range<Seconds>> {
    let pause = AnchorConfig::default().pause;
    transcript
        .words()
        .chunk_by(|word, next| next.start - word.end < pause)
        .filter_map(|words| Some(words.first()?.start..words.last()?.end))
        .collect()
}
