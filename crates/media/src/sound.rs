//! Sound of any file, for listening machines: mono at the rate that they want.

use crate::MediaError;
use crate::clip::{AudioReader, Clip, OpenOptions};
use crate::info::AudioInfo;
use crate::libav::{Code, Layout, Resampler};
use std::path::Path;
use units::{SampleIndex, SampleRate};

/// A file with sound: a WAV, a song, a clip.
#[derive(Clone, Debug)]
pub struct SoundFile {
    clip: Clip,
}

impl SoundFile {
    /// Opens a file; an error where it has no sound.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, MediaError> {
        let clip = Clip::open(path, options)?;
        clip.sound()?;
        Ok(Self { clip })
    }

    /// The file as a clip.
    pub fn clip(&self) -> &Clip {
        &self.clip
    }

    /// What the sound is.
    pub fn info(&self) -> Result<&AudioInfo, MediaError> {
        self.clip.sound()
    }

    /// The samples as they are.
    pub fn read(&self) -> Result<AudioReader, MediaError> {
        self.clip.all_audio()
    }

    /// All samples, mixed to one channel, at a rate.
    pub fn read_mono(&self, rate: SampleRate) -> Result<Vec<f32>, MediaError> {
        let mut reader = MonoReader::new(&self.clip, rate)?;
        let mut all = Vec::new();
        while let Some(block) = reader.next_block()? {
            all.extend_from_slice(&block);
        }
        Ok(all)
    }
}

/// Streams a clip's sound as one channel at a rate; sample `n` sounds `n / rate` after the
/// track's first sample.
pub struct MonoReader {
    reader: AudioReader,
    resampler: Option<Resampler>,
    /// Samples still to come, so that the length is exact.
    left: u64,
    ended: bool,
    path: std::path::PathBuf,
}

impl MonoReader {
    /// Starts at the track's first sample.
    pub fn new(clip: &Clip, rate: SampleRate) -> Result<Self, MediaError> {
        let info = clip.sound()?;
        Self::of_range(clip, SampleIndex::ZERO..SampleIndex(info.samples), rate)
    }

    /// Starts anywhere; `range` counts samples of the track itself.
    pub fn of_range(
        clip: &Clip,
        range: std::ops::Range<SampleIndex>,
        rate: SampleRate,
    ) -> Result<Self, MediaError> {
        let info = clip.sound()?;
        let from = u64::from(info.rate.hertz());
        let to = u64::from(rate.hertz());
        let left = (range.end.since(range.start) * to).div_ceil(from);
        let resampler = (from != to).then(|| Resampler::new(rate.hertz() as i32, Layout::usual(1)));
        Ok(Self {
            reader: clip.audio(range)?,
            resampler,
            left,
            ended: false,
            path: clip.info().path.clone(),
        })
    }

    /// The next samples, never empty.
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>, MediaError> {
        while self.left > 0 {
            let mut block = match self.reader.next_block()? {
                Some(block) => {
                    let mono = block.to_mono();
                    let rate = block.rate.hertz() as i32;
                    match &mut self.resampler {
                        Some(resampler) => first(
                            resampler.planar(&[mono], rate, Layout::usual(1)),
                            &self.path,
                        )?,
                        None => mono,
                    }
                }
                None if self.ended => vec![0.0; self.left.min(16_000) as usize],
                None => {
                    self.ended = true;
                    match &mut self.resampler {
                        Some(resampler) => first(resampler.finish(), &self.path)?,
                        None => Vec::new(),
                    }
                }
            };
            block.truncate(self.left as usize);
            self.left -= block.len() as u64;
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

fn first(channels: Result<Vec<Vec<f32>>, Code>, path: &Path) -> Result<Vec<f32>, MediaError> {
    channels
        .map(|channels| channels.into_iter().next().unwrap_or_default())
        .map_err(|code| MediaError::Unreadable {
            path: path.to_path_buf(),
            reason: format!("its sound can't be resampled: {code}"),
        })
}

/// The whole sound of a file as one channel at 16 kHz, decoded in this process.
pub fn read_all_mono_16k(path: impl AsRef<Path>) -> Result<Vec<f32>, MediaError> {
    SoundFile::open(path, &OpenOptions::default())?.read_mono(SampleRate::SPEECH)
}
