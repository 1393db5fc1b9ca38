//! The video stream: its packets, its first frame, and what they say together.

use super::bitstream::is_hidden;
use super::hdr::{light, mastering};
use super::times::{Raw, by_decoding, by_packets};
use super::{KeyKind, PacketEntry, VideoIndex, feed, rate};
use crate::MediaError;
use crate::info::{ColourRange, FrameTimes, HdrMetadata, PixelFormat, Rotation, VideoInfo};
use crate::libav::{
    AvFrame, Decoder, Input, MAX_PIXELS, Packet, StreamView, delivered, display_rotation,
    is_full_range, is_rgb,
};
use ffmpeg_next::ffi::AVFrameSideDataType as Side;
use ffmpeg_next::ffi::AVPacketSideDataType as PacketSide;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use units::{FrameIndex, Seconds};

/// What the first decoded frame says.
struct First {
    ticks: Option<i64>,
    width: usize,
    height: usize,
    format: PixelFormat,
    full: bool,
    rgb: bool,
    interlaced: bool,
    hdr: HdrMetadata,
}

/// The state of a pass over the packets.
pub(super) struct Scan {
    view: StreamView,
    decoder: Decoder,
    frame: AvFrame,
    first: Option<First>,
    packets: Vec<Raw>,
    bytes: u64,
    corrupt: u64,
    /// Whether the last packet is damaged.
    torn: bool,
    container_rate: i64,
}

impl Scan {
    pub(super) fn new(input: &Input, stream: usize, path: &Path) -> Result<Self, MediaError> {
        let path = path.to_path_buf();
        let view = input
            .stream(stream)
            .ok_or_else(|| MediaError::NoVideo { path: path.clone() })?;
        let size = (
            u32::try_from(view.parameters.width).unwrap_or(0),
            u32::try_from(view.parameters.height).unwrap_or(0),
        );
        check_size(&path, size)?;
        let no_decoder = || MediaError::NoDecoder {
            path: path.clone(),
            codec: view.parameters.name.clone(),
        };
        let decoder = Decoder::open(input, stream).map_err(|_| no_decoder())?;
        let frame = AvFrame::new().map_err(|_| no_decoder())?;
        Ok(Self {
            view,
            decoder,
            frame,
            first: None,
            packets: Vec::new(),
            bytes: 0,
            corrupt: 0,
            torn: false,
            container_rate: input.bit_rate(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn packet(&mut self, packet: &Packet) {
        let parameters = &self.view.parameters;
        self.bytes += packet.bytes().len() as u64;
        self.corrupt += u64::from(packet.is_corrupt());
        self.torn = packet.is_corrupt();
        self.packets.push(Raw {
            pts: packet.pts(),
            dts: packet.dts(),
            duration: packet.duration(),
            key: KeyKind::of(
                &parameters.name,
                &parameters.extradata,
                packet.is_key(),
                packet.bytes(),
            ),
            shown: !packet.is_discarded() && !is_hidden(&parameters.name, packet.bytes()),
        });
        if self.first.is_none() {
            self.decode(Some(packet));
        }
    }

    fn decode(&mut self, packet: Option<&Packet>) {
        let first = &mut self.first;
        feed(&mut self.decoder, packet, &mut self.frame, |frame| {
            let (width, height) = frame.size();
            if first.is_none() && width > 0 && height > 0 {
                *first = Some(First {
                    ticks: frame.ticks(),
                    width,
                    height,
                    format: delivered(frame.format()),
                    full: is_full_range(frame.format()),
                    rgb: is_rgb(frame.format()),
                    interlaced: frame.is_interlaced(),
                    hdr: HdrMetadata {
                        mastering: frame
                            .side(Side::AV_FRAME_DATA_MASTERING_DISPLAY_METADATA)
                            .and_then(mastering),
                        light: frame
                            .side(Side::AV_FRAME_DATA_CONTENT_LIGHT_LEVEL)
                            .and_then(light),
                    },
                });
            }
        });
    }

    /// Everything about the stream, once all packets were seen.
    pub(super) fn finish(
        mut self,
        file: &Arc<File>,
        stream: usize,
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<(VideoInfo, VideoIndex), MediaError> {
        if self.first.is_none() {
            self.decode(None);
        }
        // A packet that the file ends in: some versions of libav make a frame of it, others none.
        if self.torn && self.packets.len() > 1 {
            self.packets.pop();
        }
        let path = path.to_path_buf();
        let no_frames = || MediaError::NoFrames {
            path: path.clone(),
            codec: self.view.parameters.name.clone(),
        };
        let Some(first) = &self.first else {
            return Err(no_frames());
        };
        check_size(&path, (first.width as u32, first.height as u32))?;
        // An index may promise more than an edit list shows; only together with damage it tells of a cut file.
        let promised = self.view.promised;
        let missing = promised.saturating_sub(self.packets.len() as u64);
        let missing = if self.corrupt > 0 && missing * 20 > promised {
            missing
        } else {
            0
        };
        if self.corrupt > 0 {
            warnings.push(format!("{} frames are marked as damaged.", self.corrupt));
        }
        let reordered = self.view.parameters.delay > 0;
        let timed = self
            .packets
            .iter()
            .filter(|packet| packet.shown)
            .all(|packet| packet.pts.is_some() || (!reordered && packet.dts.is_some()));
        let (starts, end, packets) = if timed {
            by_packets(&self.packets, first.ticks, warnings)
        } else {
            by_decoding(&self.packets, &self.view, file, stream, &path)?
        };
        let end = end.unwrap_or_else(|| {
            // No duration of the last frame: as long as the one before, or a 25th of a second.
            let last = starts.last().copied().unwrap_or(0);
            let before = starts.iter().rev().nth(1).copied();
            last + before.map_or_else(
                || self.view.base.ticks(Seconds(0.04)).max(1),
                |before| (last - before).max(1),
            )
        });
        let times =
            FrameTimes::new(self.view.base, Seconds::ZERO, starts, end).ok_or_else(no_frames)?;
        if times.is_empty() {
            return Err(no_frames());
        }
        let info = VideoInfo {
            missing,
            ..self.info(first, times, &packets, warnings)
        };
        let index = VideoIndex {
            stream,
            parameters: self.view.parameters.clone(),
            packets,
            timed,
        };
        Ok((info, index))
    }

    fn info(
        &self,
        first: &First,
        times: FrameTimes,
        packets: &[PacketEntry],
        warnings: &mut Vec<String>,
    ) -> VideoInfo {
        let parameters = &self.view.parameters;
        let starts = times.all_ticks();
        let end = times.ticks(FrameIndex::from(times.len()));
        let (rate, variable) = rate::nominal(
            self.view.base,
            starts,
            end,
            &[self.view.mean_rate, self.view.base_rate],
        );
        let keyframes = packets
            .iter()
            .filter(|packet| packet.key.is_key() && packet.shown)
            .filter_map(|packet| starts.binary_search(&packet.pts).ok())
            .map(FrameIndex::from)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let rotation = self
            .view
            .display_matrix
            .map_or(Rotation::None, display_rotation);
        let (width, height) = (first.width as u32, first.height as u32);
        let (shown_width, shown_height) = if rotation.swaps() {
            (height, width)
        } else {
            (width, height)
        };
        let mut colour = parameters.colour;
        if first.full {
            colour.range = ColourRange::Full;
        }
        if first.rgb {
            // What libav makes of it, whatever its size and its own tags.
            colour.matrix = 6;
            colour.range = ColourRange::Limited;
            warnings.push(
                "The picture is stored as RGB; it is converted to YCbCr and written so.".to_owned(),
            );
        }
        let interlaced = first.interlaced || parameters.interlaced;
        if interlaced {
            warnings.push("The picture is interlaced; frames are edited as they are.".to_owned());
        }
        let seconds = times
            .base()
            .seconds(end - starts.first().copied().unwrap_or(0))
            .0;
        let bit_rate = if parameters.bit_rate > 0 {
            parameters.bit_rate as u64
        } else if seconds > 0.0 {
            (self.bytes as f64 * 8.0 / seconds) as u64
        } else {
            self.container_rate.max(0) as u64
        };
        let hdr = HdrMetadata {
            mastering: first.hdr.mastering.or_else(|| {
                parameters
                    .side(PacketSide::AV_PKT_DATA_MASTERING_DISPLAY_METADATA)
                    .and_then(mastering)
            }),
            light: first.hdr.light.or_else(|| {
                parameters
                    .side(PacketSide::AV_PKT_DATA_CONTENT_LIGHT_LEVEL)
                    .and_then(light)
            }),
        };
        let (numerator, denominator) = parameters.aspect;
        let pixel_aspect = match (u32::try_from(numerator), u32::try_from(denominator)) {
            (Ok(numerator), Ok(denominator)) if numerator > 0 && denominator > 0 => {
                (numerator, denominator)
            }
            _ => (1, 1),
        };
        VideoInfo {
            codec: parameters.name.clone(),
            width: shown_width,
            height: shown_height,
            coded_width: width,
            coded_height: height,
            rotation,
            display_matrix: self.view.display_matrix,
            pixel_aspect,
            rate,
            variable,
            frames: times.len() as u64,
            times,
            format: first.format,
            colour,
            hdr,
            keyframes,
            bit_rate,
            tags: Vec::new(),
            interlaced,
            missing: 0,
        }
    }
}

fn check_size(path: &Path, (width, height): (u32, u32)) -> Result<(), MediaError> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(MediaError::TooLarge {
            path: path.to_path_buf(),
            width,
            height,
            limit: MAX_PIXELS,
        });
    }
    Ok(())
}
