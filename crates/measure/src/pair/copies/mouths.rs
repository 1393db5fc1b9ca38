//! Whether two mouths move as one: what tells a copy from a mouth that was made anew.
//!
//! Pixels that are near say little: a mouth at rest is near any other one at rest, and a coarse copy is far. So what is
//! compared is how the mouth changes: its picture less the one an eighth of a second before. Light, blur, noise and
//! compression hardly touch that; another mouth, even one that says the same, changes otherwise.

use face::Placement;
use face::geometry::{Rect, to_pixel_centres};
use media::image::{Affine, Rgb8};
use std::collections::VecDeque;
use units::FrameRate;

/// The lips' part of the head crop, in 256ths.
const LIPS: Rect = Rect {
    left: 72.0,
    top: 144.0,
    right: 184.0,
    bottom: 224.0,
};
/// Columns and rows of a patch: eight 256ths of the crop each, so that a pixel of misplacement does not matter.
const COLUMNS: usize = 14;
const ROWS: usize = 10;
/// Samples across one of them, at least.
const SAMPLES: usize = 4;
/// How far back a picture is compared, seconds.
const BACK: f64 = 0.12;
/// A mouth moves where its patch changes by this (root mean square, levels of luma); a mouth at rest, with the noise of
/// cameras and codecs, stays below.
const MOVING: f64 = 4.0;
/// Moving frames that are judged together.
const GROUP: usize = 12;
/// The least number of moving frames that are evidence.
const EVIDENCE: usize = 16;
/// Correlation of all changes in a copy, at least.
const SAME: f64 = 0.8;
/// Correlation of the changes of a group in a copy, at least.
const SAME_GROUP: f64 = 0.5;
/// So many frames in a row, that many times as far apart as the middle one of all frames, and by so many levels: a word
/// was made anew in a clip that else was left as it is.
const PATCHED_RUN: usize = 4;
const PATCHED: f32 = 4.0;
const PATCHED_LEVELS: f32 = 6.0;

/// A mouth in few numbers: luma, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Patch(Vec<f32>);

impl Patch {
    /// The mouth in a frame; `to_frame` takes units of the head crop (0..1) to positions in the frame.
    pub(crate) fn of(frame: &Rgb8, to_frame: &Affine) -> Self {
        let cell = (LIPS.width() / COLUMNS as f32) / 256.0;
        let [a, _, _, d, _, _] = to_frame.0;
        let taps = ((a.hypot(d) * cell).ceil() as usize).clamp(SAMPLES, 16);
        let step = cell / taps as f32;
        let start = Affine::translation(LIPS.left / 256.0, LIPS.top / 256.0);
        let map = to_frame.compose(&start).compose(&Affine::scale(step, step));
        let fine = frame.warp_affine(COLUMNS * taps, ROWS * taps, &to_pixel_centres(&map));
        let mut values = vec![0.0; COLUMNS * ROWS];
        let weight = 1.0 / (taps * taps) as f32;
        for (row, line) in fine.data.chunks_exact(3 * COLUMNS * taps).enumerate() {
            let cells = line.chunks_exact(3 * taps);
            let places = values.iter_mut().skip(row / taps * COLUMNS);
            for (place, pixels) in places.zip(cells) {
                for [r, g, b] in pixels.as_chunks::<3>().0 {
                    let [r, g, b] = [*r, *g, *b].map(f32::from);
                    *place += weight * (0.299 * r + 0.587 * g + 0.114 * b);
                }
            }
        }
        Self(values)
    }

    /// The mouth in a frame with its head crop at `place`.
    pub(crate) fn at(frame: &Rgb8, place: &Placement) -> Self {
        Self::of(frame, &place.unit_to_frame())
    }

    /// What changed since another one; the mean change, which is light, is taken off.
    fn since(&self, before: &Self) -> Vec<f32> {
        let change: Vec<f32> = self.0.iter().zip(&before.0).map(|(a, b)| a - b).collect();
        let mean = change.iter().sum::<f32>() / change.len().max(1) as f32;
        change.into_iter().map(|value| value - mean).collect()
    }

    /// Root mean square of what differs between two.
    fn apart(&self, other: &Self) -> f32 {
        let difference = self.since(other);
        let sum: f32 = difference.iter().map(|value| value * value).sum();
        (sum / difference.len().max(1) as f32).sqrt()
    }
}

/// What the motion of two mouths says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Motion {
    /// They move as one.
    Same,
    /// They move differently.
    Other,
    /// They hardly move: nobody can tell.
    Rest,
}

/// Products of the changes of two mouths: with each other, and with themselves.
#[derive(Clone, Copy, Debug, Default)]
struct Products {
    both: f64,
    made: f64,
    original: f64,
}

impl Products {
    fn of(made: &[f32], original: &[f32]) -> Self {
        let dot =
            |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum() };
        Self {
            both: dot(made, original),
            made: dot(made, made),
            original: dot(original, original),
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            both: self.both + other.both,
            made: self.made + other.made,
            original: self.original + other.original,
        }
    }

    fn moves(&self) -> bool {
        let most = self.made.max(self.original) / (COLUMNS * ROWS) as f64;
        most.sqrt() >= MOVING
    }

    /// 0 where one of them stands still.
    fn correlation(&self) -> f64 {
        let size = (self.made * self.original).sqrt();
        if size > 0.0 { self.both / size } else { 0.0 }
    }
}

/// Follows two mouths; holds a few patches, sums, and a number a frame.
#[derive(Clone, Debug)]
pub(crate) struct Mouths {
    back: usize,
    waiting: VecDeque<[Patch; 2]>,
    all: Products,
    moving: usize,
    group: Products,
    /// The least correlation of a group.
    least: f64,
    /// How far the mouths are apart, frame by frame: root mean square, levels of luma.
    apart: Vec<f32>,
}

impl Mouths {
    /// Of clips whose pairs of frames follow each other at a rate.
    pub(crate) fn new(rate: FrameRate) -> Self {
        Self {
            back: ((BACK * rate.per_second()).round() as usize).max(1),
            waiting: VecDeque::new(),
            all: Products::default(),
            moving: 0,
            group: Products::default(),
            least: 1.0,
            apart: Vec::new(),
        }
    }

    /// Takes the mouths of the next pair, made and original; `None` where there is no face.
    pub(crate) fn push(&mut self, pair: Option<[Patch; 2]>) {
        let Some(pair) = pair else {
            self.waiting.clear();
            return;
        };
        let [made, original] = &pair;
        self.apart.push(made.apart(original));
        if self.waiting.len() == self.back
            && let Some([before, other]) = self.waiting.pop_front()
        {
            let change = Products::of(&made.since(&before), &original.since(&other));
            if change.moves() {
                self.take(change);
            }
        }
        self.waiting.push_back(pair);
    }

    fn take(&mut self, change: Products) {
        self.all = self.all.add(change);
        self.group = self.group.add(change);
        self.moving += 1;
        if self.moving.is_multiple_of(GROUP) {
            self.least = self.least.min(self.group.correlation());
            self.group = Products::default();
        }
    }

    /// Pairs with a face.
    pub(crate) fn seen(&self) -> usize {
        self.apart.len()
    }

    /// A group was seen in which the mouths move differently.
    pub(crate) fn ruled_out(&self) -> bool {
        self.least < SAME_GROUP
    }

    /// A stretch of frames differs as nothing else does: there the mouth was made anew, and the rest was left.
    fn patched(&self) -> bool {
        let mut sorted = self.apart.clone();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let bound = (PATCHED * usual).max(PATCHED_LEVELS);
        self.apart
            .windows(PATCHED_RUN)
            .any(|run| run.iter().all(|apart| *apart > bound))
    }

    /// What they say so far.
    pub(crate) fn verdict(&self) -> Motion {
        if self.ruled_out() || self.patched() {
            Motion::Other
        } else if self.moving < EVIDENCE {
            Motion::Rest
        } else if self.all.correlation() >= SAME {
            Motion::Same
        } else {
            Motion::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Motion, Mouths, Patch, ROWS};
    use media::image::{Affine, Rgb8};
    use units::FrameRate;

    /// A mouth of light and dark rows that opens; `noise` is added from a fixed sequence.
    fn mouth(opening: f32, noise: f32, seed: usize) -> Patch {
        let values = (0..COLUMNS * ROWS).map(|at| {
            let row = (at / COLUMNS) as f32;
            let lips = 60.0 * (-((row - 4.0 - opening) / 2.0).powi(2)).exp();
            let grain = ((at * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0;
            120.0 - lips + noise * grain
        });
        Patch(values.collect())
    }

    /// What a mouth says beside that of an original that talks where `talks`.
    fn verdict(made: impl Fn(usize) -> Patch, talks: impl Fn(usize) -> bool) -> Motion {
        let mut mouths = Mouths::new(FrameRate::new(25, 1).unwrap());
        for n in 0..150 {
            let opening = if talks(n) { said(n) } else { 0.0 };
            mouths.push(Some([made(n), mouth(opening, 1.0, n)]));
        }
        mouths.verdict()
    }

    fn said(n: usize) -> f32 {
        2.0 + 2.0 * (n as f32 * 0.9).sin()
    }

    #[test]
    fn a_copy_moves_as_its_original_whatever_the_noise_and_the_light() {
        let always = |_: usize| true;
        assert_eq!(
            verdict(|n| mouth(said(n), 9.0, n + 1), always),
            Motion::Same
        );
        let dark = |n: usize| Patch(mouth(said(n), 1.0, n).0.iter().map(|v| v * 0.7).collect());
        assert_eq!(verdict(dark, always), Motion::Same);
    }

    #[test]
    fn other_words_a_still_mouth_and_the_same_words_late_are_no_copy() {
        let always = |_: usize| true;
        let other = |n: usize| mouth(2.0 + 2.0 * (n as f32 * 0.6).cos(), 1.0, n);
        assert_eq!(verdict(other, always), Motion::Other);
        assert_eq!(verdict(|n| mouth(0.0, 1.0, n), always), Motion::Other);
        assert_eq!(
            verdict(|n| mouth(said(n + 2), 1.0, n), always),
            Motion::Other
        );
    }

    #[test]
    fn mouths_at_rest_say_nothing_and_a_new_word_rules_a_copy_out() {
        let never = |_: usize| false;
        assert_eq!(verdict(|n| mouth(0.0, 1.0, n + 1), never), Motion::Rest);
        // It speaks where the original rests.
        assert_eq!(verdict(|n| mouth(said(n), 1.0, n), never), Motion::Other);
        // Eight of 150 frames are another word, the rest the original's own.
        let word = |n: usize| {
            if (60..68).contains(&n) {
                mouth(4.0 - said(n), 0.0, n)
            } else {
                mouth(said(n), 1.0, n)
            }
        };
        assert_eq!(verdict(word, |_| true), Motion::Other);
    }

    #[test]
    fn a_patch_shows_the_lips_part_of_the_crop() {
        // A crop of 512 pixels a side, whose pixels' luma is their row.
        let mut frame = Rgb8::new(512, 512);
        for y in 0..512 {
            for x in 0..512 {
                frame.set_pixel(x, y, [(y / 2) as u8; 3]);
            }
        }
        let patch = Patch::of(&frame, &Affine::scale(512.0, 512.0));
        assert_eq!(patch.0.len(), COLUMNS * ROWS);
        // The first row's middle is at (144 + 4) / 256 of the side: row 296 of 512, luma 147.75 on average.
        for (row, wanted) in [(0, 147.75), (9, 219.75)] {
            let value = patch.0[row * COLUMNS + 3];
            assert!((value - wanted).abs() < 0.6, "{row}: {value}");
        }
    }
}
