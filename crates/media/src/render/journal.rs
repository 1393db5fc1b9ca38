//! Encoded pictures kept as they come, so that a render that is killed goes on where it was.
//!
//! Pictures are encoded in groups, each with an encoder of its own. The journal holds the packets of a group and then
//! a mark; packets without a mark behind them belong to a group that was cut off, and are dropped. Resumed or not, the
//! same groups are made, so the result is the same.

use crate::libav::PacketData;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Frames of a group: how much work a killed render loses at most.
pub(super) const GROUP: u64 = 250;

/// The first bytes of a journal.
const MAGIC: &[u8; 8] = b"rewordj1";

/// No packet is larger.
const LARGEST: u32 = 256 << 20;

/// A finished group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Group {
    /// Its first output frame.
    pub(super) start: u64,
    /// Its frames, one packet each.
    pub(super) frames: u64,
    /// What the clock carries over to the next frame.
    pub(super) carry: f64,
    /// Where its packets lie in the file.
    offset: u64,
}

/// Writes groups, and gives those of an earlier run.
pub(super) struct Journal {
    file: BufWriter<File>,
    found: Vec<Group>,
    /// Packets of the group that is being written.
    frames: u64,
}

enum Entry {
    Packet(PacketData),
    Mark(Group),
}

impl Journal {
    /// Opens or begins a journal; what lies behind its last mark is dropped.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let (found, end) = scan(&file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        if end == 0 {
            file.write_all(MAGIC)?;
        }
        Ok(Self {
            file: BufWriter::new(file),
            found,
            frames: 0,
        })
    }

    /// The group of an earlier run that starts at an output frame.
    pub(super) fn found(&self, start: u64) -> Option<Group> {
        self.found
            .iter()
            .copied()
            .find(|group| group.start == start)
    }

    /// The packets of a found group.
    pub(super) fn packets(&self, group: Group) -> io::Result<Vec<PacketData>> {
        let mut file = self.file.get_ref().try_clone()?;
        let end = file.stream_position()?;
        file.seek(SeekFrom::Start(group.offset))?;
        let mut from = BufReader::new(file);
        let mut packets = Vec::new();
        while packets.len() as u64 != group.frames {
            match entry(&mut from, 0)? {
                Some(Entry::Packet(packet)) => packets.push(packet),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        // Both handles share one position.
        from.into_inner().seek(SeekFrom::Start(end))?;
        Ok(packets)
    }

    /// Keeps a packet of the group that is being made.
    pub(super) fn push(&mut self, packet: &PacketData) -> io::Result<()> {
        self.frames += 1;
        let length = u32::try_from(packet.bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        self.file.write_all(&[1, u8::from(packet.key)])?;
        self.file
            .write_all(&packet.pts.unwrap_or(0).to_le_bytes())?;
        self.file.write_all(&packet.duration.to_le_bytes())?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&packet.bytes)
    }

    /// The group is whole.
    pub(super) fn mark(&mut self, start: u64, carry: f64) -> io::Result<()> {
        self.file.write_all(&[2])?;
        self.file.write_all(&start.to_le_bytes())?;
        self.file.write_all(&self.frames.to_le_bytes())?;
        self.file.write_all(&carry.to_bits().to_le_bytes())?;
        self.frames = 0;
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }
}

/// The whole groups of a journal, and where the last one ends.
fn scan(file: &File) -> io::Result<(Vec<Group>, u64)> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    let mut from = BufReader::new(file);
    let mut magic = [0; 8];
    if from.read_exact(&mut magic).is_err() || &magic != MAGIC {
        return Ok((Vec::new(), 0));
    }
    let mut groups = Vec::new();
    let (mut begin, mut end, mut packets) = (8, 8, 0);
    // What can't be read is the torn end of a killed run.
    while let Ok(Some(found)) = entry(&mut from, begin) {
        match found {
            Entry::Packet(_) => packets += 1,
            Entry::Mark(group) if group.frames == packets => {
                groups.push(group);
                end = from.stream_position()?;
                (begin, packets) = (end, 0);
            }
            Entry::Mark(_) => break,
        }
    }
    Ok((groups, end))
}

/// The next entry; nothing where the bytes make no sense. `offset` is where the group began.
fn entry(from: &mut impl Read, offset: u64) -> io::Result<Option<Entry>> {
    let [kind] = exactly::<1>(from)?;
    if kind == 2 {
        return Ok(Some(Entry::Mark(Group {
            start: u64::from_le_bytes(exactly(from)?),
            frames: u64::from_le_bytes(exactly(from)?),
            carry: f64::from_bits(u64::from_le_bytes(exactly(from)?)),
            offset,
        })));
    }
    if kind != 1 {
        return Ok(None);
    }
    let [key] = exactly::<1>(from)?;
    let pts = i64::from_le_bytes(exactly(from)?);
    let duration = i64::from_le_bytes(exactly(from)?);
    let length = u32::from_le_bytes(exactly(from)?);
    if length > LARGEST {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    Ok(
        (bytes.len() == length as usize).then_some(Entry::Packet(PacketData {
            pts: Some(pts),
            dts: None,
            duration,
            key: key == 1,
            bytes,
        })),
    )
}

fn exactly<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: i64) -> PacketData {
        PacketData {
            pts: Some(n),
            dts: None,
            duration: 1,
            key: n % 4 == 0,
            bytes: vec![n as u8; n as usize * 3],
        }
    }

    #[test]
    fn whole_groups_come_back_and_torn_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        for n in 0..8 {
            journal.push(&packet(n)).unwrap();
            if n % 4 == 3 {
                journal.mark(n as u64 - 3 + 100, 0.25).unwrap();
            }
        }
        journal.push(&packet(8)).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere: what is found is right.
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            let groups: Vec<u64> = [100, 104]
                .into_iter()
                .filter(|&start| journal.found(start).is_some())
                .collect();
            for &start in &groups {
                let group = journal.found(start).unwrap();
                assert_eq!(group.carry.to_bits(), 0.25_f64.to_bits());
                let expected: Vec<PacketData> =
                    (0..4).map(|n| packet(n + start as i64 - 100)).collect();
                assert_eq!(journal.packets(group).unwrap(), expected);
            }
            // It can be written on.
            journal.push(&packet(3)).unwrap();
            journal.mark(200, 0.0).unwrap();
            drop(journal);
            let again = Journal::open(&path).unwrap();
            assert!(again.found(200).is_some());
            assert_eq!(again.found(104).is_some(), groups.len() == 2);
        }
        std::fs::write(&path, &whole).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.found(100).is_some() && journal.found(104).is_some());
    }

    #[test]
    fn another_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, b"something else that is longer").unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.found(0).is_none());
        drop(journal);
        assert_eq!(std::fs::read(&path).unwrap(), MAGIC);
    }
}
