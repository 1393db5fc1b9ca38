//! What a packet's bytes say about where decoding can start.

use serde::{Deserialize, Serialize};

/// How free of the past a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyKind {
    /// Needs earlier packets.
    None,
    /// Decoding can start here, but later packets may show pictures that need earlier ones.
    Open,
    /// Nothing from here on needs anything before (IDR, VP9 key frame, intra-only codecs).
    Closed,
    /// An H.265 CRA: like `Open`; its leading pictures can be told apart and left out.
    Clean,
}

impl KeyKind {
    pub(crate) fn is_key(self) -> bool {
        self != Self::None
    }

    /// The kind of a packet that the container marks (or not) as a key.
    pub(crate) fn of(codec: &str, extradata: &[u8], marked: bool, bytes: &[u8]) -> Self {
        match codec {
            "h264" => {
                let size = length_size(codec, extradata);
                let mut idr = false;
                for unit in nal_units(bytes, size) {
                    match unit.first().map(|byte| byte & 0x1F) {
                        Some(5) => idr = true,
                        Some(1..=4) => break,
                        _ => {}
                    }
                }
                match (idr, marked) {
                    (true, _) => Self::Closed,
                    (false, true) => Self::Open,
                    (false, false) => Self::None,
                }
            }
            "hevc" => {
                let size = length_size(codec, extradata);
                let kind = nal_units(bytes, size)
                    .filter_map(|unit| unit.first().map(|byte| (byte >> 1) & 0x3F))
                    .find(|&kind| kind < 32);
                match kind {
                    Some(19 | 20) => Self::Closed,
                    Some(21) => Self::Clean,
                    Some(16..=18) => Self::Open,
                    _ if marked => Self::Open,
                    _ => Self::None,
                }
            }
            // These have no references across a key frame.
            "vp9" | "vp8" | "prores" | "mjpeg" | "dnxhd" | "ffv1" if marked => Self::Closed,
            _ if marked => Self::Open,
            _ => Self::None,
        }
    }
}

/// True for a VP8 packet that makes no picture of its own.
pub(crate) fn is_hidden(codec: &str, bytes: &[u8]) -> bool {
    codec == "vp8" && bytes.first().is_some_and(|byte| byte & 0x10 == 0)
}

/// Bytes of a NAL unit's length by the stream's configuration record; `None` for Annex B.
pub(crate) fn length_size(codec: &str, extradata: &[u8]) -> Option<usize> {
    if extradata.first() != Some(&1) {
        return None;
    }
    let at = if codec == "h264" { 4 } else { 21 };
    extradata.get(at).map(|byte| usize::from(byte & 3) + 1)
}

/// The NAL units of a packet: by length where `length_size` is known, by start code otherwise.
pub(crate) fn nal_units(bytes: &[u8], length_size: Option<usize>) -> NalUnits<'_> {
    NalUnits {
        rest: bytes,
        length_size,
    }
}

/// An iterator over NAL units.
pub(crate) struct NalUnits<'a> {
    rest: &'a [u8],
    length_size: Option<usize>,
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(size) = self.length_size {
            let (length, rest) = self.rest.split_at_checked(size)?;
            let length = length
                .iter()
                .fold(0_usize, |value, &byte| (value << 8) | usize::from(byte));
            let (unit, rest) = rest.split_at_checked(length)?;
            self.rest = rest;
            return Some(unit);
        }
        let start = find(self.rest, &[0, 0, 1])? + 3;
        let rest = self.rest.get(start..)?;
        let end = find(rest, &[0, 0, 1]).unwrap_or(rest.len());
        let (unit, after) = rest.split_at_checked(end)?;
        self.rest = after;
        // Zeros before a start code belong to it.
        let trimmed = unit
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        unit.get(..trimmed)
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_split_by_length_and_by_start_code() {
        let by_length: Vec<&[u8]> = nal_units(&[0, 2, 7, 8, 0, 1, 9, 0], Some(2)).collect();
        assert_eq!(by_length, [&[7, 8][..], &[9][..]]);
        let annex_b = [0, 0, 0, 1, 7, 8, 0, 0, 1, 9, 5, 0, 0, 0, 1, 3];
        let by_code: Vec<&[u8]> = nal_units(&annex_b, None).collect();
        assert_eq!(by_code, [&[7, 8][..], &[9, 5][..], &[3][..]]);
    }

    #[test]
    fn lengths_beyond_the_packet_end_it() {
        assert_eq!(nal_units(&[0, 9, 7, 8], Some(2)).count(), 0);
        assert_eq!(nal_units(&[255; 3], Some(4)).count(), 0);
    }

    #[test]
    fn only_idr_pictures_close_a_group_in_h264() {
        assert_eq!(
            KeyKind::of("h264", &[], true, &[0, 0, 1, 0x65, 1]),
            KeyKind::Closed
        );
        assert_eq!(
            KeyKind::of("h264", &[], true, &[0, 0, 1, 0x41, 1]),
            KeyKind::Open
        );
        assert_eq!(
            KeyKind::of("h264", &[], false, &[0, 0, 1, 0x41, 1]),
            KeyKind::None
        );
        assert_eq!(
            KeyKind::of("hevc", &[], true, &[0, 0, 1, 21 << 1, 1]),
            KeyKind::Clean
        );
        assert_eq!(
            KeyKind::of("hevc", &[], true, &[0, 0, 1, 19 << 1, 1]),
            KeyKind::Closed
        );
    }
}
