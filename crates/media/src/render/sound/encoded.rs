//! A sound track that is encoded, never further ahead than the picture.

use super::super::container::Container;
use super::super::extras::kept;
use super::super::{BoxError, RenderError, SoundMaker};
use super::choice::Choice;
use crate::clip::{AudioBlock, AudioReader};
use crate::info::{AudioInfo, Tag, TimeBase};
use crate::libav::{
    AudioSetup, Code, Encoder, Layout, OutputStream, PacketData, Parameters, Resampler, has_encoder,
};
use std::collections::VecDeque;
use units::Seconds;

/// A track that is encoded.
pub(in crate::render) struct Encoded<'a> {
    source: Source<'a>,
    codec: &'static str,
    encoder: Encoder,
    parameters: Parameters,
    tags: Vec<Tag>,
    rate: u32,
    block: usize,
    /// Rate and channels of the maker's blocks, and their way to the encoder's rate.
    input: (u32, usize),
    resampler: Option<Resampler>,
    waiting: Vec<VecDeque<f32>>,
    ended: bool,
    /// Silent samples before the first one, which players leave out.
    lead: usize,
    /// Samples given to the encoder, with those of `lead`.
    fed: u64,
    queue: VecDeque<PacketData>,
    finished: bool,
}

pub(in crate::render) enum Source<'a> {
    Maker(&'a mut dyn SoundMaker),
    Clip(Box<AudioReader>),
}

impl Source<'_> {
    fn next(&mut self) -> Result<Option<AudioBlock>, RenderError> {
        match self {
            Self::Maker(maker) => maker
                .next_block()
                .map_err(|source: BoxError| RenderError::Sound { source }),
            Self::Clip(reader) => reader.next_block().map_err(RenderError::from),
        }
    }
}

impl<'a> Encoded<'a> {
    /// For a track like `info`; `None` where the maker has no sound at all.
    pub(super) fn new(
        mut source: Source<'a>,
        info: Option<&AudioInfo>,
        container: Container,
        end: Seconds,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, RenderError> {
        let Some(first) = source.next()? else {
            return Ok(None);
        };
        let channels = first.channels.len();
        let codec = info.map(|info| info.codec.as_str());
        let choice = Choice::new(container, codec, first.rate.hertz(), channels);
        if let Some(codec) = codec
            && codec != choice.codec
        {
            notes.push(format!(
                "The sound is written as {} instead of {codec}.",
                choice.codec
            ));
        }
        let failed = |code: Code| RenderError::Encoder {
            codec: choice.encoder.to_owned(),
            reason: code.to_string(),
        };
        if !has_encoder(choice.encoder) {
            return Err(RenderError::NoEncoder {
                codec: choice.encoder.to_owned(),
            });
        }
        let layout = Layout::usual(channels as i32);
        let encoder = Encoder::audio(&AudioSetup {
            encoder: choice.encoder,
            rate: choice.rate as i32,
            layout,
            format: choice.format,
            bit_rate: choice.bit_rate,
            global_header: true,
        })
        .map_err(failed)?;
        let parameters = encoder.parameters().map_err(failed)?;
        let input = (first.rate.hertz(), channels);
        let resampler =
            (input.0 != choice.rate).then(|| Resampler::new(choice.rate as i32, layout));
        let block = match encoder.block_size() {
            0 => 1024,
            size => size,
        };
        // AAC comes in blocks, and only what is left out at its start can be told to every player: with as much more
        // silence there, the last block is a whole one and sound ends with the picture. A thousandth of a second is left
        // for the rounding of frames' times, which must not begin another block.
        let total = (end.0.max(0.0) * f64::from(choice.rate)).round() as usize;
        let lead = match container {
            Container::Mp4 | Container::Mov if choice.codec == "aac" => {
                let most = total + choice.rate as usize / 1000;
                most.next_multiple_of(block) - most
            }
            _ => 0,
        };
        let mut track = Self {
            source,
            codec: choice.codec,
            encoder,
            parameters,
            tags: info.map_or_else(Vec::new, |info| kept(&info.tags)),
            rate: choice.rate,
            block,
            input,
            resampler,
            waiting: vec![VecDeque::from(vec![0.0; lead]); channels],
            lead,
            ended: false,
            fed: 0,
            queue: VecDeque::new(),
            finished: false,
        };
        track.take(&first)?;
        Ok(Some(track))
    }

    /// Puts silence before what has come so far.
    pub(super) fn wait(&mut self, time: Seconds) {
        let samples = (time.0.max(0.0) * f64::from(self.rate)).round() as usize;
        for channel in &mut self.waiting {
            for _ in 0..samples {
                channel.push_front(0.0);
            }
        }
    }

    pub(super) fn stream(&self) -> OutputStream {
        OutputStream {
            parameters: self.parameters.clone(),
            base: TimeBase {
                numerator: 1,
                denominator: self.rate,
            },
            rate: None,
            tags: self.tags.clone(),
            disposition: 0,
        }
    }

    pub(super) fn codec(&self) -> String {
        self.codec.to_owned()
    }

    fn failed(&self, code: Code) -> RenderError {
        RenderError::Encoder {
            codec: self.codec.to_owned(),
            reason: code.to_string(),
        }
    }

    fn take(&mut self, block: &AudioBlock) -> Result<(), RenderError> {
        if (block.rate.hertz(), block.channels.len()) != self.input {
            return Err(RenderError::SoundChanged {
                expected: self.input.0,
                channels: self.input.1,
            });
        }
        let layout = Layout::usual(self.input.1 as i32);
        let resampled = if let Some(resampler) = &mut self.resampler {
            resampler.planar(&block.channels, self.input.0 as i32, layout)
        } else {
            for (waiting, channel) in self.waiting.iter_mut().zip(&block.channels) {
                waiting.extend(channel);
            }
            return Ok(());
        };
        self.append(resampled)
    }

    fn append(&mut self, channels: Result<Vec<Vec<f32>>, Code>) -> Result<(), RenderError> {
        let channels = channels.map_err(|code| self.failed(code))?;
        for (waiting, channel) in self.waiting.iter_mut().zip(channels) {
            waiting.extend(channel);
        }
        Ok(())
    }

    /// Fetches sound until a block is there or there is no more.
    fn fetch(&mut self) -> Result<(), RenderError> {
        while !self.ended && self.waiting.first().map_or(0, VecDeque::len) < self.block {
            if let Some(block) = self.source.next()? {
                self.take(&block)?;
            } else {
                self.ended = true;
                let rest = self.resampler.as_mut().map(Resampler::finish);
                if let Some(rest) = rest {
                    self.append(rest)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn next(
        &mut self,
        until: Seconds,
        end: Option<Seconds>,
    ) -> Result<Option<PacketData>, RenderError> {
        loop {
            if let Some(packet) = self.queue.pop_front() {
                return Ok(Some(packet));
            }
            if self.finished {
                return Ok(None);
            }
            let lead = self.lead as u64;
            let total = end.map(|end| (end.0 * f64::from(self.rate)).round() as u64 + lead);
            let allowed =
                total.unwrap_or_else(|| (until.0 * f64::from(self.rate)).max(0.0) as u64 + lead);
            let left = allowed.saturating_sub(self.fed);
            let mut size = self.block;
            if total.is_some() {
                if left == 0 {
                    self.encoder.finish().map_err(|code| self.failed(code))?;
                    self.finished = true;
                    self.drain()?;
                    continue;
                }
                size = size.min(left as usize);
            } else if left < self.block as u64 {
                return Ok(None);
            }
            self.fetch()?;
            let have = self.waiting.first().map_or(0, VecDeque::len);
            if have < size && total.is_none() {
                // The maker is through; silence follows only once the picture's end is known.
                return Ok(None);
            }
            let block: Vec<Vec<f32>> = self
                .waiting
                .iter_mut()
                .map(|channel| {
                    let mut samples: Vec<f32> = channel.drain(..size.min(have)).collect();
                    samples.resize(size, 0.0);
                    samples
                })
                .collect();
            let slices: Vec<&[f32]> = block.iter().map(Vec::as_slice).collect();
            let sent = self
                .encoder
                .sound(&slices, self.fed as i64 - self.lead as i64);
            sent.map_err(|code| self.failed(code))?;
            self.fed += size as u64;
            self.drain()?;
        }
    }

    fn drain(&mut self) -> Result<(), RenderError> {
        loop {
            let packet = self.encoder.packet();
            match packet.map_err(|code| self.failed(code))? {
                Some(packet) => {
                    let mut data = packet.to_data();
                    data.key = true;
                    self.queue.push_back(data);
                }
                None => return Ok(()),
            }
        }
    }
}
