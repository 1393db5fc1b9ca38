//! Room tone: a loop of the recording's own quiet parts.

use super::AssembleError;
use super::source::{TrackSource, read};
use crate::energy::percentile;
use std::ops::Range;

/// How much of a recording is searched for quiet parts, in seconds.
const SEARCHED: u64 = 600;
/// Levels per second of the search.
const LEVELS: u64 = 50;
/// The longest loop, and the shortest quiet part that is used, in levels.
const LONGEST: usize = 100;
const SHORTEST: usize = 4;
/// Room tone that is less than this quieter than speech (a factor of levels) would carry speech itself.
const APART: f32 = 0.18;
/// The level of made noise where a recording has no quiet part of its own, or none but digital silence.
const FAINT: f32 = 1e-4;

/// A seamless loop of room tone.
pub(super) struct RoomTone {
    /// One vector a channel, all of one length above zero.
    channels: Vec<Vec<f32>>,
}

impl RoomTone {
    /// The tone of a track, from the quiet parts of its first ten minutes.
    pub(super) fn of<T: TrackSource>(track: &mut T) -> Result<Self, AssembleError> {
        let hop = u64::from(track.rate().hertz()).div_ceil(LEVELS).max(1);
        let end = track.samples().min(hop * LEVELS * SEARCHED);
        let mut levels = Vec::new();
        let mut at = 0;
        while at + hop <= end {
            let upto = (at + hop * 256).min(end);
            let block = read(track, at..upto)?;
            let whole = ((upto - at) / hop) as usize;
            for n in 0..whole {
                let range = n * hop as usize..(n + 1) * hop as usize;
                let level = block
                    .iter()
                    .filter_map(|c| c.get(range.clone()))
                    .map(level)
                    .fold(0.0, f32::max);
                levels.push(level);
            }
            at += whole as u64 * hop;
        }
        let loud = percentile(&levels, 0.95);
        let floor = percentile(&levels, 0.05);
        let channels = track.channels().max(1);
        if levels.len() < SHORTEST || floor > APART * loud {
            // No part of it is quiet: something far below its quietest.
            return Ok(Self::made(channels, (floor * 0.1).clamp(FAINT, 0.003), hop));
        }
        if floor < FAINT / 10.0 {
            return Ok(Self::made(channels, FAINT, hop));
        }
        let parts = quiet_parts(&levels, floor * 1.5);
        if parts.is_empty() {
            return Ok(Self::made(channels, floor.max(FAINT), hop));
        }
        let mut joined = vec![Vec::new(); channels];
        for part in parts {
            let block = read(track, part.start as u64 * hop..part.end as u64 * hop)?;
            for (joined, piece) in joined.iter_mut().zip(&block) {
                append(joined, piece, hop as usize);
            }
        }
        for channel in &mut joined {
            close(channel, hop as usize);
        }
        if joined.iter().any(Vec::is_empty) {
            return Ok(Self::made(channels, floor.max(FAINT), hop));
        }
        Ok(Self { channels: joined })
    }

    /// Soft noise, the same every time.
    fn made(channels: usize, level: f32, hop: u64) -> Self {
        let length = hop as usize * LONGEST;
        let make = |channel: usize| {
            let mut state =
                0x2545_f491_u32.wrapping_add((channel as u32).wrapping_mul(0x9e37_79b9));
            let mut smooth = 0.0;
            let samples: Vec<f32> = (0..length + hop as usize)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let white = (f64::from(state >> 8) / f64::from(1 << 24) - 0.5) as f32;
                    // Rooms hum more than they hiss.
                    smooth += 0.25 * (white - smooth);
                    smooth
                })
                .collect();
            let scale = level / self::level(&samples).max(1e-9);
            let mut scaled: Vec<f32> = samples.iter().map(|s| s * scale).collect();
            close(&mut scaled, hop as usize);
            scaled
        };
        Self {
            channels: (0..channels).map(make).collect(),
        }
    }

    /// The tone at a place of the output.
    pub(super) fn at(&self, channel: usize, place: u64) -> f32 {
        self.channels
            .get(channel)
            .and_then(|c| c.get((place % c.len().max(1) as u64) as usize))
            .copied()
            .unwrap_or(0.0)
    }
}

fn level(samples: &[f32]) -> f32 {
    crate::energy::rms(samples)
}

/// The quietest stretches, without their edges, in order of time, up to the longest loop.
fn quiet_parts(levels: &[f32], threshold: f32) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (n, &level) in levels.iter().enumerate() {
        if level > threshold || level < FAINT / 10.0 {
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == n => last.end = n + 1,
            _ => runs.push(n..n + 1),
        }
    }
    runs.retain(|run| run.len() >= SHORTEST + 2);
    for run in &mut runs {
        // The first and last frames may hold the edges of words.
        run.start += 1;
        run.end -= 1;
    }
    // The longest first: fewer seams. Ties go to the earlier.
    runs.sort_by(|a, b| b.len().cmp(&a.len()).then(a.start.cmp(&b.start)));
    let mut kept = Vec::new();
    let mut total = 0;
    for run in runs {
        let take = run.len().min(LONGEST - total);
        if take >= SHORTEST {
            kept.push(run.start..run.start + take);
            total += take;
        }
    }
    kept.sort_by_key(|run| run.start);
    kept
}

/// Appends a piece with an equal-power crossfade.
fn append(joined: &mut Vec<f32>, piece: &[f32], fade: usize) {
    let fade = fade.min(joined.len()).min(piece.len());
    let from = joined.len() - fade;
    for (n, (old, new)) in joined.iter_mut().skip(from).zip(piece).enumerate() {
        let (out, into) = super::joins::gains(n, fade);
        *old = *old * out + new * into;
    }
    joined.extend(piece.iter().skip(fade));
}

/// Fades the end into the start, so that the loop has no seam.
fn close(channel: &mut Vec<f32>, fade: usize) {
    let fade = fade.min(channel.len() / 2);
    let tail = channel.split_off(channel.len() - fade);
    for (n, (start, end)) in channel.iter_mut().zip(tail).enumerate() {
        let (out, into) = super::joins::gains(n, fade);
        *start = *start * into + end * out;
    }
}
