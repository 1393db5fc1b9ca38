//! The output's pictures as a stream of packets.

use super::clock::Clock;
use super::codec::{Copying, Picture};
use super::groups::Groups;
use super::journal::{self, Journal};
use super::plan::{Segment, Work, reordering};
use super::{FrameMaker, RenderError, adapt};
use crate::clip::{Clip, FrameReader, PacketReader};
use crate::frame::Frame;
use crate::libav::{Encoder, PacketData, Parameters};
use crate::probe::PacketEntry;
use std::collections::VecDeque;
use std::vec::IntoIter;
use units::{FrameIndex, Seconds};

/// What is being done.
enum State {
    /// Between segments.
    Idle,
    /// Copying packets.
    Copy(CopyRun),
    /// Encoding frames of the source.
    Encode(FrameReader),
    /// Encoding made frames up to an output frame.
    Make { next: FrameIndex, end: FrameIndex },
    /// Everything was given out.
    Done,
}

struct CopyRun {
    reader: PacketReader,
    entries: IntoIter<PacketEntry>,
    /// The first packet's time: earlier ones are left out.
    first: i64,
    /// Source and output frame that the run starts with.
    source: FrameIndex,
    output: FrameIndex,
    begun: bool,
}

/// Turns segments into packets, in decoding order.
pub(super) struct PictureTrack<'a> {
    clip: Option<&'a Clip>,
    picture: Picture,
    copying: Option<Copying>,
    segments: Groups,
    /// The group that is being encoded, and its first output frame.
    group: Option<(u64, FrameIndex)>,
    journal: Option<Journal>,
    clock: Clock,
    state: State,
    encoder: Option<Encoder>,
    /// The output frame that the encoder's next packet shows.
    encoded: FrameIndex,
    /// The output frame that is encoded next.
    output: FrameIndex,
    queue: VecDeque<PacketData>,
    /// How far decoding runs ahead of display at most, in frames.
    depth: usize,
    written: u64,
    repaired: u64,
}

impl<'a> PictureTrack<'a> {
    pub(super) fn new(
        clip: Option<&'a Clip>,
        mut picture: Picture,
        copying: Option<Copying>,
        segments: Vec<Segment>,
        clock: Clock,
        journal: Option<Journal>,
    ) -> Result<Self, RenderError> {
        picture.setup.base = clock.base();
        let mut depth = 0;
        if let Some(clip) = clip {
            let index = clip.index()?;
            let times = clip.video()?.times.all_ticks();
            for segment in &segments {
                if let Work::Copy { packets, .. } = &segment.work {
                    depth = depth.max(reordering(&index.packets, times, packets));
                }
            }
        }
        let mut track = Self {
            clip,
            picture,
            copying,
            segments: Groups::new(segments, journal.as_ref().map(|_| journal::GROUP)),
            group: None,
            journal,
            clock,
            state: State::Idle,
            encoder: None,
            encoded: FrameIndex::ZERO,
            output: FrameIndex::ZERO,
            queue: VecDeque::new(),
            depth,
            written: 0,
            repaired: 0,
        };
        if track.copying.is_none() {
            // The header needs the encoder's parameters.
            track.encoder = Some(track.picture.encoder()?);
        }
        Ok(track)
    }

    /// The stream's parameters.
    pub(super) fn parameters(&self) -> Result<Parameters, RenderError> {
        let mut parameters = match (&self.copying, &self.encoder) {
            (Some(copying), _) => copying.parameters().clone(),
            (None, Some(encoder)) => self.picture.parameters(encoder)?,
            (None, None) => self.picture.parameters(&self.picture.encoder()?)?,
        };
        parameters.delay = self.depth as i32;
        Ok(parameters)
    }

    /// Packets given out.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Where the first frame starts.
    pub(super) fn start(&self) -> Seconds {
        self.clock.first_start()
    }

    /// Where the last frame so far ends.
    pub(super) fn end(&self) -> Seconds {
        self.clock.end()
    }

    /// Whole sentences on what went differently.
    pub(super) fn notes(&self) -> Option<String> {
        (self.repaired > 0).then(|| {
            format!(
                "{} damaged frames of the source were replaced by their neighbours.",
                self.repaired
            )
        })
    }

    /// The next packet, with its final times.
    pub(super) fn next(
        &mut self,
        frames: &mut dyn FrameMaker,
    ) -> Result<Option<PacketData>, RenderError> {
        loop {
            if let Some(mut packet) = self.queue.pop_front() {
                let order = self.written as i64 - self.depth as i64;
                packet.dts = Some(self.clock.start_of(order));
                self.written += 1;
                return Ok(Some(packet));
            }
            if !self.advance(frames)? {
                return Ok(None);
            }
        }
    }

    /// Does the next small piece of work; false when all is done.
    fn advance(&mut self, frames: &mut dyn FrameMaker) -> Result<bool, RenderError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.begin()?,
            State::Done => {
                self.state = State::Done;
                return Ok(false);
            }
            State::Copy(mut run) => {
                if self.copy(&mut run)? {
                    self.state = State::Copy(run);
                }
            }
            State::Encode(mut reader) => match reader.next() {
                Some(frame) => {
                    let source = reader.position() - 1;
                    let frame = frame?;
                    if let Some(clip) = self.clip {
                        let pts = self.clock.source(clip.video()?, source);
                        self.encode(&frame, pts)?;
                    }
                    self.state = State::Encode(reader);
                }
                None => self.repaired += reader.repaired(),
            },
            State::Make { next, end } if next < end => {
                let frame = frames.frame(next).map_err(|source| RenderError::Frame {
                    output: next,
                    source,
                })?;
                let found = (frame.stored_size().0, frame.stored_size().1, frame.format());
                let (width, height) = self.picture.delivered_size;
                let expected = (width, height, self.picture.delivered);
                if found != expected {
                    return Err(RenderError::Mismatch {
                        output: next,
                        found,
                        expected,
                    });
                }
                let pts = self.clock.made(frame.duration);
                self.encode(&frame, pts)?;
                self.state = State::Make {
                    next: next.next(),
                    end,
                };
            }
            State::Make { .. } => {}
        }
        Ok(true)
    }

    /// Starts the next segment, and closes the encoder where a group ends.
    fn begin(&mut self) -> Result<(), RenderError> {
        let next = self.segments.upcoming();
        if let Some((group, start)) = self.group
            && next != Some(group)
        {
            self.end_group(start)?;
        }
        let Some(segment) = self.segments.next() else {
            self.state = State::Done;
            return Ok(());
        };
        self.output = segment.output.start;
        if let Some(group) = next
            && self.group.is_none()
        {
            if self.replay(segment.output.start)? {
                while self.segments.upcoming() == Some(group) {
                    self.segments.next();
                }
                return Ok(());
            }
            self.group = Some((group, segment.output.start));
        }
        self.state = match (segment.work, self.clip) {
            (Work::Copy { source, packets }, Some(clip)) => {
                let index = clip.index()?;
                let entries = index
                    .packets
                    .get(packets.clone())
                    .unwrap_or_default()
                    .to_vec();
                State::Copy(CopyRun {
                    reader: clip.picture_packets(packets.start, packets.len() as u64)?,
                    first: entries.first().map_or(0, |entry| entry.pts),
                    entries: entries.into_iter(),
                    source: source.start,
                    output: segment.output.start,
                    begun: false,
                })
            }
            (Work::Encode { source }, Some(clip)) => State::Encode(clip.frames(source)?),
            _ => State::Make {
                next: segment.output.start,
                end: segment.output.end,
            },
        };
        Ok(())
    }

    /// Takes the last packets of a group out of its encoder, and marks the group as finished.
    fn end_group(&mut self, start: FrameIndex) -> Result<(), RenderError> {
        self.group = None;
        if let Some(mut encoder) = self.encoder.take() {
            let finished = encoder.finish();
            finished.map_err(|code| self.picture.failed(code))?;
            self.drain(&mut encoder)?;
        }
        if let Some(journal) = &mut self.journal {
            let carry = self.clock.carry();
            journal.mark(start.0, carry).map_err(RenderError::journal)?;
        }
        Ok(())
    }

    /// Takes a group from an earlier run; false where that did not finish it.
    fn replay(&mut self, start: FrameIndex) -> Result<bool, RenderError> {
        let Some(journal) = &self.journal else {
            return Ok(false);
        };
        let Some(group) = journal.found(start.0) else {
            return Ok(false);
        };
        for mut packet in journal.packets(group).map_err(RenderError::journal)? {
            packet.pts = Some(self.clock.again(packet.duration));
            self.queue.push_back(packet);
        }
        self.clock.set_carry(group.carry);
        // An encoder that was made for its parameters alone is used by the first group that is encoded.
        Ok(true)
    }

    /// Copies one packet; false at the end of the run.
    fn copy(&mut self, run: &mut CopyRun) -> Result<bool, RenderError> {
        let (Some(entry), Some(clip)) = (run.entries.next(), self.clip) else {
            return Ok(false);
        };
        let missing = || crate::MediaError::Truncated {
            path: clip.info().path.clone(),
            reason: "a packet that was there is gone; the file changed while it was read"
                .to_owned(),
        };
        let mut packet = run.reader.next()?.ok_or_else(missing)?;
        if packet.pts.or(packet.dts) != Some(entry.pts) {
            return Err(missing().into());
        }
        // Leading pictures need what came before the run; what is decoded but not shown within
        // it is still needed.
        if entry.pts < run.first {
            return Ok(true);
        }
        let video = clip.video()?;
        let Ok(shown) = video.times.all_ticks().binary_search(&entry.pts) else {
            return Ok(true);
        };
        let output = run.output + (shown as u64).saturating_sub(run.source.0);
        while self.output <= output {
            let source = run.source + self.output.since(run.output);
            self.clock.source(video, source);
            self.output = self.output.next();
        }
        if !run.begun {
            run.begun = true;
            // A run from the very first packet follows nothing, and stays as it is.
            if run.output > FrameIndex::ZERO
                && let Some(copying) = &self.copying
            {
                packet.bytes = copying.first_copied(packet.bytes);
            }
        }
        packet.pts = Some(self.clock.start_of(output.0 as i64));
        packet.duration = self.clock.duration_of(output.0);
        packet.key = entry.key.is_key();
        self.queue.push_back(packet);
        Ok(true)
    }

    fn encode(&mut self, frame: &Frame, pts: i64) -> Result<(), RenderError> {
        if self.group.is_some_and(|(_, start)| start == self.output) {
            self.encoded = self.output;
        }
        let mut encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            // A new encoder begins with a picture that needs nothing before it.
            None => self.picture.encoder()?,
        };
        let setup = &self.picture.setup;
        let (width, height) = (setup.width, setup.height);
        let duration = self.clock.duration_of(self.output.0);
        let sent = if frame.stored_size() != (width, height) {
            let planes = adapt::shrunk(frame, setup.format, (width, height));
            encoder.picture(width, height, setup.format, &planes, pts, duration)
        } else if frame.format() == setup.format {
            encoder.picture(width, height, setup.format, frame.planes(), pts, duration)
        } else {
            let planes = adapt::planes(frame, setup.format);
            encoder.picture(width, height, setup.format, &planes, pts, duration)
        };
        sent.map_err(|code| self.picture.failed(code))?;
        self.output = self.output.next();
        self.drain(&mut encoder)?;
        self.encoder = Some(encoder);
        Ok(())
    }

    /// Takes what the encoder has ready.
    fn drain(&mut self, encoder: &mut Encoder) -> Result<(), RenderError> {
        loop {
            let packet = encoder.packet();
            let Some(packet) = packet.map_err(|code| self.picture.failed(code))? else {
                return Ok(());
            };
            let mut data = packet.to_data();
            let refused = || RenderError::Encoder {
                codec: self.picture.setup.encoder.to_owned(),
                reason: "its pictures can't be joined with the source's".to_owned(),
            };
            if let Some(copying) = &self.copying {
                data.bytes = copying.encoded(data.bytes).ok_or_else(refused)?;
            }
            data.pts = Some(self.clock.start_of(self.encoded.0 as i64));
            data.duration = self.clock.duration_of(self.encoded.0);
            self.encoded = self.encoded.next();
            if let Some(journal) = &mut self.journal {
                journal.push(&data).map_err(RenderError::journal)?;
            }
            self.queue.push_back(data);
        }
    }
}
