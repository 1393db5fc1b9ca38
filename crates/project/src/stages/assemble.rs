//! The new track, written into the job folder: kept words keep their own samples, the rest comes from new speech and
//! room tone (see `speech::assemble`).

use super::sound_file::SoundWriter;
use super::source::Source;
use crate::{Observer, ProjectError, Stage};
use edit::{SoundRun, Timeline};
use media::sound::SoundFile;
use media::{AudioBlock, AudioReader, Clip};
use speech::assemble::{
    AssembleError, Assembly, BoxError, Fades, TrackSource, assemble, track_for_sync,
};
use speech::wave::Wave;
use std::ops::Range;
use std::path::Path;
use units::{SampleIndex, SampleRate, Seconds};

/// Writes the track of an edited clip.
pub(crate) fn edited(
    source: &Source,
    timeline: &Timeline,
    speech: &[Wave],
    target: &Path,
    observer: &mut dyn Observer,
) -> Result<(), ProjectError> {
    let track = ClipTrack::new(source.clip.clone(), 0)?;
    let assembly =
        assemble(track, &timeline.sound, speech, &Fades::default()).map_err(assemble_error)?;
    write(assembly, target, observer)
}

/// Writes a further track of an edited clip, of the recording and silence alone.
pub(crate) fn cut(
    clip: &Clip,
    runs: &[SoundRun],
    target: &Path,
    observer: &mut dyn Observer,
) -> Result<(), ProjectError> {
    let track = ClipTrack::new(clip.clone(), 0)?;
    let assembly = assemble(track, runs, &[], &Fades::default()).map_err(assemble_error)?;
    write(assembly, target, observer)
}

/// Writes a track that replaces the clip's own and lasts as long as the timeline.
pub(crate) fn replaced(
    timeline: &Timeline,
    speech: &SoundFile,
    target: &Path,
    observer: &mut dyn Observer,
) -> Result<(), ProjectError> {
    let info = speech.info().map_err(super::media_error)?;
    let length = info.rate.samples_in(timeline.clock.end());
    // The sound of a video may start later than its picture.
    let lead = info.rate.samples_in(info.start.max(Seconds::ZERO));
    let assembly = track_for_sync(ClipTrack::new(speech.clip().clone(), lead)?, length)
        .map_err(assemble_error)?;
    write(assembly, target, observer)
}

fn write<T: TrackSource>(
    mut assembly: Assembly<T>,
    target: &Path,
    observer: &mut dyn Observer,
) -> Result<(), ProjectError> {
    observer.begin(Stage::Speak, assembly.samples());
    for warning in assembly.warnings() {
        observer.warn(&warning.to_string());
    }
    let mut writer = SoundWriter::create(target, assembly.rate(), assembly.channels() as u16)?;
    while let Some(block) = assembly.next_block().map_err(assemble_error)? {
        let block = AudioBlock {
            rate: block.rate,
            channels: block.channels,
        };
        writer.push(&block)?;
        observer.advance(block.len() as u64);
    }
    writer.finish()?;
    observer.end(Stage::Speak);
    Ok(())
}

/// A clip's sound as the assembly reads it, with silence before its first sample.
struct ClipTrack {
    clip: Clip,
    rate: SampleRate,
    channels: usize,
    lead: u64,
    samples: u64,
    /// A reader and where it goes on, in samples of the clip, with what it gave too much.
    reader: Option<(u64, AudioReader)>,
    spare: Vec<Vec<f32>>,
}

impl ClipTrack {
    fn new(clip: Clip, lead: u64) -> Result<Self, ProjectError> {
        let info = clip.sound().map_err(super::media_error)?;
        let (rate, channels, samples) = (info.rate, usize::from(info.channels), info.samples);
        Ok(Self {
            clip,
            rate,
            channels,
            lead,
            samples,
            reader: None,
            spare: Vec::new(),
        })
    }

    /// Samples of the clip itself.
    fn recorded(&mut self, range: Range<u64>) -> Result<Vec<Vec<f32>>, BoxError> {
        let count = (range.end - range.start) as usize;
        if self
            .reader
            .as_ref()
            .is_none_or(|(next, _)| *next != range.start)
        {
            let reader = self
                .clip
                .audio(SampleIndex(range.start)..SampleIndex(self.samples))?;
            self.reader = Some((range.start, reader));
            self.spare = vec![Vec::new(); self.channels];
        }
        let Some((next, reader)) = &mut self.reader else {
            return Err("no reader".into());
        };
        while self.spare.first().map_or(0, Vec::len) < count {
            let Some(block) = reader.next_block()? else {
                break;
            };
            for (spare, channel) in self.spare.iter_mut().zip(&block.channels) {
                spare.extend_from_slice(channel);
            }
        }
        *next += count as u64;
        Ok(self
            .spare
            .iter_mut()
            .map(|channel| {
                // A track that ends before its header says is filled with silence.
                if channel.len() < count {
                    channel.resize(count, 0.0);
                }
                channel.drain(..count).collect()
            })
            .collect())
    }
}

impl TrackSource for ClipTrack {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn samples(&self) -> u64 {
        self.lead + self.samples
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<Vec<f32>>, BoxError> {
        let silent = self.lead.clamp(range.start, range.end) - range.start;
        let mut channels = vec![vec![0.0; silent as usize]; self.channels];
        let rest = range.start + silent - self.lead.min(range.start + silent)
            ..range.end.saturating_sub(self.lead);
        if rest.start < rest.end {
            for (channel, more) in channels.iter_mut().zip(self.recorded(rest)?) {
                channel.extend(more);
            }
        }
        Ok(channels)
    }
}

fn assemble_error(error: AssembleError) -> ProjectError {
    match error {
        AssembleError::Source { source, .. } => ProjectError::input(source.to_string()),
        other => ProjectError::fault("speak", other),
    }
}
