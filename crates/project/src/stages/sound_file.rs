//! The new track as a file of the job: 32-bit float samples behind an RF64 header, which has no 4 GiB limit
//! (EBU Tech 3306).

use crate::ProjectError;
use media::AudioBlock;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use units::SampleRate;

/// Bytes before the samples: RIFF (12), ds64 (36), fmt (24), data (8).
const HEADER: u64 = 80;

/// Writes blocks of samples to a sound file.
pub(crate) struct SoundWriter {
    path: PathBuf,
    file: BufWriter<File>,
    rate: SampleRate,
    channels: u16,
    samples: u64,
}

impl SoundWriter {
    /// A new file for blocks of this form.
    pub(crate) fn create(
        path: &Path,
        rate: SampleRate,
        channels: u16,
    ) -> Result<Self, ProjectError> {
        let failed = |source| ProjectError::Files {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        file.write_all(&[0; HEADER as usize]).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            rate,
            channels,
            samples: 0,
        })
    }

    /// Adds a block.
    pub(crate) fn push(&mut self, block: &AudioBlock) -> Result<(), ProjectError> {
        if block.channels.len() != usize::from(self.channels) || block.rate != self.rate {
            return Err(ProjectError::fault(
                "speak",
                "the new track changes its form",
            ));
        }
        let count = block.channels.first().map_or(0, Vec::len);
        let mut bytes = Vec::with_capacity(count * block.channels.len() * 4);
        for sample in 0..count {
            for channel in &block.channels {
                bytes.extend_from_slice(&channel.get(sample).copied().unwrap_or(0.0).to_le_bytes());
            }
        }
        let path = self.path.clone();
        self.file
            .write_all(&bytes)
            .map_err(|source| ProjectError::Files {
                action: "write",
                path,
                source,
            })?;
        self.samples += count as u64;
        Ok(())
    }

    /// Writes the header; the file is whole now.
    pub(crate) fn finish(mut self) -> Result<(), ProjectError> {
        let header = self.header();
        let path = self.path.clone();
        let failed = |source| ProjectError::Files {
            action: "write",
            path,
            source,
        };
        let end = |file: &mut BufWriter<File>| -> std::io::Result<()> {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.flush()?;
            file.get_ref().sync_all()
        };
        end(&mut self.file).map_err(failed)
    }

    fn header(&self) -> Vec<u8> {
        let frame = u64::from(self.channels) * 4;
        let data = self.samples * frame;
        let rate = self.rate.hertz();
        let mut header = Vec::with_capacity(HEADER as usize);
        header.extend_from_slice(b"RF64\xff\xff\xff\xffWAVE");
        header.extend_from_slice(b"ds64");
        header.extend_from_slice(&28_u32.to_le_bytes());
        header.extend_from_slice(&(data + HEADER - 8).to_le_bytes());
        header.extend_from_slice(&data.to_le_bytes());
        header.extend_from_slice(&self.samples.to_le_bytes());
        header.extend_from_slice(&0_u32.to_le_bytes());
        header.extend_from_slice(b"fmt ");
        header.extend_from_slice(&16_u32.to_le_bytes());
        // Format 3 is IEEE float.
        header.extend_from_slice(&3_u16.to_le_bytes());
        header.extend_from_slice(&self.channels.to_le_bytes());
        header.extend_from_slice(&rate.to_le_bytes());
        header.extend_from_slice(&(rate * frame as u32).to_le_bytes());
        header.extend_from_slice(&(frame as u16).to_le_bytes());
        header.extend_from_slice(&32_u16.to_le_bytes());
        header.extend_from_slice(b"data\xff\xff\xff\xff");
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{Clip, OpenOptions};

    #[test]
    fn samples_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        let rate = SampleRate::new(44_100).unwrap();
        let mut writer = SoundWriter::create(&path, rate, 2).unwrap();
        let left: Vec<f32> = (0..5000).map(|n| (n as f32 * 0.01).sin()).collect();
        let right: Vec<f32> = left.iter().map(|value| -value * 0.3).collect();
        for part in [0..1234, 1234..5000] {
            writer
                .push(&AudioBlock {
                    rate,
                    channels: vec![left[part.clone()].to_vec(), right[part].to_vec()],
                })
                .unwrap();
        }
        writer.finish().unwrap();
        let clip = Clip::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(clip.sound().unwrap().samples, 5000);
        let mut reader = clip.all_audio().unwrap();
        let mut back = vec![Vec::new(); 2];
        while let Some(block) = reader.next_block().unwrap() {
            for (all, channel) in back.iter_mut().zip(&block.channels) {
                all.extend_from_slice(channel);
            }
        }
        assert_eq!(back, [left, right]);
    }
}
