//! New mouths for output frames: what the model is asked, what it answers.
//!
//! `mouths` holds one record a made frame ([`super::records`]). A killed run loses the block that it was in.

use super::heads::Heads;
use super::lend::Lender;
use super::moments::Counterparts;
use super::pictures::Pictures;
use super::records::{Recorder, Records, method_error, planar};
use super::{frames::FrameStore, listen::MelFile, source::Source};
use crate::{Job, Observer, ProjectError, RenderRequest, Stage};
use diffusion::State;
use media::Frame;
use media::image::RgbF32;
use methods::BoxError;
use methods::edit_yourself::{
    Candidate, CropSource, EditYourself, LipJob, LipObserver, LipRange, MadeCrop, Progress,
    References,
};
use std::ops::Range;
use units::{FrameIndex, FrameRate};

/// Pixels around the masked box that are made too, so that the border can fade.
const MARGIN: usize = 0;

/// Recorded frames on each side of a made range that lead the mouth in and out.
const LEAD: u64 = 16;

/// The face mesh's point at the tip of the nose.
const NOSE_TIP: usize = 1;

/// Where the made part lies in the crop, the same for every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Shape {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    /// Whether records are changes, of two bytes a value, and not pictures.
    changes: bool,
}

/// Steps of a change of the whole range of values.
const STEPS: f32 = 32_767.0;

impl Shape {
    fn bytes(self) -> usize {
        self.width * self.height * 3 * if self.changes { 2 } else { 1 }
    }

    fn encode(self, value: f32, bytes: &mut [u8]) {
        if self.changes {
            let steps = (value * STEPS).round() as i16;
            bytes.copy_from_slice(&steps.to_le_bytes());
        } else if let [byte] = bytes {
            *byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        if self.changes {
            let pairs = bytes.chunks_exact(2);
            return pairs
                .filter_map(|pair| pair.try_into().ok())
                .map(|pair| f32::from(i16::from_le_bytes(pair)) / STEPS)
                .collect();
        }
        bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect()
    }
}

/// Made mouths, by output frame.
pub(crate) struct Mouths {
    records: Option<Records>,
    shape: Shape,
    ranges: Vec<Range<FrameIndex>>,
}

/// A made mouth and its place in the crop.
pub(crate) struct Mouth {
    /// Whether the image is what changes about the frame's lips, and not the lips themselves.
    pub(crate) change: bool,
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) image: RgbF32,
}

impl Mouths {
    /// No mouths at all.
    pub(crate) fn none() -> Self {
        Self {
            records: None,
            shape: Shape {
                x: 0,
                y: 0,
                width: 0,
                height: 0,
                changes: false,
            },
            ranges: Vec::new(),
        }
    }

    /// Lips that are lent and not changed by the model.
    fn lent(ranges: Vec<Range<FrameIndex>>) -> Self {
        let none = Self::none();
        Self {
            shape: Shape {
                changes: true,
                ..none.shape
            },
            ranges,
            ..none
        }
    }

    /// Whether the model has no part in these mouths.
    pub(crate) fn only_lent(&self) -> bool {
        self.records.is_none() && self.shape.changes
    }

    /// Output frames that have a made mouth, ascending.
    pub(crate) fn ranges(&self) -> &[Range<FrameIndex>] {
        &self.ranges
    }

    /// The mouth of an output frame, if it has one.
    pub(crate) fn at(&mut self, output: FrameIndex) -> Result<Option<Mouth>, ProjectError> {
        let shape = self.shape;
        let image = match &mut self.records {
            Some(records) => {
                let Some(bytes) = records.at(output)? else {
                    return Ok(None);
                };
                RgbF32::from_vec(shape.width, shape.height, shape.decode(&bytes))
                    .ok_or_else(|| ProjectError::fault("render", "a made mouth has another size"))?
            }
            None if self.ranges.iter().any(|range| range.contains(&output)) => RgbF32::new(0, 0),
            None => return Ok(None),
        };
        Ok(Some(Mouth {
            change: shape.changes,
            x: shape.x,
            y: shape.y,
            image,
        }))
    }
}

/// Makes the mouths of `ranges`.
#[expect(clippy::too_many_arguments, reason = "a stage sees the whole job")]
pub(crate) fn make(
    model: &EditYourself,
    request: &RenderRequest,
    source: &Source,
    pictures: &Pictures,
    heads: &Heads,
    ranges: Vec<LipRange>,
    counterparts: &Counterparts,
    mel: &MelFile,
    job: &Job,
    observer: &mut dyn Observer,
) -> Result<Mouths, ProjectError> {
    if ranges.is_empty() {
        return Ok(Mouths::none());
    }
    let made: Vec<Range<FrameIndex>> = ranges.iter().map(|range| range.frames.clone()).collect();
    if request.preview && model.config().counterparts {
        // What the model adds to lent lips is not what a first look is for.
        return Ok(Mouths::lent(made));
    }
    let lip_job = LipJob {
        references: references(pictures, heads),
        ranges,
        said: counterparts.said.clone(),
        rate: output_rate(source),
        seed: request.seed,
        schedule: None,
        audio_guidance: request.audio_guidance.map(f64::from),
        margin: MARGIN,
    };
    let total = lip_job.frames();
    observer.begin(Stage::Generate, total);
    let mut sink = Sink::open(job, model.config().counterparts, observer)?;
    let resume = sink.recorder.state.take();
    let mut crops = Crops {
        lender: Lender::new(counterparts, source, pictures, heads),
        pictures,
        heads,
        store: FrameStore::new(&source.clip, source.video.frames, source.frame_memory / 2),
        size: model.config().crop,
    };
    if !job.has("mouths.done") {
        let lip_job = match steps(model, request) {
            Some(schedule) => LipJob {
                schedule: Some(schedule),
                ..lip_job
            },
            None => lip_job,
        };
        let result = model.run(&lip_job, &mut crops, mel, &mut sink, resume.as_deref());
        if sink.cancelled {
            return Err(ProjectError::Cancelled);
        }
        result.map_err(method_error)?;
        job.write("mouths.done", b"")?;
    }
    observer.end(Stage::Generate);
    let shape: Shape = job
        .read("mouths.shape")
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| ProjectError::fault("generate", "no mouth was made"))?;
    Ok(Mouths {
        records: Some(Records::open(job, "mouths", shape.bytes(), made.clone())?),
        shape,
        ranges: made,
    })
}

/// The model's schedule with another number of steps, where one is asked for.
fn steps(model: &EditYourself, request: &RenderRequest) -> Option<diffusion::Schedule> {
    let own = model.schedule().steps();
    let wanted = request.steps_of(own);
    (wanted != own).then(|| model.schedule().with_steps(wanted))
}

/// Frames a second of the output, for the sound's place under each frame.
fn output_rate(source: &Source) -> FrameRate {
    source.video.rate
}

/// The parts of `lips` that have a head, each within one shot, with the recorded frames of the shot beside them that have
/// one too.
pub(crate) fn ranges(
    pictures: &Pictures,
    heads: &Heads,
    lips: &[Range<FrameIndex>],
) -> Vec<LipRange> {
    let has_head = |index: u64| heads.placement_at(pictures, FrameIndex(index)).is_some();
    let mut ranges: Vec<LipRange> = Vec::new();
    for lip in lips {
        let mut index = lip.start.0;
        while index < lip.end.0 {
            if !has_head(index) {
                index += 1;
                continue;
            }
            let scene = |at: u64| heads.scene_at(pictures, FrameIndex(at));
            let other = |at: u64| !has_head(at) || scene(at) != scene(index);
            let end = (index..lip.end.0)
                .find(|&at| other(at))
                .unwrap_or(lip.end.0);
            let lowest = index.saturating_sub(LEAD);
            let highest = (end + LEAD).min(pictures.len());
            let first = (lowest..index)
                .rev()
                .find(|&at| other(at))
                .map_or(lowest, |at| at + 1);
            let last = (end..highest).find(|&at| other(at)).unwrap_or(highest);
            ranges.push(LipRange {
                frames: FrameIndex(index)..FrameIndex(end),
                available: FrameIndex(first)..FrameIndex(last),
            });
            index = end;
        }
    }
    // Frames that one range makes are no recorded lead of another.
    let made: Vec<Range<FrameIndex>> = ranges.iter().map(|range| range.frames.clone()).collect();
    for (position, range) in ranges.iter_mut().enumerate() {
        if let Some(before) = position.checked_sub(1).and_then(|before| made.get(before)) {
            range.available.start = range.available.start.max(before.end);
        }
        if let Some(after) = made.get(position + 1) {
            range.available.end = range.available.end.min(after.start);
        }
    }
    ranges
}

/// Output frames that show the speaker's own mouth, as recorded: where it is open how far, and how the head is held.
fn references(pictures: &Pictures, heads: &Heads) -> References {
    let mut candidates = Vec::new();
    for index in 0..pictures.len() {
        let output = FrameIndex(index);
        if let super::pictures::Shown::Frame(shown) = pictures.at(output)
            && let Some(face) = heads.face(shown)
            && !face.bridged
            && !face.is_profile()
            && let Some(placement) = heads.placement(shown)
            && let Some(&[x, y]) = face.landmarks.get(NOSE_TIP)
        {
            candidates.push(Candidate {
                frame: output,
                opening: face.mouth_opening(),
                pose: placement.to_unit([x, y]),
            });
        }
    }
    References::Fitted(candidates)
}

struct Crops<'a> {
    lender: Lender<'a>,
    pictures: &'a Pictures,
    heads: &'a Heads,
    store: FrameStore<'a>,
    size: usize,
}

impl CropSource for Crops<'_> {
    fn crop(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        let picture = self.pictures.draw(frame, &mut self.store, self.heads)?;
        self.cut(frame, &picture)
    }

    fn counterpart(&mut self, frame: FrameIndex) -> Result<Vec<f32>, BoxError> {
        let picture = self.pictures.draw(frame, &mut self.store, self.heads)?;
        let mut picture = Frame::clone(&picture);
        self.lender.lay(&mut picture, frame)?;
        self.cut(frame, &picture)
    }
}

impl Crops<'_> {
    fn cut(&self, frame: FrameIndex, picture: &Frame) -> Result<Vec<f32>, BoxError> {
        let placement = self
            .heads
            .placement_at(self.pictures, frame)
            .ok_or_else(|| format!("{frame} has no head"))?;
        let crop = placement.extract_part(picture, self.size, (0, 0, self.size, self.size));
        Ok(planar(&crop))
    }
}

/// Keeps what the model hands over.
struct Sink<'a> {
    job: &'a Job,
    observer: &'a mut dyn Observer,
    recorder: Recorder<'a>,
    shape: Option<Shape>,
    changes: bool,
    cancelled: bool,
}

impl<'a> Sink<'a> {
    fn open(
        job: &'a Job,
        changes: bool,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, ProjectError> {
        let recorder = Recorder::open(job, "mouths")?;
        let shape = job
            .read("mouths.shape")
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        observer.advance(recorder.done);
        Ok(Self {
            job,
            observer,
            recorder,
            shape,
            changes,
            cancelled: false,
        })
    }
}

impl LipObserver for Sink<'_> {
    fn crop(&mut self, made: MadeCrop) -> Result<(), BoxError> {
        let shape = Shape {
            x: made.x,
            y: made.y,
            width: made.width,
            height: made.height,
            changes: self.changes,
        };
        match self.shape {
            None => {
                self.job
                    .write("mouths.shape", &serde_json::to_vec(&shape)?)?;
                self.shape = Some(shape);
            }
            Some(known) if known != shape => {
                return Err(format!("{} is made at another place", made.frame).into());
            }
            Some(_) => {}
        }
        let pixels = shape.width * shape.height;
        let mut bytes = vec![0_u8; shape.bytes()];
        for (channel, plane) in made.pixels.chunks_exact(pixels.max(1)).take(3).enumerate() {
            let wide = shape.bytes() / (pixels * 3).max(1);
            for (pixel, value) in bytes.chunks_exact_mut(3 * wide).zip(plane) {
                if let Some(bytes) = pixel.chunks_exact_mut(wide).nth(channel) {
                    shape.encode(*value, bytes);
                }
            }
        }
        self.recorder.push(&bytes)?;
        self.observer.advance(1);
        Ok(())
    }

    fn block(&mut self, progress: Progress, state: &State) -> Result<(), BoxError> {
        self.recorder.keep(progress.frames.0, state)?;
        if self.observer.cancelled() {
            self.cancelled = true;
            return Err("stopped".into());
        }
        Ok(())
    }
}
