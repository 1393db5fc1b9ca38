//! An open clip: what is in it, and readers of its frames, sound and packets.

mod audio;
mod frames;
mod packets;

pub use audio::{AudioBlock, AudioReader};
pub use frames::FrameReader;
pub(crate) use packets::PacketReader;

use crate::MediaError;
use crate::decode::{FramesRequest, PacketsRequest, SoundRequest};
use crate::info::{AudioInfo, ClipInfo, VideoInfo};
use crate::probe::{Listen, Probe, VideoIndex, probe};
use crate::sandbox::{Backend, Sandbox};
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use units::{FrameIndex, SampleIndex, Seconds};

/// How to open a clip.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Where decoding runs.
    pub sandbox: Sandbox,
}

/// An open clip. Cloning is cheap; readers are independent of each other and of the clip.
#[derive(Clone, Debug)]
pub struct Clip {
    backend: Backend,
    probe: Arc<Probe>,
}

impl Clip {
    /// Opens a file and looks through it once. A file without a picture opens too; asking for
    /// its frames is then an error.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, MediaError> {
        let path = path.as_ref();
        let file = Arc::new(open_file(path)?);
        let backend = Backend::new(options.sandbox, file, path);
        let probe = Arc::new(match &backend {
            Backend::InProcess { file, path } => probe(file, path, Listen::default())?,
            Backend::Child(child) => child.probe(Listen::default())?,
        });
        Ok(Self { backend, probe })
    }

    /// The same clip with another of its sound tracks, by the track's number in the file, on the same time axis.
    pub fn with_sound(&self, stream: usize) -> Result<Self, MediaError> {
        let listen = Listen {
            stream: Some(stream),
            zero: Some(self.probe.zero),
        };
        let probe = Arc::new(match &self.backend {
            Backend::InProcess { file, path } => probe(file, path, listen)?,
            Backend::Child(child) => child.probe(listen)?,
        });
        Ok(Self {
            backend: self.backend.clone(),
            probe,
        })
    }

    /// What is in the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.probe.info
    }

    /// The picture, or the error that there is none.
    pub fn video(&self) -> Result<&VideoInfo, MediaError> {
        self.info()
            .video
            .as_ref()
            .ok_or_else(|| MediaError::NoVideo {
                path: self.info().path.clone(),
            })
    }

    /// The sound, or the error that there is none.
    pub fn sound(&self) -> Result<&AudioInfo, MediaError> {
        self.info()
            .audio
            .as_ref()
            .ok_or_else(|| MediaError::NoSound {
                path: self.info().path.clone(),
            })
    }

    /// Reads the frames of a range, each exactly as a decode of the whole clip gives it.
    pub fn frames(&self, range: Range<FrameIndex>) -> Result<FrameReader, MediaError> {
        let info = self.video()?;
        if range.start > range.end || range.end.0 > info.frames {
            return Err(MediaError::FrameRange {
                path: self.info().path.clone(),
                start: range.start.0,
                end: range.end.0,
                frames: info.frames,
            });
        }
        FrameReader::open(self, info, range)
    }

    /// Reads all frames.
    pub fn all_frames(&self) -> Result<FrameReader, MediaError> {
        let frames = self.video()?.frames;
        self.frames(FrameIndex::ZERO..FrameIndex(frames))
    }

    /// Reads the samples of a range.
    pub fn audio(&self, range: Range<SampleIndex>) -> Result<AudioReader, MediaError> {
        let info = self.sound()?;
        if range.start > range.end || range.end.0 > info.samples {
            return Err(MediaError::SampleRange {
                path: self.info().path.clone(),
                start: range.start.0,
                end: range.end.0,
                samples: info.samples,
            });
        }
        AudioReader::open(self, info, range)
    }

    /// Reads all samples.
    pub fn all_audio(&self) -> Result<AudioReader, MediaError> {
        let samples = self.sound()?.samples;
        self.audio(SampleIndex::ZERO..SampleIndex(samples))
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(crate) fn probe(&self) -> &Probe {
        &self.probe
    }

    pub(crate) fn index(&self) -> Result<&VideoIndex, MediaError> {
        self.probe
            .video
            .as_ref()
            .ok_or_else(|| MediaError::NoVideo {
                path: self.info().path.clone(),
            })
    }

    fn frames_request(
        &self,
        info: &VideoInfo,
        range: &Range<FrameIndex>,
    ) -> Result<FramesRequest, MediaError> {
        let index = self.index()?;
        let ticks = info.times.all_ticks();
        let wanted: Vec<i64> = if index.timed {
            ticks
                .get(range.start.as_usize()..range.end.as_usize())
                .unwrap_or_default()
                .to_vec()
        } else {
            (range.start.0 as i64..range.end.0 as i64).collect()
        };
        Ok(FramesRequest {
            stream: index.stream,
            width: info.coded_width as usize,
            height: info.coded_height as usize,
            format: info.format,
            seeks: if index.timed {
                self.seeks(index, wanted.first().copied())
            } else {
                Vec::new()
            },
            wanted,
            counted: !index.timed,
        })
    }

    /// Where to seek for a frame: its key frame, then ones further back.
    fn seeks(&self, index: &VideoIndex, ticks: Option<i64>) -> Vec<i64> {
        let Some(ticks) = ticks else {
            return Vec::new();
        };
        let container = &self.info().container;
        let keys: Vec<usize> = index
            .packets
            .iter()
            .enumerate()
            .filter(|(_, packet)| packet.key.is_key() && packet.pts <= ticks)
            .map(|(at, _)| at)
            .collect();
        // Program and transport streams are cut at no particular place by a seek: an extra
        // key frame of run-up makes sure that references are there.
        let steps: &[usize] = if container.starts_with("mpeg") {
            &[2, 6]
        } else {
            &[0, 1, 4]
        };
        steps
            .iter()
            .filter_map(|step| {
                let at = *keys.get(keys.len().checked_sub(1 + step)?)?;
                // The first key frame is where a fresh file starts anyway.
                if at == 0 {
                    return None;
                }
                let packet = index.packets.get(at)?;
                // MP4 keeps its index in decoding times, the others in presentation times.
                Some(if container.starts_with("mov") {
                    packet.dts
                } else {
                    packet.pts
                })
            })
            .collect()
    }

    fn sound_request(
        &self,
        info: &AudioInfo,
        range: &Range<SampleIndex>,
    ) -> Result<SoundRequest, MediaError> {
        let index = self
            .probe
            .audio
            .as_ref()
            .ok_or_else(|| MediaError::NoSound {
                path: self.info().path.clone(),
            })?;
        Ok(SoundRequest {
            stream: index.stream,
            rate: info.rate.hertz(),
            layout: if index.parameters.channels == i32::from(info.channels) {
                index.parameters.layout
            } else {
                0
            },
            channels: i32::from(info.channels),
            base: index.base,
            first: index.first,
            blocks: index.blocks,
            start: range.start.0,
            end: range.end.0,
        })
    }

    /// A request for `count` packets of the picture from packet `first` on (decoding order).
    pub(crate) fn video_packets(
        &self,
        first: usize,
        count: u64,
    ) -> Result<PacketsRequest, MediaError> {
        let index = self.index()?;
        let ticks = index.packets.get(first).map(|packet| packet.pts);
        Ok(PacketsRequest {
            stream: index.stream,
            seeks: if first == 0 {
                Vec::new()
            } else {
                self.seeks(index, ticks)
            },
            first: ticks,
            count,
        })
    }

    pub(crate) fn decode_error(
        &self,
        failure: crate::decode::DecodeFailure,
        at: Seconds,
    ) -> MediaError {
        MediaError::Decode {
            path: self.info().path.clone(),
            at,
            reason: failure.reason,
        }
    }
}

fn open_file(path: &Path) -> Result<File, MediaError> {
    let path_buf = path.to_path_buf();
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => MediaError::NotFound {
            path: path_buf.clone(),
        },
        _ => MediaError::Unreadable {
            path: path_buf.clone(),
            reason: error.to_string(),
        },
    };
    // Looked at first: opening a pipe that nobody writes to would wait forever.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(MediaError::Folder { path: path_buf });
    }
    if !metadata.is_file() {
        return Err(MediaError::Unreadable {
            path: path_buf,
            reason: "it is not a regular file".to_owned(),
        });
    }
    if metadata.len() == 0 {
        return Err(MediaError::Empty { path: path_buf });
    }
    File::open(path).map_err(unreadable)
}
