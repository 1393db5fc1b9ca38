//! What goes into the output beside picture and sound: tags, chapters, further sound tracks, and where times go.

use super::Sound;
use crate::clip::Clip;
use crate::info::{ClipInfo, Tag};
use crate::libav::Notes;
use std::ops::Range;
use units::Seconds;

/// A stretch of the source and where it runs in the output; the two may differ in length.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// On the source's time axis.
    pub source: Range<Seconds>,
    /// On the output's.
    pub output: Range<Seconds>,
}

/// A further sound track of the output.
pub struct ExtraSound<'a> {
    /// The source with this track as its sound ([`Clip::with_sound`]).
    pub clip: &'a Clip,
    /// What is written.
    pub sound: Sound<'a>,
}

/// What the output keeps of the source beside picture and sound.
#[derive(Default)]
pub struct Extras<'a> {
    /// Where the source's time went, ascending in source and output. Chapters and subtitles follow; without any, they
    /// are left out.
    pub moves: Vec<Move>,
    /// Further sound tracks, in the order of the output.
    pub sounds: Vec<ExtraSound<'a>>,
}

impl Extras<'_> {
    /// Everything stays at its time.
    pub fn unmoved(clip: &ClipInfo) -> Self {
        let all = Seconds::ZERO..clip.duration;
        Self {
            moves: vec![Move {
                source: all.clone(),
                output: all,
            }],
            sounds: Vec::new(),
        }
    }
}

/// Where a stretch of the source's time runs in the output; nothing when all of it was left out.
pub(super) fn moved(moves: &[Move], time: &Range<Seconds>) -> Option<Range<Seconds>> {
    let place = |entry: &Move, at: Seconds| {
        let (from, to) = (&entry.source, &entry.output);
        let share = (at - from.start).0 / (from.end - from.start).0.max(1e-9);
        to.start + (to.end - to.start) * share.clamp(0.0, 1.0)
    };
    let first = moves.iter().find(|entry| entry.source.end > time.start)?;
    let last = moves
        .iter()
        .rev()
        .find(|entry| entry.source.start < time.end)?;
    let (start, end) = (place(first, time.start), place(last, time.end));
    (end > start).then_some(start..end)
}

/// Tags that describe the old file's making, not its content.
const OWN: [&str; 9] = [
    "encoder",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "duration",
    "vendor_id",
    "timecode",
    "handler_name",
    "number_of_frames",
];

/// Tags worth keeping.
pub(super) fn kept(tags: &[Tag]) -> Vec<Tag> {
    tags.iter()
        .filter(|tag| {
            let key = tag.key.to_ascii_lowercase();
            // Matroska's muxing statistics are those of the old file too.
            let statistics = key.starts_with("_statistics")
                || key.starts_with("bps")
                || key.starts_with("number_of_");
            !OWN.contains(&key.as_str()) && !statistics
        })
        .cloned()
        .collect()
}

/// Tags and chapters of the output.
pub(super) fn notes(clip: Option<&Clip>, extras: &Extras<'_>) -> Notes {
    let Some(info) = clip.map(Clip::info) else {
        return Notes::default();
    };
    let microseconds = |time: Seconds| (time.0 * 1e6).round() as i64;
    let chapters = info
        .chapters
        .iter()
        .filter_map(|chapter| {
            let time = moved(&extras.moves, &chapter.time)?;
            let (start, end) = (microseconds(time.start).max(0), microseconds(time.end));
            (end > start).then(|| (start, end, kept(&chapter.tags)))
        })
        .collect();
    Notes {
        tags: kept(&info.tags),
        chapters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves() -> Vec<Move> {
        let range = |a, b| Seconds(a)..Seconds(b);
        // Two seconds are cut out, half a second is put in, and the last stretch runs at half its speed.
        vec![
            Move {
                source: range(0.0, 3.0),
                output: range(0.0, 3.0),
            },
            Move {
                source: range(5.0, 8.0),
                output: range(3.5, 6.5),
            },
            Move {
                source: range(8.0, 9.0),
                output: range(6.5, 8.5),
            },
        ]
    }

    #[test]
    fn times_follow_what_they_belong_to() {
        let at = |a: f64, b: f64| moved(&moves(), &(Seconds(a)..Seconds(b)));
        let is = |a: f64, b: f64| Some(Seconds(a)..Seconds(b));
        assert_eq!(at(1.0, 2.0), is(1.0, 2.0));
        assert_eq!(at(2.0, 4.0), is(2.0, 3.0), "its end was cut off");
        assert_eq!(at(4.0, 6.0), is(3.5, 4.5), "its start was cut off");
        assert_eq!(at(2.0, 6.0), is(2.0, 4.5), "its middle was cut out");
        assert_eq!(at(3.5, 4.5), None, "all of it was cut out");
        assert_eq!(at(8.5, 9.0), is(7.5, 8.5));
        assert_eq!(at(9.5, 12.0), None, "beyond the end");
        assert_eq!(at(8.5, 20.0), is(7.5, 8.5));
    }

    #[test]
    fn tags_of_the_old_file_are_not_the_new_ones() {
        let tag = |key: &str| Tag {
            key: key.to_owned(),
            value: "x".to_owned(),
        };
        let tags = [
            "title",
            "ENCODER",
            "_STATISTICS_TAGS-eng",
            "BPS-eng",
            "language",
            "major_brand",
        ];
        let kept: Vec<String> = kept(&tags.map(tag))
            .into_iter()
            .map(|tag| tag.key)
            .collect();
        assert_eq!(kept, ["title", "language"]);
    }
}
