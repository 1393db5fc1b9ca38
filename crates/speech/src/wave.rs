//! Sound in memory, and WAV files.

use std::io::{Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use units::{RateError, SampleRate, Seconds};

/// A WAV that can't be read or written.
#[derive(Debug, Error)]
pub enum WaveError {
    /// Not a WAV, or a broken one.
    #[error("{path} is not a readable WAV file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: hound::Error,
    },
    /// Bytes from an engine that are no WAV.
    #[error("the engine's answer is not a readable WAV")]
    Bytes(#[source] hound::Error),
    /// A WAV that claims 0 Hz.
    #[error("the WAV has no sample rate")]
    Rate(#[from] RateError),
    /// The file can't be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the writer says.
        source: hound::Error,
    },
}

/// One channel of sound in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// Samples per second.
    pub rate: SampleRate,
    /// Samples in -1..1.
    pub samples: Vec<f32>,
}

impl Wave {
    /// How long it sounds.
    pub fn duration(&self) -> Seconds {
        Seconds(self.samples.len() as f64 / f64::from(self.rate.hertz()))
    }

    /// The same sound at another rate.
    #[must_use]
    pub fn at_rate(&self, rate: SampleRate) -> Self {
        Self {
            rate,
            samples: crate::resample::resample(&self.samples, self.rate, rate),
        }
    }

    /// Reads a WAV file of any rate, depth and channel count, mixed to one channel.
    pub fn read(path: &Path) -> Result<Self, WaveError> {
        let reader = hound::WavReader::open(path).map_err(|source| WaveError::Read {
            path: path.to_owned(),
            source,
        })?;
        match decode(reader)? {
            Ok(wave) => Ok(wave),
            Err(source) => Err(WaveError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads a WAV from memory. A header written to a pipe, which can't know its length, is accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WaveError> {
        let repaired = with_true_lengths(bytes);
        let reader = hound::WavReader::new(Cursor::new(repaired)).map_err(WaveError::Bytes)?;
        decode(reader)?.map_err(WaveError::Bytes)
    }

    /// Writes a 32-bit float WAV of one channel.
    pub fn write(&self, path: &Path) -> Result<(), WaveError> {
        let fail = |source| WaveError::Write {
            path: path.to_owned(),
            source,
        };
        let mut writer = hound::WavWriter::create(path, self.spec(32)).map_err(fail)?;
        for &sample in &self.samples {
            writer.write_sample(sample).map_err(fail)?;
        }
        writer.finalize().map_err(fail)
    }

    /// Writes a 16-bit WAV of one channel to anything that seeks.
    pub fn write_16_bit<W: Write + Seek>(&self, target: W) -> Result<(), hound::Error> {
        let mut writer = hound::WavWriter::new(target, self.spec(16))?;
        for &sample in &self.samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)?;
        }
        writer.finalize()
    }

    fn spec(&self, bits_per_sample: u16) -> hound::WavSpec {
        hound::WavSpec {
            channels: 1,
            sample_rate: self.rate.hertz(),
            bits_per_sample,
            sample_format: if bits_per_sample == 32 {
                hound::SampleFormat::Float
            } else {
                hound::SampleFormat::Int
            },
        }
    }
}

/// Decodes and mixes; the outer error is an impossible rate, the inner one the reader's.
fn decode<R: Read>(
    mut reader: hound::WavReader<R>,
) -> Result<Result<Wave, hound::Error>, RateError> {
    let spec = reader.spec();
    let rate = SampleRate::new(spec.sample_rate)?;
    let channels = usize::from(spec.channels.max(1));
    let all: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1_i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader
                .samples::<i32>()
                .map(|sample| sample.map(|s| s as f32 * scale))
                .collect()
        }
    };
    Ok(all.map(|all| Wave {
        rate,
        samples: all
            .chunks(channels)
            .map(|frame| frame.iter().sum::<f32>() / channels as f32)
            .map(|sample| if sample.is_finite() { sample } else { 0.0 })
            .collect(),
    }))
}

/// Programs that write a WAV to a pipe leave the lengths at 0 or at their largest value: put the true ones in.
fn with_true_lengths(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let total = u32::try_from(bytes.len().saturating_sub(8)).unwrap_or(u32::MAX);
    if bytes.get(..4) != Some(b"RIFF") {
        return out;
    }
    if let Some(slot) = out.get_mut(4..8) {
        slot.copy_from_slice(&total.to_le_bytes());
    }
    let mut at = 12;
    while let Some(header) = bytes.get(at..at + 8) {
        let (name, length) = header.split_at(4);
        let claimed = length
            .try_into()
            .map(u32::from_le_bytes)
            .unwrap_or_default() as usize;
        let body = at + 8;
        if name == b"data" {
            let left = bytes.len() - body;
            let block = bytes
                .get(32..34)
                .and_then(|b| b.try_into().ok())
                .map_or(1, |b| usize::from(u16::from_le_bytes(b)).max(1));
            if claimed == 0 || claimed > left {
                let whole = u32::try_from(left / block * block).unwrap_or(u32::MAX);
                if let Some(slot) = out.get_mut(at + 4..at + 8) {
                    slot.copy_from_slice(&whole.to_le_bytes());
                }
            }
            break;
        }
        at = body.saturating_add(claimed).saturating_add(claimed % 2);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wave() -> Wave {
        Wave {
            rate: SampleRate::SPEECH,
            samples: (0..100).map(|n| (n as f32 * 0.1).sin()).collect(),
        }
    }

    #[test]
    fn a_wav_written_to_a_pipe_is_read_whole() {
        let mut bytes = Cursor::new(Vec::new());
        wave().write_16_bit(&mut bytes).unwrap();
        let mut bytes = bytes.into_inner();
        let data = bytes.windows(4).position(|w| w == b"data").unwrap();
        for claim in [0_u32, u32::MAX, 0x7fff_f000] {
            bytes[4..8].copy_from_slice(&claim.to_le_bytes());
            bytes[data + 4..data + 8].copy_from_slice(&claim.to_le_bytes());
            let read = Wave::from_bytes(&bytes).unwrap();
            assert_eq!(read.samples.len(), 100);
            assert!((read.samples[5] - 0.5_f32.sin()).abs() < 1e-4);
        }
    }

    #[test]
    fn a_float_file_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ä b.wav");
        wave().write(&path).unwrap();
        assert_eq!(Wave::read(&path).unwrap(), wave());
        assert!(matches!(
            Wave::read(&folder.path().join("none.wav")),
            Err(WaveError::Read { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), seed in any::<bool>()) {
            if seed {
                let mut whole = Cursor::new(Vec::new());
                wave().write_16_bit(&mut whole).unwrap();
                let mut whole = whole.into_inner();
                for (n, byte) in bytes.iter().enumerate().take(8) {
                    let place = usize::from(*byte) * (n + 1) % whole.len();
                    whole[place] ^= byte;
                }
                bytes = whole;
            }
            let _ = Wave::from_bytes(&bytes);
        }
    }
}
