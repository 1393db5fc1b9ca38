//! H.265 parameter sets: two encoders' pictures in one stream.
//!
//! As for H.264, but x265 always uses id 0. Its pictures are renumbered to id 15: `ue(0)` is one
//! bit and `ue(15)` is nine, so that everything after an id moves by exactly one byte and no
//! further field needs to be understood (H.265, 7.3 and 9.2).

use super::h264::push_unit;
use crate::probe::{length_size, nal_units};

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const SEI: u8 = 39;

/// The parts of a configuration record (ISO/IEC 14496-15, 8.3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    header: Vec<u8>,
    /// First byte (completeness and type) and units of every array.
    arrays: Vec<(u8, Vec<Vec<u8>>)>,
}

impl Record {
    /// `None` for anything but a complete record.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(22)?;
        let (&count, mut rest) = rest.split_first()?;
        if header.first() != Some(&1) {
            return None;
        }
        let mut arrays = Vec::new();
        for _ in 0..count {
            let (start, after) = rest.split_at_checked(3)?;
            let &[kind, high, low] = start else {
                return None;
            };
            rest = after;
            let mut units = Vec::new();
            for _ in 0..u16::from_be_bytes([high, low]) {
                let (length, after) = rest.split_at_checked(2)?;
                let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
                let (unit, after) = after.split_at_checked(length)?;
                units.push(unit.to_vec());
                rest = after;
            }
            arrays.push((kind, units));
        }
        Some(Self {
            header: header.to_vec(),
            arrays,
        })
    }

    /// Bytes of a NAL unit's length.
    pub(super) fn length_size(&self) -> usize {
        length_size("hevc", &self.header).unwrap_or(4)
    }

    /// The record with an encoder's parameter sets (Annex B) added, renumbered; `None` where
    /// the two do not go together.
    pub(super) fn with(&self, encoder: &[u8]) -> Option<Vec<u8>> {
        // Only where all of the source's ids are 0 can they not be 15.
        for (kind, units) in &self.arrays {
            for unit in units {
                let plain = unescaped(unit);
                let zero = match kind & 0x3F {
                    VPS => plain.get(2)? >> 4 == 0,
                    SPS => sequence_id_at(&plain).is_some_and(|at| starts_with_zero(&plain, at)),
                    PPS => starts_with_zero(&plain, 2),
                    _ => true,
                };
                if !zero {
                    return None;
                }
            }
        }
        let mut record = self.clone();
        let mut added = 0;
        for unit in nal_units(encoder, None) {
            let kind = unit_kind(unit)?;
            if !matches!(kind, VPS | SPS | PPS) {
                continue;
            }
            let plain = unescaped(unit);
            if kind == SPS {
                // Profile, compatibility and level: bytes 3.. of the set, 1.. of the record.
                let (stated, found) = (record.header.get_mut(1..13)?, plain.get(3..15)?);
                if stated.first()? & 0xDF != found.first()? & 0xDF {
                    return None;
                }
                let (stated, found) = (stated.last_mut()?, found.last()?);
                *stated = (*stated).max(*found);
            }
            let unit = escaped(&renumbered(&plain, kind)?);
            added += 1;
            match record
                .arrays
                .iter_mut()
                .find(|(byte, _)| byte & 0x3F == kind)
            {
                Some((_, units)) => units.push(unit),
                None => return None,
            }
        }
        if added < 3 {
            return None;
        }
        let mut bytes = record.header;
        bytes.push(u8::try_from(record.arrays.len()).ok()?);
        for (kind, units) in record.arrays {
            bytes.push(kind);
            bytes.extend_from_slice(&u16::try_from(units.len()).ok()?.to_be_bytes());
            for unit in units {
                bytes.extend_from_slice(&u16::try_from(unit.len()).ok()?.to_be_bytes());
                bytes.extend_from_slice(&unit);
            }
        }
        Some(bytes)
    }
}

/// A packet of the encoder (Annex B) with lengths instead of start codes, its slices naming the
/// renumbered sets, without parameter sets; `lead` (SEI units) goes before a key picture.
pub(super) fn with_lengths(packet: &[u8], length_size: usize, lead: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut result = Vec::with_capacity(packet.len() + 64);
    let mut led = false;
    for unit in nal_units(packet, None) {
        let kind = unit_kind(unit)?;
        match kind {
            VPS | SPS | PPS | DELIMITER => {}
            0..=31 => {
                if !led && (16..=23).contains(&kind) {
                    for unit in lead {
                        push_unit(&mut result, unit, length_size);
                    }
                    led = true;
                }
                let renumbered = escaped(&renumbered(&unescaped(unit), kind)?);
                push_unit(&mut result, &renumbered, length_size);
            }
            _ => push_unit(&mut result, unit, length_size),
        }
    }
    Some(result)
}

/// The HDR units (mastering display, content light) of an encoder's header, which x265 puts
/// nowhere else.
pub(super) fn hdr_units(encoder: &[u8]) -> Vec<Vec<u8>> {
    nal_units(encoder, None)
        .filter(|unit| unit_kind(unit) == Some(SEI))
        .filter(|unit| matches!(unit.get(2), Some(137 | 144)))
        .map(<[u8]>::to_vec)
        .collect()
}

/// A source packet that follows something other than what it followed in the source: a clean
/// random access becomes a broken link without leading pictures, so that nothing is expected
/// from before it.
pub(super) fn broken_link(packet: &[u8], length_size: usize) -> Vec<u8> {
    let mut result = Vec::with_capacity(packet.len());
    for unit in nal_units(packet, Some(length_size)) {
        let mut unit = unit.to_vec();
        if unit_kind(&unit) == Some(21)
            && let Some(first) = unit.first_mut()
        {
            *first = (*first & 0x81) | (18 << 1);
        }
        push_unit(&mut result, &unit, length_size);
    }
    result
}

fn unit_kind(unit: &[u8]) -> Option<u8> {
    unit.first().map(|byte| (byte >> 1) & 0x3F)
}

/// Where the id of a sequence parameter set begins (a byte), for sets of one sub-layer.
fn sequence_id_at(plain: &[u8]) -> Option<usize> {
    // After the header: ids and layers (1 byte), then profile, tier and level (12 bytes).
    let layers = plain.get(2)? >> 1 & 7;
    (layers == 0).then_some(15)
}

fn starts_with_zero(plain: &[u8], at: usize) -> bool {
    plain.get(at).is_some_and(|byte| byte & 0x80 != 0)
}

/// A unit with its ids (all 0) made 15.
fn renumbered(plain: &[u8], kind: u8) -> Option<Vec<u8>> {
    let mut result = plain.to_vec();
    let replace = |result: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        result.splice(at..=at, bytes.iter().copied());
    };
    match kind {
        VPS => *result.get_mut(2)? |= 0xF0,
        SPS => {
            *result.get_mut(2)? |= 0xF0;
            let at = sequence_id_at(plain)?;
            let byte = *plain.get(at)?;
            if byte & 0x80 == 0 {
                return None;
            }
            // 0000 1000 0 + seven bits
            replace(&mut result, at, &[0x08, byte & 0x7F]);
        }
        PPS => {
            let byte = *plain.get(2)?;
            if byte & 0xC0 != 0xC0 {
                return None;
            }
            // 0000 1000 0 + 0000 1000 0 + six bits
            replace(&mut result, 2, &[0x08, 0x04, byte & 0x3F]);
        }
        16..=23 => {
            let byte = *plain.get(2)?;
            if byte & 0x20 == 0 {
                return None;
            }
            // two flags + 0000 1000 0 + five bits
            replace(&mut result, 2, &[byte & 0xC0 | 0x02, byte & 0x1F]);
        }
        0..=15 => {
            let byte = *plain.get(2)?;
            if byte & 0x40 == 0 {
                return None;
            }
            // one flag + 0000 1000 0 + six bits
            replace(&mut result, 2, &[byte & 0x80 | 0x04, byte & 0x3F]);
        }
        _ => {}
    }
    Some(result)
}

/// Without the bytes that keep start codes from appearing.
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        result.push(byte);
    }
    result
}

/// With the bytes that keep start codes from appearing.
fn escaped(plain: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(plain.len() + plain.len() / 64 + 4);
    let mut zeros = 0;
    for &byte in plain {
        if zeros >= 2 && byte <= 3 {
            result.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        result.push(byte);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads bits of a unit.
    fn bits(bytes: &[u8], from: usize, count: usize) -> String {
        (from..from + count)
            .map(|at| {
                if bytes[at / 8] >> (7 - at % 8) & 1 == 1 {
                    '1'
                } else {
                    '0'
                }
            })
            .collect()
    }

    #[test]
    fn renumbering_moves_everything_by_whole_bytes() {
        let slice = [1 << 1, 1, 0b1110_1011, 0xAB];
        let changed = renumbered(&slice, 1).unwrap();
        assert_eq!(bits(&changed, 16, 16), "1000010000101011");
        assert_eq!(changed[4], 0xAB);
        let key = [19 << 1, 1, 0b1011_0111, 0xCD];
        let changed = renumbered(&key, 19).unwrap();
        assert_eq!(bits(&changed, 16, 16), "1000001000010111");
        let picture = [PPS << 1, 1, 0b1110_0101, 0x77];
        let changed = renumbered(&picture, PPS).unwrap();
        assert_eq!(bits(&changed, 16, 24), "000010000000010000100101");
        assert_eq!(changed[5], 0x77);
    }

    #[test]
    fn other_ids_are_refused() {
        assert!(renumbered(&[2, 1, 0b1010_0000, 0], 1).is_none());
        assert!(renumbered(&[PPS << 1, 1, 0b1000_0000], PPS).is_none());
    }

    proptest! {
        #[test]
        fn escaping_is_undone(bytes in prop::collection::vec(0_u8..5, 0..60)) {
            let escaped = escaped(&bytes);
            prop_assert_eq!(unescaped(&escaped), bytes);
            for window in escaped.windows(3) {
                prop_assert!(!(window[0] == 0 && window[1] == 0 && window[2] < 3));
            }
        }
    }
}
