//! Coded packets.

use super::{Code, check};
use ffmpeg_next::ffi;
use serde::{Deserialize, Serialize};
use std::ptr;

/// A packet as plain data; times in ticks of its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PacketData {
    pub(crate) pts: Option<i64>,
    pub(crate) dts: Option<i64>,
    pub(crate) duration: i64,
    pub(crate) key: bool,
    #[serde(skip)]
    pub(crate) bytes: Vec<u8>,
}

/// An owned `AVPacket`.
pub(crate) struct Packet(*mut ffi::AVPacket);

// SAFETY: a packet is heap data that nothing else points to.
unsafe impl Send for Packet {}

impl Packet {
    pub(crate) fn new() -> Result<Self, Code> {
        // SAFETY: allocation only.
        let raw = unsafe { ffi::av_packet_alloc() };
        if raw.is_null() {
            return Err(Code::MEMORY);
        }
        Ok(Self(raw))
    }

    /// A packet that holds a copy of plain data.
    pub(crate) fn from_data(data: &PacketData, stream: i32) -> Result<Self, Code> {
        let packet = Self::new()?;
        let length = i32::try_from(data.bytes.len()).map_err(|_| Code::INVALID)?;
        // SAFETY: `av_new_packet` makes room for `length` bytes, which are then copied.
        unsafe {
            check(ffi::av_new_packet(packet.0, length))?;
            let raw = &mut *packet.0;
            ptr::copy_nonoverlapping(data.bytes.as_ptr(), raw.data, data.bytes.len());
            raw.pts = data.pts.unwrap_or(ffi::AV_NOPTS_VALUE);
            raw.dts = data.dts.unwrap_or(ffi::AV_NOPTS_VALUE);
            raw.duration = data.duration;
            raw.stream_index = stream;
            if data.key {
                raw.flags |= ffi::AV_PKT_FLAG_KEY;
            }
        }
        Ok(packet)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVPacket {
        self.0
    }

    fn raw(&self) -> &ffi::AVPacket {
        // SAFETY: never null, and owned by `self`.
        unsafe { &*self.0 }
    }

    /// A copy of times and bytes.
    pub(crate) fn to_data(&self) -> PacketData {
        PacketData {
            pts: self.pts(),
            dts: self.dts(),
            duration: self.raw().duration,
            key: self.is_key(),
            bytes: self.bytes().to_vec(),
        }
    }

    pub(crate) fn stream(&self) -> usize {
        usize::try_from(self.raw().stream_index).unwrap_or(usize::MAX)
    }

    pub(crate) fn pts(&self) -> Option<i64> {
        (self.raw().pts != ffi::AV_NOPTS_VALUE).then_some(self.raw().pts)
    }

    pub(crate) fn dts(&self) -> Option<i64> {
        (self.raw().dts != ffi::AV_NOPTS_VALUE).then_some(self.raw().dts)
    }

    pub(crate) fn duration(&self) -> i64 {
        self.raw().duration
    }

    pub(crate) fn is_key(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// True where the decoded frame is not to be shown.
    pub(crate) fn is_discarded(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_CORRUPT != 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let raw = self.raw();
        if raw.data.is_null() || raw.size <= 0 {
            return &[];
        }
        // SAFETY: libav keeps `size` bytes at `data` for as long as the packet lives unchanged.
        unsafe { std::slice::from_raw_parts(raw.data, raw.size as usize) }
    }

    /// Samples to leave out at the packet's start and end.
    pub(crate) fn skipped_samples(&self) -> Option<(u32, u32)> {
        let mut size = 0_usize;
        // SAFETY: the returned pointer is null or points to `size` bytes of the packet.
        let bytes = unsafe {
            let data = ffi::av_packet_get_side_data(
                self.0,
                ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES,
                &raw mut size,
            );
            if data.is_null() {
                return None;
            }
            std::slice::from_raw_parts(data, size)
        };
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        Some((word(0)?, word(4)?))
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: allocated by `av_packet_alloc`, freed once.
        unsafe { ffi::av_packet_free(&raw mut self.0) }
    }
}
