//! The output's sound, laid out sample by sample.

use super::SoundRun;
use crate::clock::SoundClock;
use std::ops::Range;
use units::{SampleIndex, Seconds};

/// Sound runs as they grow. Without a source track it only keeps the time.
pub(super) struct Track {
    clock: Option<SoundClock>,
    runs: Vec<SoundRun>,
    samples: u64,
    seconds: Seconds,
}

impl Track {
    pub(super) fn new(clock: Option<SoundClock>) -> Self {
        Self {
            clock,
            runs: Vec::new(),
            samples: 0,
            seconds: Seconds::ZERO,
        }
    }

    /// When the sound laid out so far ends.
    pub(super) fn end(&self) -> Seconds {
        match self.clock {
            Some(clock) => clock.rate.start_of(SampleIndex(self.samples)),
            None => self.seconds,
        }
    }

    /// Recorded sound, with silence where the track does not reach.
    pub(super) fn source(&mut self, times: &Range<Seconds>) {
        let Some(clock) = self.clock else {
            self.seconds += times.end - times.start;
            return;
        };
        let cut = clock.between(times);
        self.push(SoundRun::RoomTone {
            samples: cut.before,
        });
        self.push(SoundRun::Source {
            samples: cut.samples,
        });
        self.push(SoundRun::RoomTone { samples: cut.after });
    }

    /// Silence.
    pub(super) fn silence(&mut self, lasts: Seconds) {
        match self.clock {
            Some(clock) => self.push(SoundRun::RoomTone {
                samples: clock.rate.samples_in(lasts),
            }),
            None => self.seconds += lasts,
        }
    }

    /// New speech from its start.
    pub(super) fn speech(&mut self, insertion: usize, lasts: Seconds) {
        match self.clock {
            Some(clock) => {
                let samples = SampleIndex::ZERO..SampleIndex(clock.rate.samples_in(lasts));
                self.push(SoundRun::Speech { insertion, samples });
            }
            None => self.seconds += lasts,
        }
    }

    fn push(&mut self, run: SoundRun) {
        if run.is_empty() {
            return;
        }
        self.samples += run.len();
        match (self.runs.last_mut(), run) {
            (Some(SoundRun::Source { samples: last }), SoundRun::Source { samples })
                if last.end == samples.start =>
            {
                last.end = samples.end;
            }
            (Some(SoundRun::RoomTone { samples: last }), SoundRun::RoomTone { samples }) => {
                *last += samples;
            }
            (_, run) => self.runs.push(run),
        }
    }

    /// Ends the sound with the pictures: cut, or filled up with what the recording goes on with,
    /// else with silence.
    pub(super) fn finish(mut self, end: Seconds) -> Vec<SoundRun> {
        let Some(clock) = self.clock else {
            return Vec::new();
        };
        let total = clock.rate.nearest(end).0;
        while self.samples > total {
            let surplus = self.samples - total;
            let Some(last) = self.runs.last_mut() else {
                break;
            };
            let length = last.len();
            if length <= surplus {
                self.runs.pop();
                self.samples -= length;
                continue;
            }
            match last {
                SoundRun::Source { samples } | SoundRun::Speech { samples, .. } => {
                    samples.end = samples.end - surplus;
                }
                SoundRun::RoomTone { samples } => *samples -= surplus,
            }
            self.samples = total;
        }
        let missing = total - self.samples;
        if let Some(SoundRun::Source { samples }) = self.runs.last_mut() {
            let more = missing.min(clock.samples.saturating_sub(samples.end.0));
            samples.end += more;
            self.samples += more;
        }
        let missing = total - self.samples;
        self.push(SoundRun::RoomTone { samples: missing });
        self.runs
    }
}
