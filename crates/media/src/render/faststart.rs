//! MP4 and MOV with their index in front, so that playing can begin before all of a file is there.
//!
//! libav's muxer writes the index (`moov`) behind the pictures (`mdat`), because it does not know it earlier. Here the
//! two change places in the finished file, and the index's offsets are corrected (ISO/IEC 14496-12, 8.7.5).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The largest index that is moved; beyond it (weeks of footage) it stays where it is.
const LARGEST: u64 = 512 << 20;

/// How much is moved at once.
const CHUNK: u64 = 4 << 20;

/// Boxes that hold the way to the offsets.
const PARENTS: [&[u8; 4]; 4] = [b"trak", b"mdia", b"minf", b"stbl"];

/// Puts the index of a finished file in front of its pictures. A file that has it there, or whose boxes are not
/// understood, stays as it is.
pub(super) fn index_first(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut pictures = None;
    let mut at = 0;
    while at + 8 <= length {
        let Some((kind, size)) = head(file, at, length)? else {
            return Ok(());
        };
        match &kind {
            b"mdat" if pictures.is_none() => pictures = Some(at),
            b"moov" => {
                let Some(first) = pictures else {
                    return Ok(());
                };
                if size > LARGEST || at + size != length {
                    return Ok(());
                }
                return exchange(file, first, at, size);
            }
            _ => {}
        }
        at += size;
    }
    Ok(())
}

/// A box's kind and size; nothing where it does not fit into the file.
fn head(file: &File, at: u64, length: u64) -> io::Result<Option<([u8; 4], u64)>> {
    let mut bytes = [0; 16];
    let there = (length - at).min(16) as usize;
    file.read_exact_at(bytes.get_mut(..there).unwrap_or_default(), at)?;
    let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = bytes;
    let [_, _, _, _, _, _, _, _, wide @ ..] = bytes;
    let size = match u32::from_be_bytes([a, b, c, d]) {
        0 => length - at,
        1 => u64::from_be_bytes(wide),
        small => u64::from(small),
    };
    Ok((size >= 8 && size <= length - at).then_some((kind, size)))
}

/// Moves the pictures at `first..index` behind the index of `size` bytes.
fn exchange(file: &File, first: u64, index: u64, size: u64) -> io::Result<()> {
    let mut moov = vec![0; size as usize];
    file.read_exact_at(&mut moov, index)?;
    if !shift(moov.get_mut(8..).unwrap_or_default(), first, size) {
        return Ok(());
    }
    // From the end, so that nothing is written over before it was read.
    let mut end = index;
    let mut buffer = vec![0; CHUNK.min(index - first) as usize];
    while end > first {
        let count = (end - first).min(CHUNK);
        let chunk = buffer.get_mut(..count as usize).unwrap_or_default();
        file.read_exact_at(chunk, end - count)?;
        file.write_all_at(chunk, end - count + size)?;
        end -= count;
    }
    file.write_all_at(&moov, first)
}

/// Adds `by` to every chunk offset from `from` on in a box's content; false where one can't hold it.
fn shift(content: &mut [u8], from: u64, by: u64) -> bool {
    let mut rest = content;
    while rest.len() >= 8 {
        let (size, kind) = match rest {
            [a, b, c, d, e, f, g, h, ..] => (
                u32::from_be_bytes([*a, *b, *c, *d]) as usize,
                [*e, *f, *g, *h],
            ),
            _ => return false,
        };
        if size < 8 || size > rest.len() {
            return false;
        }
        let (this, next) = rest.split_at_mut(size);
        let body = this.get_mut(8..).unwrap_or_default();
        let fits = match &kind {
            b"stco" => offsets::<4>(body, from, by),
            b"co64" => offsets::<8>(body, from, by),
            kind if PARENTS.contains(&kind) => shift(body, from, by),
            _ => true,
        };
        if !fits {
            return false;
        }
        rest = next;
    }
    true
}

/// Corrects a table of offsets of `N` bytes behind its version and count.
fn offsets<const N: usize>(body: &mut [u8], from: u64, by: u64) -> bool {
    let most = if N == 4 {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    for entry in body.get_mut(8..).unwrap_or_default().chunks_exact_mut(N) {
        let old = entry
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        if old < from {
            continue;
        }
        let Some(new) = old.checked_add(by).filter(|&new| new <= most) else {
            return false;
        };
        let bytes = new.to_be_bytes();
        entry.copy_from_slice(bytes.get(8 - N..).unwrap_or_default());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(&kind);
        bytes.extend_from_slice(body);
        bytes
    }

    fn table(offsets: &[u32]) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend((offsets.len() as u32).to_be_bytes());
        body.extend(offsets.iter().flat_map(|offset| offset.to_be_bytes()));
        boxed(*b"stco", &body)
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn the_index_comes_first_and_finds_its_pictures() {
        let start = boxed(*b"ftyp", b"isom");
        let pictures = boxed(*b"mdat", b"one, two, three");
        let first = start.len() as u32 + 8;
        let index = |offsets: &[u32]| {
            let inner = [b"stbl", b"minf", b"mdia", b"trak", b"moov"];
            inner
                .into_iter()
                .fold(table(offsets), |body, kind| boxed(*kind, &body))
        };
        let plain = index(&[first, first + 5, first + 10]);
        let by = plain.len() as u32;
        let whole = file(&[start.clone(), pictures.clone(), plain].concat());
        index_first(&whole).unwrap();
        let expected = [
            start,
            index(&[first + by, first + by + 5, first + by + 10]),
            pictures,
        ];
        assert_eq!(bytes(&whole), expected.concat());
        // Once more changes nothing.
        index_first(&whole).unwrap();
        assert_eq!(bytes(&whole), expected.concat());
    }

    proptest! {
        #[test]
        fn nonsense_never_panics_and_keeps_its_length(content in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..60) {
            let mut all = boxed(*b"mdat", b"pictures");
            all.extend(boxed(*b"moov", &boxed(*b"trak", &content)));
            all.truncate(all.len() - cut.min(all.len()));
            let whole = file(&all);
            index_first(&whole).unwrap();
            prop_assert_eq!(bytes(&whole).len(), all.len());
        }
    }
}
