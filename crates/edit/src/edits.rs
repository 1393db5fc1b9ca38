//! The edit list: what happens to every second of the clip, in order.
//!
//! Wishes ([`Request`], made by [`from_diff`], [`remove`], [`replace`], [`fillers`]) are placed on
//! the clip by [`EditList::build`]: cuts go to good places ([`crate::cuts`]), overlaps are errors,
//! and what no wish touches is kept.

mod conflicts;
mod filler_words;
mod fillers;
mod phrases;
mod place;
mod request;

use crate::cuts::{CutConfig, Energy};
use crate::script::Piece;
use crate::transcript::limits;
use crate::{Transcript, TranscriptError};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;
use units::Seconds;

pub use filler_words::{FILLERS, filler_words};
pub use fillers::{FillerConfig, fillers};
pub use phrases::{remove, replace, time_span};
pub use request::{Request, Wish, from_diff};

/// An edit that can't be made. Edits are named as the user wrote them.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EditError {
    /// Two edits of the same stretch.
    #[error("{first} and {second} overlap at {at:.2}")]
    Overlap {
        /// The earlier one.
        first: String,
        /// The later one.
        second: String,
        /// Where the overlap begins.
        at: Seconds,
    },
    /// An edit that leaves nothing.
    #[error("the edits remove everything; nothing would be left")]
    NothingLeft,
    /// A stretch without length.
    #[error("{origin} covers no time at {at:.2}")]
    Empty {
        /// The edit.
        origin: String,
        /// Where.
        at: Seconds,
    },
    /// A stretch that is no stretch of the clip.
    #[error("{origin} is outside the clip, which lasts {duration:.2}")]
    Outside {
        /// The edit.
        origin: String,
        /// How long the clip is.
        duration: Seconds,
    },
    /// A word that nobody says.
    #[error("{origin} names “{phrase}”, which is not in the transcript")]
    NotFound {
        /// The edit.
        origin: String,
        /// The words looked for.
        phrase: String,
    },
    /// A flag's value that can't be read.
    #[error("{origin} {problem}")]
    Syntax {
        /// The edit.
        origin: String,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// A language without a filler word list.
    #[error(
        "there is no list of filler words for the language “{language}”; there is one for {known}"
    )]
    Language {
        /// The language asked for.
        language: String,
        /// Languages with a list.
        known: String,
    },
    /// A clip without length.
    #[error("the clip has no length")]
    NoDuration,
    /// Words that are no transcript.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
}

/// What happens to a stretch of the clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditKind {
    /// Stays as recorded.
    Keep,
    /// Is left out.
    Remove,
    /// New speech (or a pause) at a point; the source stretch is empty.
    Insert,
    /// New speech (or a pause) in place of the stretch.
    Replace,
    /// The same pictures over another length, under new sound.
    Retime,
    /// The same pictures and sound, rendered anew in a region.
    Rerender,
}

/// Speech (or silence) that was not recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NewSpeech {
    /// What is said, in order.
    pub pieces: Vec<Piece>,
    /// Silence before it: the recorded pause that the cut took away.
    pub lead: Seconds,
    /// Silence after it.
    pub tail: Seconds,
}

impl NewSpeech {
    /// Speech of one text.
    pub fn say(text: impl Into<String>) -> Self {
        Self {
            pieces: vec![Piece::Say {
                text: text.into(),
                speaker: None,
            }],
            ..Self::default()
        }
    }

    /// The words, without pauses.
    pub fn text(&self) -> String {
        crate::text::join(self.pieces.iter().filter_map(|piece| match piece {
            Piece::Say { text, .. } => Some(text.as_str()),
            Piece::Pause(_) => None,
        }))
    }

    /// True when it is nothing but pauses.
    pub fn is_silent(&self) -> bool {
        !self.pieces.is_empty()
            && self
                .pieces
                .iter()
                .all(|piece| matches!(piece, Piece::Pause(_)))
    }

    /// How long its pauses are together, without lead and tail. For a silent one, this is the
    /// duration to give to the timeline.
    pub fn pauses(&self) -> Seconds {
        self.pieces
            .iter()
            .fold(Seconds::ZERO, |sum, piece| match piece {
                Piece::Pause(seconds) => sum + *seconds,
                Piece::Say { .. } => sum,
            })
    }
}

/// A stretch of the clip and what happens to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// What happens.
    pub kind: EditKind,
    /// Where in the clip; empty for an insertion.
    pub source: Range<Seconds>,
    /// The transcript's words in it.
    pub words: Range<usize>,
    /// New speech of an insertion or replacement.
    pub speech: Option<NewSpeech>,
    /// The new length of a retimed stretch.
    pub lasts: Option<Seconds>,
    /// Who asked for it, as the user wrote it; empty for kept stretches.
    pub origin: String,
}

/// A cut that had to move further than the reach, because a long word lay there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovedCut {
    /// The edit, as the user wrote it.
    pub origin: String,
    /// Where the cut was asked for.
    pub from: Seconds,
    /// Where it was placed.
    pub to: Seconds,
}

/// What happens to every second of the clip: edits in order that cover it without overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditList {
    duration: Seconds,
    edits: Vec<Edit>,
    moved: Vec<MovedCut>,
}

impl EditList {
    /// Places wishes on a clip of `duration` seconds.
    ///
    /// `energy` may be absent; cuts then go by the words alone. Overlapping wishes are an error
    /// that names both, and so is a list that leaves nothing.
    pub fn build(
        requests: &[Request],
        transcript: &Transcript,
        duration: Seconds,
        energy: Option<&Energy>,
        config: &CutConfig,
    ) -> Result<Self, EditError> {
        place::place(requests, transcript, duration, energy, config)
    }

    /// A list of edits that already have their places. Sorted, filled up with kept stretches.
    pub fn new(
        mut edits: Vec<Edit>,
        transcript: &Transcript,
        duration: Seconds,
    ) -> Result<Self, EditError> {
        if !(duration.0 > 0.0 && duration.is_finite()) {
            return Err(EditError::NoDuration);
        }
        edits.retain(|edit| edit.kind != EditKind::Keep);
        edits.sort_by(|a, b| {
            let start = a.source.start.total_cmp(&b.source.start);
            start.then(a.source.end.total_cmp(&b.source.end))
        });
        let mut filled: Vec<Edit> = Vec::with_capacity(edits.len() * 2 + 1);
        let mut now = Seconds::ZERO;
        for edit in edits {
            let (start, end) = (edit.source.start, edit.source.end);
            if !(start.0 >= 0.0 && end >= start && end <= duration) {
                return Err(EditError::Outside {
                    origin: edit.origin,
                    duration,
                });
            }
            if start < now {
                let first = filled.pop().map(|edit| edit.origin).unwrap_or_default();
                return Err(EditError::Overlap {
                    first,
                    second: edit.origin,
                    at: start,
                });
            }
            if start > now {
                filled.push(keep(now..start, transcript));
            }
            now = end;
            filled.push(edit);
        }
        if now < duration {
            filled.push(keep(now..duration, transcript));
        }
        if filled.iter().all(|edit| edit.kind == EditKind::Remove) {
            return Err(EditError::NothingLeft);
        }
        Ok(Self {
            duration,
            edits: filled,
            moved: Vec::new(),
        })
    }

    /// The clip as it is: one kept stretch.
    pub fn identity(transcript: &Transcript, duration: Seconds) -> Result<Self, EditError> {
        Self::new(Vec::new(), transcript, duration)
    }

    /// The whole clip over another length, under one new track (`dub`).
    pub fn retime(
        transcript: &Transcript,
        duration: Seconds,
        lasts: Seconds,
    ) -> Result<Self, EditError> {
        Self::retimed(transcript, duration, &[(Seconds::ZERO..duration, lasts)])
    }

    /// Stretches of the clip over other lengths each, under one new track: see [`crate::anchors::stretches`].
    pub fn retimed(
        transcript: &Transcript,
        duration: Seconds,
        stretches: &[(Range<Seconds>, Seconds)],
    ) -> Result<Self, EditError> {
        let mut edits = Vec::with_capacity(stretches.len());
        for (source, lasts) in stretches {
            let origin = "the new track".to_owned();
            if !(lasts.0 > 0.0 && lasts.0 <= limits::SECONDS) {
                return Err(EditError::Empty {
                    origin,
                    at: source.start,
                });
            }
            edits.push(Edit {
                kind: EditKind::Retime,
                source: source.clone(),
                words: keep(source.clone(), transcript).words,
                speech: Some(NewSpeech::default()),
                lasts: Some(*lasts),
                origin,
            });
        }
        Self::new(edits, transcript, duration)
    }

    /// The edits in order, kept stretches included.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The clip's length.
    pub fn duration(&self) -> Seconds {
        self.duration
    }

    /// Edits with new speech in order; their position here is the *insertion* that
    /// [`crate::SoundRun::Speech`] names, and the order of the durations given to the timeline.
    pub fn insertions(&self) -> impl Iterator<Item = (&Edit, &NewSpeech)> {
        self.edits
            .iter()
            .filter_map(|edit| Some((edit, edit.speech.as_ref()?)))
    }

    /// Cuts that had to move further than asked.
    pub fn moved(&self) -> &[MovedCut] {
        &self.moved
    }

    /// True when nothing would change.
    pub fn is_identity(&self) -> bool {
        self.edits.iter().all(|edit| edit.kind == EditKind::Keep)
    }
}

fn keep(source: Range<Seconds>, transcript: &Transcript) -> Edit {
    let words = transcript.words();
    // Words belong where their middle is: an exact cut may go through one.
    let middle = |time: Seconds| {
        words.partition_point(|word| word.start + (word.end - word.start) / 2.0 < time)
    };
    let words = middle(source.start)..middle(source.end);
    Edit {
        kind: EditKind::Keep,
        source,
        words,
        speech: None,
        lasts: None,
        origin: String::new(),
    }
}
