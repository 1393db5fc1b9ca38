//! Lips against sound by the project's own scorer (`models::sync_scorer`); no `SyncNet`, and not its scale.
//!
//! The lips' outline at 25 Hz in windows of two seconds, the sound around each, slid to either side. Windows in which
//! nobody speaks are left out.

use crate::MeasureError;
use face::geometry::Point;
use face::track::Chosen;
use media::sound::MonoReader;
use media::{Clip, VideoInfo};
use models::sync_scorer::{MELS, POINTS, SyncScorer};
use speech::mel::{MEL_BANDS, log_mel};
use units::{FrameIndex, SampleRate};

/// Frames a second of the lips' course.
const RATE: f64 = 25.0;
/// Frames between windows.
const HOP: usize = 5;
/// Share of a window's frames in which somebody speaks, at least.
const SPEECH: f64 = 0.5;
/// A frame is voiced when its mean mel value is this close to the loud frames' (95th percentile): 14 dB.
const VOICED: f32 = 0.35;
/// The mel value of silence.
const SILENCE: f32 = -0.75;
/// Points are given in so many parts of the head crop.
const PARTS: f32 = 10.0;

/// What was found in a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Mean agreement of lips and sound as they stand, -1..1.
    pub here: f64,
    /// The same at the best offset.
    pub best: f64,
    /// By how many frames of 40 ms the sound is late.
    pub offset: i64,
    /// Windows that were looked at.
    pub windows: usize,
}

/// Agreement of a face of `clip` with the sound of `sound` (its own, as a rule).
///
/// # Errors
/// `Ok(Err(sentence))` where the clip can't be scored, an error where it can't be read.
pub fn measure_agreement(
    clip: &Clip,
    sound: &Clip,
    chosen: &Chosen,
    scorer: &SyncScorer,
) -> Result<Result<Agreement, String>, MeasureError> {
    if sound.sound().is_err() {
        return Ok(Err("there is no sound".to_owned()));
    }
    let lips = lips(clip.video()?, chosen);
    let mel = mel(sound)?;
    let config = scorer.config();
    let (window, reach) = (config.window, config.reach);
    let voiced = voiced(&mel, lips.len());
    let mut longest = 0;
    let mut sum = vec![0.0; 2 * reach + 1];
    let mut count = 0_usize;
    for run in runs(&lips) {
        longest = longest.max(run.len());
        for start in run.clone().step_by(HOP) {
            if start + window > run.end {
                break;
            }
            let speech = voiced.iter().skip(start).take(window);
            if (speech.filter(|v| **v).count() as f64) < SPEECH * window as f64 {
                continue;
            }
            let points: Vec<f32> = lips
                .iter()
                .skip(start)
                .take(window)
                .flatten()
                .flatten()
                .copied()
                .collect();
            let from = start as i64 - reach as i64;
            let heard = frames(&mel, from, window + 2 * reach);
            let curve = scorer.curve(&points, &heard)?;
            for (sum, value) in sum.iter_mut().zip(curve) {
                *sum += f64::from(value);
            }
            count += 1;
        }
    }
    if count == 0 {
        return Ok(Err(if longest < window {
            format!("a face is seen for {longest} frames of 40 ms in a row; {window} are needed")
        } else {
            "nobody speaks for a second of two while the face is seen".to_owned()
        }));
    }
    let at = |place: usize| sum.get(place).copied().unwrap_or(0.0) / count as f64;
    let best = (0..sum.len())
        .max_by(|a, b| at(*a).total_cmp(&at(*b)))
        .unwrap_or(reach);
    Ok(Ok(Agreement {
        here: at(reach),
        best: at(best),
        offset: best as i64 - reach as i64,
        windows: count,
    }))
}

/// Lips and jaw at 25 Hz from the clip's first frame on, in tenths of the head crop; interpolated between frames,
/// nothing where a neighbour has no face.
fn lips(video: &VideoInfo, chosen: &Chosen) -> Vec<Option<Vec<f32>>> {
    let zero = video.times.start(FrameIndex::ZERO).0;
    let time = |frame: u64| video.times.start(FrameIndex(frame)).0 - zero;
    let shape = |frame: u64| -> Option<Vec<f32>> {
        let index = FrameIndex(frame);
        let face = chosen.face(index).filter(|face| !face.bridged)?;
        let place = chosen.placement(index)?;
        let point = |n: &usize| -> Option<Point> {
            let point = face.landmarks.get(*n)?;
            Some(place.to_unit(*point).map(|v| v * PARTS))
        };
        let points = POINTS.iter().map(point).collect::<Option<Vec<Point>>>()?;
        Some(points.into_iter().flatten().collect())
    };
    let last = video.frames.saturating_sub(1);
    let count = (time(last) * RATE) as usize + 1;
    let mut low = 0;
    (0..count)
        .map(|tick| {
            let wanted = tick as f64 / RATE;
            while low < last && time(low + 1) <= wanted {
                low += 1;
            }
            let here = shape(low)?;
            if low == last {
                return Some(here);
            }
            let span = (time(low + 1) - time(low)).max(1e-6);
            let share = ((wanted - time(low)) / span).clamp(0.0, 1.0) as f32;
            if share < 1e-3 {
                return Some(here);
            }
            let next = shape(low + 1)?;
            let pairs = here.iter().zip(&next);
            Some(pairs.map(|(a, b)| a + (b - a) * share).collect())
        })
        .collect()
}

/// Stretches without a gap.
fn runs(lips: &[Option<Vec<f32>>]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (n, shape) in lips.iter().chain([&None]).enumerate() {
        match (shape, start) {
            (Some(_), None) => start = Some(n),
            (None, Some(from)) => {
                found.push(from..n);
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Mel frames from the picture's first frame on.
fn mel(clip: &Clip) -> Result<Vec<f32>, MeasureError> {
    let rate = SampleRate::SPEECH;
    let mut reader = MonoReader::new(clip, rate)?;
    let mut sound = Vec::new();
    while let Some(block) = reader.next_block()? {
        sound.extend_from_slice(&block);
    }
    let zero = clip
        .video()
        .map_or(0.0, |video| video.times.start(FrameIndex::ZERO).0);
    let late = ((clip.sound()?.start.0 - zero) * f64::from(rate.hertz())).round() as i64;
    if late >= 0 {
        sound.splice(0..0, std::iter::repeat_n(0.0, late as usize));
    } else {
        sound.drain(..((-late) as usize).min(sound.len()));
    }
    Ok(log_mel(&sound).into_iter().flatten().collect())
}

/// Mel frames of `count` frames from `start` on, silence beyond the ends.
fn frames(mel: &[f32], start: i64, count: usize) -> Vec<f32> {
    let each = MELS * MEL_BANDS;
    (start..start + count as i64)
        .flat_map(|frame| {
            let own = usize::try_from(frame)
                .ok()
                .and_then(|frame| mel.get(frame * each..(frame + 1) * each));
            own.map_or_else(|| vec![SILENCE; each], <[f32]>::to_vec)
        })
        .collect()
}

/// In which of the first `count` frames somebody speaks.
fn voiced(mel: &[f32], count: usize) -> Vec<bool> {
    let levels: Vec<f32> = mel
        .chunks_exact(MELS * MEL_BANDS)
        .take(count)
        .map(|frame| frame.iter().sum::<f32>() / frame.len() as f32)
        .collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let loud = sorted.get(sorted.len() * 95 / 100).copied().unwrap_or(0.0);
    levels.iter().map(|level| *level > loud - VOICED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_beyond_the_ends_is_silence_and_gaps_part_the_lips() {
        let each = MELS * MEL_BANDS;
        let mel = vec![0.25; 2 * each];
        let found = frames(&mel, -1, 4);
        let levels: Vec<f32> = found.chunks_exact(each).map(|f| f[3]).collect();
        assert_eq!(levels, [SILENCE, 0.25, 0.25, SILENCE]);
        let shape = || Some(vec![0.0]);
        let lips = [None, shape(), shape(), None, shape()];
        assert_eq!(runs(&lips), [1..3, 4..5]);
    }

    #[test]
    fn the_loud_part_of_a_clip_is_voiced() {
        let each = MELS * MEL_BANDS;
        let mut mel = vec![0.4; 30 * each];
        for value in mel.iter_mut().take(10 * each) {
            *value = -0.3;
        }
        let found = voiced(&mel, 40);
        assert_eq!(found.len(), 30);
        assert!(!found[3] && found[20]);
    }
}
