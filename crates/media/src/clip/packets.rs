//! Coded packets of a clip, for copying.

use super::Clip;
use crate::MediaError;
use crate::decode::{PacketSource, PacketsRequest};
use crate::libav::PacketData;
use crate::sandbox::{Backend, ChildStream};
use units::Seconds;

enum Source {
    Here(Box<PacketSource>),
    Child(ChildStream),
}

/// A run of packets in decoding order.
pub(crate) struct PacketReader {
    source: Source,
}

impl Clip {
    /// `count` packets of the picture from packet `first` on.
    pub(crate) fn picture_packets(
        &self,
        first: usize,
        count: u64,
    ) -> Result<PacketReader, MediaError> {
        let request = self.video_packets(first, count)?;
        self.packets(&request)
    }

    /// All packets of a track, by its number in the file.
    pub(crate) fn track_packets(&self, stream: usize) -> Result<PacketReader, MediaError> {
        self.packets(&PacketsRequest {
            stream,
            seeks: Vec::new(),
            first: None,
            count: u64::MAX,
        })
    }

    /// All packets of the sound track; `None` without one.
    pub(crate) fn sound_packets(&self) -> Result<Option<PacketReader>, MediaError> {
        let Some(index) = &self.probe().audio else {
            return Ok(None);
        };
        self.track_packets(index.stream).map(Some)
    }

    fn packets(&self, request: &PacketsRequest) -> Result<PacketReader, MediaError> {
        let source = match self.backend() {
            Backend::InProcess { file, .. } => {
                let source = PacketSource::open(file, request)
                    .map_err(|failure| self.decode_error(failure, Seconds::ZERO))?;
                Source::Here(Box::new(source))
            }
            Backend::Child(child) => Source::Child(child.packets(request)?),
        };
        Ok(PacketReader { source })
    }
}

impl PacketReader {
    pub(crate) fn next(&mut self) -> Result<Option<PacketData>, MediaError> {
        match &mut self.source {
            Source::Here(source) => Ok(source.next()),
            Source::Child(stream) => stream.packet(),
        }
    }
}
