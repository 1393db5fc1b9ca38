//! Tags and chapters, read from hostile files and written into new ones.

use super::{Code, Input, check};
use crate::info::{OtherTrack, Tag, TimeBase, TrackKind};
use ffmpeg_next::ffi;
use std::ffi::{CStr, CString};
use std::ptr;

/// Tags of one file or track beyond these are left out.
const MOST_TAGS: usize = 128;
/// Longer values are left out: no player shows them.
const LONGEST_VALUE: usize = 8192;
/// Chapters beyond these are left out.
const MOST_CHAPTERS: usize = 10_000;
/// Further tracks beyond these are left out.
const MOST_TRACKS: usize = 64;

/// A chapter in ticks of its own.
pub(crate) struct RawChapter {
    pub(crate) base: TimeBase,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) tags: Vec<Tag>,
}

impl Input {
    /// The file's own tags.
    pub(crate) fn tags(&self) -> Vec<Tag> {
        // SAFETY: the dictionary belongs to the open context.
        unsafe { tags((*self.raw()).metadata) }
    }

    /// A track's tags.
    pub(crate) fn stream_tags(&self, index: usize) -> Vec<Tag> {
        self.raw_stream(index).map_or_else(Vec::new, |stream| {
            // SAFETY: the dictionary belongs to a stream of the open context.
            unsafe { tags(stream.metadata) }
        })
    }

    /// All tracks but the ones in `known`.
    pub(crate) fn others(&self, known: &[usize]) -> Vec<OtherTrack> {
        (0..self.count())
            .filter(|index| !known.contains(index))
            .filter_map(|index| {
                let raw = self.raw_stream(index)?;
                // SAFETY: a stream of an open context always has codec parameters.
                let (kind, codec) =
                    unsafe { ((*raw.codecpar).codec_type, (*raw.codecpar).codec_id) };
                let cover = raw.disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0;
                let named = codec != ffi::AVCodecID::AV_CODEC_ID_NONE;
                Some(OtherTrack {
                    stream: index,
                    kind: match kind {
                        ffi::AVMediaType::AVMEDIA_TYPE_AUDIO => TrackKind::Sound,
                        ffi::AVMediaType::AVMEDIA_TYPE_SUBTITLE => TrackKind::Subtitles,
                        ffi::AVMediaType::AVMEDIA_TYPE_VIDEO if cover => TrackKind::Cover,
                        ffi::AVMediaType::AVMEDIA_TYPE_VIDEO => TrackKind::Picture,
                        _ => TrackKind::Data,
                    },
                    codec: if named {
                        ffmpeg_next::codec::Id::from(codec).name().to_owned()
                    } else {
                        String::new()
                    },
                    tags: self.stream_tags(index),
                    disposition: raw.disposition,
                })
            })
            .take(MOST_TRACKS)
            .collect()
    }

    /// The file's chapters, in order.
    pub(crate) fn chapters(&self) -> Vec<RawChapter> {
        let mut chapters = Vec::new();
        // SAFETY: libav keeps `nb_chapters` valid chapter pointers for as long as the context lives.
        unsafe {
            let context = &*self.raw();
            let count = (context.nb_chapters as usize).min(MOST_CHAPTERS);
            for index in 0..count {
                if context.chapters.is_null() {
                    break;
                }
                let Some(raw) = (*context.chapters.add(index)).as_ref() else {
                    continue;
                };
                let (Ok(numerator), Ok(denominator)) = (
                    u32::try_from(raw.time_base.num),
                    u32::try_from(raw.time_base.den),
                ) else {
                    continue;
                };
                if numerator == 0 || denominator == 0 || raw.end < raw.start {
                    continue;
                }
                chapters.push(RawChapter {
                    base: TimeBase {
                        numerator,
                        denominator,
                    },
                    start: raw.start,
                    end: raw.end,
                    tags: tags(raw.metadata),
                });
            }
        }
        chapters
    }
}

/// Copies a dictionary.
///
/// # Safety
/// The pointer must be null or a valid dictionary.
unsafe fn tags(dictionary: *const ffi::AVDictionary) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut entry = ptr::null();
    while found.len() < MOST_TAGS {
        // SAFETY: libav walks a valid dictionary; its strings end in zero.
        let (key, value) = unsafe {
            entry = ffi::av_dict_get(dictionary, c"".as_ptr(), entry, ffi::AV_DICT_IGNORE_SUFFIX);
            let Some(entry) = entry.as_ref() else {
                break;
            };
            if entry.key.is_null() || entry.value.is_null() {
                continue;
            }
            (CStr::from_ptr(entry.key), CStr::from_ptr(entry.value))
        };
        if value.to_bytes().len() <= LONGEST_VALUE && key.to_bytes().len() <= 128 {
            found.push(Tag {
                key: key.to_string_lossy().into_owned(),
                value: value.to_string_lossy().into_owned(),
            });
        }
    }
    found
}

/// Adds tags to a dictionary.
///
/// # Safety
/// The pointer must point to a dictionary pointer that libav owns (null for an empty one).
pub(super) unsafe fn set_tags(
    dictionary: *mut *mut ffi::AVDictionary,
    tags: &[Tag],
) -> Result<(), Code> {
    for tag in tags {
        let (Ok(key), Ok(value)) = (
            CString::new(tag.key.as_str()),
            CString::new(tag.value.as_str()),
        ) else {
            continue;
        };
        // SAFETY: libav copies both strings.
        unsafe {
            check(ffi::av_dict_set(
                dictionary,
                key.as_ptr(),
                value.as_ptr(),
                0,
            ))?;
        }
    }
    Ok(())
}

/// Gives a context that is being made its chapters, in microseconds.
///
/// # Safety
/// The context must be a new output without chapters; libav frees what is set here with it.
pub(super) unsafe fn set_chapters(
    context: &mut ffi::AVFormatContext,
    chapters: &[(i64, i64, Vec<Tag>)],
) -> Result<(), Code> {
    if chapters.is_empty() {
        return Ok(());
    }
    // SAFETY: the list has room for every pointer before any is counted, and each chapter is zeroed memory of its
    // own size, which is a valid chapter without tags.
    unsafe {
        let list = ffi::av_mallocz(chapters.len() * size_of::<*mut ffi::AVChapter>())
            .cast::<*mut ffi::AVChapter>();
        if list.is_null() {
            return Err(Code::MEMORY);
        }
        context.chapters = list;
        for (index, (start, end, tags)) in chapters.iter().enumerate() {
            let chapter = ffi::av_mallocz(size_of::<ffi::AVChapter>()).cast::<ffi::AVChapter>();
            let Some(raw) = chapter.as_mut() else {
                return Err(Code::MEMORY);
            };
            raw.id = index as _;
            raw.time_base = ffi::AVRational {
                num: 1,
                den: 1_000_000,
            };
            raw.start = *start;
            raw.end = *end;
            *list.add(index) = chapter;
            context.nb_chapters = index as u32 + 1;
            set_tags(&raw mut raw.metadata, tags)?;
        }
    }
    Ok(())
}
