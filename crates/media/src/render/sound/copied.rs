//! Packets of a source's sound track, as they are.

use super::super::RenderError;
use super::super::container::Container;
use super::super::extras::kept;
use crate::clip::{Clip, PacketReader};
use crate::info::{Tag, TimeBase};
use crate::libav::{OutputStream, PacketData, Parameters};
use units::Seconds;

/// Packets of the source's track.
pub(in crate::render) struct Copied {
    reader: PacketReader,
    parameters: Parameters,
    base: TimeBase,
    /// Ticks of the clip's zero.
    zero: i64,
    tags: Vec<Tag>,
    pending: Option<PacketData>,
}

impl Copied {
    /// `None` where the container does not take the source's codec.
    pub(super) fn new(clip: &Clip, container: Container) -> Result<Option<Self>, RenderError> {
        let (Some(info), Some(index)) = (&clip.info().audio, &clip.probe().audio) else {
            return Ok(None);
        };
        let name = info.codec.as_str();
        let takes = match container {
            Container::Mp4 => matches!(name, "aac" | "mp3" | "ac3" | "eac3" | "alac" | "opus"),
            Container::Mov => {
                matches!(name, "aac" | "mp3" | "ac3" | "alac") || name.starts_with("pcm_")
            }
            Container::Mkv => {
                matches!(
                    name,
                    "aac" | "mp3" | "ac3" | "eac3" | "alac" | "opus" | "vorbis" | "flac"
                ) || matches!(name, "pcm_s16le" | "pcm_s24le" | "pcm_s32le" | "pcm_f32le")
            }
            Container::Webm => matches!(name, "opus" | "vorbis"),
        };
        // AAC with its header in every packet (from a transport stream) needs rewriting.
        if !takes || (name == "aac" && index.parameters.extradata.is_empty()) {
            return Ok(None);
        }
        let Some(reader) = clip.sound_packets()? else {
            return Ok(None);
        };
        let mut parameters = index.parameters.clone();
        parameters.tag = 0;
        Ok(Some(Self {
            reader,
            parameters,
            base: index.base,
            zero: index.first - index.base.ticks(info.start),
            tags: kept(&info.tags),
            pending: None,
        }))
    }

    pub(super) fn stream(&self) -> OutputStream {
        OutputStream {
            parameters: self.parameters.clone(),
            base: self.base,
            rate: None,
            tags: self.tags.clone(),
            disposition: 0,
        }
    }

    pub(super) fn codec(&self) -> String {
        self.parameters.name.clone()
    }

    pub(super) fn next(
        &mut self,
        until: Seconds,
        end: Option<Seconds>,
    ) -> Result<Option<PacketData>, RenderError> {
        if self.pending.is_none() {
            self.pending = self.reader.next()?;
            if let Some(packet) = &mut self.pending {
                let pts = packet.pts.or(packet.dts).unwrap_or(self.zero);
                packet.dts = Some(packet.dts.unwrap_or(pts) - self.zero);
                packet.pts = Some(pts - self.zero);
                packet.key = true;
            }
        }
        let Some(packet) = &mut self.pending else {
            return Ok(None);
        };
        let ticks = packet.pts.unwrap_or(0);
        if self.base.seconds(ticks) >= until {
            return Ok(None);
        }
        if let Some(end) = end {
            // The last packet's rest is not played.
            let left = self.base.ticks(end) - ticks;
            packet.duration = packet.duration.min(left.max(1));
        }
        Ok(self.pending.take())
    }
}
