//! The new sound track: recorded sound as it is, new speech at the level of what surrounds it, room tone in the gaps,
//! and equal-power crossfades where they meet.
//!
//! Everything is streamed: memory holds the new speech, two seconds of room tone and one block.

mod joins;
mod level;
mod room;
mod source;
mod stream;

pub use joins::Fades;
pub use source::{BoxError, MemoryTrack, TrackSource};
pub use stream::{Assembly, Block};

use crate::wave::Wave;
use edit::SoundRun;
use room::RoomTone;
use std::fmt;
use std::ops::Range;
use thiserror::Error;
use units::{SampleIndex, Seconds};

/// A track that can't be assembled.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// The plan asks for samples that the track lacks.
    #[error("the plan asks for samples {} to {} of a track of {available}", range.start.0, range.end.0)]
    BeyondTrack {
        /// What is asked for.
        range: Range<SampleIndex>,
        /// Samples of the track.
        available: u64,
    },
    /// The plan asks for speech that was not given.
    #[error("the plan asks for new speech {asked}, but only {given} were given")]
    NoSpeech {
        /// Which insertion, counted from zero.
        asked: usize,
        /// How many there are.
        given: usize,
    },
    /// The recorded track can't be read.
    #[error("cannot read samples {} to {} of the recorded track", range.start, range.end)]
    Source {
        /// What was read.
        range: Range<u64>,
        /// Why.
        source: BoxError,
    },
    /// The reader gave another amount than asked for.
    #[error("the recorded track gave {given} samples where {asked} were asked for")]
    Short {
        /// Samples given.
        given: usize,
        /// Samples asked for.
        asked: u64,
    },
    /// A track of more channels or a rate that loudness can't be measured of.
    #[error("the loudness of {channels} channels at {hertz} Hz cannot be measured")]
    Loudness {
        /// Channels.
        channels: usize,
        /// Samples a second.
        hertz: u32,
    },
}

/// Something the user should know about the new track.
#[derive(Clone, Debug, PartialEq)]
pub enum AssembleWarning {
    /// Speech longer than the clip was cut.
    SpeechCut {
        /// Length of the speech.
        speech: Seconds,
        /// Length of the clip.
        clip: Seconds,
    },
    /// New speech stayed quieter than what surrounds it, because it would have clipped.
    Quieter {
        /// Which insertion.
        insertion: usize,
        /// By how much, in dB.
        decibels: f64,
    },
}

impl fmt::Display for AssembleWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpeechCut { speech, clip } => write!(
                formatter,
                "the speech lasts {:.2} s and the clip {:.2} s: its end was cut; `reword dub` changes the clip's length instead",
                speech.0, clip.0
            ),
            Self::Quieter {
                insertion,
                decibels,
            } => write!(
                formatter,
                "new speech {} is {decibels:.1} dB quieter than what surrounds it, since it would have clipped",
                insertion + 1
            ),
        }
    }
}

/// Assembles a track: `runs` of a timeline over a recorded `track` and pieces of new `speech` (at any rate; a run's
/// samples count at the track's rate). Output sample `n` belongs to the run that covers it, except within
/// [`Fades::reach`] plus half a fade of a join. The output has as many samples as the runs.
///
/// # Errors
/// Runs beyond the track or the speech, and whatever the track's reader reports.
pub fn assemble<T: TrackSource>(
    mut track: T,
    runs: &[SoundRun],
    speech: &[Wave],
    fades: &Fades,
) -> Result<Assembly<T>, AssembleError> {
    for run in runs {
        match run {
            SoundRun::Source { samples } if samples.end.0 > track.samples() => {
                return Err(AssembleError::BeyondTrack {
                    range: samples.clone(),
                    available: track.samples(),
                });
            }
            SoundRun::Speech { insertion, .. } if *insertion >= speech.len() => {
                return Err(AssembleError::NoSpeech {
                    asked: *insertion,
                    given: speech.len(),
                });
            }
            _ => {}
        }
    }
    let room = RoomTone::of(&mut track)?;
    let (pieces, warnings) = level::matched(&mut track, runs, speech)?;
    let mut assembly = Assembly::new(track, runs, pieces, room, warnings);
    assembly.join(fades)?;
    Ok(assembly)
}

/// The track of a clip of `length` samples (at the speech's rate) that is to say other speech: shorter speech is
/// followed by the silence of its own recording, longer speech is cut, with a warning.
///
/// # Errors
/// Whatever the speech's reader reports.
pub fn track_for_sync<T: TrackSource>(
    speech: T,
    length: u64,
) -> Result<Assembly<T>, AssembleError> {
    let available = speech.samples();
    let rate = speech.rate();
    let said = available.min(length);
    let mut runs = vec![SoundRun::Source {
        samples: SampleIndex(0)..SampleIndex(said),
    }];
    if said < length {
        runs.push(SoundRun::RoomTone {
            samples: length - said,
        });
    }
    runs.retain(|run| !run.is_empty());
    let mut assembly = assemble(speech, &runs, &[], &Fades::default())?;
    if available > length {
        assembly.fade_out(&Fades::default());
    }
    // A few samples more are a matter of codecs, not of what is said.
    if rate.start_of(SampleIndex(available - said)) > Seconds(0.05) {
        assembly.warn(AssembleWarning::SpeechCut {
            speech: rate.start_of(SampleIndex(available)),
            clip: rate.start_of(SampleIndex(length)),
        });
    }
    Ok(assembly)
}

#[cfg(test)]
mod tests;
