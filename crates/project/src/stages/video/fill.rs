//! Pictures, or parts of them, that a video model makes: for every output frame that shows no recorded picture at its
//! place and, by a model that hears, for every mouth that must follow new words.
//!
//! `spans` holds one record a made frame ([`crate::stages::records`]), each with its place; the model goes on in the
//! middle of a denoise. A killed run loses one step.

use super::Video;
use super::regions::{self, Regions};
use crate::stages::frames::FrameStore;
use crate::stages::heads::Heads;
use crate::stages::listen::MelFile;
use crate::stages::pictures::{Pictures, Shown};
use crate::stages::records::{Recorder, method_error, planar};
use crate::stages::source::Source;
use crate::{Job, Observer, ProjectError, RenderRequest, Stage};
use diffusion::State;
use media::compose::{Feather, Mask};
use media::image::RgbF32;
use media::{Frame, VideoInfo};
use methods::BoxError;
use methods::edit_yourself::MelSource;
use methods::ltx_video::{
    Made, MadePicture, Order, PictureSource, SpanInputs, SpanJob, SpanObserver, SpanProgress,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use units::FrameIndex;

/// Pixels that the model works in at most: those of full HD, in which it was trained. Larger clips are made smaller,
/// and their made pictures larger again.
const PIXELS: f64 = 1920.0 * 1088.0;

/// The same for a first look.
const PREVIEW: f64 = 512.0 * 288.0;

/// Over which share of the shorter side of a made region its border fades.
const FEATHER: f32 = 0.12;

/// Rows and columns that a clip is worked on in.
pub(super) fn work_size(clip: &VideoInfo, preview: bool) -> (usize, usize) {
    let (columns, rows) = (clip.width as usize, clip.height as usize);
    let limit = if preview { PREVIEW } else { PIXELS };
    let scale = (limit / (rows * columns).max(1) as f64).sqrt().min(1.0);
    let scaled = |size: usize| ((size as f64 * scale).round() as usize).max(1);
    (scaled(rows), scaled(columns))
}

/// The same for a model of two passes, the second of which works at twice the size of the first: the first takes
/// `downscale` of each side, in whole cells of `stride` pixels.
pub(super) fn two_pass_size(
    (rows, columns): (usize, usize),
    downscale: f64,
    stride: usize,
) -> (usize, usize) {
    let small = |size: usize| (size as f64 * downscale) as usize / stride * stride;
    (2 * small(rows).max(stride), 2 * small(columns).max(stride))
}

/// A made picture or part of one, and where it lies.
struct Fill {
    left: usize,
    top: usize,
    image: RgbF32,
}

/// Where a record lies in the file.
#[derive(Clone, Copy, Debug)]
struct Record {
    place: u64,
    left: usize,
    top: usize,
    columns: usize,
    rows: usize,
}

/// Bytes in front of a record's pixels: frame, left, top, columns, rows.
const HEADER: usize = 8 + 4 * 4;

/// Made pictures, by output frame.
pub(crate) struct Fills {
    file: Option<File>,
    /// Rows and columns of the model's pictures.
    size: (usize, usize),
    records: BTreeMap<FrameIndex, Record>,
    ranges: Vec<Range<FrameIndex>>,
}

impl Fills {
    /// None at all.
    pub(crate) fn none() -> Self {
        Self {
            file: None,
            size: (0, 0),
            records: BTreeMap::new(),
            ranges: Vec::new(),
        }
    }

    /// Reads where the records of a finished job lie.
    fn open(mut file: File, size: (usize, usize)) -> Result<Self, ProjectError> {
        let failed = |error: std::io::Error| unread(&error);
        let end = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut records = BTreeMap::new();
        let mut ranges: Vec<Range<FrameIndex>> = Vec::new();
        let mut at = 0;
        while at < end {
            let mut header = [0; HEADER];
            file.seek(SeekFrom::Start(at)).map_err(failed)?;
            file.read_exact(&mut header).map_err(failed)?;
            let number = |place: usize| {
                let bytes = header.get(place..place + 4).and_then(|b| b.try_into().ok());
                bytes.map_or(0, u32::from_le_bytes) as usize
            };
            let frame = header.first_chunk().copied().map_or(0, u64::from_le_bytes);
            let record = Record {
                place: at + HEADER as u64,
                left: number(8),
                top: number(12),
                columns: number(16),
                rows: number(20),
            };
            at = record.place + (record.columns * record.rows * 3) as u64;
            let frame = FrameIndex(frame);
            match ranges.last_mut() {
                Some(last) if last.end == frame => last.end = frame.next(),
                _ => ranges.push(frame..frame.next()),
            }
            records.insert(frame, record);
        }
        Ok(Self {
            file: Some(file),
            size,
            records,
            ranges,
        })
    }

    /// Output frames of which something was made, ascending.
    pub(crate) fn ranges(&self) -> &[Range<FrameIndex>] {
        &self.ranges
    }

    /// Lays what was made of an output frame over it. Around a made region no pixel changes.
    pub(crate) fn lay(
        &mut self,
        frame: &mut Frame,
        output: FrameIndex,
    ) -> Result<(), ProjectError> {
        let Some(record) = self.records.get(&output).copied() else {
            return Ok(());
        };
        let fill = self.read(record)?;
        let fault = |error| ProjectError::fault("render", error);
        let (width, height) = (frame.width(), frame.height());
        let (rows, columns) = self.size;
        if (fill.image.height, fill.image.width) == (rows, columns) {
            let image = sized(fill.image, width, height);
            return frame
                .put_region_rgb(0, 0, &image, &vec![1.0; width * height])
                .map_err(fault);
        }
        // In the clip's own pixels, only those that lie in the region as a whole.
        let inner = |from: usize, length: usize, of: usize, to: usize| {
            let start = (from * to).div_ceil(of.max(1));
            let end = (from + length) * to / of.max(1);
            start..end.max(start)
        };
        let across = inner(fill.left, fill.image.width, columns, width);
        let down = inner(fill.top, fill.image.height, rows, height);
        if across.is_empty() || down.is_empty() {
            return Ok(());
        }
        let image = sized(fill.image, across.len(), down.len());
        // The whole frame's mask, so that its own border counts as no edge of the region.
        let edges = [across.start, down.start, across.end, down.end].map(|edge| edge as f32);
        let [left, top, right, bottom] = edges;
        let region = Mask::rectangle(width, height, (left, top, right, bottom));
        let radius = FEATHER * across.len().min(down.len()) as f32;
        let mask = Feather { radius }.apply(&region);
        let alpha: Vec<f32> = down
            .clone()
            .flat_map(|y| across.clone().map(move |x| (x, y)))
            .map(|(x, y)| mask.get(x, y))
            .collect();
        frame
            .put_region_rgb(across.start as i64, down.start as i64, &image, &alpha)
            .map_err(fault)
    }

    fn read(&mut self, record: Record) -> Result<Fill, ProjectError> {
        let Some(file) = &mut self.file else {
            return Err(ProjectError::fault("render", "made pictures are missing"));
        };
        let mut bytes = vec![0; record.rows * record.columns * 3];
        file.seek(SeekFrom::Start(record.place))
            .map_err(|error| unread(&error))?;
        file.read_exact(&mut bytes)
            .map_err(|error| unread(&error))?;
        let data = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let image = RgbF32::from_vec(record.columns, record.rows, data)
            .ok_or_else(|| ProjectError::fault("render", "a made picture has another size"))?;
        Ok(Fill {
            left: record.left,
            top: record.top,
            image,
        })
    }
}

fn sized(image: RgbF32, width: usize, height: usize) -> RgbF32 {
    if (image.width, image.height) == (width, height) {
        image
    } else {
        image.resize(width, height)
    }
}

fn unread(error: &std::io::Error) -> ProjectError {
    ProjectError::fault(
        "render",
        format!("a made picture can't be read back: {error}"),
    )
}

/// What is asked of the model.
pub(crate) struct Wanted<'a> {
    /// What of every output frame is made.
    pub(crate) made: &'a [Made],
    /// How a model that hears was asked.
    pub(crate) regions: Option<&'a Regions<'a>>,
    /// The new track, for one that hears.
    pub(crate) sound: Option<&'a MelFile>,
    pub(crate) shots: &'a [FrameIndex],
}

/// Makes the wanted pictures.
pub(crate) fn make(
    video: &Video,
    request: &RenderRequest,
    source: &Source,
    pictures: &Pictures,
    wanted: &Wanted<'_>,
    job: &Job,
    observer: &mut dyn Observer,
) -> Result<Fills, ProjectError> {
    let stride = video.network.vae().config().temporal_stride() as u64;
    let latents = (video.order == Order::Latents).then_some(stride);
    let span_job = SpanJob {
        spans: regions::ranges(wanted.made, pictures, wanted.shots, wanted.regions, latents),
        rate: source.video.rate,
        seed: request.seed,
        pass: video.preset.first.clone(),
        second: video.two_passes.then(|| video.preset.second.clone()),
        windows: video.windows,
        order: video.order,
        cache: video.cache.clone(),
        decode_timestep: video.preset.decode_timestep,
        decode_noise_scale: video.preset.decode_noise_scale,
    };
    let steps = span_job
        .steps()
        .map_err(|error| ProjectError::usage(error.to_string()))?;
    observer.begin(Stage::Generate, (span_job.spans.len() * steps) as u64);
    if !job.has("spans.done") {
        let mut sink = Sink::open(job, observer)?;
        let resume = sink.recorder.state.take();
        let mut shown = ShownPictures {
            pictures,
            store: FrameStore::new(&source.clip, source.video.frames, source.frame_memory),
            size: video.size,
        };
        let inputs = SpanInputs {
            captions: &video.captions,
            source: &mut shown,
            sound: wanted.sound.map(|sound| sound as &dyn MelSource),
        };
        let result = video
            .network
            .fill(&span_job, inputs, &mut sink, resume.as_deref());
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
    Fills::open(file, video.size)
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
        let picture = self.pictures.draw(frame, &mut self.store, &Heads::none())?;
        Ok(self.sized(&picture))
    }

    fn recorded_before(
        &mut self,
        frame: FrameIndex,
        back: u64,
    ) -> Result<Option<Vec<f32>>, BoxError> {
        let Shown::Frame(source) = self.pictures.at(frame) else {
            return Ok(None);
        };
        let Some(earlier) = source.0.checked_sub(back) else {
            return Ok(None);
        };
        let picture = self.store.get(FrameIndex(earlier))?;
        Ok(Some(self.sized(&picture)))
    }
}

impl ShownPictures<'_> {
    /// In the model's size, plane after plane.
    fn sized(&self, picture: &Frame) -> Vec<f32> {
        let (rows, columns) = self.size;
        planar(&picture.to_rgb8_scaled(columns, rows))
    }
}

/// Keeps what the model hands over; progress is counted in steps of all spans.
struct Sink<'a> {
    observer: &'a mut dyn Observer,
    recorder: Recorder<'a>,
    /// Steps since the last state.
    steps: u64,
    cancelled: bool,
}

impl<'a> Sink<'a> {
    fn open(job: &'a Job, observer: &'a mut dyn Observer) -> Result<Self, ProjectError> {
        let recorder = Recorder::open(job, "spans")?;
        observer.advance(recorder.done);
        Ok(Self {
            observer,
            recorder,
            steps: 0,
            cancelled: false,
        })
    }
}

impl SpanObserver for Sink<'_> {
    fn picture(&mut self, made: MadePicture) -> Result<(), BoxError> {
        let pixels = made.pixels.len() / 3;
        let mut bytes = Vec::with_capacity(HEADER + pixels * 3);
        bytes.extend(made.frame.0.to_le_bytes());
        for number in [made.left, made.top, made.columns, made.rows] {
            bytes.extend(u32::try_from(number)?.to_le_bytes());
        }
        bytes.resize(HEADER + pixels * 3, 0);
        let (_, colours) = bytes.split_at_mut(HEADER);
        for (channel, plane) in made.pixels.chunks_exact(pixels.max(1)).enumerate() {
            for (pixel, value) in colours.chunks_exact_mut(3).zip(plane) {
                if let Some(byte) = pixel.get_mut(channel) {
                    *byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        self.recorder.push(&bytes)
    }

    fn kept(&mut self, progress: SpanProgress, state: Option<&State>) -> Result<(), BoxError> {
        let step = u64::from(progress.steps.0 > 0);
        self.observer.advance(step);
        self.steps += step;
        if let Some(state) = state {
            self.recorder.keep(self.recorder.done + self.steps, state)?;
            self.steps = 0;
        }
        if self.observer.cancelled() {
            self.cancelled = true;
            return Err("stopped".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
