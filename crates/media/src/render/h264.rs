//! H.264 parameter sets: two encoders' pictures in one stream.
//!
//! A stream may carry several parameter sets, told apart by their ids, and every slice names
//! its own. The encoder is given ids that the source does not use, and both parties' sets go
//! into the configuration record (ISO/IEC 14496-15, 5.3.3.1), so that nothing changes in band
//! and players need no special support.

use crate::probe::{length_size, nal_units};

/// The parts of a configuration record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    header: [u8; 5],
    sequence: Vec<Vec<u8>>,
    picture: Vec<Vec<u8>>,
    /// Chroma format and bit depths of the high profiles.
    rest: Vec<u8>,
}

impl Record {
    /// `None` for anything but a complete record.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_at_checked(5)?;
        let header: [u8; 5] = header.try_into().ok()?;
        if header.first() != Some(&1) {
            return None;
        }
        let sequence = sets(&mut rest, 0x1F)?;
        let picture = sets(&mut rest, 0xFF)?;
        if sequence.is_empty() || picture.is_empty() {
            return None;
        }
        Some(Self {
            header,
            sequence,
            picture,
            rest: rest.to_vec(),
        })
    }

    /// Bytes of a NAL unit's length.
    pub(super) fn length_size(&self) -> usize {
        length_size("h264", &self.header).unwrap_or(4)
    }

    /// The profile's number.
    pub(super) fn profile(&self) -> u8 {
        self.header.get(1).copied().unwrap_or(0)
    }

    /// An id that no parameter set of the record has; `None` where all are taken or unreadable.
    pub(super) fn free_id(&self) -> Option<u32> {
        let mut used = Vec::new();
        for set in &self.sequence {
            used.push(exp_golomb(set.get(4..)?)?);
        }
        for set in &self.picture {
            used.push(exp_golomb(set.get(1..)?)?);
        }
        (1..32).find(|id| !used.contains(id))
    }

    /// The record with an encoder's parameter sets (Annex B) added.
    pub(super) fn with(&self, encoder: &[u8]) -> Option<Vec<u8>> {
        let mut record = self.clone();
        for unit in nal_units(encoder, None) {
            match unit.first()? & 0x1F {
                7 => {
                    // The level covers both.
                    let level = *unit.get(3)?;
                    let stated = record.header.get_mut(3)?;
                    *stated = level.max(*stated);
                    record.sequence.push(unit.to_vec());
                }
                8 => record.picture.push(unit.to_vec()),
                _ => {}
            }
        }
        let added = record.sequence.len() > self.sequence.len()
            && record.picture.len() > self.picture.len();
        if !added || record.sequence.len() > 31 || record.picture.len() > 255 {
            return None;
        }
        let mut bytes = record.header.to_vec();
        bytes.push(0xE0 | record.sequence.len() as u8);
        write_sets(&mut bytes, &record.sequence)?;
        bytes.push(record.picture.len() as u8);
        write_sets(&mut bytes, &record.picture)?;
        bytes.extend_from_slice(&record.rest);
        Some(bytes)
    }
}

/// A packet of the encoder (Annex B) with lengths instead of start codes, without parameter
/// sets and delimiters.
pub(super) fn with_lengths(packet: &[u8], length_size: usize) -> Vec<u8> {
    let mut result = Vec::with_capacity(packet.len() + 16);
    for unit in nal_units(packet, None) {
        if !matches!(unit.first().map(|byte| byte & 0x1F), None | Some(7..=9)) {
            push_unit(&mut result, unit, length_size);
        }
    }
    result
}

/// Appends a NAL unit behind its length.
pub(super) fn push_unit(target: &mut Vec<u8>, unit: &[u8], length_size: usize) {
    let length = (unit.len() as u32).to_be_bytes();
    target.extend_from_slice(
        length
            .get(4 - length_size.clamp(1, 4)..)
            .unwrap_or_default(),
    );
    target.extend_from_slice(unit);
}

fn sets(rest: &mut &[u8], mask: u8) -> Option<Vec<Vec<u8>>> {
    let (&count, mut bytes) = rest.split_first()?;
    let mut sets = Vec::new();
    for _ in 0..count & mask {
        let (length, after) = bytes.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (set, after) = after.split_at_checked(length)?;
        sets.push(set.to_vec());
        bytes = after;
    }
    *rest = bytes;
    Some(sets)
}

fn write_sets(target: &mut Vec<u8>, sets: &[Vec<u8>]) -> Option<()> {
    for set in sets {
        target.extend_from_slice(&u16::try_from(set.len()).ok()?.to_be_bytes());
        target.extend_from_slice(set);
    }
    Some(())
}

/// The unsigned Exp-Golomb number at the start of some bytes (H.264, 9.1).
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let bit = |at: usize| {
        let byte = bytes.get(at / 8)?;
        Some(u32::from(byte >> (7 - at % 8) & 1))
    };
    let mut zeros = 0;
    while bit(zeros)? == 0 {
        zeros += 1;
        if zeros > 16 {
            return None;
        }
    }
    let mut value = 0;
    for at in zeros..=2 * zeros {
        value = value << 1 | bit(at)?;
    }
    Some(value - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: [u8; 22] = [
        1, 100, 0, 30, 0xFF, 0xE1, 0, 5, 0x67, 100, 0, 30, 0x80, 1, 0, 2, 0x68, 0x80, 0xFD, 0xF8,
        0xF8, 0,
    ];

    #[test]
    fn a_record_is_read_and_gets_the_encoders_sets() {
        let record = Record::parse(&SOURCE).unwrap();
        assert_eq!((record.length_size(), record.profile()), (4, 100));
        assert_eq!(record.free_id(), Some(1));
        let encoder = [0, 0, 0, 1, 0x67, 100, 0, 41, 0x40, 0, 0, 1, 0x68, 0x40];
        let merged = record.with(&encoder).unwrap();
        let merged = Record::parse(&merged).unwrap();
        assert_eq!((merged.sequence.len(), merged.picture.len()), (2, 2));
        assert_eq!(merged.header[3], 41);
        assert_eq!(merged.rest, record.rest);
        assert_eq!(merged.free_id(), Some(2));
    }

    #[test]
    fn cut_records_are_refused() {
        for length in 0..SOURCE.len() - 4 {
            assert!(Record::parse(&SOURCE[..length]).is_none(), "{length}");
        }
        let record = Record::parse(&SOURCE).unwrap();
        assert!(record.with(&[0, 0, 1, 0x67, 100, 0, 30, 0x40]).is_none());
    }

    #[test]
    fn numbers_are_read_bit_by_bit() {
        assert_eq!(exp_golomb(&[0b1000_0000]), Some(0));
        assert_eq!(exp_golomb(&[0b0100_0000]), Some(1));
        assert_eq!(exp_golomb(&[0b0000_1000, 0]), Some(15));
        assert_eq!(exp_golomb(&[0]), None);
    }

    #[test]
    fn packets_lose_start_codes_and_parameter_sets() {
        let packet = [
            0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 7, 8, 0, 0, 0, 1, 0x06, 5,
        ];
        assert_eq!(
            with_lengths(&packet, 4),
            [0, 0, 0, 3, 0x65, 7, 8, 0, 0, 0, 2, 0x06, 5]
        );
    }
}
