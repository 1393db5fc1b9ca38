//! `rerender`: a region of a stretch is made anew; its sound and all around it stay as recorded.
//!
//! read → find scenes and faces around the stretch → lengthen it to whole latents → make it → put together → write.

use super::plan::stride_of;
use super::render::{Settled, render};
use crate::report::{Report, ReportEdit};
use crate::stages::extras::Along;
use crate::stages::look::AROUND;
use crate::stages::source::Source;
use crate::stages::video::regions::check_box;
use crate::stages::{assemble, listen, output, track, video};
use crate::watch::Watch;
use crate::{Job, JobKey, Observer, ProjectError, RegionRequest, RenderRequest, Stage};
use edit::Timeline;
use edit::latents::whole_latents;
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// Source frames on either side of the stretch that are searched for scene cuts and faces: what smoothing and context
/// look at, and the latents that the stretch may grow by.
const SEEN: u64 = 2 * AROUND + 16;

/// Times that are nearer to a frame's than this mean that frame.
const HAIR: Seconds = Seconds(1e-3);

/// Renders a region of `span` (seconds of the clip) anew.
pub fn rerender(
    request: &RenderRequest,
    span: &Range<Seconds>,
    observer: &mut dyn Observer,
) -> Result<Report, ProjectError> {
    let mut watch = Watch::new(observer);
    if video::of_pictures(request)?.is_none() {
        return Err(of_mouths(request, span));
    }
    output::check_clip(&request.clip)?;
    output::check(&request.output, &[&request.clip])?;
    watch.begin(Stage::Read, 0);
    let source = Source::open(&request.clip)?.within(request.memory)?;
    source.tell_warnings(&mut watch);
    check_box(request.region, &source.video)?;
    let asked = frames_of(span, &source)?;
    let energy = match &source.audio {
        Some(_) if request.region.of_face() => Some(listen::energy(&source.clip)?),
        _ => None,
    };
    watch.end(Stage::Read);
    let seen = asked.start - SEEN..FrameIndex((asked.end.0 + SEEN).min(source.video.frames));
    let followed = track::follow(&source, &[seen], &mut watch)?;
    let frames = match stride_of(request) {
        Some(stride) => whole_latents(&asked, followed.shots(), source.video.frames, stride),
        None => vec![asked.clone()],
    };
    let times = times_of(&frames, &source);
    if frames.as_slice() != [asked] {
        watch.warn(&told(&frames, &times));
    }

    let timeline = Timeline::rerender(&source.clock, source.sound_clock(), frames);
    let mut key = JobKey::new();
    key.add("pipeline", b"rerender");
    key.add_request(request)?;
    key.add("span", format!("{:?}", timeline.rerender).as_bytes());
    let job = Job::open(&request.output, &key, request.resume)?;
    let hears = request
        .video
        .as_ref()
        .is_some_and(|video| video.adapter.is_some());
    let heard = (hears && source.audio.is_some()).then(|| job.path("track.wav"));
    if let Some(heard) = &heard
        && !job.has("track.done")
    {
        assemble::edited(&source, &timeline, &[], heard, &mut watch)?;
        job.write("track.done", b"")?;
    }
    let edits = times.iter().map(|times| ReportEdit {
        kind: "rerender".to_owned(),
        old: None,
        new: None,
        source: [times.start.0, times.end.0],
        output: [times.start.0, times.end.0],
    });
    render(
        Settled {
            request,
            source: &source,
            timeline: &timeline,
            energy: energy.as_ref(),
            edits: edits.collect(),
            followed,
            along: Along::unmoved(&source),
            reworded: false,
            track: heard.as_deref(),
            keeps_sound: true,
            needs_face: false,
            retimed: false,
            job,
        },
        &mut watch,
    )
}

/// The models that move mouths make no pictures.
fn of_mouths(request: &RenderRequest, span: &Range<Seconds>) -> ProjectError {
    let error = ProjectError::usage(format!(
        "rendering anew takes a model that makes pictures; this one moves mouths, and can't make the region {}",
        request.region
    ));
    if request.region == RegionRequest::Lip {
        return error.with_hint(format!(
            "to move the lips to the clip's own sound again: reword sync CLIP --speech CLIP --from {} --to {}",
            span.start.0, span.end.0
        ));
    }
    error.with_hint("give one with --model, such as ltx-13b")
}

/// The source frames that are shown within a span, those at its ends as a whole.
fn frames_of(span: &Range<Seconds>, source: &Source) -> Result<Range<FrameIndex>, ProjectError> {
    let clock = &source.clock;
    if span.start >= span.end {
        return Err(ProjectError::usage(format!(
            "the span {}-{} covers no time",
            span.start.0, span.end.0
        )));
    }
    if span.start < Seconds::ZERO
        || span.start >= clock.end()
        || span.end > clock.end() + clock.nominal()
    {
        return Err(ProjectError::usage(format!(
            "the span {}-{} is outside of the clip, which lasts {:.2}",
            span.start.0,
            span.end.0,
            clock.end()
        )));
    }
    let on = |time: Seconds| {
        let nearest = clock.nearest(time);
        ((clock.start_of(nearest) - time).abs() < HAIR).then_some(nearest)
    };
    let start = on(span.start).unwrap_or_else(|| clock.at(span.start));
    let end = on(span.end).unwrap_or_else(|| clock.at(span.end).next());
    let end = end.max(start.next()).min(FrameIndex(clock.frames()));
    Ok(start.min(end - 1)..end)
}

fn times_of(frames: &[Range<FrameIndex>], source: &Source) -> Vec<Range<Seconds>> {
    let clock = &source.clock;
    let time =
        |frames: &Range<FrameIndex>| clock.start_of(frames.start)..clock.start_of(frames.end);
    frames.iter().map(time).collect()
}

fn told(frames: &[Range<FrameIndex>], times: &[Range<Seconds>]) -> String {
    let stretches = frames.iter().zip(times).map(|(frames, times)| {
        format!(
            "{:.2} to {:.2} (frames {} to {})",
            times.start,
            times.end,
            frames.start.0,
            frames.end.0 - 1
        )
    });
    format!(
        "the model makes whole latents within one scene, so what is made anew is {}",
        stretches.collect::<Vec<_>>().join(" and ")
    )
}
