//! The output's sound as a stream of packets.

mod choice;
mod copied;
mod encoded;

use super::container::Container;
use super::{RenderError, Sound};
use crate::clip::Clip;
use crate::libav::{OutputStream, PacketData};
use copied::Copied;
use encoded::{Encoded, Source};
use units::Seconds;

/// Makes packets of sound, never further ahead than the picture.
pub(super) enum SoundTrack<'a> {
    None,
    Copy(Box<Copied>),
    Encode(Box<Encoded<'a>>),
}

impl<'a> SoundTrack<'a> {
    /// `end` is where the pictures will end, as far as that is known by now.
    pub(super) fn new(
        clip: Option<&Clip>,
        container: Container,
        sound: Sound<'a>,
        end: Seconds,
        notes: &mut Vec<String>,
    ) -> Result<Self, RenderError> {
        let source = clip.and_then(|clip| clip.info().audio.as_ref().map(|info| (clip, info)));
        match (sound, source) {
            (Sound::Silent, _) | (Sound::Copy, None) => Ok(Self::None),
            (Sound::Copy, Some((clip, info))) => {
                if let Some(copied) = Copied::new(clip, container)? {
                    return Ok(Self::Copy(Box::new(copied)));
                }
                let sound = Source::Clip(Box::new(clip.all_audio()?));
                let mut track = Encoded::new(sound, Some(info), container, end, notes)?;
                if let Some(track) = &mut track {
                    track.wait(info.start);
                }
                Ok(track.map_or(Self::None, |track| Self::Encode(Box::new(track))))
            }
            (Sound::Made(maker), source) => {
                let info = source.map(|(_, info)| info);
                let track = Encoded::new(Source::Maker(maker), info, container, end, notes)?;
                Ok(track.map_or(Self::None, |track| Self::Encode(Box::new(track))))
            }
        }
    }

    /// The stream to write; `None` without sound.
    pub(super) fn stream(&self) -> Option<OutputStream> {
        match self {
            Self::None => None,
            Self::Copy(copied) => Some(copied.stream()),
            Self::Encode(encoded) => Some(encoded.stream()),
        }
    }

    /// The codec's short name.
    pub(super) fn codec(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Copy(copied) => Some(copied.codec()),
            Self::Encode(encoded) => Some(encoded.codec()),
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
