//! What all rendering pipelines do once the timeline and the new track are known: follow the head, make the mouths,
//! put frames together, write the output, tell what was done.

mod asked;
mod maker;

use asked::Asked;
use maker::Maker;

use super::spans::{report_spans, spans};
use crate::observer::as_warning;
use crate::report::{
    Report, ReportEdit, ReportInput, ReportModel, ReportOutput, peak_memory_bytes,
};
use crate::stages::composite::Composer;
use crate::stages::extras::Along;
use crate::stages::frames::FrameStore;
use crate::stages::heads::Heads;
use crate::stages::lend::Lender;
use crate::stages::lips::{self, Mouths};
use crate::stages::listen::MelFile;
use crate::stages::look::AROUND;
use crate::stages::moments::Counterparts;
use crate::stages::pictures::{Pictures, runs_of, sources_of};
use crate::stages::source::Source;
use crate::stages::track::{self, Followed};
use crate::stages::video::{self, fill::Fills, regions::check_box};
use crate::stages::{boxed_error, media_error, model};
use crate::watch::Watch;
use crate::{FailureClass, Job, Observer, ProjectError, RenderRequest, Stage};
use edit::Timeline;
use edit::cuts::Energy;
use media::render::{self, BoxError, Extras, RenderError, RenderOptions, Sound};
use media::{AudioReader, Clip, OpenOptions};
use std::ops::Range;
use std::path::Path;
use units::FrameIndex;

/// The shorter side of a preview's pictures.
const PREVIEW: usize = 360;

/// A job whose timeline and track are settled.
pub(super) struct Settled<'a> {
    pub(super) request: &'a RenderRequest,
    pub(super) source: &'a Source,
    pub(super) timeline: &'a Timeline,
    pub(super) energy: Option<&'a Energy>,
    pub(super) edits: Vec<ReportEdit>,
    /// Faces that were followed for planning.
    pub(super) followed: Followed,
    /// Chapters, subtitles, further sound tracks.
    pub(super) along: Along,
    /// Words are said that the clip's subtitles don't know.
    pub(super) reworded: bool,
    /// The track that is heard, a file of the job; nothing where none has to be.
    pub(super) track: Option<&'a Path>,
    /// The clip's own sound goes into the output as it is, and `track` is only listened to.
    pub(super) keeps_sound: bool,
    /// Without a face the job makes no sense: every mouth is to change.
    pub(super) needs_face: bool,
    /// Pictures out of their place are those of a clip that is stretched, and shown as they are.
    pub(super) retimed: bool,
    pub(super) job: Job,
}

/// Renders a settled job. What can't be resumed, because the request or an input has to change, leaves nothing behind.
pub(super) fn render(
    settled: Settled<'_>,
    observer: &mut Watch<'_>,
) -> Result<Report, ProjectError> {
    let folder = Job::folder_for(&settled.request.output);
    let result = run(settled, observer);
    if let Err(error) = &result
        && matches!(
            error.class(),
            FailureClass::Usage | FailureClass::Input | FailureClass::Missing
        )
    {
        // The failure itself is what matters to the user; a folder that stays is cleared by the next run.
        let _ = std::fs::remove_dir_all(folder);
    }
    result
}

fn run(settled: Settled<'_>, observer: &mut Watch<'_>) -> Result<Report, ProjectError> {
    let Settled {
        request,
        source,
        timeline,
        energy,
        edits,
        followed,
        along,
        reworded,
        track,
        keeps_sound,
        needs_face,
        retimed,
        job,
    } = settled;
    check_box(request.region, &source.video)?;
    let pictures = Pictures::of(timeline);
    let of_pictures = video::of_pictures(request)?;
    // A model that makes whole pictures and does not hear makes no mouths beside them.
    let lips: &[Range<FrameIndex>] = match request.fills() {
        Some(_) => &[],
        None => &timeline.lips,
    };
    let anew: &[Range<FrameIndex>] = if request.region.of_face() {
        &timeline.rerender
    } else {
        &[]
    };
    let needs_face = needs_face && request.region.of_face();
    let sound = track
        .map(|track| Clip::open(track, &OpenOptions::default()))
        .transpose()
        .map_err(media_error)?;

    let shots = followed.shots().to_vec();
    let heads = if lips.is_empty() && anew.is_empty() {
        Heads::none()
    } else {
        let worked = [lips, anew].concat();
        let lead = sources_of(&pictures, grown(&worked, AROUND, timeline.frames()));
        let runs = runs_of(&lead, AROUND, source.video.frames);
        let followed = if followed.covers(&runs) {
            followed
        } else {
            track::follow(source, &runs, observer)?
        };
        let chosen = followed.choose(source, request.face, energy)?;
        if !anew.is_empty() {
            let shown = sources_of(&pictures, grown(anew, 0, timeline.frames()));
            track::in_all(chosen.as_ref(), source, &shown)?;
        }
        let shown = sources_of(&pictures, grown(lips, 0, timeline.frames()));
        track::heads(chosen, source, &shown, needs_face, observer)?
    };
    let mut counterparts = Counterparts::default();
    let shots = shots.as_slice();
    let (fills, filled) = match of_pictures {
        Some(video) => {
            let asked = Asked {
                video,
                request,
                source,
                timeline,
                pictures: &pictures,
                heads: &heads,
                lips,
                retimed,
                sound: sound.as_ref(),
                shots,
            };
            asked.fills(&job, observer)?
        }
        None => (Fills::none(), None),
    };
    let (mouths, used) = if let (false, None, Some(sound)) = (heads.is_empty(), of_pictures, &sound)
    {
        let model = model::load(request)?;
        let mel = MelFile::write(sound, &job.path("mel"))?;
        let ranges = lips::ranges(&pictures, &heads, lips);
        counterparts = Counterparts::plan(
            &model.network,
            source,
            &pictures,
            &heads,
            &ranges,
            &mel,
            // What is edited keeps most of its sound; what is given a track may be given its own.
            !needs_face,
            &job,
        )?;
        let mouths = lips::make(
            &model.network,
            request,
            source,
            &pictures,
            &heads,
            ranges,
            &counterparts,
            &mel,
            &job,
            observer,
        )?;
        (mouths, Some(model))
    } else {
        (Mouths::none(), None)
    };

    let size = used
        .as_ref()
        .map_or(256, |model| model.network.config().crop);
    let only_lent = mouths.only_lent();
    let changed = [mouths.ranges(), fills.ranges()].concat();
    let spans = spans(timeline, &changed);
    observer.begin(Stage::Render, timeline.frames());
    let mut maker = Maker {
        pictures: &pictures,
        heads: &heads,
        clock: &timeline.clock,
        lender: Lender::new(&counterparts, source, &pictures, &heads),
        fills,
        mouths,
        store: FrameStore::new(&source.clip, source.video.frames, source.frame_memory / 2),
        composer: Composer::new(size, request.seed),
        size,
    };
    let mut reader = match &sound {
        Some(sound) if !keeps_sound => Some(sound.all_audio().map_err(media_error)?),
        _ => None,
    };
    let mut blocks = reader.as_mut().map(|reader| move || next_block(reader));
    let mut further = along.open()?;
    let mut further: Vec<_> = further
        .iter_mut()
        .map(|reader| move || next_block(reader))
        .collect();
    let extras = Extras {
        moves: along.moves.clone(),
        sounds: along.tracks(
            further
                .iter_mut()
                .map(|maker| -> &mut dyn render::SoundMaker { maker }),
        ),
    };
    let subtitled = |track: &media::OtherTrack| track.kind == media::TrackKind::Subtitles;
    if reworded && source.clip.info().others.iter().any(subtitled) {
        observer.warn("the subtitles are those of the recording; they don't know the new words");
    }
    let mut written = 0;
    // Written in the job folder, so that a run that is killed leaves nothing beside the output but the folder.
    let extension = request
        .output
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let whole = job.path(&format!("output.{extension}"));
    let rendered = render::render(
        &source.clip,
        &spans,
        &mut maker,
        match &mut blocks {
            Some(blocks) => Sound::Made(blocks),
            None => Sound::Copy,
        },
        extras,
        &whole,
        &RenderOptions {
            start: Some(timeline.clock.start()),
            end: Some(timeline.clock.end()),
            preview: request.preview.then_some(PREVIEW),
            journal: Some(job.path("pictures")),
            ..RenderOptions::default()
        },
        &mut |frames| {
            observer.advance(frames - written);
            written = frames;
        },
    )
    .map_err(render_error)?;
    std::fs::rename(&whole, &request.output).map_err(|source| ProjectError::Files {
        action: "write",
        path: request.output.clone(),
        source,
    })?;
    observer.end(Stage::Render);
    for note in &rendered.notes {
        observer.warn(&as_warning(note));
    }

    let video = &source.video;
    let (width, height) = if video.rotation.swaps() {
        (rendered.size.1, rendered.size.0)
    } else {
        rendered.size
    };
    let seconds = source.duration().0;
    let report = Report {
        version: 1,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        input: ReportInput {
            path: source.path().to_owned(),
            frames: video.frames,
            fps: video.rate.per_second(),
            width: video.width as usize,
            height: video.height as usize,
            seconds,
        },
        output: ReportOutput {
            path: request.output.clone(),
            frames: rendered.frames,
            fps: video.rate.per_second(),
            width,
            height,
            seconds: rendered.duration.0,
        },
        model: filled.or(used.map(|model| ReportModel {
            name: model.name,
            sha256: model.sha256,
            steps: if only_lent {
                0
            } else {
                request.steps_of(model.network.schedule().steps()) as u32
            },
        })),
        seed: request.seed,
        edits,
        spans: report_spans(&rendered.spans, timeline),
        timings: observer.timings(),
        peak_memory_bytes: peak_memory_bytes(),
        warnings: observer.warnings(),
    };
    job.finish()?;
    Ok(report)
}

/// Output frames of ranges, grown on both sides.
fn grown(
    ranges: &[Range<FrameIndex>],
    by: u64,
    frames: u64,
) -> impl Iterator<Item = FrameIndex> + '_ {
    ranges
        .iter()
        .flat_map(move |range| (range.start - by).0..(range.end.0 + by).min(frames))
        .map(FrameIndex)
}

fn next_block(reader: &mut AudioReader) -> Result<Option<media::AudioBlock>, BoxError> {
    Ok(reader.next_block()?)
}

fn render_error(error: RenderError) -> ProjectError {
    match error {
        RenderError::Media(error) => media_error(error),
        RenderError::Container { .. } | RenderError::Unwritable { .. } => {
            ProjectError::usage(error.to_string())
        }
        RenderError::DiskFull { path } => ProjectError::Files {
            action: "write",
            path,
            source: std::io::Error::from_raw_os_error(28),
        },
        RenderError::Journal { source } => ProjectError::Files {
            action: "keep",
            path: "the job's encoded pictures".into(),
            source,
        },
        RenderError::Frame { source, .. } | RenderError::Sound { source } => {
            boxed_error("render", "the job's files", source)
        }
        other => ProjectError::fault("render", other),
    }
}
