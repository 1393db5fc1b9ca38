//! What parent and child say to each other.
//!
//! A request is its length (four bytes, little endian) and JSON. A message is a kind (one byte),
//! the length of its JSON (four bytes) and of its body (eight), then both.

use crate::decode::{FramesRequest, PacketsRequest, SoundRequest};
use crate::probe::Listen;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The longest request: the times of some hours' frames.
const MAX_REQUEST: u32 = 64 << 20;
/// The longest JSON of a message: the packet list of a day.
const MAX_JSON: u32 = 512 << 20;
/// The longest body: an uncompressed picture of the largest size, and a packet.
pub(super) const MAX_BODY: u64 = 512 << 20;

/// What the parent asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Probe(Listen),
    Frames(FramesRequest),
    Sound(SoundRequest),
    Packets(PacketsRequest),
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON: what confines the child.
    Hello = 1,
    /// JSON: the probe.
    Probe = 2,
    /// JSON: a `MediaError`.
    Error = 3,
    /// JSON: a `DecodeFailure`.
    Failure = 4,
    /// JSON: true where exact; body: the planes.
    Picture = 5,
    /// JSON: samples of each channel; body: the channels' floats.
    Sound = 6,
    /// JSON: a packet's times; body: its bytes.
    Packet = 7,
    /// The request is done.
    End = 8,
}

/// A message's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    json: u32,
    pub(super) body: u64,
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

pub(super) fn write_request(to: &mut impl Write, request: &Request) -> io::Result<()> {
    let json = serde_json::to_vec(request)?;
    let length = u32::try_from(json.len())
        .ok()
        .filter(|length| *length <= MAX_REQUEST)
        .ok_or_else(|| nonsense("the request is too long"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&json)?;
    to.flush()
}

/// The next request; `None` when the parent is gone.
pub(super) fn read_request(from: &mut impl Read) -> io::Result<Option<Request>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_REQUEST {
        return Err(nonsense("a request is too long"));
    }
    let mut json = vec![0; length as usize];
    from.read_exact(&mut json)?;
    Ok(Some(serde_json::from_slice(&json)?))
}

pub(super) fn write_message(
    to: &mut impl Write,
    kind: Kind,
    json: &impl Serialize,
    body: &[&[u8]],
) -> io::Result<()> {
    let json = serde_json::to_vec(json)?;
    let length: u64 = body.iter().map(|part| part.len() as u64).sum();
    let json_length = u32::try_from(json.len()).map_err(|_| nonsense("a message is too long"))?;
    to.write_all(&[kind as u8])?;
    to.write_all(&json_length.to_le_bytes())?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&json)?;
    for part in body {
        to.write_all(part)?;
    }
    to.flush()
}

/// The next message's head; its sizes are within the limits.
pub(super) fn read_head(from: &mut impl Read) -> io::Result<Head> {
    let mut kind = [0; 1];
    let mut json = [0; 4];
    let mut body = [0; 8];
    from.read_exact(&mut kind)?;
    from.read_exact(&mut json)?;
    from.read_exact(&mut body)?;
    let kind = [
        Kind::Hello,
        Kind::Probe,
        Kind::Error,
        Kind::Failure,
        Kind::Picture,
        Kind::Sound,
        Kind::Packet,
        Kind::End,
    ]
    .into_iter()
    .find(|known| [*known as u8] == kind)
    .ok_or_else(|| nonsense("a message of no known kind"))?;
    let head = Head {
        kind,
        json: u32::from_le_bytes(json),
        body: u64::from_le_bytes(body),
    };
    if head.json > MAX_JSON || head.body > MAX_BODY {
        return Err(nonsense("a message is too long"));
    }
    Ok(head)
}

/// A message's JSON, which comes right after its head. Memory grows with what arrives, not with
/// what was announced.
pub(super) fn read_json<T: DeserializeOwned>(from: &mut impl Read, head: Head) -> io::Result<T> {
    let mut json = Vec::new();
    from.take(u64::from(head.json)).read_to_end(&mut json)?;
    if json.len() != head.json as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&json)?)
}

/// Some of a message's body, which comes after its JSON.
pub(super) fn read_bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let mut bytes = Vec::new();
        write_message(&mut bytes, Kind::Sound, &7_u32, &[&[1, 2], &[3]]).unwrap();
        let mut from = bytes.as_slice();
        let head = read_head(&mut from).unwrap();
        assert_eq!((head.kind, head.body), (Kind::Sound, 3));
        assert_eq!(read_json::<u32>(&mut from, head).unwrap(), 7);
        assert_eq!(read_bytes(&mut from, 3).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn announced_sizes_are_limited() {
        let mut bytes = vec![5];
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(read_head(&mut bytes.as_slice()).is_err());
        let request = u32::MAX.to_le_bytes();
        assert!(read_request(&mut request.as_slice()).is_err());
        assert!(read_request(&mut [].as_slice()).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn nonsense_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut from = bytes.as_slice();
            if let Ok(head) = read_head(&mut from) {
                let _ = read_json::<crate::probe::Probe>(&mut from, head);
            }
            let _ = read_request(&mut bytes.as_slice());
        }
    }
}
