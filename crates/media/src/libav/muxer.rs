//! Muxing into a file.

use super::extras::{set_chapters, set_tags};
use super::{Code, Packet, PacketData, Parameters, check};
use crate::info::{Tag, TimeBase};
use ffmpeg_next::format::context::StreamIo;
use ffmpeg_next::{Dictionary, ffi, format};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ptr;
use std::sync::{Arc, Mutex};
use units::Seconds;

/// A stream to write.
#[derive(Clone, Debug)]
pub(crate) struct OutputStream {
    pub(crate) parameters: Parameters,
    /// The ticks that its packets come in.
    pub(crate) base: TimeBase,
    /// Frames a second, for the container's own notes.
    pub(crate) rate: Option<(u32, u32)>,
    /// Language, title, and the like.
    pub(crate) tags: Vec<Tag>,
    /// libav's flags; zero leaves them to the muxer.
    pub(crate) disposition: i32,
}

/// What a file says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) tags: Vec<Tag>,
    /// Start and end in microseconds, and the tags.
    pub(crate) chapters: Vec<(i64, i64, Vec<Tag>)>,
}

/// An open output. Nothing is complete before [`Muxer::finish`].
pub(crate) struct Muxer {
    context: format::context::Output,
    bases: Vec<TimeBase>,
    /// Ticks that each stream's packets are put later.
    delays: Vec<i64>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

/// A file that remembers its first error: libav tells only that something failed.
struct Sink {
    file: File,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Sink {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if let Ok(mut failure) = self.failure.lock() {
                failure.get_or_insert_with(|| match error.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::from(error.kind()),
                });
            }
        })
    }
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let result = self.file.write(buffer);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.note(result)
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let result = self.file.seek(to);
        self.note(result)
    }
}

/// What went wrong in writing: the system's own error where there is one.
pub(crate) enum WriteFailure {
    Io(io::Error),
    Libav(Code),
}

impl Muxer {
    /// Starts a container of libav's short name with the given streams.
    pub(crate) fn create(
        file: File,
        container: &str,
        streams: &[OutputStream],
        notes: &Notes,
    ) -> Result<Self, WriteFailure> {
        super::init();
        let failure = Arc::new(Mutex::new(None));
        let sink = Sink {
            file,
            failure: Arc::clone(&failure),
        };
        let libav = |error: ffmpeg_next::Error| WriteFailure::Libav(Code(error.into()));
        let io = StreamIo::from_write_seek_with_capacity(sink, 1 << 18).map_err(libav)?;
        let mut context = format::output_to_stream(io, None, Some(container)).map_err(libav)?;
        // SAFETY: the context was just made; streams are added before the header is written.
        unsafe {
            let raw = &mut *context.as_mut_ptr();
            raw.flags |= ffi::AVFMT_FLAG_BITEXACT;
            raw.strict_std_compliance = -2;
            set_tags(&raw mut raw.metadata, &notes.tags).map_err(WriteFailure::Libav)?;
            set_chapters(raw, &notes.chapters).map_err(WriteFailure::Libav)?;
            for stream in streams {
                let target = ffi::avformat_new_stream(context.as_mut_ptr(), ptr::null());
                if target.is_null() {
                    return Err(WriteFailure::Libav(Code::MEMORY));
                }
                stream
                    .parameters
                    .write(target)
                    .map_err(WriteFailure::Libav)?;
                (*target).time_base = ffi::AVRational {
                    num: stream.base.numerator as i32,
                    den: stream.base.denominator as i32,
                };
                set_tags(&raw mut (*target).metadata, &stream.tags).map_err(WriteFailure::Libav)?;
                if stream.disposition != 0 {
                    (*target).disposition = stream.disposition;
                }
                if let Some((numerator, denominator)) = stream.rate {
                    (*target).avg_frame_rate = ffi::AVRational {
                        num: numerator as i32,
                        den: denominator as i32,
                    };
                }
            }
        }
        let mut muxer = Self {
            context,
            bases: streams.iter().map(|stream| stream.base).collect(),
            delays: streams
                .iter()
                .map(|stream| unwritten_delay(stream, container))
                .collect(),
            failure,
        };
        let mut options = Dictionary::new();
        if let (Some(stream), "mp4" | "mov") = (streams.first(), container) {
            options.set(
                "video_track_timescale",
                &stream.base.denominator.to_string(),
            );
        }
        let result = muxer.context.write_header_with(options).map(|_| ());
        result.map_err(|error| muxer.failed(Code(error.into())))?;
        Ok(muxer)
    }

    /// Writes a packet; packets of one stream come in decoding order, streams interleave by
    /// themselves as long as they advance together.
    pub(crate) fn write(&mut self, stream: usize, data: &PacketData) -> Result<(), WriteFailure> {
        let packet = Packet::from_data(data, stream as i32).map_err(WriteFailure::Libav)?;
        let Some(base) = self.bases.get(stream).copied() else {
            return Err(WriteFailure::Libav(Code::INVALID));
        };
        let delay = self.delays.get(stream).copied().unwrap_or(0);
        // SAFETY: the stream exists since `create`; the packet is ours.
        let written = unsafe {
            for time in [&mut (*packet.as_ptr()).pts, &mut (*packet.as_ptr()).dts] {
                if *time != ffi::AV_NOPTS_VALUE {
                    *time += delay;
                }
            }
            let raw = self.context.as_mut_ptr();
            let target = (**(*raw).streams.add(stream)).time_base;
            let source = ffi::AVRational {
                num: base.numerator as i32,
                den: base.denominator as i32,
            };
            ffi::av_packet_rescale_ts(packet.as_ptr(), source, target);
            check(ffi::av_interleaved_write_frame(raw, packet.as_ptr()))
        };
        written.map_err(|code| self.failed(code))?;
        self.check_sink()
    }

    /// Completes the file.
    pub(crate) fn finish(mut self) -> Result<(), WriteFailure> {
        let result = self.context.write_trailer();
        result.map_err(|error| self.failed(Code(error.into())))?;
        let failure = Arc::clone(&self.failure);
        // Closing flushes what is still buffered.
        drop(self);
        match failure.lock().ok().and_then(|mut failure| failure.take()) {
            Some(error) => Err(WriteFailure::Io(error)),
            None => Ok(()),
        }
    }

    fn check_sink(&self) -> Result<(), WriteFailure> {
        match self
            .failure
            .lock()
            .ok()
            .and_then(|mut failure| failure.take())
        {
            Some(error) => Err(WriteFailure::Io(error)),
            None => Ok(()),
        }
    }

    fn failed(&self, code: Code) -> WriteFailure {
        match self.check_sink() {
            Err(failure) => failure,
            Ok(()) => WriteFailure::Libav(code),
        }
    }
}

/// What packets have to be put later by, in ticks. Matroska's readers put sound earlier by the codec's delay, so that
/// writers put it later; libav's does so only from 6.1 on, and before that each generation loses 6.5 ms of Opus.
fn unwritten_delay(stream: &OutputStream, container: &str) -> i64 {
    let parameters = &stream.parameters;
    let delayed = matches!(container, "matroska" | "webm") && parameters.name == "opus";
    if cfg!(libav_6_1) || !delayed || parameters.initial_padding <= 0 || parameters.rate <= 0 {
        return 0;
    }
    let seconds = f64::from(parameters.initial_padding) / f64::from(parameters.rate);
    stream.base.ticks(Seconds(seconds))
}
