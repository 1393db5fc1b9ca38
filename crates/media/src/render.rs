//! Writing a clip: unchanged groups of pictures are copied packet by packet, the rest is
//! encoded at visually lossless quality.
//!
//! The output is written beside its target and renamed when it is complete. The same input
//! gives the same bytes.

mod adapt;
mod captions;
mod clock;
mod codec;
mod container;
mod error;
mod extras;
mod faststart;
mod groups;
mod h264;
mod hevc;
mod journal;
mod plan;
mod settings;
mod sound;
mod subtitles;
mod track;

pub use error::{BoxError, RenderError};
pub use extras::{ExtraSound, Extras, Move};

use crate::clip::{AudioBlock, Clip};
use crate::frame::Frame;
use crate::info::{ColourTags, PixelFormat};
use crate::libav::{Kind, Muxer, OutputStream, WriteFailure};
use clock::Clock;
use codec::Picture;
use container::Container;
use journal::Journal;
use plan::Segment;
use serde::{Deserialize, Serialize};
use sound::SoundTrack;
use std::ops::Range;
use std::path::{Path, PathBuf};
use subtitles::Subtitles;
use track::PictureTrack;
use units::{FrameIndex, FrameRate, Seconds};

/// A stretch of the output's frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputSpan {
    /// Frames of the source as they are.
    Source {
        /// Which frames.
        source: Range<FrameIndex>,
    },
    /// Frames that a [`FrameMaker`] gives.
    Made {
        /// How many.
        frames: u64,
    },
}

/// Gives the frames of [`OutputSpan::Made`] stretches.
pub trait FrameMaker {
    /// The frame at a position of the output; asked for in ascending order. It must have the
    /// source's stored size and format. Where the source's rate varies, the frame's duration is
    /// used (the nominal one where it is zero); its time and tags are not.
    fn frame(&mut self, output: FrameIndex) -> Result<Frame, BoxError>;
}

impl<F: FnMut(FrameIndex) -> Result<Frame, BoxError>> FrameMaker for F {
    fn frame(&mut self, output: FrameIndex) -> Result<Frame, BoxError> {
        self(output)
    }
}

/// Gives a new sound track in consecutive blocks of one rate and channel count.
pub trait SoundMaker {
    /// The next block; `None` at the end.
    fn next_block(&mut self) -> Result<Option<AudioBlock>, BoxError>;
}

impl<F: FnMut() -> Result<Option<AudioBlock>, BoxError>> SoundMaker for F {
    fn next_block(&mut self) -> Result<Option<AudioBlock>, BoxError> {
        self()
    }
}

/// The output's sound.
pub enum Sound<'a> {
    /// None.
    Silent,
    /// The source's track as it is, packet by packet where the container takes its codec; cut
    /// where the picture ends.
    Copy,
    /// A new track; cut or filled with silence to end with the picture.
    Made(&'a mut dyn SoundMaker),
}

/// How to render.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// Copy unchanged groups of pictures where that is safe; otherwise encode everything.
    pub copy: bool,
    /// When the first frame is shown, the sound starting at zero. By default: with copied
    /// sound where the source has it, otherwise zero.
    pub start: Option<Seconds>,
    /// When the last frame ends, on the same axis, where that is known: with a varying rate only whoever makes frames
    /// knows. Blocks of sound are laid so that they end there too.
    pub end: Option<Seconds>,
    /// For a first look: pictures whose shorter side has this many pixels at most, encoded quickly in a common codec.
    pub preview: Option<usize>,
    /// A file that keeps encoded pictures, so that the same render goes on where it was killed. Encoders then start
    /// anew every 250 frames.
    pub journal: Option<PathBuf>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            copy: true,
            start: None,
            end: None,
            preview: None,
            journal: None,
        }
    }
}

/// What became of a stretch of output frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanKind {
    /// The source's own packets: equal bit by bit.
    Copied,
    /// Frames of the source, encoded anew.
    Reencoded,
    /// Frames that were made.
    Made,
}

/// A stretch of output frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedSpan {
    /// Output frames.
    pub output: Range<FrameIndex>,
    /// Source frames, unless made.
    pub source: Option<Range<FrameIndex>>,
    /// What became of them.
    pub kind: SpanKind,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenderReport {
    /// Frames.
    pub frames: u64,
    /// From the first frame's start to the last one's end.
    pub duration: Seconds,
    /// What became of every frame, in order.
    pub spans: Vec<RenderedSpan>,
    /// Pixels of the stored picture, before it is turned to be shown.
    pub size: (usize, usize),
    /// Codec of the picture.
    pub video_codec: String,
    /// Codec of the sound.
    pub audio_codec: Option<String>,
    /// Whole sentences on what could not be kept as it was.
    pub notes: Vec<String>,
}

/// A clip without a source.
#[derive(Clone, Debug)]
pub struct NewClip {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Frames a second.
    pub rate: FrameRate,
    /// Format of the frames.
    pub format: PixelFormat,
    /// Tags of the frames.
    pub colour: ColourTags,
}

/// Renders `spans` of a clip, in order, to `output`. The container follows the output's
/// extension (mp4, mov, mkv, webm), the codecs are the source's where the container takes them.
/// `progress` is told the number of frames written so far.
pub fn render<'a>(
    clip: &Clip,
    spans: &[OutputSpan],
    frames: &mut dyn FrameMaker,
    sound: Sound<'a>,
    extras: Extras<'a>,
    output: &Path,
    options: &RenderOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<RenderReport, RenderError> {
    let container = Container::of(output)?;
    let video = clip.video()?;
    plan::check(spans, video, clip)?;
    let mut picture = match options.preview {
        None => Picture::of_clip(clip, container)?,
        Some(side) => Picture::small(clip, container, side)?,
    };
    let start = options.start.unwrap_or(match sound {
        Sound::Copy => video.times.start(FrameIndex::ZERO),
        _ => Seconds::ZERO,
    });
    let mut notes = picture.notes.clone();
    let copy = if !options.copy || options.preview.is_some() {
        None
    } else {
        match picture.copying(clip) {
            Ok(copying) => Some(copying),
            Err(reason) => {
                notes.push(format!("All frames are encoded anew: {reason}."));
                None
            }
        }
    };
    let segments = plan::segments(spans, clip, copy.is_some())?;
    let clock = Clock::of_clip(video, start);
    let frames_in_all = segments.last().map_or(0, |segment| segment.output.end.0);
    let journal = options.journal.as_deref().map(Journal::open).transpose();
    let job = Job {
        clip: Some(clip),
        container,
        segments,
        end: options.end.unwrap_or_else(|| clock.after(frames_in_all)),
        clock,
        notes,
        journal: journal.map_err(RenderError::journal)?,
    };
    job.run(picture, copy, frames, sound, extras, output, progress)
}

/// Writes a clip of made frames alone.
pub fn write_clip(
    new: &NewClip,
    count: u64,
    frames: &mut dyn FrameMaker,
    sound: Sound<'_>,
    output: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<RenderReport, RenderError> {
    let container = Container::of(output)?;
    let clock = Clock::constant(new.rate, Seconds::ZERO);
    let job = Job {
        clip: None,
        container,
        segments: vec![Segment::made(FrameIndex::ZERO, count)],
        end: clock.after(count),
        clock,
        notes: Vec::new(),
        journal: None,
    };
    if count == 0 {
        return Err(RenderError::NoFrames);
    }
    let picture = Picture::of_new(new, container)?;
    let extras = Extras::default();
    job.run(picture, None, frames, sound, extras, output, progress)
}

struct Job<'a> {
    clip: Option<&'a Clip>,
    container: Container,
    segments: Vec<Segment>,
    clock: Clock,
    /// Where the pictures will end, as far as that is known before they are made.
    end: Seconds,
    notes: Vec<String>,
    journal: Option<Journal>,
}

impl Job<'_> {
    fn run<'s>(
        self,
        picture: Picture,
        copy: Option<codec::Copying>,
        frames: &mut dyn FrameMaker,
        sound: Sound<'s>,
        extras: Extras<'s>,
        output: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<RenderReport, RenderError> {
        let Self {
            clip,
            container,
            segments,
            clock,
            end: planned,
            mut notes,
            journal,
        } = self;
        let base = clock.base();
        let rate = picture.rate;
        let video_codec = picture.codec.to_owned();
        let size = (picture.setup.width, picture.setup.height);
        let spans = plan::report(&segments);
        let copied = spans.iter().any(|span| span.kind == SpanKind::Copied);
        let mut pictures = PictureTrack::new(
            clip,
            picture,
            copy.filter(|_| copied),
            segments,
            clock,
            journal,
        )?;
        let header = extras::notes(clip, &extras);
        let mut subtitles = Subtitles::all(clip, container, &extras, &mut notes)?;
        let mut sounds = Vec::with_capacity(extras.sounds.len() + 1);
        sounds.push(SoundTrack::new(
            clip, container, sound, planned, &mut notes,
        )?);
        for extra in extras.sounds {
            let track = SoundTrack::new(
                Some(extra.clip),
                container,
                extra.sound,
                planned,
                &mut notes,
            )?;
            sounds.push(track);
        }
        sounds.retain(|track| track.stream().is_some());

        let unwritable = |error: std::io::Error| error::unwritable(output, &error);
        let folder = match output.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if output.is_dir() {
            return Err(RenderError::Unwritable {
                path: output.to_path_buf(),
                reason: "it is a folder".to_owned(),
            });
        }
        let part = part_file(folder).map_err(unwritable)?;
        let file = part.as_file().try_clone().map_err(unwritable)?;

        let mut streams = vec![OutputStream {
            parameters: pictures.parameters()?,
            base,
            rate: Some((rate.numerator(), rate.denominator())),
            tags: clip
                .and_then(|clip| clip.info().video.as_ref())
                .map_or_else(Vec::new, |video| extras::kept(&video.tags)),
            disposition: 0,
        }];
        streams.extend(sounds.iter().filter_map(SoundTrack::stream));
        let first_subtitles = streams.len();
        streams.extend(subtitles.iter().map(Subtitles::stream));
        debug_assert!(
            streams
                .iter()
                .all(|stream| stream.parameters.kind != Kind::Other)
        );
        let failed = |failure: WriteFailure| error::write_failure(output, failure);
        let mut muxer =
            Muxer::create(file, container.muxer(), &streams, &header).map_err(failed)?;
        while let Some(packet) = pictures.next(frames)? {
            let until = base.seconds(packet.dts.unwrap_or(0));
            muxer.write(0, &packet).map_err(failed)?;
            progress(pictures.written());
            for (index, track) in sounds.iter_mut().enumerate() {
                while let Some(packet) = track.next(until, None)? {
                    muxer.write(index + 1, &packet).map_err(failed)?;
                }
            }
            for (index, track) in subtitles.iter_mut().enumerate() {
                while let Some(packet) = track.next(until)? {
                    muxer
                        .write(first_subtitles + index, &packet)
                        .map_err(failed)?;
                }
            }
        }
        let end = pictures.end();
        for (index, track) in sounds.iter_mut().enumerate() {
            while let Some(packet) = track.next(end, Some(end))? {
                muxer.write(index + 1, &packet).map_err(failed)?;
            }
        }
        for (index, track) in subtitles.iter_mut().enumerate() {
            while let Some(packet) = track.next(end)? {
                muxer
                    .write(first_subtitles + index, &packet)
                    .map_err(failed)?;
            }
        }
        muxer.finish().map_err(failed)?;
        if matches!(container, Container::Mp4 | Container::Mov) {
            faststart::index_first(part.as_file()).map_err(unwritable)?;
        }
        part.as_file().sync_data().map_err(unwritable)?;
        part.persist(output)
            .map_err(|error| error::unwritable(output, &error.error))?;
        notes.extend(pictures.notes());
        Ok(RenderReport {
            frames: pictures.written(),
            duration: end - pictures.start(),
            spans,
            size,
            video_codec,
            audio_codec: sounds.first().and_then(SoundTrack::codec),
            notes,
        })
    }
}

/// The file that is written first: beside the target, so that renaming it is one step.
fn part_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".reword-")
        .suffix(".part")
        // As any new file: what the umask leaves.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}
