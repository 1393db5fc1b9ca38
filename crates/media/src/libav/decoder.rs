//! Decoding.

use super::{AvFrame, Code, Input, Packet, check, threads};
use ffmpeg_next::ffi;
use std::ptr;

/// The most pixels that a picture may have: 8192 x 8192.
pub(crate) const MAX_PIXELS: u64 = 8192 * 8192;

/// An open decoder of one stream.
pub(crate) struct Decoder(*mut ffi::AVCodecContext);

// SAFETY: the context is only used through `&mut self`, and libav allows that from any thread.
unsafe impl Send for Decoder {}

/// What came of asking for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// The frame was filled.
    Frame,
    /// Another packet is needed.
    Hungry,
    /// There will be no more.
    End,
}

impl Decoder {
    /// A decoder for a stream of an open container.
    pub(crate) fn open(input: &Input, stream: usize) -> Result<Self, Code> {
        let stream = input.raw_stream(stream).ok_or(Code::INVALID)?;
        // SAFETY: the stream's parameters are valid while the input lives and are copied into
        // the context; the context is freed by `drop` also where a later step fails.
        unsafe {
            let codec = ffi::avcodec_find_decoder((*stream.codecpar).codec_id);
            if codec.is_null() {
                return Err(Code::NO_DECODER);
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(Code::MEMORY);
            }
            let decoder = Self(context);
            check(ffi::avcodec_parameters_to_context(context, stream.codecpar))?;
            (*context).pkt_timebase = stream.time_base;
            (*context).thread_count = threads();
            (*context).max_pixels = MAX_PIXELS as i64;
            check(ffi::avcodec_open2(context, codec, ptr::null_mut()))?;
            Ok(decoder)
        }
    }

    /// Gives a packet, or says with `None` that there are no more.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) -> Result<(), Code> {
        let raw = packet.map_or(ptr::null_mut(), Packet::as_ptr);
        // SAFETY: the context is open; libav copies or references the packet.
        unsafe { check(ffi::avcodec_send_packet(self.0, raw)).map(|_| ()) }
    }

    /// Takes a frame.
    pub(crate) fn receive(&mut self, frame: &mut AvFrame) -> Result<Received, Code> {
        // SAFETY: the context is open and the frame is valid; libav empties it first.
        match unsafe { check(ffi::avcodec_receive_frame(self.0, frame.as_ptr())) } {
            Ok(_) => Ok(Received::Frame),
            Err(Code::AGAIN) => Ok(Received::Hungry),
            Err(Code::END) => Ok(Received::End),
            Err(code) => Err(code),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: allocated by `avcodec_alloc_context3`, freed once.
        unsafe { ffi::avcodec_free_context(&raw mut self.0) }
    }
}
