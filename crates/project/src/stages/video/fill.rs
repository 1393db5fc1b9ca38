//! Pictures that a video model makes: for every output frame that shows no recorded picture at its place.
//!
//! `spans` holds one record a made frame ([`crate::stages::records`]); the model goes on in the middle of a denoise. A
//! killed run loses one step.

use super::Video;
use crate::stages::frames::FrameStore;
use crate::stages::heads::Heads;
use crate::stages::pictures::{Pictures, Shown};
use crate::stages::records::{Recorder, Records, method_error, planar};
use crate::stages::source::Source;
use crate::{Job, Observer, ProjectError, RenderRequest, Stage};
use diffusion::State;
use edit::{PictureRun, Timeline};
use media::VideoInfo;
use media::image::RgbF32;
use methods::BoxError;
use methods::ltx_video::{
    MadePicture, PictureSource, SpanJob, SpanObserver, SpanProgress, SpanRange,
};
use std::ops::Range;
use units::FrameIndex;

/// Pixels that the model works in at most: those of full HD, in which it was trained. Larger clips are made smaller,
/// and their made pictures larger again.
const PIXELS: f64 = 1920.0 * 1088.0;

/// The same for a first look.
const PREVIEW: f64 = 512.0 * 288.0;

/// Recorded frames beside a span that the model may look at.
const LEAD: u64 = 64;

/// Rows and columns that a clip is worked on in.
pub(super) fn work_size(clip: &VideoInfo, preview: bool) -> (usize, usize) {
    let (columns, rows) = (clip.width as usize, clip.height as usize);
    let limit = if preview { PREVIEW } else { PIXELS };
    let scale = (limit / (rows * columns).max(1) as f64).sqrt().min(1.0);
    let scaled = |size: usize| ((size as f64 * scale).round() as usize).max(1);
    (scaled(rows), scaled(columns))
}

/// Made pictures, by output frame.
pub(crate) struct Fills {
    records: Option<Records>,
    size: (usize, usize),
}

impl Fills {
    /// None at all.
    pub(crate) fn none() -> Self {
        Self {
            records: None,
            size: (0, 0),
        }
    }

    /// The picture of an output frame, if it was made; in the model's size.
    pub(crate) fn at(&mut self, output: FrameIndex) -> Result<Option<RgbF32>, ProjectError> {
        let Some(records) = &mut self.records else {
            return Ok(None);
        };
        let Some(bytes) = records.at(output)? else {
            return Ok(None);
        };
        let (rows, columns) = self.size;
        let data = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        RgbF32::from_vec(columns, rows, data)
            .map(Some)
            .ok_or_else(|| ProjectError::fault("render", "a made picture has another size"))
    }
}

/// Output frames that show footage out of its place or two frames at once: what is to be made.
pub(crate) fn spans_of(timeline: &Timeline) -> Vec<Range<FrameIndex>> {
    let mut spans: Vec<Range<FrameIndex>> = Vec::new();
    for (output, run) in timeline.picture_runs() {
        if matches!(run, PictureRun::Source { .. }) {
            continue;
        }
        match spans.last_mut() {
            Some(last) if last.end == output.start => last.end = output.end,
            _ => spans.push(output),
        }
    }
    spans
}

/// Spans with the recorded frames around them, up to the next span or scene.
fn ranges(
    spans: &[Range<FrameIndex>],
    pictures: &Pictures,
    shots: &[FrameIndex],
) -> Vec<SpanRange> {
    let shot = |output: u64| match pictures.at(FrameIndex(output)) {
        Shown::Frame(source) => Some(shots.partition_point(|first| *first <= source)),
        Shown::Between { .. } => None,
    };
    let made = |output: u64| spans.iter().any(|span| span.contains(&FrameIndex(output)));
    let is_context = |output: u64, of: Option<usize>| !made(output) && shot(output) == of;
    spans
        .iter()
        .map(|span| {
            let (mut start, mut end) = (span.start.0, span.end.0);
            let before = start.checked_sub(1).and_then(shot);
            while start > 0 && span.start.0 - start < LEAD && is_context(start - 1, before) {
                start -= 1;
            }
            let behind = shot(end);
            while end < pictures.len() && end - span.end.0 < LEAD && is_context(end, behind) {
                end += 1;
            }
            SpanRange {
                frames: span.clone(),
                available: FrameIndex(start)..FrameIndex(end),
            }
        })
        .collect()
}

/// Makes the pictures of `spans`.
#[expect(clippy::too_many_arguments, reason = "a stage sees the whole job")]
pub(crate) fn make(
    video: &Video,
    request: &RenderRequest,
    source: &Source,
    pictures: &Pictures,
    spans: &[Range<FrameIndex>],
    shots: &[FrameIndex],
    job: &Job,
    observer: &mut dyn Observer,
) -> Result<Fills, ProjectError> {
    let span_job = SpanJob {
        spans: ranges(spans, pictures, shots),
        rate: source.video.rate,
        seed: request.seed,
        pass: video.preset.first.clone(),
        windows: video.windows,
        cache: video.cache.clone(),
        decode_timestep: video.preset.decode_timestep,
        decode_noise_scale: video.preset.decode_noise_scale,
    };
    let steps = span_job
        .pass
        .times()
        .map_err(|error| ProjectError::usage(error.to_string()))?
        .len();
    observer.begin(Stage::Generate, (spans.len() * steps) as u64);
    if !job.has("spans.done") {
        let mut sink = Sink::open(job, observer)?;
        let resume = sink.recorder.state.take();
        let mut shown = ShownPictures {
            pictures,
            store: FrameStore::new(&source.clip, source.video.frames, source.frame_memory),
            size: video.size,
        };
        let result = video.network.fill(
            &span_job,
            &video.captions,
            &mut shown,
            &mut sink,
            resume.as_deref(),
        );
        if sink.cancelled {
            return Err(ProjectError::Cancelled);
        }
        result.map_err(method_error)?;
        job.write("spans.done", b"")?;
    }
    observer.end(Stage::Generate);
    let (rows, columns) = video.size;
    Ok(Fills {
        records: Some(Records::open(
            job,
            "spans",
            rows * columns * 3,
            spans.to_vec(),
        )?),
        size: video.size,
    })
}

/// What the output shows, in the model's size.
struct ShownPictures<'a> {
    pictures: &'a Pictures,
    store: FrameStore<'a>,
    size: (usize, usize),
}

impl PictureSource for ShownPictures<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn picture(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        let (rows, columns) = self.size;
        let picture = self.pictures.draw(frame, &mut self.store, &Heads::none())?;
        Ok(planar(&picture.to_rgb8_scaled(columns, rows)))
    }
}

/// Keeps what the model hands over; progress is counted in steps of all spans.
struct Sink<'a> {
    observer: &'a mut dyn Observer,
    recorder: Recorder<'a>,
    cancelled: bool,
}

impl<'a> Sink<'a> {
    fn open(job: &'a Job, observer: &'a mut dyn Observer) -> Result<Self, ProjectError> {
        let recorder = Recorder::open(job, "spans")?;
        observer.advance(recorder.done);
        Ok(Self {
            observer,
            recorder,
            cancelled: false,
        })
    }
}

impl SpanObserver for Sink<'_> {
    fn picture(&mut self, made: MadePicture) -> Result<(), BoxError> {
        let pixels = made.pixels.len() / 3;
        let mut bytes = vec![0_u8; pixels * 3];
        for (channel, plane) in made.pixels.chunks_exact(pixels.max(1)).enumerate() {
            for (pixel, value) in bytes.chunks_exact_mut(3).zip(plane) {
                if let Some(byte) = pixel.get_mut(channel) {
                    *byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        self.recorder.push(&bytes)
    }

    fn kept(&mut self, progress: SpanProgress, state: &State) -> Result<(), BoxError> {
        let step = u64::from(progress.steps.0 > 0);
        self.observer.advance(step);
        self.recorder.keep(self.recorder.done + step, state)?;
        if self.observer.cancelled() {
            self.cancelled = true;
            return Err("stopped".into());
        }
        Ok(())
    }
}
