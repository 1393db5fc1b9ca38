//! Exact samples: decode from well before, count, cut.

use super::{DecodeFailure, SoundRequest};
use crate::libav::{AvFrame, Code, Decoder, Input, Layout, Packet, Received, Resampler};
use std::fs::File;
use std::sync::Arc;

/// Sound before this many seconds is reached by decoding from the start, which gives the very
/// samples of a whole decode also where the codec remembers more than a block.
const FROM_START: u64 = 20;
/// How much is decoded before the wanted part after a seek, in seconds.
const PREROLL: f64 = 1.0;
/// Differences between counted and stated positions that are rounding or jitter, in seconds.
const JITTER: f64 = 0.03;

/// A run of decoded sound.
pub(crate) struct SoundSource {
    request: SoundRequest,
    input: Input,
    decoder: Decoder,
    resampler: Resampler,
    packet: Packet,
    frame: AvFrame,
    /// The position of the next decoded sample, once it is known.
    cursor: Option<i64>,
    /// The position of the next sample to hand out.
    next: i64,
    /// A decoded block that lies behind a hole, with its position.
    held: Option<(i64, Vec<Vec<f32>>)>,
    ended: bool,
    sought: bool,
}

impl SoundSource {
    pub(crate) fn open(file: Arc<File>, request: SoundRequest) -> Result<Self, DecodeFailure> {
        let failed = |code: Code| DecodeFailure::new(Some(request.start as i64), code);
        let mut input = Input::open(Arc::clone(&file)).map_err(failed)?;
        let decoder = Decoder::open(&input, request.stream).map_err(failed)?;
        input.only(&[request.stream]);
        let mut sought = false;
        if request.start > FROM_START * u64::from(request.rate) {
            let seconds = request.start as f64 / f64::from(request.rate) - PREROLL;
            let ticks = request.first + request.base.ticks(units::Seconds(seconds));
            sought = input.seek(request.stream, ticks).is_ok();
            if !sought {
                input = Input::open(file).map_err(failed)?;
                input.only(&[request.stream]);
            }
        }
        let layout = Layout {
            mask: request.layout,
            channels: request.channels,
        };
        Ok(Self {
            resampler: Resampler::new(request.rate as i32, layout),
            packet: Packet::new().map_err(failed)?,
            frame: AvFrame::new().map_err(failed)?,
            cursor: None,
            next: request.start as i64,
            held: None,
            ended: false,
            sought,
            request,
            input,
            decoder,
        })
    }

    /// The next block, one vector a channel; never empty. The blocks together have exactly the
    /// samples asked for: what the file lacks is silence.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<Vec<f32>>>, DecodeFailure> {
        let end = self.request.end as i64;
        while self.next < end {
            let held = match self.held.take() {
                Some(held) => Some(held),
                None => self.decode()?.map(|block| (self.place(&block), block)),
            };
            let Some((start, block)) = held else {
                return Ok(Some(self.silence(end - self.next)));
            };
            let length = block.first().map_or(0, Vec::len) as i64;
            if start + length <= self.next {
                continue;
            }
            if start > self.next {
                // A hole in the track is silence; the block waits behind it.
                self.held = Some((start, block));
                return Ok(Some(self.silence(start.min(end) - self.next)));
            }
            let from = (self.next - start) as usize;
            let take = (end - self.next).min(length - from as i64) as usize;
            self.next += take as i64;
            let cut = block
                .iter()
                .map(|channel| channel.get(from..from + take).unwrap_or_default().to_vec())
                .collect();
            return Ok(Some(cut));
        }
        Ok(None)
    }

    /// The position of a decoded block's first sample: right after the block before, unless its
    /// own time says clearly otherwise.
    fn place(&mut self, block: &[Vec<f32>]) -> i64 {
        let jitter = (JITTER * f64::from(self.request.rate)) as i64;
        let length = block.first().map_or(0, Vec::len) as i64;
        let start = match (self.cursor, self.position(length)) {
            (Some(cursor), Some(stated)) if (stated - cursor).abs() > jitter => stated,
            (Some(cursor), _) => cursor,
            (None, stated) => stated.unwrap_or(0),
        };
        self.cursor = Some(start + length);
        start
    }

    /// At most a second of silence.
    fn silence(&mut self, samples: i64) -> Vec<Vec<f32>> {
        let samples = samples.clamp(0, i64::from(self.request.rate));
        self.next += samples;
        vec![vec![0.0; samples as usize]; self.request.channels.max(0) as usize]
    }

    /// Where the frame's own time puts its first sample, `length` samples before its end.
    fn position(&self, length: i64) -> Option<i64> {
        let ticks = self.frame.ticks()? - self.request.first;
        let rate = f64::from(self.request.rate);
        let stated = (self.request.base.seconds(ticks).0 * rate).round() as i64;
        let coarse = self.request.base.tick() * rate > 1.5;
        let (first, block) = self.request.blocks;
        if !(self.sought && coarse && block > 0) {
            return Some(stated);
        }
        // The container rounds times. Blocks of one size end at known places, also where the
        // start of one was left out.
        let (first, block) = (first as i64, block as i64);
        let index = ((stated + length - first) as f64 / block as f64).round() as i64;
        let exact = first + index * block - length;
        let near = (exact - stated).abs() as f64 <= self.request.base.tick() * rate + 1.0;
        Some(if near { exact } else { stated })
    }

    fn decode(&mut self) -> Result<Option<Vec<Vec<f32>>>, DecodeFailure> {
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Frame) if self.frame.samples() == 0 => {}
                Ok(Received::Frame) => {
                    return self
                        .resampler
                        .frame(&self.frame)
                        .map(Some)
                        .map_err(|code| DecodeFailure::new(Some(self.next), code));
                }
                Ok(Received::End) => return Ok(None),
                Ok(Received::Hungry) | Err(_) if !self.ended => self.give(),
                Ok(Received::Hungry) => return Ok(None),
                Err(code) => return Err(DecodeFailure::new(Some(self.next), code)),
            }
        }
    }

    fn give(&mut self) {
        loop {
            if !matches!(self.input.read(&mut self.packet), Ok(true)) {
                self.ended = true;
                let _ = self.decoder.send(None);
                return;
            }
            if self.packet.stream() == self.request.stream {
                // Damaged packets leave a hole, which position() turns into silence.
                let _ = self.decoder.send(Some(&self.packet));
                return;
            }
        }
    }
}
