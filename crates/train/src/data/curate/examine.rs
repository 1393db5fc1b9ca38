//! What is measured of a clip.

use std::path::Path;

use face::{FaceChoice, Placement, TrackOptions, Tracker};
use media::image::Rgb8;
use media::sound::MonoReader;
use media::{Clip, OpenOptions, Sandbox};
use models::mel_encoder::MelEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use speech::vad::{VadOptions, speech_spans};
use units::{FrameIndex, SampleRate};

use super::{Filter, Thresholds, Verdict};
use crate::data::footage::FootageClip;
use crate::data::prepare::{PrepareOptions, faces_of, hex};
use crate::stage::SoundClip;

/// Pixels of the crop in which sharpness is measured.
const SIDE: usize = 256;

/// Frames between two measures of sharpness.
const EVERY: u64 = 12;

/// Measures, as far as the clip got: later ones are left out of a clip that falls early.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Examined {
    /// Frames a second.
    pub rate: Option<f64>,
    /// Frames.
    pub frames: Option<u64>,
    /// Pixels.
    pub size: Option<(u32, u32)>,
    /// Bits a second of the picture.
    pub bit_rate: Option<u64>,
    /// Scene cuts.
    pub cuts: Option<usize>,
    /// People who are seen for a tenth of the clip or more.
    pub faces: Option<usize>,
    /// Share of frames with the chosen face.
    pub presence: Option<f64>,
    /// Mean distance between the eyes, pixels.
    pub eyes: Option<f64>,
    /// Standard deviation of the mouth's Laplacian, the mean over frames.
    pub sharpness: Option<f64>,
    /// Share of the sound that is speech.
    pub speech: Option<f64>,
    /// Correlation of mouth and sound at the best offset.
    pub agreement: Option<f64>,
    /// That offset, seconds; positive when the sound is late.
    pub offset: Option<f64>,
}

/// Measures a clip filter by filter; dear measures are left out once it has fallen.
pub fn examine(
    clip: &FootageClip,
    thresholds: &Thresholds,
    options: &PrepareOptions,
    encoder: Option<&MelEncoder>,
) -> Verdict {
    let mut verdict = Verdict {
        id: clip.id.clone(),
        bytes: std::fs::metadata(&clip.path).map_or(0, |m| m.len()),
        digest: String::new(),
        failed: None,
        reason: None,
        examined: Examined::default(),
    };
    let steps: [Measure<'_>; 3] = [
        &|path, found| file(path, options.sandbox, found),
        &|path, found| picture(path, options.sandbox, found),
        &|path, found| sound(path, options, encoder, found),
    ];
    verdict.digest = match digest(&clip.path) {
        Ok(digest) => digest,
        Err(reason) => return corrupt(verdict, reason),
    };
    for step in steps {
        if let Err(reason) = step(&clip.path, &mut verdict.examined) {
            return corrupt(verdict, reason);
        }
        verdict = thresholds.judge(verdict);
        if verdict.failed.is_some() {
            return verdict;
        }
    }
    verdict
}

type Measure<'a> = &'a dyn Fn(&Path, &mut Examined) -> std::result::Result<(), String>;

fn corrupt(mut verdict: Verdict, reason: String) -> Verdict {
    verdict.failed = Some(Filter::Corrupt);
    verdict.reason = Some(reason);
    verdict
}

fn digest(path: &Path) -> std::result::Result<String, String> {
    let mut file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(|e| e.to_string())?;
    Ok(hex(&hash.finalize(), 16))
}

fn open(path: &Path, sandbox: Sandbox) -> std::result::Result<Clip, String> {
    Clip::open(path, &OpenOptions { sandbox }).map_err(|e| e.to_string())
}

/// What the file says of itself.
fn file(path: &Path, sandbox: Sandbox, found: &mut Examined) -> std::result::Result<(), String> {
    let clip = open(path, sandbox)?;
    let video = clip.video().map_err(|e| e.to_string())?;
    clip.sound().map_err(|e| e.to_string())?;
    if video.missing > 0 {
        return Err(format!("{} frames are missing", video.missing));
    }
    found.rate = Some(video.rate.per_second());
    found.frames = Some(video.frames);
    found.size = Some((video.width, video.height));
    // A container that does not say has the file's own size.
    let seconds = (video.frames as f64 / video.rate.per_second()).max(1e-3);
    let whole = std::fs::metadata(path).map_or(0, |m| m.len()) as f64 * 8.0 / seconds;
    found.bit_rate = Some(if video.bit_rate > 0 {
        video.bit_rate
    } else {
        whole as u64
    });
    Ok(())
}

/// Every frame: cuts, people, the face, its mouth.
fn picture(path: &Path, sandbox: Sandbox, found: &mut Examined) -> std::result::Result<(), String> {
    let clip = open(path, sandbox)?;
    let video = clip.video().map_err(|e| e.to_string())?;
    let mut tracker = Tracker::new(TrackOptions::new(video.rate)).map_err(|e| e.to_string())?;
    let mut looked = Vec::new();
    let mut count = 0_u64;
    for frame in clip.all_frames().map_err(|e| e.to_string())? {
        let frame = frame.map_err(|e| e.to_string())?.to_rgb8();
        tracker
            .push(FrameIndex(count), &frame)
            .map_err(|e| e.to_string())?;
        if count.is_multiple_of(EVERY) && looked.len() < 40 {
            looked.push((FrameIndex(count), frame));
        }
        count += 1;
    }
    let tracks = tracker.finish();
    found.cuts = Some(tracks.cuts.len());
    let mut seen = vec![0_usize; tracks.people()];
    for track in &tracks.tracks {
        if let Some(seen) = seen.get_mut(track.person) {
            *seen += track.seen();
        }
    }
    let many = seen.iter().filter(|n| **n as u64 * 10 >= count).count();
    found.faces = Some(many);
    let Ok(chosen) = tracks.choose(FaceChoice::Speaking, None) else {
        found.faces = Some(0);
        return Ok(());
    };
    let shown: usize = chosen.tracks.iter().map(|track| track.seen()).sum();
    found.presence = Some(shown as f64 / count.max(1) as f64);
    let size: f64 = chosen
        .tracks
        .iter()
        .map(|track| f64::from(track.size()) * track.seen() as f64)
        .sum();
    found.eyes = Some(size / shown.max(1) as f64);
    let sharp: Vec<f64> = looked
        .iter()
        .filter_map(|(index, frame)| Some(sharpness(frame, chosen.placement(*index)?)))
        .collect();
    found.sharpness = Some(sharp.iter().sum::<f64>() / sharp.len().max(1) as f64);
    Ok(())
}

/// Standard deviation of the Laplacian of the mouth's brightness in the head crop.
fn sharpness(frame: &Rgb8, placement: &Placement) -> f64 {
    let crop = placement.extract(frame, SIDE);
    let mouth = crop.crop(80, 136, 96, 64);
    let level = |x: usize, y: usize| {
        let [r, g, b] = mouth.pixel(x, y);
        0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)
    };
    let (mut sum, mut square, mut count) = (0.0, 0.0, 0.0);
    for y in 1..mouth.height - 1 {
        for x in 1..mouth.width - 1 {
            let around = level(x - 1, y) + level(x + 1, y) + level(x, y - 1) + level(x, y + 1);
            let value = around - 4.0 * level(x, y);
            sum += value;
            square += value * value;
            count += 1.0;
        }
    }
    let mean: f64 = sum / count;
    (square / count - mean * mean).max(0.0).sqrt()
}

/// Speech, and whether the mouth goes with it.
fn sound(
    path: &Path,
    options: &PrepareOptions,
    encoder: Option<&MelEncoder>,
    found: &mut Examined,
) -> std::result::Result<(), String> {
    let clip = open(path, options.sandbox)?;
    let mut reader = MonoReader::new(&clip, SampleRate::SPEECH).map_err(|e| e.to_string())?;
    let mut samples = Vec::new();
    while let Some(block) = reader.next_block().map_err(|e| e.to_string())? {
        samples.extend_from_slice(&block);
    }
    let spoken: f64 = speech_spans(&samples, &VadOptions::default())
        .iter()
        .map(|span| span.end.0 - span.start.0)
        .sum();
    let seconds = samples.len() as f64 / 16_000.0;
    found.speech = Some(if seconds > 0.0 { spoken / seconds } else { 0.0 });
    let Some(encoder) = encoder else {
        return Ok(());
    };
    let faces = faces_of(path, options).map_err(|e| e.to_string())?;
    let best = SoundClip::new("", 1.0, &faces)
        .and_then(|clip| clip.offset(encoder))
        .map_err(|e| e.to_string())?;
    found.agreement = Some(best.agreement);
    found.offset = Some(best.seconds);
    Ok(())
}
