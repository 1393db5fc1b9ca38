//! Coded packets as they are.

use super::{DecodeFailure, PacketsRequest};
use crate::libav::{Code, Input, Packet, PacketData};
use std::fs::File;
use std::sync::Arc;

/// A run of coded packets.
pub(crate) struct PacketSource {
    request: PacketsRequest,
    input: Input,
    packet: Packet,
    given: u64,
}

impl PacketSource {
    pub(crate) fn open(file: &Arc<File>, request: &PacketsRequest) -> Result<Self, DecodeFailure> {
        let failed = |code: Code| DecodeFailure::new(request.first, code);
        let seeks = request.seeks.iter().copied().map(Some).chain([None]);
        for seek in seeks {
            let mut input = Input::open(Arc::clone(file)).map_err(failed)?;
            input.only(&[request.stream]);
            if let Some(ticks) = seek
                && input.seek(request.stream, ticks).is_err()
            {
                continue;
            }
            let mut source = Self {
                packet: Packet::new().map_err(failed)?,
                request: request.clone(),
                input,
                given: 0,
            };
            if source.find_first().map_err(failed)? {
                return Ok(source);
            }
            if request.first.is_none() {
                // A track without a packet.
                source.given = request.count;
                return Ok(source);
            }
        }
        Err(DecodeFailure::new(
            request.first,
            "the packet that the index names is not there",
        ))
    }

    /// Reads up to the first wanted packet; false where it is not ahead.
    fn find_first(&mut self) -> Result<bool, Code> {
        while self.input.read(&mut self.packet)? {
            if self.packet.stream() != self.request.stream {
                continue;
            }
            match self.request.first {
                None => return Ok(true),
                Some(first) if self.packet.pts().or(self.packet.dts()) == Some(first) => {
                    return Ok(true);
                }
                Some(_) => {}
            }
        }
        Ok(self.request.count == 0)
    }

    pub(crate) fn next(&mut self) -> Option<PacketData> {
        if self.given >= self.request.count {
            return None;
        }
        let data = self.packet.to_data();
        self.given += 1;
        if self.given < self.request.count {
            loop {
                match self.input.read(&mut self.packet) {
                    Ok(true) if self.packet.stream() == self.request.stream => break,
                    Ok(true) => {}
                    Ok(false) | Err(_) => {
                        // The end: what was asked for beyond it does not exist.
                        self.given = self.request.count;
                        break;
                    }
                }
            }
        }
        Some(data)
    }
}
