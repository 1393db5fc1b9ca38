//! The sound stream: where its first sample lies and how many there are.

use super::{AudioIndex, feed};
use crate::info::AudioInfo;
use crate::libav::{AvFrame, Decoder, Input, Layout, Packet, StreamView};
use units::{SampleRate, Seconds};

/// The state of a pass over the packets.
pub(super) struct Scan {
    view: StreamView,
    decoder: Decoder,
    frame: AvFrame,
    /// Time and samples of the first decoded blocks.
    blocks: Vec<(Option<i64>, u64)>,
    format: Option<(i32, Layout)>,
    /// Where the last packet ends, in ticks, and samples to drop there.
    end: i64,
    last: Option<i64>,
    dropped: u32,
    bytes: u64,
}

impl Scan {
    pub(super) fn new(input: &Input, stream: usize) -> Option<Self> {
        let view = input.stream(stream)?;
        Some(Self {
            view,
            decoder: Decoder::open(input, stream).ok()?,
            frame: AvFrame::new().ok()?,
            blocks: Vec::new(),
            format: None,
            end: i64::MIN,
            last: None,
            dropped: 0,
            bytes: 0,
        })
    }

    pub(super) fn packet(&mut self, packet: &Packet) {
        self.bytes += packet.bytes().len() as u64;
        if let Some(pts) = packet.pts().or(packet.dts())
            && !packet.is_discarded()
        {
            self.last = self.last.max(Some(pts));
            let end = pts + packet.duration().max(0);
            if end >= self.end {
                self.end = end;
                self.dropped = packet.skipped_samples().map_or(0, |(_, end)| end);
            }
        }
        // Two blocks: the first may be shortened by the codec's priming.
        if self.blocks.len() < 2 {
            self.decode(Some(packet));
        }
    }

    fn decode(&mut self, packet: Option<&Packet>) {
        let (blocks, format) = (&mut self.blocks, &mut self.format);
        feed(&mut self.decoder, packet, &mut self.frame, |frame| {
            if frame.samples() == 0 || frame.rate() <= 0 || frame.channels() <= 0 {
                return;
            }
            if format.is_none() {
                *format = Some((frame.rate(), frame.layout()));
            }
            if blocks.len() < 2 {
                blocks.push((frame.ticks(), frame.samples() as u64));
            }
        });
    }

    /// Everything about the stream; `None` (and a warning) where nothing decodes.
    pub(super) fn finish(
        mut self,
        stream: usize,
        warnings: &mut Vec<String>,
    ) -> Option<(AudioInfo, AudioIndex)> {
        if self.blocks.len() < 2 {
            self.decode(None);
        }
        let (Some((rate, layout)), Some(&(first, first_samples))) =
            (self.format, self.blocks.first())
        else {
            warnings.push("The sound track can't be decoded and is left out.".to_owned());
            return None;
        };
        let hertz = SampleRate::new(u32::try_from(rate).ok()?).ok()?;
        let first = first.unwrap_or(0);
        let block = self
            .blocks
            .get(1)
            .map_or(first_samples, |&(_, samples)| samples);
        let base = self.view.base;
        let to_samples = |ticks: i64| (base.seconds(ticks).0 * f64::from(rate)).round() as i64;
        let mut samples = to_samples(self.end - first) - i64::from(self.dropped);
        if self.last == Some(self.end) {
            // Packets without durations: the last one is as long as the others.
            samples += block as i64;
        }
        let samples = u64::try_from(samples).unwrap_or(0).max(first_samples);
        let seconds = samples as f64 / f64::from(rate);
        let parameters = self.view.parameters;
        let bit_rate = if parameters.bit_rate > 0 {
            parameters.bit_rate as u64
        } else {
            (self.bytes as f64 * 8.0 / seconds.max(1e-6)) as u64
        };
        let info = AudioInfo {
            codec: parameters.name.clone(),
            rate: hertz,
            channels: u16::try_from(layout.channels).ok()?,
            layout: layout.name(),
            samples,
            start: Seconds(base.seconds(first).0),
            bit_rate,
            stream,
            tags: Vec::new(),
        };
        let index = AudioIndex {
            stream,
            parameters,
            base,
            first,
            blocks: (first_samples, block),
        };
        Some((info, index))
    }
}
