//! Finding out what is in a file: one pass over its packets, and its first frame and sound.

mod bitstream;
mod hdr;
mod rate;
mod sound;
mod times;
mod video;

pub(crate) use bitstream::{KeyKind, length_size, nal_units};

use crate::MediaError;
use crate::info::{Chapter, ClipInfo, TimeBase, TrackKind};
use crate::libav::{Code, Decoder, Input, Kind, Packet, Parameters, Received};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use units::Seconds;

/// The most packets that are listed for one stream: a month at 60 frames a second is above it,
/// hostile files with billions of empty samples are too.
const MAX_PACKETS: usize = 40_000_000;

/// What the probe learns beyond [`ClipInfo`]: what seeking and copying need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) info: ClipInfo,
    /// The clip's zero on the file's own time axis.
    pub(crate) zero: Seconds,
    pub(crate) video: Option<VideoIndex>,
    pub(crate) audio: Option<AudioIndex>,
    pub(crate) subtitles: Vec<SubtitleIndex>,
}

/// A subtitle track.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SubtitleIndex {
    pub(crate) stream: usize,
    pub(crate) parameters: Parameters,
    pub(crate) base: TimeBase,
}

/// The packets of the video stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VideoIndex {
    pub(crate) stream: usize,
    pub(crate) parameters: Parameters,
    /// In decoding order.
    pub(crate) packets: Vec<PacketEntry>,
    /// False where packets have no usable times: frames are then counted from the start.
    pub(crate) timed: bool,
}

/// One packet of the video stream; times in ticks of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PacketEntry {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    pub(crate) key: KeyKind,
    /// False for pictures that are decoded but not shown.
    pub(crate) shown: bool,
}

/// How samples are found in the sound stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AudioIndex {
    pub(crate) stream: usize,
    pub(crate) parameters: Parameters,
    pub(crate) base: TimeBase,
    /// The first decoded sample's time, in ticks.
    pub(crate) first: i64,
    /// Samples of the first decoded block, and of the second.
    pub(crate) blocks: (u64, u64),
}

/// Which sound is listened to, and where time starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listen {
    /// The sound track; the one that players choose where none is given.
    pub(crate) stream: Option<usize>,
    /// The clip's zero on the file's own time axis; the earlier of first frame and first sample where none is given.
    pub(crate) zero: Option<Seconds>,
}

/// Looks through a file. `path` is for messages only.
pub(crate) fn probe(file: &Arc<File>, path: &Path, listen: Listen) -> Result<Probe, MediaError> {
    let mut input = Input::open(Arc::clone(file)).map_err(|code| unopened(file, path, code))?;
    let container = input.container();
    let video_stream = input.best(Kind::Video);
    let mut audio_stream = listen.stream.or_else(|| input.best(Kind::Audio));
    if video_stream.is_none() && audio_stream.is_none() {
        return Err(MediaError::NoStreams {
            path: path.to_path_buf(),
        });
    }
    let mut video = match video_stream {
        Some(stream) => Some(video::Scan::new(&input, stream, path)?),
        None => None,
    };
    let mut warnings = Vec::new();
    let mut audio = match audio_stream.map(|stream| sound::Scan::new(&input, stream)) {
        Some(Some(scan)) => Some(scan),
        Some(None) => {
            warnings.push("The sound track has no decoder here and is left out.".to_owned());
            audio_stream = None;
            None
        }
        None => None,
    };
    let wanted: Vec<usize> = video_stream.into_iter().chain(audio_stream).collect();
    input.only(&wanted);
    let tags = input.tags();
    let others = input.others(&wanted);
    let chapters = input.chapters();
    let subtitles = others
        .iter()
        .filter(|track| track.kind == TrackKind::Subtitles)
        .filter_map(|track| {
            let view = input.stream(track.stream)?;
            Some(SubtitleIndex {
                stream: track.stream,
                parameters: view.parameters,
                base: view.base,
            })
        })
        .collect();
    let tags_of =
        |stream: Option<usize>| stream.map_or_else(Vec::new, |stream| input.stream_tags(stream));
    let (video_tags, audio_tags) = (tags_of(video_stream), tags_of(audio_stream));

    let unreadable = |code: Code| MediaError::Unreadable {
        path: path.to_path_buf(),
        reason: code.to_string(),
    };
    let mut packet = Packet::new().map_err(unreadable)?;
    loop {
        match input.read(&mut packet) {
            Ok(true) => {}
            Ok(false) => break,
            Err(code) => {
                warnings.push(format!(
                    "The file stops being readable before its end: {code}."
                ));
                break;
            }
        }
        if let Some(scan) = &mut video
            && Some(packet.stream()) == video_stream
        {
            scan.packet(&packet);
            if scan.len() > MAX_PACKETS {
                return Err(MediaError::NotMedia {
                    path: path.to_path_buf(),
                    reason: format!("it claims more than {MAX_PACKETS} frames"),
                });
            }
        }
        if let Some(scan) = &mut audio
            && Some(packet.stream()) == audio_stream
        {
            scan.packet(&packet);
        }
    }

    let mut video = match (video, video_stream) {
        (Some(scan), Some(stream)) => Some(scan.finish(file, stream, path, &mut warnings)?),
        _ => None,
    };
    let mut audio = match (audio, audio_stream) {
        (Some(scan), Some(stream)) => scan.finish(stream, &mut warnings),
        _ => None,
    };
    if video.is_none() && audio.is_none() {
        return Err(MediaError::NoStreams {
            path: path.to_path_buf(),
        });
    }

    // The clip's zero: the earlier of the first frame and the first sample.
    let starts = video
        .as_ref()
        .map(|(info, _)| info.times.start(units::FrameIndex::ZERO))
        .into_iter()
        .chain(audio.as_ref().map(|(info, _)| info.start));
    let zero = listen
        .zero
        .or_else(|| starts.reduce(Seconds::min))
        .unwrap_or(Seconds::ZERO);
    let mut duration = Seconds::ZERO;
    if let Some((info, _)) = &mut video {
        info.times.set_zero(zero);
        info.tags = video_tags;
        duration = duration.max(info.times.end());
    }
    if let Some((info, _)) = &mut audio {
        info.start -= zero;
        info.tags = audio_tags;
        duration = duration.max(info.end());
    }
    let (video_info, video_index) = video.unzip();
    let (audio_info, audio_index) = audio.unzip();
    Ok(Probe {
        info: ClipInfo {
            path: path.to_path_buf(),
            container,
            duration,
            video: video_info,
            audio: audio_info,
            tags,
            chapters: chapters
                .into_iter()
                .map(|chapter| Chapter {
                    time: chapter.base.seconds(chapter.start) - zero
                        ..chapter.base.seconds(chapter.end) - zero,
                    tags: chapter.tags,
                })
                .collect(),
            others,
            warnings,
        },
        zero,
        video: video_index,
        audio: audio_index,
        subtitles,
    })
}

/// Feeds a packet, and takes the frames that come of it until `take` says that it has enough.
/// Errors of single packets are passed over: the next ones may do.
pub(crate) fn feed(
    decoder: &mut Decoder,
    packet: Option<&Packet>,
    frame: &mut crate::libav::AvFrame,
    mut take: impl FnMut(&crate::libav::AvFrame),
) {
    // A decoder that is full says so only after frames were left untaken, which never happens
    // here: each send is followed by taking all there is.
    let _ = decoder.send(packet);
    while matches!(decoder.receive(frame), Ok(Received::Frame)) {
        take(frame);
    }
}

/// Why a file could not be opened, from its first bytes.
fn unopened(file: &File, path: &Path, code: Code) -> MediaError {
    let path = path.to_path_buf();
    let mut head = [0_u8; 4096];
    let length = file.read_at(&mut head, 0).unwrap_or(0);
    let head = head.get(..length).unwrap_or_default();
    let is_mp4 = head.get(4..8).is_some_and(|kind| {
        [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"]
            .iter()
            .any(|known| known.as_slice() == kind)
    });
    if is_mp4 {
        return MediaError::Truncated {
            path,
            reason: "the index (moov) of the MP4 is missing or damaged, as when a recording or a \
                copy was not finished"
                .to_owned(),
        };
    }
    if head.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        return MediaError::Truncated {
            path,
            reason: "the Matroska header is damaged or its tracks are missing".to_owned(),
        };
    }
    let text = !head.is_empty()
        && std::str::from_utf8(head)
            .map_or_else(|error| error.valid_up_to() + 4 > head.len(), |_| true)
        && head
            .iter()
            .all(|&byte| byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t' | 0x0C));
    MediaError::NotMedia {
        path,
        reason: if text {
            "it holds text".to_owned()
        } else if head.iter().all(|&byte| byte == 0) {
            "it holds only zeros".to_owned()
        } else if code == Code::INVALID {
            "no known container begins like this".to_owned()
        } else {
            code.to_string()
        },
    }
}
