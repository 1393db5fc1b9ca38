//! Lip sync by `SyncNet`: from a clip's face track and sound to Sync-C, Sync-D and the offset.
//!
//! The procedure is that of `joonson/syncnet_python` (see docs/metrics.md for the three places where this differs:
//! the detector, the shot detector, and that nothing is compressed in between).

mod crop;
pub mod mfcc;
mod offset;
mod track;

pub use offset::{REACH, SyncScores, sync_scores};

use crate::MeasureError;
use candle_core::{Device, Tensor};
use crop::crop;
use face::track::Chosen;
use media::sound::MonoReader;
use media::{Clip, VideoInfo};
use mfcc::{CEPSTRA, Mfcc};
use models::syncnet::{LIP_FRAMES, LIP_SIDE, SOUND_STEPS, SyncNet};
use std::collections::VecDeque;
use track::{Track, tracks};
use units::{FrameIndex, SampleRate, Seconds};

/// The procedure's frame rate.
pub const RATE: f64 = 25.0;

/// Windows that go through the network at once.
const BATCH: usize = 8;

/// What the procedure asks of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SyncOptions {
    /// Frames at 25 fps. The original asks for 100, `LatentSync`'s evaluation, which most tables come from, for 50.
    pub least_frames: usize,
    /// Mean side of the face's box, pixels.
    pub least_size: f32,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            least_frames: 50,
            least_size: 100.0,
        }
    }
}

/// The scores of one track, and the frames (at 25 fps, from the clip's first frame) that it covers.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackSync {
    /// The first frame.
    pub first: usize,
    /// What was found.
    pub scores: SyncScores,
}

/// Scores of every track of a face that is long and large enough, with the sound of a clip (its own, as a rule).
///
/// # Errors
/// `Ok(Err(sentence))` where the clip can't be scored, an error where it can't be read.
pub fn measure_sync(
    clip: &Clip,
    sound: &Clip,
    chosen: &Chosen,
    net: &SyncNet,
    options: &SyncOptions,
) -> Result<Result<Vec<TrackSync>, String>, MeasureError> {
    let video = clip.video()?;
    let tracks = match tracks(video, chosen, options) {
        Ok(tracks) => tracks,
        Err(reason) => return Ok(Err(reason)),
    };
    if sound.sound().is_err() {
        return Ok(Err("there is no sound".to_owned()));
    }
    let mut results = Vec::new();
    for track in tracks {
        let (samples, cepstra) = sound_of(sound, video, &track)?;
        let usable = track
            .places
            .len()
            .min(samples / 640)
            .saturating_sub(LIP_FRAMES);
        if usable == 0 {
            continue;
        }
        let lips = lip_features(clip, &track, usable, net)?;
        let heard = sound_features(&cepstra, usable, net)?;
        if let Some(scores) = sync_scores(&lips, &heard) {
            results.push(TrackSync {
                first: track.first,
                scores,
            });
        }
    }
    if results.is_empty() {
        return Ok(Err("the sound ends before the face is seen".to_owned()));
    }
    Ok(Ok(results))
}

/// Number of samples at 16 kHz under a track, and their cepstra.
fn sound_of(
    clip: &Clip,
    video: &VideoInfo,
    track: &Track,
) -> Result<(usize, Vec<[f32; CEPSTRA]>), MeasureError> {
    let audio = clip.sound()?;
    let zero = video.times.start(FrameIndex::ZERO);
    let start = zero + Seconds(track.first as f64 / RATE);
    let end = start + Seconds(track.places.len() as f64 / RATE);
    let range = audio.sample_at(start)..audio.sample_at(end);
    let rate = SampleRate::SPEECH;
    let mut mfcc = Mfcc::new();
    // Sound that starts later than the picture is silence before.
    let late = ((audio.start - start).0.max(0.0) * f64::from(rate.hertz())).round() as usize;
    let most = track.places.len() * 640;
    let mut count = late.min(most);
    mfcc.push(&vec![0.0; count])?;
    let mut reader = MonoReader::of_range(clip, range, rate)?;
    while let Some(block) = reader.next_block()? {
        let block = block
            .get(..block.len().min(most - count))
            .unwrap_or_default();
        mfcc.push(block)?;
        count += block.len();
    }
    Ok((count, mfcc.finish()?))
}

fn lip_features(
    clip: &Clip,
    track: &Track,
    usable: usize,
    net: &SyncNet,
) -> Result<Vec<Vec<f32>>, MeasureError> {
    let (Some(first), Some(last)) = (track.sources.first(), track.sources.last()) else {
        return Ok(Vec::new());
    };
    let mut frames = clip.frames(FrameIndex(*first)..FrameIndex(last + 1))?;
    let mut shown = None;
    let mut next = *first;
    let mut crops: VecDeque<Vec<f32>> = VecDeque::new();
    let mut windows: Vec<Tensor> = Vec::new();
    let mut features = Vec::new();
    let device = Device::Cpu;
    for (index, (source, place)) in track.sources.iter().zip(&track.places).enumerate() {
        while next <= *source {
            match frames.next() {
                Some(frame) => shown = Some(frame?.to_rgb8()),
                None => break,
            }
            next += 1;
        }
        let Some(frame) = &shown else { break };
        crops.push_back(crop(frame, place));
        if crops.len() > LIP_FRAMES {
            crops.pop_front();
        }
        // The window that ends here began four frames ago.
        if crops.len() == LIP_FRAMES && index + 1 - LIP_FRAMES < usable {
            windows.push(window(&crops, &device)?);
        }
        if windows.len() == BATCH {
            rows(&net.lips(&Tensor::cat(&windows, 0)?)?, &mut features)?;
            windows.clear();
        }
    }
    if !windows.is_empty() {
        rows(&net.lips(&Tensor::cat(&windows, 0)?)?, &mut features)?;
    }
    Ok(features)
}

/// `[1, 3, 5, 224, 224]` of five crops in planes.
fn window(crops: &VecDeque<Vec<f32>>, device: &Device) -> Result<Tensor, MeasureError> {
    let size = LIP_SIDE * LIP_SIDE;
    let mut values: Vec<f32> = Vec::with_capacity(3 * LIP_FRAMES * size);
    for channel in 0..3 {
        for crop in crops {
            values.extend(crop.iter().skip(channel * size).take(size));
        }
    }
    Ok(Tensor::from_vec(
        values,
        (1, 3, LIP_FRAMES, LIP_SIDE, LIP_SIDE),
        device,
    )?)
}

fn sound_features(
    cepstra: &[[f32; CEPSTRA]],
    usable: usize,
    net: &SyncNet,
) -> Result<Vec<Vec<f32>>, MeasureError> {
    let mut features = Vec::new();
    let starts: Vec<usize> = (0..usable).collect();
    for starts in starts.chunks(64) {
        let mut values = Vec::with_capacity(starts.len() * CEPSTRA * SOUND_STEPS);
        for start in starts {
            for cepstrum in 0..CEPSTRA {
                // Four steps of 10 ms a frame of 40 ms.
                values.extend((0..SOUND_STEPS).map(|step| {
                    cepstra
                        .get(start * 4 + step)
                        .and_then(|frame| frame.get(cepstrum))
                        .copied()
                        .unwrap_or(0.0)
                }));
            }
        }
        let shape = (starts.len(), 1, CEPSTRA, SOUND_STEPS);
        let input = Tensor::from_vec(values, shape, &Device::Cpu)?;
        rows(&net.sound(&input)?, &mut features)?;
    }
    Ok(features)
}

fn rows(features: &Tensor, all: &mut Vec<Vec<f32>>) -> Result<(), MeasureError> {
    all.extend(features.to_vec2::<f32>()?);
    Ok(())
}
