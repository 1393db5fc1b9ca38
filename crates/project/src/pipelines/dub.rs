//! `dub`: a new track of another length; the pictures are retimed on whole frames, then every mouth follows.
//!
//! Without a script the retiming is even. With the track's text, pauses take it up first, and phrases that clip and
//! track share start and end together (see `edit::anchors`).

use super::given::Given;
use super::plan::timeline_error;
use crate::report::{Report, ReportEdit};
use crate::stages::extras::Along;
use crate::stages::{listen, words};
use crate::watch::Watch;
use crate::{ChangeRequest, DubRequest, Observer, ProjectError, RenderRequest, Stage};
use edit::anchors::{AnchorConfig, anchors, stretches};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditList, Timeline, Transcript};
use methods::ltx_video::Order;
use std::ops::Range;
use std::path::Path;
use units::Seconds;

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
    if request
        .video
        .as_ref()
        .is_some_and(|video| video.order == Order::Latents)
    {
        return Err(
            ProjectError::usage("dub retimes on single frames, not on whole latents")
                .with_hint("leave --order out"),
        );
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
    let edits = EditList::retimed(&clip, duration, &pieces)
        .map_err(|error| ProjectError::input(format!("{}: {error}", speech.display())))?;
    let lengths: Vec<Seconds> = pieces.iter().map(|(_, lasts)| *lasts).collect();
    let mut timeline = Timeline::plan(&TimelineInput {
        edits: &edits,
        clock: &given.source.clock,
        sound: Some(given.sound_clock()?),
        speech: &lengths,
        protect: &spoken,
        shots: followed.shots(),
        pose: None,
        config: &TimelineConfig::default(),
    })
    .map_err(timeline_error)?;
    timeline.lips = vec![units::FrameIndex::ZERO..units::FrameIndex(timeline.frames())];
    let change = lasts.0 / duration.0.max(1e-9);
    if !NATURAL.contains(&change) {
        watch.warn(&format!(
            "the new track is {change:.2} times as long as the clip; movements will look unnatural"
        ));
    }
    let told = timeline
        .edits
        .iter()
        .zip(&pieces)
        .map(|(placed, (source, _))| ReportEdit {
            kind: "retime".to_owned(),
            old: None,
            new: None,
            source: [source.start.0, source.end.0],
            output: [placed.time.start.0, placed.time.end.0],
        })
        .collect();
    let settings =
        serde_json::to_vec(&timeline).map_err(|error| ProjectError::fault("plan", error))?;
    let along = Along::retimed(&edits, &timeline);
    given.render(
        "dub", &settings, &timeline, told, followed, along, &mut watch,
    )
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
