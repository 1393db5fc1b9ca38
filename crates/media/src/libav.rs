//! Safe wrappers around the parts of libav that we use. All FFI of the crate is below here.
//!
//! Plain data goes in and out ([`Parameters`], [`PacketData`], [`Picture`]), so that the same
//! values can cross from the decoding child to its parent.

mod colour;
mod decoder;
mod encoder;
mod extras;
mod file;
mod input;
mod muxer;
mod packet;
mod parameters;
mod picture;
mod resampler;

pub(crate) use decoder::{Decoder, MAX_PIXELS, Received};
pub(crate) use encoder::{AudioSetup, Encoder, SampleKind, VideoSetup, has_encoder};
use file::PositionedFile;
pub(crate) use input::{Input, StreamView};
pub(crate) use muxer::{Muxer, Notes, OutputStream, WriteFailure};
pub(crate) use packet::{Packet, PacketData};
pub(crate) use parameters::{Kind, Parameters, SideData};
pub(crate) use picture::{
    AvFrame, Converter, Picture, delivered, display_rotation, is_full_range, is_rgb,
};
pub(crate) use resampler::{Layout, Resampler};

use ffmpeg_next::ffi;
use std::sync::Once;

/// A libav call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) i32);

impl Code {
    pub(crate) const END: Self = Self(ffi::AVERROR_EOF);
    pub(crate) const AGAIN: Self = Self(ffi::AVERROR(libc::EAGAIN));
    pub(crate) const MEMORY: Self = Self(ffi::AVERROR(libc::ENOMEM));
    pub(crate) const INVALID: Self = Self(ffi::AVERROR_INVALIDDATA);
    pub(crate) const NO_DECODER: Self = Self(ffi::AVERROR_DECODER_NOT_FOUND);
    pub(crate) const NO_ENCODER: Self = Self(ffi::AVERROR_ENCODER_NOT_FOUND);
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ffmpeg_next::Error::from(self.0).fmt(formatter)
    }
}

/// Turns a negative return value into an error.
fn check(code: i32) -> Result<i32, Code> {
    if code < 0 { Err(Code(code)) } else { Ok(code) }
}

/// Silences libav's own log (its lines name no file and repeat by the hundred) and caps what a
/// single allocation of it may take.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: both calls set process-wide numbers and take no pointers.
        unsafe {
            ffi::av_log_set_level(ffi::AV_LOG_QUIET);
            ffi::av_max_alloc(1 << 30);
        }
    });
}

/// Threads for a codec: enough to be quick, few enough that every machine does the same.
pub(crate) fn threads() -> i32 {
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(1, 4) as i32)
}
