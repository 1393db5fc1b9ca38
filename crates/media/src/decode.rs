//! Reading frames, sound and packets of one stream. Requests are plain data, so that they can be
//! carried out here or in the decoding child.

mod frames;
mod packets;
mod sound;

pub(crate) use frames::FrameSource;
pub(crate) use packets::PacketSource;
pub(crate) use sound::SoundSource;

use crate::info::{PixelFormat, TimeBase};
use serde::{Deserialize, Serialize};

/// Frames by their exact times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FramesRequest {
    pub(crate) stream: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) format: PixelFormat,
    /// Ticks of the wanted frames, ascending; for `counted` requests their indices.
    pub(crate) wanted: Vec<i64>,
    /// Ticks to seek to, the best first; the start of the file comes after the last.
    pub(crate) seeks: Vec<i64>,
    /// True where frames have no times of their own and are counted from the start.
    pub(crate) counted: bool,
}

/// Samples by their position in the track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SoundRequest {
    pub(crate) stream: usize,
    pub(crate) rate: u32,
    pub(crate) layout: u64,
    pub(crate) channels: i32,
    pub(crate) base: TimeBase,
    /// Ticks of sample zero.
    pub(crate) first: i64,
    /// Samples of the first decoded block and of the others.
    pub(crate) blocks: (u64, u64),
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Coded packets in decoding order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PacketsRequest {
    pub(crate) stream: usize,
    /// Ticks to seek to, the best first; the start of the file comes after the last.
    pub(crate) seeks: Vec<i64>,
    /// The `pts` of the first wanted packet; from the very first packet where `None`.
    pub(crate) first: Option<i64>,
    /// How many packets.
    pub(crate) count: u64,
}

/// Why a request could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecodeFailure {
    /// Ticks of the stream, or the sample's number, where it failed.
    pub(crate) at: Option<i64>,
    pub(crate) reason: String,
}

impl DecodeFailure {
    fn new(at: Option<i64>, reason: impl std::fmt::Display) -> Self {
        Self {
            at,
            reason: format!("{reason}"),
        }
    }
}
