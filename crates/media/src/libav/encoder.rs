//! Encoding.

use super::colour::{raw_chroma_location, raw_colour};
use super::resampler::sample_format;
use super::{AvFrame, Code, Layout, Packet, Parameters, check};
use crate::frame::Plane;
use crate::info::{ColourTags, PixelFormat, TimeBase};
use ffmpeg_next::ffi;
use std::ffi::CString;
use std::ptr;

/// How a video encoder is set up.
#[derive(Clone, Debug)]
pub(crate) struct VideoSetup {
    /// libav's name of the encoder.
    pub(crate) encoder: &'static str,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) format: PixelFormat,
    pub(crate) aspect: (i32, i32),
    pub(crate) colour: ColourTags,
    pub(crate) chroma_location: u8,
    pub(crate) base: TimeBase,
    pub(crate) rate: (u32, u32),
    /// The encoder's own options.
    pub(crate) options: Vec<(&'static str, String)>,
    /// True where parameter sets go into the container's header.
    pub(crate) global_header: bool,
    pub(crate) threads: i32,
}

/// How a sound encoder is set up.
#[derive(Clone, Debug)]
pub(crate) struct AudioSetup {
    /// libav's name of the encoder.
    pub(crate) encoder: &'static str,
    pub(crate) rate: i32,
    pub(crate) layout: Layout,
    /// One of libav's sample format numbers.
    pub(crate) format: SampleKind,
    pub(crate) bit_rate: i64,
    pub(crate) global_header: bool,
}

/// The sample layouts that our sound encoders take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    PlanarFloat,
    Float,
    Short,
    Int,
    PlanarInt,
}

impl SampleKind {
    fn raw(self) -> ffi::AVSampleFormat {
        match self {
            Self::PlanarFloat => ffi::AVSampleFormat::AV_SAMPLE_FMT_FLTP,
            Self::Float => ffi::AVSampleFormat::AV_SAMPLE_FMT_FLT,
            Self::Short => ffi::AVSampleFormat::AV_SAMPLE_FMT_S16,
            Self::Int => ffi::AVSampleFormat::AV_SAMPLE_FMT_S32,
            Self::PlanarInt => ffi::AVSampleFormat::AV_SAMPLE_FMT_S32P,
        }
    }

    /// One sample's bytes.
    fn bytes(self, sample: f32, target: &mut Vec<u8>) {
        match self {
            Self::PlanarFloat | Self::Float => target.extend_from_slice(&sample.to_ne_bytes()),
            // The inverse of the decoders' division by 2^15 and 2^31, so that samples which
            // came from integers go back to the same integers.
            Self::Short => {
                let value = (sample * 32_768.0)
                    .round_ties_even()
                    .clamp(-32_768.0, 32_767.0);
                target.extend_from_slice(&(value as i16).to_ne_bytes());
            }
            Self::Int | Self::PlanarInt => {
                let value = (f64::from(sample) * 2_147_483_648.0).round_ties_even();
                target.extend_from_slice(&(value as i32).to_ne_bytes());
            }
        }
    }

    fn is_planar(self) -> bool {
        matches!(self, Self::PlanarFloat | Self::PlanarInt)
    }
}

/// True where this build of libav has an encoder.
pub(crate) fn has_encoder(name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: the name is a valid C string.
    unsafe { !ffi::avcodec_find_encoder_by_name(name.as_ptr()).is_null() }
}

/// An open encoder.
pub(crate) struct Encoder {
    context: *mut ffi::AVCodecContext,
    frame: AvFrame,
    kind: SampleKind,
}

// SAFETY: the context is only used through `&mut self`, and libav allows that from any thread.
unsafe impl Send for Encoder {}

impl Encoder {
    fn allocate(name: &str) -> Result<(Self, *const ffi::AVCodec), Code> {
        super::init();
        let name = CString::new(name).map_err(|_| Code::NO_ENCODER)?;
        // SAFETY: the name is a valid C string; the context is freed by `drop`.
        unsafe {
            let codec = ffi::avcodec_find_encoder_by_name(name.as_ptr());
            if codec.is_null() {
                return Err(Code::NO_ENCODER);
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(Code::MEMORY);
            }
            let encoder = Self {
                context,
                frame: AvFrame::new()?,
                kind: SampleKind::PlanarFloat,
            };
            Ok((encoder, codec))
        }
    }

    pub(crate) fn video(setup: &VideoSetup) -> Result<Self, Code> {
        let (encoder, codec) = Self::allocate(setup.encoder)?;
        // SAFETY: the context is allocated and not yet open; all fields are plain numbers.
        unsafe {
            let context = &mut *encoder.context;
            context.width = setup.width as i32;
            context.height = setup.height as i32;
            context.pix_fmt = super::picture::raw_of(setup.format);
            context.sample_aspect_ratio = ffi::AVRational {
                num: setup.aspect.0,
                den: setup.aspect.1.max(1),
            };
            let tags = raw_colour(setup.colour);
            context.color_primaries = tags.primaries;
            context.color_trc = tags.transfer;
            context.colorspace = tags.matrix;
            context.color_range = tags.range;
            context.chroma_sample_location = raw_chroma_location(setup.chroma_location);
            context.time_base = ffi::AVRational {
                num: setup.base.numerator as i32,
                den: setup.base.denominator as i32,
            };
            context.framerate = ffi::AVRational {
                num: setup.rate.0 as i32,
                den: setup.rate.1 as i32,
            };
            context.thread_count = setup.threads;
            context.max_b_frames = 0;
            encoder.finish_open(codec, setup.global_header, &setup.options)?;
        }
        Ok(encoder)
    }

    pub(crate) fn audio(setup: &AudioSetup) -> Result<Self, Code> {
        let (mut encoder, codec) = Self::allocate(setup.encoder)?;
        encoder.kind = setup.format;
        // SAFETY: as in `video`.
        unsafe {
            let context = &mut *encoder.context;
            context.sample_rate = setup.rate;
            context.sample_fmt = setup.format.raw();
            context.ch_layout = setup.layout.raw();
            context.bit_rate = setup.bit_rate;
            context.time_base = ffi::AVRational {
                num: 1,
                den: setup.rate,
            };
            context.thread_count = 1;
            // Some encoders (Opus in MP4, ALAC) count as experimental.
            context.strict_std_compliance = -2;
            encoder.finish_open(codec, setup.global_header, &[])?;
        }
        Ok(encoder)
    }

    /// # Safety
    /// The context must be allocated for `codec` and not yet open.
    unsafe fn finish_open(
        &self,
        codec: *const ffi::AVCodec,
        global_header: bool,
        options: &[(&'static str, String)],
    ) -> Result<(), Code> {
        let mut dictionary: *mut ffi::AVDictionary = ptr::null_mut();
        // SAFETY: option strings are valid C strings that libav copies; the dictionary is freed
        // on every path.
        unsafe {
            let context = &mut *self.context;
            context.flags |= ffi::AV_CODEC_FLAG_BITEXACT as i32;
            if global_header {
                context.flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as i32;
            }
            for (key, value) in options {
                let (Ok(key), Ok(value)) = (CString::new(*key), CString::new(value.as_str()))
                else {
                    continue;
                };
                ffi::av_dict_set(&raw mut dictionary, key.as_ptr(), value.as_ptr(), 0);
            }
            let opened = check(ffi::avcodec_open2(self.context, codec, &raw mut dictionary));
            ffi::av_dict_free(&raw mut dictionary);
            opened.map(|_| ())
        }
    }

    /// What a muxer needs to know of the stream.
    pub(crate) fn parameters(&self) -> Result<Parameters, Code> {
        // SAFETY: the context is open; the copy is freed after it was read.
        unsafe {
            let mut raw = ffi::avcodec_parameters_alloc();
            if raw.is_null() {
                return Err(Code::MEMORY);
            }
            let filled = check(ffi::avcodec_parameters_from_context(raw, self.context));
            let result = filled.map(|_| Parameters::from_raw(&*raw));
            ffi::avcodec_parameters_free(&raw mut raw);
            result
        }
    }

    /// Samples that every block but the last must have; zero for any.
    pub(crate) fn block_size(&self) -> usize {
        // SAFETY: the context is valid.
        unsafe { (*self.context).frame_size.max(0) as usize }
    }

    /// Gives a picture.
    pub(crate) fn picture(
        &mut self,
        width: usize,
        height: usize,
        format: PixelFormat,
        planes: &[Plane],
        pts: i64,
        duration: i64,
    ) -> Result<(), Code> {
        self.frame.fill(width, height, format, planes)?;
        // SAFETY: the frame is ours and filled; the encoder references or copies it.
        unsafe {
            let raw = &mut *self.frame.as_ptr();
            raw.pts = pts;
            set_duration(raw, duration);
            raw.pict_type = ffi::AVPictureType::AV_PICTURE_TYPE_NONE;
            let context = &*self.context;
            raw.color_primaries = context.color_primaries;
            raw.color_trc = context.color_trc;
            raw.colorspace = context.colorspace;
            raw.color_range = context.color_range;
            raw.chroma_location = context.chroma_sample_location;
            raw.sample_aspect_ratio = context.sample_aspect_ratio;
            check(ffi::avcodec_send_frame(self.context, self.frame.as_ptr())).map(|_| ())
        }
    }

    /// Gives a block of sound, one slice a channel, all of one length.
    pub(crate) fn sound(&mut self, channels: &[&[f32]], pts: i64) -> Result<(), Code> {
        let samples = channels.iter().map(|one| one.len()).min().unwrap_or(0);
        // SAFETY: libav allocates a buffer for `samples` samples of the context's format and
        // layout; each write below stays within it: a plane has `samples` samples, an
        // interleaved buffer `samples * channels`.
        unsafe {
            ffi::av_frame_unref(self.frame.as_ptr());
            let raw = &mut *self.frame.as_ptr();
            let context = &*self.context;
            raw.nb_samples = i32::try_from(samples).map_err(|_| Code::INVALID)?;
            raw.format = context.sample_fmt as i32;
            raw.sample_rate = context.sample_rate;
            check(ffi::av_channel_layout_copy(
                &raw mut raw.ch_layout,
                &raw const context.ch_layout,
            ))?;
            if channels.len() != context.ch_layout.nb_channels as usize
                || sample_format(raw.format).is_none()
            {
                return Err(Code::INVALID);
            }
            check(ffi::av_frame_get_buffer(self.frame.as_ptr(), 0))?;
            let mut bytes = Vec::new();
            if self.kind.is_planar() {
                for (index, channel) in channels.iter().enumerate() {
                    bytes.clear();
                    for &sample in channel.iter().take(samples) {
                        self.kind.bytes(sample, &mut bytes);
                    }
                    let plane = *raw.extended_data.add(index);
                    ptr::copy_nonoverlapping(bytes.as_ptr(), plane, bytes.len());
                }
            } else {
                for index in 0..samples {
                    for channel in channels {
                        let sample = channel.get(index).copied().unwrap_or(0.0);
                        self.kind.bytes(sample, &mut bytes);
                    }
                }
                ptr::copy_nonoverlapping(bytes.as_ptr(), *raw.extended_data, bytes.len());
            }
            raw.pts = pts;
            check(ffi::avcodec_send_frame(self.context, self.frame.as_ptr())).map(|_| ())
        }
    }

    /// Says that there is nothing more.
    pub(crate) fn finish(&mut self) -> Result<(), Code> {
        // SAFETY: a null frame ends the stream.
        unsafe { check(ffi::avcodec_send_frame(self.context, ptr::null())).map(|_| ()) }
    }

    /// Takes a packet, if one is ready.
    pub(crate) fn packet(&mut self) -> Result<Option<Packet>, Code> {
        let packet = Packet::new()?;
        // SAFETY: the context is open and the packet is empty.
        match unsafe { check(ffi::avcodec_receive_packet(self.context, packet.as_ptr())) } {
            Ok(_) => Ok(Some(packet)),
            Err(Code::AGAIN | Code::END) => Ok(None),
            Err(code) => Err(code),
        }
    }
}

#[cfg(not(libav_6_1))]
fn set_duration(frame: &mut ffi::AVFrame, duration: i64) {
    frame.pkt_duration = duration;
}

#[cfg(libav_6_1)]
fn set_duration(frame: &mut ffi::AVFrame, duration: i64) {
    frame.duration = duration;
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: allocated by `avcodec_alloc_context3`, freed once.
        unsafe { ffi::avcodec_free_context(&raw mut self.context) }
    }
}
