//! New speech at the level of what surrounds it.

use super::source::{TrackSource, read};
use super::{AssembleError, AssembleWarning};
use crate::wave::Wave;
use ebur128::{EbuR128, Mode};
use edit::SoundRun;

/// Seconds of recorded sound that are listened to on each side of new speech.
const AROUND: u64 = 10;
/// Loudness of new speech where nothing surrounds it, in LUFS (EBU R 128).
const ALONE: f64 = -23.0;
/// The largest change, in dB.
const LARGEST: f64 = 24.0;
/// The highest sample that matched speech may have.
const PEAK: f32 = 0.97;

/// New speech at the track's rate, with a gain for each channel.
pub(super) struct Piece {
    pub(super) samples: Vec<f32>,
    pub(super) gains: Vec<f32>,
}

/// Brings pieces to the track's rate and to the loudness of the recorded sound around the run that plays them.
pub(super) fn matched<T: TrackSource>(
    track: &mut T,
    runs: &[SoundRun],
    speech: &[Wave],
) -> Result<(Vec<Piece>, Vec<AssembleWarning>), AssembleError> {
    let mut pieces = Vec::with_capacity(speech.len());
    let mut warnings = Vec::new();
    for (insertion, wave) in speech.iter().enumerate() {
        let samples = wave.at_rate(track.rate()).samples;
        let place = runs.iter().position(
            |run| matches!(run, SoundRun::Speech { insertion: i, .. } if *i == insertion),
        );
        let Some(place) = place else {
            pieces.push(Piece {
                samples: Vec::new(),
                gains: vec![0.0; track.channels()],
            });
            continue;
        };
        let around = surroundings(track, runs, place)?;
        let shares = shares(&around);
        let target = loudness(&around, track)?.unwrap_or(ALONE);
        // What matters is how loud it is in the channels that it will play in.
        let spread: Vec<Vec<f32>> = shares
            .iter()
            .map(|share| samples.iter().map(|s| s * share).collect())
            .collect();
        let own = loudness(&spread, track)?;
        let wanted = own.map_or(0.0, |own| (target - own).clamp(-LARGEST, LARGEST));
        let peak = samples.iter().fold(0.0_f32, |a, s| a.max(s.abs()));
        let most = 20.0 * f64::from(PEAK / peak.max(1e-6)).log10();
        let change = wanted.min(most);
        if wanted - change > 1.0 {
            warnings.push(AssembleWarning::Quieter {
                insertion,
                decibels: wanted - change,
            });
        }
        let gain = 10.0_f64.powf(change / 20.0) as f32;
        pieces.push(Piece {
            samples,
            gains: shares.iter().map(|share| share * gain).collect(),
        });
    }
    Ok((pieces, warnings))
}

/// Recorded sound before and after a run.
fn surroundings<T: TrackSource>(
    track: &mut T,
    runs: &[SoundRun],
    place: usize,
) -> Result<Vec<Vec<f32>>, AssembleError> {
    let span = AROUND * u64::from(track.rate().hertz());
    let source = |run: &SoundRun| match run {
        SoundRun::Source { samples } => Some(samples.start.0..samples.end.0),
        _ => None,
    };
    let mut before = Vec::new();
    let mut left = span;
    for range in runs.iter().take(place).rev().filter_map(source) {
        let start = range.end - left.min(range.end - range.start);
        left -= range.end - start;
        before.push(start..range.end);
        if left == 0 {
            break;
        }
    }
    let mut after = Vec::new();
    let mut left = span;
    for range in runs.iter().skip(place + 1).filter_map(source) {
        let end = range.start + left.min(range.end - range.start);
        left -= end - range.start;
        after.push(range.start..end);
        if left == 0 {
            break;
        }
    }
    let mut all = vec![Vec::new(); track.channels()];
    for range in before.into_iter().rev().chain(after) {
        for (all, channel) in all.iter_mut().zip(read(track, range)?) {
            all.extend(channel);
        }
    }
    Ok(all)
}

/// How much of speech each channel holds, the fullest being 1; all alike where nothing sounds.
fn shares(channels: &[Vec<f32>]) -> Vec<f32> {
    let levels: Vec<f32> = channels.iter().map(|c| crate::energy::rms(c)).collect();
    let most = levels.iter().copied().fold(0.0, f32::max);
    if most < 1e-5 {
        return vec![1.0; channels.len()];
    }
    levels.iter().map(|level| level / most).collect()
}

/// Integrated loudness in LUFS (ITU-R BS.1770, gated), or none for silence. Sound shorter than the meter's window is
/// repeated.
fn loudness<T: TrackSource>(
    channels: &[Vec<f32>],
    track: &T,
) -> Result<Option<f64>, AssembleError> {
    let length = channels.iter().map(Vec::len).min().unwrap_or(0);
    if length == 0 {
        return Ok(None);
    }
    let hertz = track.rate().hertz();
    let fail = |_| AssembleError::Loudness {
        channels: channels.len(),
        hertz,
    };
    let mut meter = EbuR128::new(channels.len() as u32, hertz, Mode::I).map_err(fail)?;
    let planes: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
    let times = (hertz as usize).div_ceil(length).max(1);
    for _ in 0..times {
        meter.add_frames_planar_f32(&planes).map_err(fail)?;
    }
    let value = meter.loudness_global().map_err(fail)?;
    Ok(value.is_finite().then_some(value))
}
