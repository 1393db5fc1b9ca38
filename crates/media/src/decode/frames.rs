//! Exact frames: seek before, decode, match by time.

use super::{DecodeFailure, FramesRequest};
use crate::libav::{AvFrame, Code, Converter, Decoder, Input, Packet, Picture, Received};
use std::fs::File;
use std::sync::Arc;

/// A run of decoded pictures.
pub(crate) struct FrameSource {
    request: FramesRequest,
    file: Arc<File>,
    input: Input,
    decoder: Decoder,
    converter: Converter,
    packet: Packet,
    /// The frame that was decoded last, when it is not yet used up.
    frame: AvFrame,
    pending: Option<i64>,
    /// The frame before, for gaps.
    before: AvFrame,
    has_before: bool,
    next: usize,
    /// Frames decoded, for counted requests.
    decoded: i64,
    attempt: usize,
    ended: bool,
}

impl FrameSource {
    pub(crate) fn open(file: Arc<File>, request: FramesRequest) -> Result<Self, DecodeFailure> {
        let at = request.wanted.first().copied();
        let failed = |code: Code| DecodeFailure::new(at, code);
        let (input, decoder) = reopen(&file, &request, 0).map_err(failed)?;
        Ok(Self {
            converter: Converter::new(request.width, request.height, request.format),
            packet: Packet::new().map_err(failed)?,
            frame: AvFrame::new().map_err(failed)?,
            before: AvFrame::new().map_err(failed)?,
            has_before: false,
            pending: None,
            next: 0,
            decoded: 0,
            attempt: 0,
            ended: false,
            request,
            file,
            input,
            decoder,
        })
    }

    /// The next wanted picture; false where it stands in for one that could not be decoded.
    pub(crate) fn next(&mut self) -> Result<Option<(Picture, bool)>, DecodeFailure> {
        let Some(&wanted) = self.request.wanted.get(self.next) else {
            return Ok(None);
        };
        loop {
            let Some(ticks) = self.decode(wanted)? else {
                // The stream ended early: the last picture stands in for the missing ones.
                if self.retry(wanted)? {
                    continue;
                }
                if !self.has_before {
                    return Err(DecodeFailure::new(
                        Some(wanted),
                        "the stream ends before it",
                    ));
                }
                self.next += 1;
                return self.convert(true, wanted).map(|one| Some((one, false)));
            };
            if ticks < wanted {
                std::mem::swap(&mut self.frame, &mut self.before);
                self.has_before = true;
                self.pending = None;
                continue;
            }
            if ticks > wanted {
                if self.retry(wanted)? {
                    continue;
                }
                // The frame itself is damaged: the one before stands in, or this one.
                self.next += 1;
                let picture = self.convert(self.has_before, wanted)?;
                return Ok(Some((picture, false)));
            }
            self.next += 1;
            let picture = self.convert(false, wanted)?;
            std::mem::swap(&mut self.frame, &mut self.before);
            self.has_before = true;
            self.pending = None;
            return Ok(Some((picture, true)));
        }
    }

    fn convert(&mut self, before: bool, at: i64) -> Result<Picture, DecodeFailure> {
        let frame = if before { &self.before } else { &self.frame };
        self.converter
            .convert(frame)
            .map_err(|code| DecodeFailure::new(Some(at), code))
    }

    /// Starts over from further back, when nothing wanted has come out yet.
    fn retry(&mut self, wanted: i64) -> Result<bool, DecodeFailure> {
        if self.next > 0 || self.has_before || self.attempt >= self.request.seeks.len() {
            return Ok(false);
        }
        self.attempt += 1;
        let (input, decoder) = reopen(&self.file, &self.request, self.attempt)
            .map_err(|code| DecodeFailure::new(Some(wanted), code))?;
        self.input = input;
        self.decoder = decoder;
        self.pending = None;
        self.ended = false;
        self.decoded = 0;
        Ok(true)
    }

    /// Makes sure that there is a decoded frame and gives its ticks; `None` at the end.
    fn decode(&mut self, wanted: i64) -> Result<Option<i64>, DecodeFailure> {
        if let Some(ticks) = self.pending {
            return Ok(Some(ticks));
        }
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Frame) => {
                    let (width, height) = self.frame.size();
                    if width == 0 || height == 0 {
                        continue;
                    }
                    let ticks = if self.request.counted {
                        let index = self.decoded;
                        self.decoded += 1;
                        Some(index)
                    } else {
                        self.frame.ticks()
                    };
                    // A frame without a time can't be placed.
                    let Some(ticks) = ticks else { continue };
                    self.pending = Some(ticks);
                    return Ok(Some(ticks));
                }
                Ok(Received::End) => return Ok(None),
                // An error of one picture: the next may decode.
                Ok(Received::Hungry) | Err(_) if !self.ended => self.give()?,
                Ok(Received::Hungry) => return Ok(None),
                Err(code) => return Err(DecodeFailure::new(Some(wanted), code)),
            }
        }
    }

    /// Gives the decoder one packet, or the end.
    fn give(&mut self) -> Result<(), DecodeFailure> {
        loop {
            // A read error in the middle is the end of what there is.
            if !matches!(self.input.read(&mut self.packet), Ok(true)) {
                self.ended = true;
                let _ = self.decoder.send(None);
                return Ok(());
            }
            if self.packet.stream() != self.request.stream {
                continue;
            }
            match self.decoder.send(Some(&self.packet)) {
                Err(Code::MEMORY) => {
                    return Err(DecodeFailure::new(self.packet.pts(), Code::MEMORY));
                }
                // Damaged packets are left out; what they should have shown is filled in.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }
}

/// Opens the file anew and moves to the seek point of an attempt; past the last one, to the
/// start.
fn reopen(
    file: &Arc<File>,
    request: &FramesRequest,
    attempt: usize,
) -> Result<(Input, Decoder), Code> {
    let mut input = Input::open(Arc::clone(file))?;
    input.only(&[request.stream]);
    let decoder = Decoder::open(&input, request.stream)?;
    if let Some(&ticks) = request.seeks.get(attempt)
        && input.seek(request.stream, ticks).is_err()
    {
        input = Input::open(Arc::clone(file))?;
        input.only(&[request.stream]);
    }
    Ok((input, decoder))
}
