//! Demuxing.

use super::{Code, Kind, Packet, Parameters, PositionedFile, check};
use crate::info::TimeBase;
use ffmpeg_next::format::context::StreamIo;
use ffmpeg_next::{Dictionary, ffi, format};
use std::fs::File;
use std::sync::Arc;

/// Containers that are read. Others can name further files or devices, or are never clips.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,\
    mxf,nut,ogg,ivf,h264,hevc,m4v,mjpeg,dv,wav,w64,aiff,caf,flac,mp3,aac,ac3,eac3,au,amr,wv,\
    tta,gif";

/// An open container.
pub(crate) struct Input {
    context: format::context::Input,
}

/// What is known of a stream before anything is decoded.
#[derive(Clone, Debug)]
pub(crate) struct StreamView {
    pub(crate) parameters: Parameters,
    pub(crate) base: TimeBase,
    pub(crate) mean_rate: (i32, i32),
    pub(crate) base_rate: (i32, i32),
    /// Packets that the container's index promises; 0 where it has none.
    pub(crate) promised: u64,
    /// The display matrix, nine 16.16 (or 2.30) numbers.
    pub(crate) display_matrix: Option<[i32; 9]>,
}

impl Input {
    /// Reads the header and enough packets to know the codecs.
    pub(crate) fn open(file: Arc<File>) -> Result<Self, Code> {
        super::init();
        let file = PositionedFile::new(file)
            .map_err(|error| Code(ffi::AVERROR(error.raw_os_error().unwrap_or(libc::EIO))))?;
        let io = StreamIo::from_read_seek_with_capacity(file, 1 << 16).map_err(code)?;
        let mut options = Dictionary::new();
        options.set("format_whitelist", FORMATS);
        options.set("protocol_whitelist", "none");
        let context = format::input_from_stream(io, None, Some(options)).map_err(code)?;
        Ok(Self { context })
    }

    pub(super) fn raw(&self) -> *const ffi::AVFormatContext {
        // SAFETY: only hands the pointer on; whoever reads it says why that is sound.
        unsafe { self.context.as_ptr() }
    }

    /// libav's short name of the container.
    pub(crate) fn container(&self) -> String {
        self.context.format().name().to_owned()
    }

    /// Streams.
    pub(crate) fn count(&self) -> usize {
        self.context.nb_streams() as usize
    }

    pub(super) fn raw_stream(&self, index: usize) -> Option<&ffi::AVStream> {
        // SAFETY: libav keeps `nb_streams` valid stream pointers for as long as the context
        // lives, and `index` is below their count.
        unsafe {
            let context = &*self.context.as_ptr();
            if index >= context.nb_streams as usize || context.streams.is_null() {
                return None;
            }
            (*context.streams.add(index)).as_ref()
        }
    }

    /// A copy of what is known of a stream.
    pub(crate) fn stream(&self, index: usize) -> Option<StreamView> {
        let raw = self.raw_stream(index)?;
        let parameters = Parameters::read(raw);
        let display_matrix = parameters
            .side(ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX)
            .and_then(|bytes| {
                let mut matrix = [0; 9];
                for (value, chunk) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
                    *value = i32::from_ne_bytes(chunk.try_into().ok()?);
                }
                (bytes.len() >= 36).then_some(matrix)
            });
        Some(StreamView {
            parameters,
            base: TimeBase {
                numerator: u32::try_from(raw.time_base.num).ok()?.max(1),
                denominator: u32::try_from(raw.time_base.den).ok()?.max(1),
            },
            mean_rate: (raw.avg_frame_rate.num, raw.avg_frame_rate.den),
            base_rate: (raw.r_frame_rate.num, raw.r_frame_rate.den),
            promised: u64::try_from(raw.nb_frames).unwrap_or(0),
            display_matrix,
        })
    }

    /// The stream that a player would choose; pictures of album covers do not count.
    pub(crate) fn best(&mut self, kind: Kind) -> Option<usize> {
        let kind = match kind {
            Kind::Video => ffi::AVMediaType::AVMEDIA_TYPE_VIDEO,
            Kind::Audio => ffi::AVMediaType::AVMEDIA_TYPE_AUDIO,
            Kind::Subtitles | Kind::Other => return None,
        };
        // SAFETY: the context is open; no decoder is asked for.
        let index = unsafe {
            ffi::av_find_best_stream(
                self.context.as_mut_ptr(),
                kind,
                -1,
                -1,
                std::ptr::null_mut(),
                0,
            )
        };
        let index = usize::try_from(index).ok()?;
        let stream = self.raw_stream(index)?;
        (stream.disposition & ffi::AV_DISPOSITION_ATTACHED_PIC == 0).then_some(index)
    }

    /// Makes [`Input::read`] skip all other streams.
    pub(crate) fn only(&mut self, wanted: &[usize]) {
        for index in 0..self.count() {
            // SAFETY: `index` is below the stream count of the open context, which we hold
            // exclusively.
            unsafe {
                let context = &*self.context.as_mut_ptr();
                if let Some(stream) = (*context.streams.add(index)).as_mut() {
                    stream.discard = if wanted.contains(&index) {
                        ffi::AVDiscard::AVDISCARD_DEFAULT
                    } else {
                        ffi::AVDiscard::AVDISCARD_ALL
                    };
                }
            }
        }
    }

    /// The next packet; false at the end.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, Code> {
        // SAFETY: both are valid and exclusively held; `av_packet_unref` empties the packet.
        let result = unsafe {
            ffi::av_packet_unref(packet.as_ptr());
            check(ffi::av_read_frame(
                self.context.as_mut_ptr(),
                packet.as_ptr(),
            ))
        };
        match result {
            Ok(_) => Ok(true),
            Err(Code::END) => Ok(false),
            Err(code) => Err(code),
        }
    }

    /// Moves to the last point at or before `ticks` that decoding can start at.
    pub(crate) fn seek(&mut self, stream: usize, ticks: i64) -> Result<(), Code> {
        // SAFETY: the context is open and exclusively held.
        unsafe {
            check(ffi::av_seek_frame(
                self.context.as_mut_ptr(),
                stream as i32,
                ticks,
                ffi::AVSEEK_FLAG_BACKWARD,
            ))?;
        }
        Ok(())
    }

    /// Bits a second of the whole file.
    pub(crate) fn bit_rate(&self) -> i64 {
        self.context.bit_rate()
    }
}

fn code(error: ffmpeg_next::Error) -> Code {
    Code(error.into())
}
