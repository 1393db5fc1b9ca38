//! Subtitle tracks on their way into the output: their times move with the picture, their text is rewritten where the
//! container wants another form.

use super::RenderError;
use super::captions::{Form, MOV_TEXT_STYLE};
use super::container::Container;
use super::extras::{ExtraSound, Extras, Move, kept, moved};
use crate::clip::{Clip, PacketReader};
use crate::info::{OtherTrack, Tag, TimeBase, TrackKind};
use crate::libav::{OutputStream, PacketData, Parameters};
use units::Seconds;

/// A subtitle track on its way into the output.
pub(super) struct Subtitles {
    reader: PacketReader,
    parameters: Parameters,
    base: TimeBase,
    zero: Seconds,
    moves: Vec<Move>,
    tags: Vec<Tag>,
    disposition: i32,
    pending: Option<PacketData>,
    /// From one form of text to another, where the container does not hold the source's.
    rewritten: Option<(Form, Form)>,
    /// The source writes the emptiness between captions as captions.
    blank: bool,
}

impl Container {
    /// Whether subtitles of a codec can be written as they are.
    fn takes_subtitles(self, codec: &str) -> bool {
        match self {
            Self::Mp4 | Self::Mov => codec == "mov_text",
            Self::Mkv => matches!(
                codec,
                "subrip"
                    | "ass"
                    | "ssa"
                    | "text"
                    | "hdmv_pgs_subtitle"
                    | "dvd_subtitle"
                    | "dvb_subtitle"
            ),
            Self::Webm => codec == "webvtt",
        }
    }

    /// The form that other texts are rewritten to.
    fn text(self) -> Form {
        match self {
            Self::Mp4 | Self::Mov => Form::MovText,
            Self::Mkv => Form::Subrip,
            Self::Webm => Form::WebVtt,
        }
    }
}

impl Subtitles {
    /// All subtitle tracks that the container takes, with their times moved. What is left out of the source is named
    /// in `notes`.
    pub(super) fn all(
        clip: Option<&Clip>,
        container: Container,
        extras: &Extras<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Self>, RenderError> {
        let Some(clip) = clip else {
            return Ok(Vec::new());
        };
        let mut tracks = Vec::new();
        for track in &clip.info().others {
            let index = clip
                .probe()
                .subtitles
                .iter()
                .find(|index| index.stream == track.stream);
            match (track.kind, index) {
                (TrackKind::Subtitles, Some(index)) if !extras.moves.is_empty() => {
                    let Some((parameters, rewritten)) =
                        written_as(container, &track.codec, &index.parameters)
                    else {
                        notes.push(left_out(track));
                        continue;
                    };
                    if let Some((_, form)) = rewritten {
                        notes.push(format!(
                            "The {} is written as {}, without places and colours.",
                            track.name(),
                            form.codec()
                        ));
                    }
                    tracks.push(Self {
                        reader: clip.track_packets(track.stream)?,
                        parameters,
                        base: index.base,
                        zero: clip.probe().zero,
                        moves: extras.moves.clone(),
                        tags: kept(&track.tags),
                        disposition: track.disposition,
                        pending: None,
                        rewritten,
                        blank: index.parameters.name == "mov_text",
                    });
                }
                (TrackKind::Subtitles, _) => notes.push(left_out(track)),
                // A chapter list and a timecode are tracks too; chapters are written anew.
                (TrackKind::Data, _) => {}
                (TrackKind::Cover | TrackKind::Picture, _) => {
                    notes.push(format!("The {} is left out.", track.name()));
                }
                (TrackKind::Sound, _) => {
                    let carried = |extra: &ExtraSound<'_>| {
                        extra
                            .clip
                            .info()
                            .audio
                            .as_ref()
                            .is_some_and(|info| info.stream == track.stream)
                    };
                    if !extras.sounds.iter().any(carried) {
                        notes.push(format!("The {} is left out.", track.name()));
                    }
                }
            }
        }
        Ok(tracks)
    }

    /// The stream to write.
    pub(super) fn stream(&self) -> OutputStream {
        OutputStream {
            parameters: self.parameters.clone(),
            base: MICROSECONDS,
            rate: None,
            tags: self.tags.clone(),
            disposition: self.disposition,
        }
    }

    /// The next event that starts before `until`.
    pub(super) fn next(&mut self, until: Seconds) -> Result<Option<PacketData>, RenderError> {
        while self.pending.is_none() {
            let Some(packet) = self.reader.next()? else {
                return Ok(None);
            };
            self.pending = self.moved(packet);
        }
        let starts = |packet: &PacketData| MICROSECONDS.seconds(packet.pts.unwrap_or(0));
        if self
            .pending
            .as_ref()
            .is_some_and(|packet| starts(packet) < until)
        {
            return Ok(self.pending.take());
        }
        Ok(None)
    }

    /// An event at its new time; nothing for one that was left out, and for the emptiness between events, which the
    /// muxer writes by itself.
    fn moved(&self, mut packet: PacketData) -> Option<PacketData> {
        let blank = self.blank && packet.bytes.starts_with(&[0, 0]);
        let start = self.base.seconds(packet.pts.or(packet.dts)?) - self.zero;
        let end = start + (self.base.seconds(packet.duration) - self.base.seconds(0));
        if blank || packet.bytes.is_empty() {
            return None;
        }
        if let Some((from, to)) = self.rewritten {
            packet.bytes = from.convert(&packet.bytes, to)?;
        }
        let time = moved(&self.moves, &(start..end.max(start + Seconds(1e-3))))?;
        let ticks = MICROSECONDS.ticks(time.start).max(0);
        packet.pts = Some(ticks);
        packet.dts = Some(ticks);
        packet.duration = MICROSECONDS.ticks(time.end) - ticks;
        packet.key = true;
        Some(packet)
    }
}

/// The stream's parameters in a container, and what its text is rewritten from and to, if it has to be.
fn written_as(
    container: Container,
    codec: &str,
    source: &Parameters,
) -> Option<(Parameters, Option<(Form, Form)>)> {
    if container.takes_subtitles(codec) {
        let mut parameters = source.clone();
        parameters.tag = 0;
        return Some((parameters, None));
    }
    let (from, to) = (Form::of(codec)?, container.text());
    let style = match to {
        Form::MovText => MOV_TEXT_STYLE.to_vec(),
        _ => Vec::new(),
    };
    Some((Parameters::captions(to.codec(), style)?, Some((from, to))))
}

fn left_out(track: &OtherTrack) -> String {
    format!(
        "The {} is left out: {} subtitles can't be written into this container.",
        track.name(),
        track.codec
    )
}

const MICROSECONDS: TimeBase = TimeBase {
    numerator: 1,
    denominator: 1_000_000,
};
