//! A run of samples of a clip.

use super::Clip;
use crate::MediaError;
use crate::decode::SoundSource;
use crate::info::AudioInfo;
use crate::sandbox::{Backend, ChildStream};
use std::ops::Range;
use std::sync::Arc;
use units::{SampleIndex, SampleRate};

/// Some consecutive samples of every channel, -1..=1.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioBlock {
    /// Samples a second.
    pub rate: SampleRate,
    /// One vector a channel, all of one length, in libav's channel order.
    pub channels: Vec<Vec<f32>>,
}

impl AudioBlock {
    /// Samples of each channel.
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// True without any sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One channel of all: in stereo their mean, in surround the centre most, without the
    /// low-frequency channel (fourth of six or more, by libav's order).
    pub fn to_mono(&self) -> Vec<f32> {
        let count = self.channels.len();
        let weights: Vec<f32> = (0..count)
            .map(|channel| match (count, channel) {
                (0..=2, _) => 1.0,
                (_, 2) => 1.0,
                (6.., 3) => 0.0,
                (_, 0 | 1) => 0.707,
                _ => 0.5,
            })
            .collect();
        let total: f32 = weights.iter().sum();
        let mut mono = vec![0.0; self.len()];
        for (channel, weight) in self.channels.iter().zip(&weights) {
            for (sum, sample) in mono.iter_mut().zip(channel) {
                *sum += sample * weight / total;
            }
        }
        mono
    }
}

enum Source {
    Here(Box<SoundSource>),
    Child(ChildStream),
    Nothing,
}

/// An iterator over blocks of sound. Together the blocks have exactly the samples asked for;
/// what the file lacks is silence. After an error it ends.
pub struct AudioReader {
    clip: Clip,
    source: Source,
    rate: SampleRate,
    channels: u16,
    next: SampleIndex,
    end: SampleIndex,
}

impl AudioReader {
    pub(super) fn open(
        clip: &Clip,
        info: &AudioInfo,
        range: Range<SampleIndex>,
    ) -> Result<Self, MediaError> {
        let source = if range.is_empty() {
            Source::Nothing
        } else {
            let request = clip.sound_request(info, &range)?;
            match clip.backend() {
                Backend::InProcess { file, .. } => {
                    let source =
                        SoundSource::open(Arc::clone(file), request).map_err(|failure| {
                            let at = info.start + info.rate.start_of(range.start);
                            clip.decode_error(failure, at)
                        })?;
                    Source::Here(Box::new(source))
                }
                Backend::Child(child) => Source::Child(child.sound(&request)?),
            }
        };
        Ok(Self {
            clip: clip.clone(),
            source,
            rate: info.rate,
            channels: info.channels,
            next: range.start,
            end: range.end,
        })
    }

    /// Samples a second.
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Channels of every block.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// The sample that comes next.
    pub fn position(&self) -> SampleIndex {
        self.next
    }

    /// The next block, never empty.
    pub fn next_block(&mut self) -> Result<Option<AudioBlock>, MediaError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let block = match &mut self.source {
            Source::Nothing => Ok(None),
            Source::Here(source) => source.next().map_err(|failure| {
                let at = self.rate.start_of(self.next);
                self.clip.decode_error(failure, at)
            }),
            Source::Child(stream) => stream.sound(usize::from(self.channels)),
        };
        match block {
            Ok(Some(channels)) => {
                let block = AudioBlock {
                    rate: self.rate,
                    channels,
                };
                self.next += block.len() as u64;
                Ok(Some(block))
            }
            Ok(None) => {
                self.next = self.end;
                Ok(None)
            }
            Err(error) => {
                self.next = self.end;
                Err(error)
            }
        }
    }

    /// All that is left, in one block. Memory grows with the range.
    pub fn read_to_end(&mut self) -> Result<AudioBlock, MediaError> {
        let mut channels = vec![Vec::new(); usize::from(self.channels)];
        while let Some(block) = self.next_block()? {
            for (all, channel) in channels.iter_mut().zip(&block.channels) {
                all.extend_from_slice(channel);
            }
        }
        Ok(AudioBlock {
            rate: self.rate,
            channels,
        })
    }
}

impl Iterator for AudioReader {
    type Item = Result<AudioBlock, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_block().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_is_the_mean_of_stereo_and_mostly_the_centre_of_surround() {
        let rate = SampleRate::SPEECH;
        let block = |channels: Vec<Vec<f32>>| AudioBlock { rate, channels };
        assert_eq!(block(vec![vec![1.0], vec![0.0]]).to_mono(), [0.5]);
        assert_eq!(block(vec![vec![0.25]]).to_mono(), [0.25]);
        let surround = |loud: usize| {
            let mut channels = vec![vec![0.0]; 6];
            channels[loud] = vec![1.0];
            block(channels).to_mono()[0]
        };
        assert!(surround(2) > surround(0) && surround(0) > surround(5));
        assert!(surround(3).abs() < 1e-9);
        let all = block(vec![vec![1.0]; 6]).to_mono()[0];
        assert!((all - 1.0).abs() < 1e-6);
    }
}
