//! A stream's codec parameters as plain data.

use super::{Code, check};
use crate::info::{ColourRange, ColourTags};
use ffmpeg_next::ffi;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::ptr;

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Video,
    Audio,
    Subtitles,
    Other,
}

/// One block of a stream's side data: libav's type number and the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SideData {
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Everything of `AVCodecParameters` that a muxer or an encoder needs.
#[expect(
    clippy::unsafe_derive_deserialize,
    reason = "the unsafe methods rely on libav's structures, not on these values"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) kind: Kind,
    /// libav's number of the codec.
    pub(crate) codec: u32,
    pub(crate) name: String,
    pub(crate) tag: u32,
    pub(crate) extradata: Vec<u8>,
    pub(crate) format: i32,
    pub(crate) bit_rate: i64,
    pub(crate) bits_per_coded_sample: i32,
    pub(crate) bits_per_raw_sample: i32,
    pub(crate) profile: i32,
    pub(crate) level: i32,
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) aspect: (i32, i32),
    pub(crate) interlaced: bool,
    pub(crate) colour: ColourTags,
    pub(crate) chroma_location: u8,
    pub(crate) delay: i32,
    pub(crate) rate: i32,
    pub(crate) channels: i32,
    /// Bit mask of the native order; zero for unknown layouts.
    pub(crate) layout: u64,
    pub(crate) block_align: i32,
    pub(crate) frame_size: i32,
    pub(crate) initial_padding: i32,
    pub(crate) trailing_padding: i32,
    pub(crate) seek_preroll: i32,
    pub(crate) side_data: Vec<SideData>,
}

/// The codec number as libav's enumeration. The number comes from libav itself (or from a
/// child that got it from the same libav), and is looked up before it is used.
pub(super) fn codec_from(id: u32) -> Option<ffi::AVCodecID> {
    // SAFETY: walks libav's static table of descriptors; the iterator is their only state.
    unsafe {
        let mut descriptor = ffi::avcodec_descriptor_next(ptr::null());
        while let Some(found) = descriptor.as_ref() {
            if found.id as u32 == id {
                return Some(found.id);
            }
            descriptor = ffi::avcodec_descriptor_next(found);
        }
    }
    None
}

impl Parameters {
    /// Those of a track of captions in libav's codec of that name; `None` where libav has none.
    pub(crate) fn captions(codec: &str, extradata: Vec<u8>) -> Option<Self> {
        let name = CString::new(codec).ok()?;
        // SAFETY: a freshly made set of parameters is valid; it is read before it is freed, and the name is a C string.
        unsafe {
            let found = ffi::avcodec_descriptor_get_by_name(name.as_ptr()).as_ref()?;
            let mut raw = ffi::avcodec_parameters_alloc();
            let parameters = raw.as_ref().map(|raw| Self::from_raw(raw));
            ffi::avcodec_parameters_free(&raw mut raw);
            Some(Self {
                kind: Kind::Subtitles,
                codec: found.id as u32,
                name: codec.to_owned(),
                extradata,
                ..parameters?
            })
        }
    }

    /// Copies a stream's parameters.
    pub(super) fn read(stream: &ffi::AVStream) -> Self {
        // SAFETY: a stream of an open context always has codec parameters; extradata points to
        // `extradata_size` bytes when not null; names are static C strings.
        unsafe {
            let raw = &*stream.codecpar;
            let mut parameters = Self::from_raw(raw);
            parameters.side_data = stream_side_data(stream);
            parameters
        }
    }

    /// Copies parameters that belong to no stream.
    ///
    /// # Safety
    /// `raw.extradata` must point to `extradata_size` bytes or be null.
    pub(super) unsafe fn from_raw(raw: &ffi::AVCodecParameters) -> Self {
        let extradata = if raw.extradata.is_null() || raw.extradata_size <= 0 {
            Vec::new()
        } else {
            // SAFETY: as promised by the caller.
            unsafe {
                std::slice::from_raw_parts(raw.extradata, raw.extradata_size as usize).to_vec()
            }
        };
        let name = ffmpeg_next::codec::Id::from(raw.codec_id).name().to_owned();
        let native = raw.ch_layout.order == ffi::AVChannelOrder::AV_CHANNEL_ORDER_NATIVE;
        Self {
            kind: match raw.codec_type {
                ffi::AVMediaType::AVMEDIA_TYPE_VIDEO => Kind::Video,
                ffi::AVMediaType::AVMEDIA_TYPE_AUDIO => Kind::Audio,
                ffi::AVMediaType::AVMEDIA_TYPE_SUBTITLE => Kind::Subtitles,
                _ => Kind::Other,
            },
            codec: raw.codec_id as u32,
            name,
            tag: raw.codec_tag,
            extradata,
            format: raw.format,
            bit_rate: raw.bit_rate,
            bits_per_coded_sample: raw.bits_per_coded_sample,
            bits_per_raw_sample: raw.bits_per_raw_sample,
            profile: raw.profile,
            level: raw.level,
            width: raw.width,
            height: raw.height,
            aspect: (raw.sample_aspect_ratio.num, raw.sample_aspect_ratio.den),
            interlaced: !matches!(
                raw.field_order,
                ffi::AVFieldOrder::AV_FIELD_PROGRESSIVE | ffi::AVFieldOrder::AV_FIELD_UNKNOWN
            ),
            colour: ColourTags {
                primaries: raw.color_primaries as u8,
                transfer: raw.color_trc as u8,
                matrix: raw.color_space as u8,
                range: match raw.color_range {
                    ffi::AVColorRange::AVCOL_RANGE_MPEG => ColourRange::Limited,
                    ffi::AVColorRange::AVCOL_RANGE_JPEG => ColourRange::Full,
                    _ => ColourRange::Unspecified,
                },
            },
            chroma_location: raw.chroma_location as u8,
            delay: raw.video_delay,
            rate: raw.sample_rate,
            channels: raw.ch_layout.nb_channels,
            // SAFETY: the union holds the mask where the order is native.
            layout: if native {
                unsafe { raw.ch_layout.u.mask }
            } else {
                0
            },
            block_align: raw.block_align,
            frame_size: raw.frame_size,
            initial_padding: raw.initial_padding,
            trailing_padding: raw.trailing_padding,
            seek_preroll: raw.seek_preroll,
            side_data: Vec::new(),
        }
    }

    /// Writes the parameters into a new stream, side data included.
    pub(super) fn write(&self, stream: *mut ffi::AVStream) -> Result<(), Code> {
        let codec = codec_from(self.codec).ok_or(Code::NO_ENCODER)?;
        // SAFETY: the stream was just made by `avformat_new_stream`, so that its parameters are
        // valid and empty; extradata is allocated by libav with the padding that it asks for.
        unsafe {
            let raw = &mut *(*stream).codecpar;
            raw.codec_type = match self.kind {
                Kind::Video => ffi::AVMediaType::AVMEDIA_TYPE_VIDEO,
                Kind::Audio => ffi::AVMediaType::AVMEDIA_TYPE_AUDIO,
                Kind::Subtitles => ffi::AVMediaType::AVMEDIA_TYPE_SUBTITLE,
                Kind::Other => ffi::AVMediaType::AVMEDIA_TYPE_DATA,
            };
            raw.codec_id = codec;
            raw.codec_tag = self.tag;
            if !self.extradata.is_empty() {
                let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
                let memory = ffi::av_mallocz(self.extradata.len() + padding).cast::<u8>();
                if memory.is_null() {
                    return Err(Code::MEMORY);
                }
                ptr::copy_nonoverlapping(self.extradata.as_ptr(), memory, self.extradata.len());
                raw.extradata = memory;
                raw.extradata_size = self.extradata.len() as i32;
            }
            raw.format = self.format;
            raw.bit_rate = self.bit_rate;
            raw.bits_per_coded_sample = self.bits_per_coded_sample;
            raw.bits_per_raw_sample = self.bits_per_raw_sample;
            raw.profile = self.profile;
            raw.level = self.level;
            raw.width = self.width;
            raw.height = self.height;
            raw.sample_aspect_ratio = ffi::AVRational {
                num: self.aspect.0,
                den: self.aspect.1.max(1),
            };
            (*stream).sample_aspect_ratio = raw.sample_aspect_ratio;
            raw.field_order = if self.interlaced {
                ffi::AVFieldOrder::AV_FIELD_TT
            } else {
                ffi::AVFieldOrder::AV_FIELD_PROGRESSIVE
            };
            let tags = super::colour::raw_colour(self.colour);
            raw.color_primaries = tags.primaries;
            raw.color_trc = tags.transfer;
            raw.color_space = tags.matrix;
            raw.color_range = tags.range;
            raw.chroma_location = super::colour::raw_chroma_location(self.chroma_location);
            raw.video_delay = self.delay;
            raw.sample_rate = self.rate;
            if self.kind == Kind::Audio {
                super::resampler::set_layout(&mut raw.ch_layout, self.layout, self.channels);
            }
            raw.block_align = self.block_align;
            raw.frame_size = self.frame_size;
            raw.initial_padding = self.initial_padding;
            raw.trailing_padding = self.trailing_padding;
            raw.seek_preroll = self.seek_preroll;
            for data in &self.side_data {
                write_side_data(stream, data)?;
            }
        }
        check(0).map(|_| ())
    }

    /// The side data of a kind.
    pub(crate) fn side(&self, kind: ffi::AVPacketSideDataType) -> Option<&[u8]> {
        self.side_data
            .iter()
            .find(|data| data.kind == kind as u32)
            .map(|data| data.bytes.as_slice())
    }
}

/// The stream-wide side data that is carried to an output: display matrix and HDR10.
const CARRIED: [ffi::AVPacketSideDataType; 3] = [
    ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX,
    ffi::AVPacketSideDataType::AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
    ffi::AVPacketSideDataType::AV_PKT_DATA_CONTENT_LIGHT_LEVEL,
];

/// Where a stream's side data lies: in the stream up to libav 6.0, in its parameters after.
#[cfg(not(libav_6_1))]
unsafe fn side_data_array(stream: &ffi::AVStream) -> (*const ffi::AVPacketSideData, i32) {
    (stream.side_data, stream.nb_side_data)
}

/// Where a stream's side data lies: in the stream up to libav 6.0, in its parameters after.
#[cfg(libav_6_1)]
unsafe fn side_data_array(stream: &ffi::AVStream) -> (*const ffi::AVPacketSideData, i32) {
    // SAFETY: a stream always has parameters.
    let parameters = unsafe { &*stream.codecpar };
    (parameters.coded_side_data, parameters.nb_coded_side_data)
}

unsafe fn stream_side_data(stream: &ffi::AVStream) -> Vec<SideData> {
    // SAFETY: libav keeps `count` entries at `array`, each with `size` bytes at `data`.
    unsafe {
        let (array, count) = side_data_array(stream);
        if array.is_null() || count <= 0 {
            return Vec::new();
        }
        std::slice::from_raw_parts(array, count as usize)
            .iter()
            .filter(|entry| CARRIED.contains(&entry.type_) && !entry.data.is_null())
            .map(|entry| SideData {
                kind: entry.type_ as u32,
                bytes: std::slice::from_raw_parts(entry.data, entry.size).to_vec(),
            })
            .collect()
    }
}

unsafe fn write_side_data(stream: *mut ffi::AVStream, data: &SideData) -> Result<(), Code> {
    let Some(kind) = CARRIED.into_iter().find(|kind| *kind as u32 == data.kind) else {
        return Ok(());
    };
    // SAFETY: libav allocates `len` bytes and hands out a pointer to them.
    unsafe {
        #[cfg(not(libav_6_1))]
        let memory = ffi::av_stream_new_side_data(stream, kind, data.bytes.len());
        #[cfg(libav_6_1)]
        let memory = {
            let parameters = &mut *(*stream).codecpar;
            let entry = ffi::av_packet_side_data_new(
                &mut parameters.coded_side_data,
                &mut parameters.nb_coded_side_data,
                kind,
                data.bytes.len(),
                0,
            );
            entry.as_ref().map_or(ptr::null_mut(), |entry| entry.data)
        };
        if memory.is_null() {
            return Err(Code::MEMORY);
        }
        ptr::copy_nonoverlapping(data.bytes.as_ptr(), memory, data.bytes.len());
    }
    Ok(())
}
