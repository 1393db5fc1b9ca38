//! The assembled track, block by block.

use super::joins::{Fades, Stretch, gains, place, room};
use super::level::Piece;
use super::room::RoomTone;
use super::source::{TrackSource, read};
use super::{AssembleError, AssembleWarning};
use edit::SoundRun;
use std::ops::Range;
use units::SampleRate;

/// Samples of a block.
const BLOCK: u64 = 8192;

/// A block of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Samples a second.
    pub rate: SampleRate,
    /// One vector a channel, all of one length.
    pub channels: Vec<Vec<f32>>,
}

/// A run with the output samples that it covers.
struct Placed {
    run: SoundRun,
    out: Range<u64>,
}

/// A track being assembled: an iterator of blocks, or [`next_block`](Self::next_block).
pub struct Assembly<T> {
    track: T,
    runs: Vec<Placed>,
    pieces: Vec<Piece>,
    tone: RoomTone,
    warnings: Vec<AssembleWarning>,
    stretches: Vec<Stretch>,
    /// Output samples over which the end fades.
    ending: u64,
    at: u64,
    stretch: usize,
}

/// A run's own sound, and whether it lies over room tone, in a range of the output.
struct Layer {
    dry: Vec<Vec<f32>>,
    /// For each sample: 1 where room tone sounds under (or instead of) the dry sound.
    bed: Vec<bool>,
}

impl<T: TrackSource> Assembly<T> {
    pub(super) fn new(
        track: T,
        runs: &[SoundRun],
        pieces: Vec<Piece>,
        tone: RoomTone,
        warnings: Vec<AssembleWarning>,
    ) -> Self {
        let mut at = 0;
        let runs: Vec<Placed> = runs
            .iter()
            .filter(|run| !run.is_empty())
            .map(|run| {
                let start = at;
                at += run.len();
                Placed {
                    run: run.clone(),
                    out: start..at,
                }
            })
            .collect();
        Self {
            track,
            runs,
            pieces,
            tone,
            warnings,
            stretches: Vec::new(),
            ending: 0,
            at: 0,
            stretch: 0,
        }
    }

    /// Samples a second.
    pub fn rate(&self) -> SampleRate {
        self.track.rate()
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.track.channels()
    }

    /// Samples of each channel of the output.
    pub fn samples(&self) -> u64 {
        self.runs.last().map_or(0, |r| r.out.end)
    }

    /// What the user should know.
    pub fn warnings(&self) -> &[AssembleWarning] {
        &self.warnings
    }

    /// Output samples that are crossfades: everything else in a recorded run is the recording's, bit for bit.
    pub fn crossfades(&self) -> impl Iterator<Item = Range<u64>> {
        self.stretches
            .iter()
            .filter(|s| s.next.is_some())
            .map(|s| s.range.clone())
    }

    pub(super) fn warn(&mut self, warning: AssembleWarning) {
        self.warnings.push(warning);
    }

    pub(super) fn fade_out(&mut self, fades: &Fades) {
        self.ending = self.rate().samples_in(fades.length).min(self.samples());
    }

    /// Places the crossfades.
    pub(super) fn join(&mut self, fades: &Fades) -> Result<(), AssembleError> {
        let length = self.rate().samples_in(fades.length);
        let reach = self.rate().samples_in(fades.reach) + length / 2;
        let step = (u64::from(self.rate().hertz()) / 1000).max(1);
        let mut at = 0;
        let mut stretches = Vec::new();
        for left in 0..self.runs.len() {
            let (Some(before), Some(after)) = (self.runs.get(left), self.runs.get(left + 1)) else {
                break;
            };
            let join = before.out.end;
            if follows(&before.run, &after.run) {
                stretches.push(Stretch {
                    range: at..join,
                    run: left,
                    next: None,
                });
                at = join;
                continue;
            }
            let room = room(&before.out, &after.out, reach);
            let whole = room.clone();
            let layers = (self.layer(left, &whole)?, self.layer(left + 1, &whole)?);
            let window = place(&room, join, length, step, |window| {
                let inside = |range: &Range<u64>| {
                    (range.start - whole.start) as usize..(range.end - whole.start) as usize
                };
                let sum = |layer: &Layer| -> f64 {
                    layer
                        .dry
                        .iter()
                        .filter_map(|c| c.get(inside(&window)))
                        .flatten()
                        .map(|&s| f64::from(s) * f64::from(s))
                        .sum()
                };
                Ok::<f64, AssembleError>(sum(&layers.0) + sum(&layers.1))
            })?;
            stretches.push(Stretch {
                range: at..window.start,
                run: left,
                next: None,
            });
            stretches.push(Stretch {
                range: window.clone(),
                run: left,
                next: Some(left + 1),
            });
            at = window.end;
        }
        if let Some(last) = self.runs.len().checked_sub(1) {
            stretches.push(Stretch {
                range: at..self.samples(),
                run: last,
                next: None,
            });
        }
        stretches.retain(|s| !s.range.is_empty());
        self.stretches = stretches;
        Ok(())
    }

    /// The next block, or nothing at the end.
    ///
    /// # Errors
    /// Whatever the recorded track's reader reports.
    pub fn next_block(&mut self) -> Result<Option<Block>, AssembleError> {
        let channels = self.channels();
        let mut out: Vec<Vec<f32>> = vec![Vec::new(); channels];
        let from = self.at;
        while self.at - from < BLOCK {
            let Some(stretch) = self.stretches.get(self.stretch).cloned() else {
                break;
            };
            let range = self.at..stretch.range.end.min(from + BLOCK);
            self.sound(&stretch, &range, &mut out)?;
            self.at = range.end;
            if self.at == stretch.range.end {
                self.stretch += 1;
            }
        }
        if self.at == from {
            return Ok(None);
        }
        self.end_softly(from, &mut out);
        Ok(Some(Block {
            rate: self.rate(),
            channels: out,
        }))
    }

    /// Appends a part of a stretch.
    fn sound(
        &mut self,
        stretch: &Stretch,
        range: &Range<u64>,
        out: &mut [Vec<f32>],
    ) -> Result<(), AssembleError> {
        let left = self.layer(stretch.run, range)?;
        let right = match stretch.next {
            Some(next) => Some(self.layer(next, range)?),
            None => None,
        };
        let length = (stretch.range.end - stretch.range.start) as usize;
        let offset = (range.start - stretch.range.start) as usize;
        for (channel, (out, own)) in out.iter_mut().zip(&left.dry).enumerate() {
            let other = right.as_ref().and_then(|r| r.dry.get(channel));
            for (n, &sample) in own.iter().enumerate() {
                let bed = left.bed.get(n).copied().unwrap_or(false);
                let tone = || self.tone.at(channel, range.start + n as u64);
                let (Some(other), Some(right)) = (other.and_then(|o| o.get(n)), &right) else {
                    // Recorded samples pass as they are.
                    out.push(if bed { sample + tone() } else { sample });
                    continue;
                };
                let (down, up) = gains(offset + n, length);
                let next_bed = right.bed.get(n).copied().unwrap_or(false);
                // Room tone under both is one sound: it does not fade.
                let tone_gain = match (bed, next_bed) {
                    (true, true) => 1.0,
                    (true, false) => down,
                    (false, true) => up,
                    (false, false) => 0.0,
                };
                let under = if tone_gain > 0.0 {
                    tone_gain * tone()
                } else {
                    0.0
                };
                out.push(sample * down + other * up + under);
            }
        }
        Ok(())
    }

    /// What a run sounds like in a range of the output, which may lie outside its own: recorded sound goes on as it was
    /// recorded, everything else gives way to room tone.
    fn layer(&mut self, run: usize, range: &Range<u64>) -> Result<Layer, AssembleError> {
        let length = (range.end - range.start) as usize;
        let channels = self.track.channels();
        let mut dry = vec![vec![0.0; length]; channels];
        let mut bed = vec![true; length];
        let Some(placed) = self.runs.get(run) else {
            return Ok(Layer { dry, bed });
        };
        match &placed.run {
            SoundRun::RoomTone { .. } => {}
            SoundRun::Source { samples } => {
                let place = |out: u64| {
                    i128::from(out) - i128::from(placed.out.start) + i128::from(samples.start.0)
                };
                let total = i128::from(self.track.samples());
                let first = place(range.start).clamp(0, total);
                let end = place(range.end).clamp(0, total);
                let skip = (first - place(range.start)).max(0) as usize;
                let block = read(&mut self.track, first as u64..end as u64)?;
                for (dry, channel) in dry.iter_mut().zip(&block) {
                    for (slot, sample) in dry.iter_mut().skip(skip).zip(channel) {
                        *slot = *sample;
                    }
                }
                let heard = (end - first).max(0) as usize;
                for slot in bed.iter_mut().skip(skip).take(heard) {
                    *slot = false;
                }
            }
            SoundRun::Speech { insertion, samples } => {
                let Some(piece) = self.pieces.get(*insertion) else {
                    return Ok(Layer { dry, bed });
                };
                for (dry, gain) in dry.iter_mut().zip(&piece.gains) {
                    for (n, slot) in dry.iter_mut().enumerate() {
                        let out = range.start + n as u64;
                        let place = (out + samples.start.0).checked_sub(placed.out.start);
                        let inside = place.filter(|p| (samples.start.0..samples.end.0).contains(p));
                        let sample = inside.and_then(|p| piece.samples.get(p as usize));
                        *slot = sample.map_or(0.0, |s| s * gain);
                    }
                }
            }
        }
        Ok(Layer { dry, bed })
    }

    fn end_softly(&self, from: u64, out: &mut [Vec<f32>]) {
        let begin = self.samples() - self.ending;
        for channel in out {
            for (n, sample) in channel.iter_mut().enumerate() {
                if let Some(into) = (from + n as u64)
                    .checked_sub(begin)
                    .filter(|_| self.ending > 0)
                {
                    *sample *= gains(into as usize, self.ending as usize).0;
                }
            }
        }
    }
}

/// Recorded sound that goes on where it was.
fn follows(before: &SoundRun, after: &SoundRun) -> bool {
    match (before, after) {
        (SoundRun::Source { samples: a }, SoundRun::Source { samples: b }) => a.end == b.start,
        (
            SoundRun::Speech {
                insertion: i,
                samples: a,
            },
            SoundRun::Speech {
                insertion: j,
                samples: b,
            },
        ) => i == j && a.end == b.start,
        (SoundRun::RoomTone { .. }, SoundRun::RoomTone { .. }) => true,
        _ => false,
    }
}

impl<T: TrackSource> Iterator for Assembly<T> {
    type Item = Result<Block, AssembleError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_block().transpose()
    }
}
