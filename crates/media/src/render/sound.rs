//! The output's sound as a stream of packets.

use super::codec::Container;
use super::{BoxError, RenderError, Sound, SoundMaker};
use crate::clip::{AudioBlock, AudioReader, Clip, PacketReader};
use crate::info::TimeBase;
use crate::libav::{
    AudioSetup, Code, Encoder, Layout, OutputStream, PacketData, Parameters, Resampler, SampleKind,
    has_encoder,
};
use std::collections::VecDeque;
use units::Seconds;

/// Makes packets of sound, never further ahead than the picture.
pub(super) enum SoundTrack<'a> {
    None,
    Copy(Box<Copied>),
    Encode(Box<Encoded<'a>>),
}

/// Packets of the source's track.
pub(super) struct Copied {
    reader: PacketReader,
    parameters: Parameters,
    base: TimeBase,
    /// Ticks of the clip's zero.
    zero: i64,
    pending: Option<PacketData>,
}

/// A track that is encoded.
pub(super) struct Encoded<'a> {
    source: Source<'a>,
    codec: &'static str,
    encoder: Encoder,
    parameters: Parameters,
    rate: u32,
    block: usize,
    /// Rate and channels of the maker's blocks, and their way to the encoder's rate.
    input: (u32, usize),
    resampler: Option<Resampler>,
    waiting: Vec<VecDeque<f32>>,
    ended: bool,
    /// Samples given to the encoder.
    fed: u64,
    queue: VecDeque<PacketData>,
    finished: bool,
}

enum Source<'a> {
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

impl<'a> SoundTrack<'a> {
    pub(super) fn new(
        clip: Option<&Clip>,
        container: Container,
        sound: Sound<'a>,
        notes: &mut Vec<String>,
    ) -> Result<Self, RenderError> {
        let source = clip.and_then(|clip| clip.info().audio.as_ref().map(|info| (clip, info)));
        match (sound, source) {
            (Sound::Silent, _) | (Sound::Copy, None) => Ok(Self::None),
            (Sound::Copy, Some((clip, info))) => {
                if let Some(copied) = Copied::new(clip, container)? {
                    return Ok(Self::Copy(Box::new(copied)));
                }
                let mut track = Encoded::new(
                    Source::Clip(Box::new(clip.all_audio()?)),
                    Some(info.codec.as_str()),
                    container,
                    notes,
                )?;
                if let Some(track) = &mut track {
                    track.wait(info.start);
                }
                Ok(track.map_or(Self::None, |track| Self::Encode(Box::new(track))))
            }
            (Sound::Made(maker), source) => {
                let codec = source.map(|(_, info)| info.codec.as_str());
                let track = Encoded::new(Source::Maker(maker), codec, container, notes)?;
                Ok(track.map_or(Self::None, |track| Self::Encode(Box::new(track))))
            }
        }
    }

    /// The stream to write; `None` without sound.
    pub(super) fn stream(&self) -> Option<OutputStream> {
        match self {
            Self::None => None,
            Self::Copy(copied) => Some(OutputStream {
                parameters: copied.parameters.clone(),
                base: copied.base,
                rate: None,
            }),
            Self::Encode(encoded) => Some(OutputStream {
                parameters: encoded.parameters.clone(),
                base: TimeBase {
                    numerator: 1,
                    denominator: encoded.rate,
                },
                rate: None,
            }),
        }
    }

    /// The codec's short name.
    pub(super) fn codec(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Copy(copied) => Some(copied.parameters.name.clone()),
            Self::Encode(encoded) => Some(encoded.codec.to_owned()),
        }
    }

    /// The next packet that starts before `until`. With `end` the track is brought to end
    /// there, and packets come until it has.
    pub(super) fn next(
        &mut self,
        until: Seconds,
        end: Option<Seconds>,
    ) -> Result<Option<PacketData>, RenderError> {
        match self {
            Self::None => Ok(None),
            Self::Copy(copied) => copied.next(until, end),
            Self::Encode(encoded) => encoded.next(until, end),
        }
    }
}

impl Copied {
    /// `None` where the container does not take the source's codec.
    fn new(clip: &Clip, container: Container) -> Result<Option<Self>, RenderError> {
        let (Some(info), Some(index)) = (&clip.info().audio, &clip.probe().audio) else {
            return Ok(None);
        };
        let name = info.codec.as_str();
        let takes = match container {
            Container::Mp4 => matches!(name, "aac" | "mp3" | "ac3" | "eac3" | "alac" | "opus"),
            Container::Mov => {
                matches!(name, "aac" | "mp3" | "ac3" | "alac") || name.starts_with("pcm_")
            }
            Container::Mkv => {
                matches!(
                    name,
                    "aac" | "mp3" | "ac3" | "eac3" | "alac" | "opus" | "vorbis" | "flac"
                ) || matches!(name, "pcm_s16le" | "pcm_s24le" | "pcm_s32le" | "pcm_f32le")
            }
            Container::Webm => matches!(name, "opus" | "vorbis"),
        };
        // AAC with its header in every packet (from a transport stream) needs rewriting.
        if !takes || (name == "aac" && index.parameters.extradata.is_empty()) {
            return Ok(None);
        }
        let Some(reader) = clip.sound_packets()? else {
            return Ok(None);
        };
        let mut parameters = index.parameters.clone();
        parameters.tag = 0;
        Ok(Some(Self {
            reader,
            parameters,
            base: index.base,
            zero: index.first - index.base.ticks(info.start),
            pending: None,
        }))
    }

    fn next(
        &mut self,
        until: Seconds,
        end: Option<Seconds>,
    ) -> Result<Option<PacketData>, RenderError> {
        if self.pending.is_none() {
            self.pending = self.reader.next()?;
            if let Some(packet) = &mut self.pending {
                let pts = packet.pts.or(packet.dts).unwrap_or(self.zero);
                packet.dts = Some(packet.dts.unwrap_or(pts) - self.zero);
                packet.pts = Some(pts - self.zero);
                packet.key = true;
            }
        }
        let Some(packet) = &mut self.pending else {
            return Ok(None);
        };
        let ticks = packet.pts.unwrap_or(0);
        if self.base.seconds(ticks) >= until {
            return Ok(None);
        }
        if let Some(end) = end {
            // The last packet's rest is not played.
            let left = self.base.ticks(end) - ticks;
            packet.duration = packet.duration.min(left.max(1));
        }
        Ok(self.pending.take())
    }
}

impl<'a> Encoded<'a> {
    /// `None` where the maker has no sound at all.
    fn new(
        mut source: Source<'a>,
        codec: Option<&str>,
        container: Container,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, RenderError> {
        let Some(first) = source.next()? else {
            return Ok(None);
        };
        let channels = first.channels.len();
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
        let mut track = Self {
            source,
            codec: choice.codec,
            encoder,
            parameters,
            rate: choice.rate,
            block,
            input,
            resampler,
            waiting: vec![VecDeque::new(); channels],
            ended: false,
            fed: 0,
            queue: VecDeque::new(),
            finished: false,
        };
        track.take(&first)?;
        Ok(Some(track))
    }

    /// Puts silence before what has come so far.
    fn wait(&mut self, time: Seconds) {
        let samples = (time.0.max(0.0) * f64::from(self.rate)).round() as usize;
        for channel in &mut self.waiting {
            for _ in 0..samples {
                channel.push_front(0.0);
            }
        }
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

    fn next(
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
            let total = end.map(|end| (end.0 * f64::from(self.rate)).round() as u64);
            let allowed = total.unwrap_or_else(|| (until.0 * f64::from(self.rate)).max(0.0) as u64);
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
            let sent = self.encoder.sound(&slices, self.fed as i64);
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

/// The sound encoder for a source and a container.
struct Choice {
    codec: &'static str,
    encoder: &'static str,
    format: SampleKind,
    rate: u32,
    bit_rate: i64,
}

impl Choice {
    /// The source's codec where the container takes it, otherwise the container's usual one.
    fn new(container: Container, source: Option<&str>, rate: u32, channels: usize) -> Self {
        use Container::{Mkv, Mov, Mp4, Webm};
        let plain = |codec: &'static str, format| Self {
            codec,
            encoder: codec,
            format,
            rate,
            bit_rate: 0,
        };
        match (container, source) {
            (Webm, _) | (Mkv | Mp4, Some("opus")) | (Mkv, Some("vorbis")) => Self {
                codec: "opus",
                encoder: "libopus",
                format: SampleKind::Float,
                // Opus has only this rate inside.
                rate: 48_000,
                bit_rate: 96_000 * channels.max(1) as i64,
            },
            (Mkv, Some("flac")) => plain("flac", SampleKind::Int),
            (Mov | Mp4 | Mkv, Some("alac")) => plain("alac", SampleKind::PlanarInt),
            (Mov | Mkv, Some("pcm_s16le")) => plain("pcm_s16le", SampleKind::Short),
            (Mov, Some("pcm_s16be")) => plain("pcm_s16be", SampleKind::Short),
            (Mov | Mkv, Some("pcm_s24le")) => plain("pcm_s24le", SampleKind::Int),
            (Mov, Some("pcm_s24be")) => plain("pcm_s24be", SampleKind::Int),
            (Mov | Mkv, Some("pcm_s32le")) => plain("pcm_s32le", SampleKind::Int),
            (Mov | Mkv, Some("pcm_f32le")) => plain("pcm_f32le", SampleKind::Float),
            _ => {
                // Matroska can't say how much of AAC's first block is priming; at a high rate it
                // is short enough not to matter.
                let rate = match (container, rate) {
                    (Mkv, 11_025 | 22_050) => 44_100,
                    (Mkv, ..44_100) => 48_000,
                    _ => aac_rate(rate),
                };
                // As much as AAC can use: 6144 bits a channel and block, below its limit.
                let most = i64::from(rate) * 11 / 2;
                Self {
                    codec: "aac",
                    encoder: "aac",
                    format: SampleKind::PlanarFloat,
                    rate,
                    bit_rate: most.min(160_000) * channels.max(1) as i64,
                }
            }
        }
    }
}

/// The lowest rate of AAC that holds all of a rate.
fn aac_rate(rate: u32) -> u32 {
    const RATES: [u32; 13] = [
        7350, 8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200,
        96_000,
    ];
    RATES
        .into_iter()
        .find(|&known| known >= rate)
        .unwrap_or(96_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_kept_where_the_container_takes_them() {
        let codec = |container, source| Choice::new(container, source, 44_100, 2).codec;
        assert_eq!(codec(Container::Mov, Some("pcm_s16le")), "pcm_s16le");
        assert_eq!(codec(Container::Mp4, Some("pcm_s16le")), "aac");
        assert_eq!(codec(Container::Mkv, Some("flac")), "flac");
        assert_eq!(codec(Container::Mp4, Some("mp2")), "aac");
        assert_eq!(codec(Container::Webm, Some("aac")), "opus");
    }

    #[test]
    fn aac_rates_never_lose_highs() {
        assert_eq!(
            (aac_rate(16_000), aac_rate(22_000), aac_rate(192_000)),
            (16_000, 22_050, 96_000)
        );
    }
}
