//! What is computed once of a clip: the face, the head crop, the sound.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use face::lips::{Head, LipPose};
use face::mesh::NOSE_POSE;
use face::{FaceChoice, FaceTrack, HeadCrop, Placement, TrackOptions, Tracker};
use media::image::Rgb8;
use media::sound::MonoReader;
use media::{Clip, OpenOptions, Sandbox};
use methods::edit_yourself::{MelSource, mean_spectrum};
use nn::weights::{Checkpoint, save};
use sha2::{Digest as _, Sha256};
use speech::mel::{MEL_BANDS, log_mel};
use units::{FrameIndex, SampleRate};

use super::counterpart::{Pose, own_place};
use super::shape::{LIPS, shape_of};
use crate::error::{Result, TrainError};

/// Raised when what is computed changes, so that old files are not taken.
const VERSION: u32 = 1;

/// Rate of the mel's sound.
const RATE: u32 = 16_000;

/// How clips are read.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// Seconds of a clip that are used.
    pub seconds: f64,
    /// Fewest frames with a face in a row.
    pub least_frames: u64,
    /// Where results are kept; none keeps nothing.
    pub cache: Option<PathBuf>,
    /// Where decoding runs.
    pub sandbox: Sandbox,
    /// Pixels a side of the crop.
    pub side: usize,
}

/// The longest stretch of a clip with one face.
#[derive(Debug, Clone)]
pub struct Faces {
    /// Hexadecimal digest of the file's bytes, for names of further results.
    pub digest: String,
    /// The stretch's first frame in the clip.
    pub first: u64,
    /// Frames a second.
    pub rate: f64,
    /// Where the head crop lies in each frame.
    pub placements: Vec<Placement>,
    /// Mouth opening of each frame.
    pub openings: Vec<f32>,
    /// Lips and jaw of each frame in the crop, see [`shape_of`].
    pub shapes: Vec<Vec<f32>>,
    /// How the head is held in each frame.
    pub poses: Vec<Pose>,
    /// The same, and where the lips are, for laying others over.
    pub lips: Vec<LipPose>,
    /// Mel frames of the clip's sound from frame 0 of the clip on, 80 values each.
    pub mel: Arc<Vec<f32>>,
}

impl Faces {
    /// Frames of the stretch.
    pub fn len(&self) -> usize {
        self.placements.len()
    }

    /// The same with the recording's own mean spectrum taken out of its sound, for encoders with `mean_norm`: what
    /// `methods` does in use.
    ///
    /// # Errors
    /// When the mel frames are not whole.
    pub fn without_colour(mut self) -> Result<Self> {
        let colour = mean_spectrum(&Held(&self.mel), MEL_BANDS)?;
        let mut mel = self.mel.to_vec();
        for frame in mel.chunks_exact_mut(MEL_BANDS) {
            for (value, colour) in frame.iter_mut().zip(&colour) {
                *value -= colour;
            }
        }
        self.mel = Arc::new(mel);
        Ok(self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.placements.is_empty()
    }

    /// Centre of the lips of a frame, crop pixels.
    pub fn lips_at(&self, frame: usize, side: f32) -> [f32; 2] {
        let shape = self.shapes.get(frame).map_or(&[][..], Vec::as_slice);
        lips_of(shape).map(|v| v * side / 10.0)
    }

    /// Head crops of frames of the stretch (`range` counts from its first), `side` pixels.
    ///
    /// # Errors
    /// When the clip can't be read any more.
    pub fn crops(
        &self,
        path: &Path,
        range: std::ops::Range<usize>,
        side: usize,
        sandbox: Sandbox,
    ) -> Result<Vec<Rgb8>> {
        let bad = |error: media::MediaError| TrainError::clip(path, error);
        let clip = Clip::open(path, &OpenOptions { sandbox }).map_err(bad)?;
        let at = |n: usize| FrameIndex(self.first + n as u64);
        let mut crops = Vec::with_capacity(range.len());
        let reader = clip.frames(at(range.start)..at(range.end)).map_err(bad)?;
        for (frame, placement) in reader.zip(self.placements.iter().skip(range.start)) {
            crops.push(placement.extract(&frame.map_err(bad)?.to_rgb8(), side));
        }
        if crops.len() != range.len() {
            return Err(TrainError::clip(path, "it has fewer frames than it had"));
        }
        Ok(crops)
    }
}

/// Mel frames in memory.
struct Held<'a>(&'a [f32]);

impl MelSource for Held<'_> {
    fn frames(&self) -> usize {
        self.0.len() / MEL_BANDS
    }

    fn read(
        &self,
        frames: std::ops::Range<usize>,
    ) -> std::result::Result<Vec<f32>, methods::BoxError> {
        let part = self.0.get(frames.start * MEL_BANDS..frames.end * MEL_BANDS);
        part.map(<[f32]>::to_vec)
            .ok_or_else(|| format!("mel frames {frames:?} are not there").into())
    }
}

/// Finds the face and the sound of a clip, or takes them from the cache.
///
/// # Errors
/// When the clip can't be read, or has too little of a face or sound: a sentence for the funnel.
pub fn faces_of(path: &Path, options: &PrepareOptions) -> Result<Faces> {
    let digest = digest_of(path)?;
    let kept = options.cache.as_ref().map(|folder| {
        let hash = Sha256::digest(format!("{VERSION} {digest} {}", options.seconds));
        folder.join(format!("{}.face.safetensors", hex(&hash, 12)))
    });
    if let Some(kept) = kept.as_deref().filter(|kept| kept.exists()) {
        // A cache file that can't be read is made anew.
        if let Ok(found) = Found::read(kept) {
            return found.faces(path, &digest, options);
        }
    }
    let found = Found::look(path, options)?;
    if let Some(kept) = kept {
        found.write(&kept)?;
    }
    found.faces(path, &digest, options)
}

/// What is kept of a clip.
struct Found {
    rate: f64,
    first: u64,
    /// 468 points a frame, frame pixels.
    landmarks: Vec<Vec<[f32; 2]>>,
    mel: Vec<f32>,
}

impl Found {
    fn look(path: &Path, options: &PrepareOptions) -> Result<Self> {
        let bad = |error: media::MediaError| TrainError::clip(path, error);
        let options_of = OpenOptions {
            sandbox: options.sandbox,
        };
        let clip = Clip::open(path, &options_of).map_err(bad)?;
        let video = clip.video().map_err(bad)?;
        let rate = video.rate;
        let wanted = (options.seconds * rate.per_second()).round() as u64;
        let frames = video.frames.min(wanted);
        let mel = mel_of(&clip, frames as f64 / rate.per_second()).map_err(bad)?;
        if mel.len() < MEL_BANDS * 100 {
            return Err(TrainError::clip(path, "it has less than a second of sound"));
        }
        let face = |error: face::FaceError| TrainError::clip(path, error);
        let mut tracker = Tracker::new(TrackOptions::new(rate)).map_err(face)?;
        let reader = clip
            .frames(FrameIndex::ZERO..FrameIndex(frames))
            .map_err(bad)?;
        for (n, frame) in reader.enumerate() {
            let frame = frame.map_err(bad)?.to_rgb8();
            tracker.push(FrameIndex(n as u64), &frame).map_err(face)?;
        }
        let chosen = tracker
            .finish()
            .choose(FaceChoice::Speaking, None)
            .map_err(face)?;
        let best = chosen
            .tracks
            .iter()
            .flat_map(|track| runs(track).into_iter().map(move |run| (track, run)))
            // The first of the longest.
            .max_by_key(|(_, run)| (run.len(), std::cmp::Reverse(run.start)));
        let Some((track, run)) = best else {
            return Err(TrainError::clip(path, "it shows no face"));
        };
        let landmarks = track
            .faces()
            .skip(run.start)
            .take(run.len())
            .flatten()
            .map(|face| face.landmarks)
            .collect();
        Ok(Self {
            rate: rate.per_second(),
            first: track.frames.start.0 + run.start as u64,
            landmarks,
            mel,
        })
    }

    fn faces(self, path: &Path, digest: &str, options: &PrepareOptions) -> Result<Faces> {
        let count = self.landmarks.len();
        if (count as u64) < options.least_frames {
            return Err(TrainError::clip(
                path,
                format!(
                    "its face is seen for {count} frames in a row, fewer than {}",
                    options.least_frames
                ),
            ));
        }
        let points = self.landmarks.iter().map(|p| Some(p.as_slice()));
        let crop = HeadCrop::of_points(FrameIndex::ZERO, points);
        let mut placements = Vec::with_capacity(count);
        let mut shapes = Vec::with_capacity(count);
        let mut poses = Vec::with_capacity(count);
        let mut lips = Vec::with_capacity(count);
        let side = options.side as f32;
        for (n, points) in self.landmarks.iter().enumerate() {
            let place = crop
                .placement(FrameIndex(n as u64))
                .ok_or_else(|| TrainError::clip(path, "a face without a size"))?;
            let in_crop: Vec<[f32; 2]> = points
                .iter()
                .map(|point| place.to_unit(*point).map(|v| v * side))
                .collect();
            let shape = shape_of(&in_crop, side);
            let point = |n: usize| in_crop.get(n).map_or([0.5; 2], |p| p.map(|v| v / side));
            poses.push(Pose {
                nose: NOSE_POSE.map(point),
            });
            let head = Head {
                placement: &own_place(options.side),
                landmarks: &in_crop,
            };
            lips.push(
                head.pose()
                    .ok_or_else(|| TrainError::clip(path, "a face without its points"))?,
            );
            shapes.push(shape);
            placements.push(*place);
        }
        Ok(Faces {
            digest: digest.to_owned(),
            first: self.first,
            rate: self.rate,
            placements,
            openings: self
                .landmarks
                .iter()
                .map(|p| face::mouth_opening(p))
                .collect(),
            shapes,
            poses,
            lips,
            mel: Arc::new(self.mel),
        })
    }

    fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        }
        let points: Vec<f32> = self.landmarks.iter().flatten().flatten().copied().collect();
        let each = self.landmarks.first().map_or(0, Vec::len);
        let frames = self.mel.len() / MEL_BANDS;
        let device = Device::Cpu;
        let tensors = BTreeMap::from([
            (
                "landmarks".to_owned(),
                Tensor::from_vec(points, (self.landmarks.len(), each, 2), &device)?,
            ),
            (
                "mel".to_owned(),
                Tensor::from_slice(&self.mel, (frames, MEL_BANDS), &device)?,
            ),
        ]);
        let metadata = BTreeMap::from([
            ("rate".to_owned(), format!("{:?}", self.rate)),
            ("first".to_owned(), self.first.to_string()),
        ]);
        Ok(save(path, &tensors, &metadata)?)
    }

    fn read(path: &Path) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let number = |key: &str| {
            let text = file.metadata(key);
            let found = text.and_then(|text| text.parse::<f64>().ok());
            found.ok_or_else(|| TrainError::file(path, format!("it does not say its {key}")))
        };
        let tensor = |name: &str| file.tensor(name, DType::F32, &Device::Cpu);
        let landmarks = tensor("landmarks")?.to_vec3::<f32>()?;
        let pair = |point: Vec<f32>| <[f32; 2]>::try_from(point).unwrap_or_default();
        Ok(Self {
            rate: number("rate")?,
            first: number("first")? as u64,
            landmarks: landmarks
                .into_iter()
                .map(|frame| frame.into_iter().map(pair).collect())
                .collect(),
            mel: tensor("mel")?.flatten_all()?.to_vec1::<f32>()?,
        })
    }
}

/// Centre of the lips of a shape, in its own tenths of the crop.
fn lips_of(shape: &[f32]) -> [f32; 2] {
    let (mut x, mut y) = (0.0, 0.0);
    let (points, _) = shape.as_chunks::<2>();
    for [px, py] in points.iter().take(LIPS.len()) {
        x += px / LIPS.len() as f32;
        y += py / LIPS.len() as f32;
    }
    [x, y]
}

/// Stretches of a track without a gap, as ranges of its list.
fn runs(track: &FaceTrack) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    let there = track.faces().map(|face| face.is_some());
    for (n, there) in there.chain([false]).enumerate() {
        match (there, start) {
            (true, None) => start = Some(n),
            (false, Some(from)) => {
                found.push(from..n);
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Mel frames from the picture's first frame on, for `seconds` and a little more.
fn mel_of(clip: &Clip, seconds: f64) -> std::result::Result<Vec<f32>, media::MediaError> {
    let rate = SampleRate::SPEECH;
    let mut reader = MonoReader::new(clip, rate)?;
    let mut sound = Vec::new();
    while let Some(block) = reader.next_block()? {
        sound.extend_from_slice(&block);
    }
    // Sound that starts late gets silence in front, sound that starts early loses its beginning.
    let start = (clip.sound()?.start.0 * f64::from(RATE)).round() as i64;
    if start >= 0 {
        sound.splice(0..0, std::iter::repeat_n(0.0, start as usize));
    } else {
        sound.drain(..((-start) as usize).min(sound.len()));
    }
    let mut mel: Vec<f32> = log_mel(&sound).into_iter().flatten().collect();
    let wanted = ((seconds * 100.0).ceil() as usize + 8) * MEL_BANDS;
    // Silence behind the end: the logarithm's floor.
    let there = mel.len().min(wanted);
    mel.truncate(there);
    if there >= MEL_BANDS * 100 {
        mel.resize(wanted, -0.75);
    }
    Ok(mel)
}

fn digest_of(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(TrainError::io(path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(TrainError::io(path))?;
    Ok(hex(&hash.finalize(), 16))
}

/// The first `count` bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8], count: usize) -> String {
    let mut text = String::with_capacity(2 * count);
    for byte in bytes.iter().take(count) {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
