//! Whether a made clip is the clip that it was made from: compressed anew, however coarsely, of another size or rate, cut
//! at its ends or sides, or mirrored.
//!
//! Frames that lie side by side are judged on the way. Where that finds nothing, the course of the face tells by how much
//! the one clip runs behind the other and where its frames lie in the other's, and they are compared there.

mod faces;
mod lag;
mod mouths;
mod pictures;

pub(super) use mouths::Patch;
pub(super) use pictures::is_copied;

use super::course::{Course, CourseWants, place_of};
use super::report::{Copied, CopyKind, Original};
use super::walk::Walked;
use crate::MeasureError;
use crate::picture::same_size;
use face::track::Chosen;
use faces::{Faces, Frames, partners};
use media::image::{Affine, Rgb8};
use media::{Clip, FrameReader};
use mouths::{Motion, Mouths};
use pictures::{Pictures, Small};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use units::{FrameIndex, FrameRate};

/// A clip, its course, and the face that is followed.
pub(super) struct Side<'a> {
    pub(super) clip: &'a Clip,
    pub(super) course: &'a Course,
    pub(super) face: Option<&'a Chosen>,
}

/// What is known of a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is one.
    Copy(Copied),
    /// It is none.
    None,
    /// The mouth rests: a mouth made anew may be the original's.
    Untold,
}

/// A pair of pictures: equal in every value; their mouths, or whether they are one picture where there is no face.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) equal: bool,
    pub(super) mouths: Option<[Patch; 2]>,
    pub(super) near: Option<bool>,
}

/// Pairs of pictures in order.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    seen: usize,
    equal: usize,
    mouths: Mouths,
    pictures: Pictures,
}

impl Pairs {
    pub(super) fn new(rate: FrameRate) -> Self {
        Self {
            seen: 0,
            equal: 0,
            mouths: Mouths::new(rate),
            pictures: Pictures::default(),
        }
    }

    pub(super) fn push(&mut self, pair: Seen) {
        self.seen += 1;
        self.equal += usize::from(pair.equal);
        self.mouths.push(pair.mouths);
        if let Some(near) = pair.near {
            self.pictures.push(near);
        }
    }

    /// Nothing that follows can make a copy of it, of `all` pairs.
    fn ruled_out(&self, all: usize) -> bool {
        self.mouths.ruled_out() || (self.mouths.seen() == 0 && self.pictures.ruled_out(all))
    }

    /// A single frame says nothing.
    pub(super) fn kind(&self) -> Result<Option<CopyKind>, Rest> {
        if self.seen < 2 {
            return Ok(None);
        }
        if self.equal == self.seen {
            return Ok(Some(CopyKind::Exact));
        }
        let pictures = self.pictures.seen() == 0 || self.pictures.copied();
        let copied = if self.mouths.seen() == 0 {
            self.pictures.seen() > 0 && pictures
        } else {
            match self.mouths.verdict() {
                // Coarse copies fail where no face is seen: a face in most frames is enough.
                Motion::Same => pictures || 2 * self.mouths.seen() > self.seen,
                Motion::Other => false,
                Motion::Rest => return Err(Rest),
            }
        };
        Ok(copied.then_some(CopyKind::Recompressed))
    }
}

/// The mouth hardly moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest;

/// Says whether `made` is a copy of the reference, or of the input where that is another file.
pub(super) fn copied(
    made: &Side<'_>,
    reference: &Side<'_>,
    input: Option<&Clip>,
    walked: &Walked,
) -> Result<Verdict, MeasureError> {
    let of = |found: Option<(CopyKind, f64, bool)>, of: Original| {
        found.map(|(kind, lag, mirrored)| {
            Verdict::Copy(Copied {
                kind,
                of,
                lag,
                mirrored,
            })
        })
    };
    let beside = walked.copy();
    if let Ok(Some(kind)) = beside {
        let found = of(Some((kind, 0.0, false)), Original::Reference);
        return Ok(found.unwrap_or(Verdict::None));
    }
    if walked.pairs == 0 {
        return Ok(Verdict::None);
    }
    let side_by_side =
        walked.comparable > 0 && made.course.video.rate == reference.course.video.rate;
    let again = compare_shifted(made, reference, side_by_side)?;
    if let Some(verdict) = of(again.unwrap_or_default(), Original::Reference) {
        return Ok(verdict);
    }
    let mut rest = beside.is_err() || again.is_err();
    if let Some(clip) = input {
        let course = faces_of(clip, made)?;
        let place = made.face.and_then(|face| place_of(face, made.course));
        let face = place.map(|place| course.near(place)).transpose()?.flatten();
        let other = Side {
            clip,
            course: &course,
            face: face.as_ref(),
        };
        let again = compare_shifted(made, &other, false)?;
        if let Some(verdict) = of(again.unwrap_or_default(), Original::Input) {
            return Ok(verdict);
        }
        rest |= again.is_err();
    }
    Ok(if rest { Verdict::Untold } else { Verdict::None })
}

/// The course of an input, with faces where the made clip has one.
fn faces_of(clip: &Clip, made: &Side<'_>) -> Result<Course, MeasureError> {
    let wants = CourseWants {
        faces: made.face.is_some(),
        steps: false,
        sound: false,
    };
    // Nobody counts these frames.
    let (sender, _) = mpsc::channel();
    Course::read((clip, clip), wants, &sender, &AtomicBool::new(false))
}

/// The input of a made clip, opened where it is another file than the reference.
pub(super) fn input(
    path: Option<&Path>,
    reference: &Path,
    open: media::OpenOptions,
) -> Result<Option<Clip>, MeasureError> {
    let other = path.filter(|path| *path != reference);
    Ok(other.map(|path| Clip::open(path, &open)).transpose()?)
}

/// A copy's kind, how much later its pictures stand in the original, seconds, and whether it is mirrored.
type Found = Result<Option<(CopyKind, f64, bool)>, Rest>;

/// Whether a clip shows the pictures of another anywhere else than side by side, where that was seen.
fn compare_shifted(
    made: &Side<'_>,
    other: &Side<'_>,
    seen_side_by_side: bool,
) -> Result<Found, MeasureError> {
    let (frames, lag, pairs) = if made.face.is_some() && other.face.is_some() {
        let (mine, theirs) = (Faces::of(made), Faces::of(other));
        let Some(fit) = faces::fit(&mine, &theirs) else {
            return Ok(Ok(None));
        };
        (fit.frames, fit.lag, partners(&mine, &theirs, &fit))
    } else {
        let (mine, theirs) = (Small::read(made.clip)?, Small::read(other.clip)?);
        let Some(fit) = pictures::fit(&mine, &theirs) else {
            return Ok(Ok(None));
        };
        (Frames::whole(fit.mirrored), fit.lag, fit.pairs)
    };
    let step = other.course.video.rate.frame_duration().0;
    if seen_side_by_side && lag.abs() < step / 2.0 && frames.unmoved() {
        return Ok(Ok(None));
    }
    let kind = compare_all(made, other, &frames, &pairs)?;
    Ok(kind.map(|kind| kind.map(|kind| (kind, lag, frames.mirrored))))
}

/// Compares the pictures; stops when too many differ.
fn compare_all(
    made: &Side<'_>,
    other: &Side<'_>,
    frames: &Frames,
    pairs: &[(u64, u64)],
) -> Result<Result<Option<CopyKind>, Rest>, MeasureError> {
    let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else {
        return Ok(Ok(None));
    };
    let mut mine = Reader::new(made.clip, first.0, last.0)?;
    let mut theirs = Reader::new(other.clip, first.1, last.1)?;
    let mut compared = Pairs::new(made.course.video.rate);
    for (frame, partner) in pairs {
        let (Some(picture), Some(original)) = (mine.at(*frame)?, theirs.at(*partner)?) else {
            break;
        };
        let face = other.face;
        let place = face.and_then(|face| face.placement(FrameIndex(*partner)));
        let place = place.map(face::Placement::unit_to_frame);
        compared.push(see(picture, original, place.as_ref(), frames));
        if compared.ruled_out(pairs.len()) {
            return Ok(Ok(None));
        }
    }
    Ok(compared.kind())
}

/// Looks at a pair; `place` is the head crop's in the original.
fn see(picture: &Rgb8, original: &Rgb8, place: Option<&Affine>, frames: &Frames) -> Seen {
    let equal = frames.unmoved() && same_size(picture, original) && picture.data == original.data;
    let mouths = place.and_then(|place| {
        let sizes = [original, picture].map(|picture| (picture.width, picture.height));
        let back = frames.back(sizes[0], sizes[1])?;
        Some([
            Patch::of(picture, &back.compose(place)),
            Patch::of(original, place),
        ])
    });
    let near = mouths.is_none().then(|| {
        let mut picture = picture.resize(original.width, original.height);
        if frames.mirrored {
            for line in picture.data.chunks_exact_mut(3 * original.width) {
                line.as_chunks_mut::<3>().0.reverse();
            }
        }
        is_copied(&picture, original)
    });
    Seen {
        equal,
        mouths,
        near,
    }
}

/// Reads frames in ascending order.
struct Reader {
    frames: FrameReader,
    next: u64,
    shown: Option<Rgb8>,
}

impl Reader {
    fn new(clip: &Clip, first: u64, last: u64) -> Result<Self, MeasureError> {
        Ok(Self {
            frames: clip.frames(FrameIndex(first)..FrameIndex(last + 1))?,
            next: first,
            shown: None,
        })
    }

    fn at(&mut self, frame: u64) -> Result<Option<&Rgb8>, MeasureError> {
        while self.next <= frame {
            let Some(read) = self.frames.next() else {
                return Ok(None);
            };
            let read = read?;
            if self.next == frame {
                self.shown = Some(read.to_rgb8());
            }
            self.next += 1;
        }
        Ok(self.shown.as_ref())
    }
}
