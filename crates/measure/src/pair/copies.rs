//! Whether a made clip is the clip that it was made from: compressed anew, of another size or rate, or cut off in front.
//!
//! Frames that lie side by side are judged on the way ([`Walked`]). Where that finds nothing, the course of the face tells
//! by how much the one clip runs behind the other, and the pictures are compared at that lag.

mod faces;

use super::compare::{is_copied, mouths};
use super::course::{Course, CourseWants, place_of};
use super::report::{Copied, CopyKind, Original};
use super::walk::Walked;
use crate::MeasureError;
use crate::picture::{psnr, same_size};
use face::track::Chosen;
use faces::{Faces, lag, partners};
use media::image::Rgb8;
use media::{Clip, FrameReader};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use units::FrameIndex;

/// The part of the frames in which the pictures must be the original's.
pub(super) const SHARE: f64 = 0.98;

/// A clip, its course, and the face that is followed.
pub(super) struct Side<'a> {
    pub(super) clip: &'a Clip,
    pub(super) course: &'a Course,
    pub(super) face: Option<&'a Chosen>,
}

/// Says whether `made` is a copy of the reference, or of the input where that is another file.
pub(super) fn copied(
    made: &Side<'_>,
    reference: &Side<'_>,
    input: Option<&Clip>,
    walked: &Walked,
) -> Result<Option<Copied>, MeasureError> {
    if let Some(kind) = walked.copy() {
        return Ok(Some(Copied {
            kind,
            of: Original::Reference,
            lag: 0.0,
        }));
    }
    if made.course.tracks.is_none() {
        return Ok(None);
    }
    let side_by_side =
        walked.comparable > 0 && made.course.video.rate == reference.course.video.rate;
    if let Some((kind, lag)) = again(made, reference, side_by_side)? {
        return Ok(Some(Copied {
            kind,
            of: Original::Reference,
            lag,
        }));
    }
    let (Some(clip), Some(face)) = (input, made.face) else {
        return Ok(None);
    };
    let wants = CourseWants {
        faces: true,
        steps: false,
        sound: false,
    };
    // Nobody counts these frames.
    let (sender, _) = mpsc::channel();
    let course = Course::read((clip, clip), wants, &sender, &AtomicBool::new(false))?;
    let place = place_of(face, made.course);
    let face = place.map(|place| course.near(place)).transpose()?.flatten();
    let other = Side {
        clip,
        course: &course,
        face: face.as_ref(),
    };
    Ok(again(made, &other, false)?.map(|(kind, lag)| Copied {
        kind,
        of: Original::Input,
        lag,
    }))
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

/// Whether a clip shows the pictures of another, and how much later in that one they stand, seconds.
fn again(
    made: &Side<'_>,
    other: &Side<'_>,
    seen_side_by_side: bool,
) -> Result<Option<(CopyKind, f64)>, MeasureError> {
    let (mine, theirs) = (Faces::of(made), Faces::of(other));
    let Some(lag) = lag(&mine, &theirs) else {
        return Ok(None);
    };
    if seen_side_by_side && lag.abs() < theirs.step / 2.0 {
        return Ok(None);
    }
    let partners = partners(&mine, &theirs, lag);
    Ok(compare_all(made, other, &partners)?.map(|kind| (kind, lag)))
}

/// Compares the pictures; stops when too many differ.
fn compare_all(
    made: &Side<'_>,
    other: &Side<'_>,
    pairs: &[(u64, u64)],
) -> Result<Option<CopyKind>, MeasureError> {
    let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else {
        return Ok(None);
    };
    let mut mine = Reader::new(made.clip, first.0, last.0)?;
    let mut theirs = Reader::new(other.clip, first.1, last.1)?;
    let (mut equal, mut differ) = (true, 0_usize);
    for (frame, partner) in pairs {
        let (Some(picture), Some(original)) = (mine.at(*frame)?, theirs.at(*partner)?) else {
            break;
        };
        let resized;
        let picture = if same_size(picture, original) {
            equal = equal && picture.data == original.data;
            picture
        } else {
            equal = false;
            resized = picture.resize(original.width, original.height);
            &resized
        };
        let place = other
            .face
            .and_then(|face| face.placement(FrameIndex(*partner)));
        let mouth = place.and_then(|place| {
            let (error, values) = mouths(picture, original, place);
            psnr(error, values)
        });
        if !is_copied(mouth, picture, original) {
            differ += 1;
            if differ as f64 > (1.0 - SHARE) * pairs.len() as f64 {
                return Ok(None);
            }
        }
    }
    Ok(Some(if equal {
        CopyKind::Exact
    } else {
        CopyKind::Recompressed
    }))
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
