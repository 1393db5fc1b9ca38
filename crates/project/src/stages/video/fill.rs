//! Pictures that a video model makes: for every output frame that shows no recorded picture at its place.
//!
//! `spans` holds one record a made frame, in order; `spans.state` says how many of them are finished and lets the model
//! go on behind them, in the middle of a denoise. A killed run loses one step.

use super::Video;
use crate::stages::frames::FrameStore;
use crate::stages::heads::Heads;
use crate::stages::pictures::{Pictures, Shown};
use crate::stages::source::Source;
use crate::{Job, Observer, ProjectError, RenderRequest, Stage};
use diffusion::State;
use edit::{PictureRun, Timeline};
use media::VideoInfo;
use media::image::RgbF32;
use methods::ltx_video::{
    MadePicture, PictureSource, SpanJob, SpanObserver, SpanProgress, SpanRange,
};
use methods::{BoxError, MethodError};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
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
    file: Option<File>,
    size: (usize, usize),
    ranges: Vec<Range<FrameIndex>>,
}

impl Fills {
    /// None at all.
    pub(crate) fn none() -> Self {
        Self {
            file: None,
            size: (0, 0),
            ranges: Vec::new(),
        }
    }

    /// The picture of an output frame, if it was made; in the model's size.
    pub(crate) fn at(&mut self, output: FrameIndex) -> Result<Option<RgbF32>, ProjectError> {
        let mut record = 0;
        for range in &self.ranges {
            if range.contains(&output) {
                record += output.since(range.start);
                return self.read(record).map(Some);
            }
            record += range.end.since(range.start);
        }
        Ok(None)
    }

    fn read(&mut self, record: u64) -> Result<RgbF32, ProjectError> {
        let failed = |error: std::io::Error| {
            ProjectError::fault(
                "render",
                format!("a made picture can't be read back: {error}"),
            )
        };
        let Some(file) = &mut self.file else {
            return Err(ProjectError::fault("render", "made pictures are missing"));
        };
        let (rows, columns) = self.size;
        let mut bytes = vec![0; rows * columns * 3];
        file.seek(SeekFrom::Start(record * bytes.len() as u64))
            .map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        let data = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        RgbF32::from_vec(columns, rows, data)
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
        let resume = sink.state.take();
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
    let path = job.path("spans");
    let file = File::open(&path).map_err(|source| ProjectError::Files {
        action: "open",
        path,
        source,
    })?;
    Ok(Fills {
        file: Some(file),
        size: video.size,
        ranges: spans.to_vec(),
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
        let picture = picture.to_rgb8_scaled(columns, rows);
        let pixels = rows * columns;
        let mut planar = vec![0.0; pixels * 3];
        for (channel, plane) in planar.chunks_exact_mut(pixels.max(1)).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(picture.data.chunks_exact(3)) {
                *value = pixel.get(channel).copied().map_or(0.0, f32::from) / 255.0;
            }
        }
        Ok(planar)
    }
}

/// Keeps what the model hands over.
struct Sink<'a> {
    job: &'a Job,
    observer: &'a mut dyn Observer,
    file: File,
    state: Option<Vec<u8>>,
    /// Steps of all spans that are done.
    steps: u64,
    cancelled: bool,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    bytes: u64,
    steps: u64,
}

impl<'a> Sink<'a> {
    fn open(job: &'a Job, observer: &'a mut dyn Observer) -> Result<Self, ProjectError> {
        let path = job.path("spans");
        let failed = |action| {
            let path = path.clone();
            move |source| ProjectError::Files {
                action,
                path,
                source,
            }
        };
        let state = job.read("spans.state").and_then(|bytes| split(&bytes));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed("create"))?;
        // What lies behind the last finished span belongs to one that was cut off.
        let (bytes, steps) = state
            .as_ref()
            .map_or((0, 0), |(kept, _)| (kept.bytes, kept.steps));
        file.set_len(bytes).map_err(failed("shorten"))?;
        file.seek(SeekFrom::End(0)).map_err(failed("read"))?;
        observer.advance(steps);
        Ok(Self {
            job,
            observer,
            file,
            state: state.map(|(_, state)| state),
            steps,
            cancelled: false,
        })
    }
}

/// A header line of JSON, then the model's own state.
fn split(bytes: &[u8]) -> Option<(Kept, Vec<u8>)> {
    let line = bytes.iter().position(|&byte| byte == b'\n')?;
    let kept = serde_json::from_slice(bytes.get(..line)?).ok()?;
    Some((kept, bytes.get(line + 1..)?.to_vec()))
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
        Ok(self.file.write_all(&bytes)?)
    }

    fn kept(&mut self, progress: SpanProgress, state: &State) -> Result<(), BoxError> {
        if progress.steps.0 > 0 {
            self.steps += 1;
            self.observer.advance(1);
        }
        self.file.sync_all()?;
        let kept = Kept {
            bytes: self.file.stream_position()?,
            steps: self.steps,
        };
        let mut bytes = serde_json::to_vec(&kept)?;
        bytes.push(b'\n');
        bytes.extend(state.to_bytes()?);
        self.job.write("spans.state", &bytes)?;
        if self.observer.cancelled() {
            self.cancelled = true;
            return Err("stopped".into());
        }
        Ok(())
    }
}

/// A method's failure: the caller's own ones come back as they were.
fn method_error(error: MethodError) -> ProjectError {
    let (MethodError::Source { source, .. } | MethodError::Sink(source)) = error else {
        return ProjectError::fault("generate", error);
    };
    match source.downcast::<ProjectError>() {
        Ok(own) => *own,
        Err(other) => ProjectError::fault("generate", other),
    }
}
