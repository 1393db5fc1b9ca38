//! Pictures without a face: whether they are an original's, and by how much they run behind it.

use super::lag::{Shown, search};
use crate::MeasureError;
use crate::picture::{luma, psnr, squared_error};
use crate::statistics::median;
use media::Clip;
use media::image::Rgb8;

/// A picture is a copied one when this holds of every cell of a grid, dB: a mouth that is made anew fills cells. x264 up
/// to CRF 28 stays above.
const COPIED_CELL: f64 = 28.0;
/// Cells of that grid in either direction.
const CELLS: usize = 16;
/// The part of the pictures that must be copied ones.
const SHARE: f64 = 0.98;
/// So many others in a row are no accident of a codec.
const RUN: usize = 5;
/// Side of the small pictures by which a lag is found.
const SMALL: usize = 16;
/// Small pictures as near as this (root mean square, levels of luma) may be one.
const NEAR: f64 = 4.0;

/// Whether a picture is an original's, compressed anew, by its worst cell. Both are of one size.
pub(crate) fn is_copied(made: &Rgb8, original: &Rgb8) -> bool {
    let (width, height) = (made.width, made.height);
    for row in 0..CELLS {
        let lines = height * row / CELLS..height * (row + 1) / CELLS;
        for column in 0..CELLS {
            let from = 3 * (width * column / CELLS);
            let to = 3 * (width * (column + 1) / CELLS);
            let (mut error, mut values) = (0, 0);
            for line in lines.clone() {
                let start = 3 * width * line;
                let [one, two] = [made, original]
                    .map(|image| image.data.get(start + from..start + to).unwrap_or_default());
                error += squared_error(one, two);
                values += one.len() as u64;
            }
            // Of less than a pixel a cell nothing is said.
            if psnr(error, values).is_none_or(|ratio| ratio < COPIED_CELL) {
                return false;
            }
        }
    }
    true
}

/// Counts pictures that are an original's, and those that are not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pictures {
    seen: usize,
    others: usize,
    run: usize,
    longest: usize,
}

impl Pictures {
    pub(super) fn push(&mut self, copied: bool) {
        self.seen += 1;
        self.others += usize::from(!copied);
        self.run = if copied { 0 } else { self.run + 1 };
        self.longest = self.longest.max(self.run);
    }

    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// No stretch of them is another's.
    pub(super) fn copied(&self) -> bool {
        self.others as f64 <= (1.0 - SHARE) * self.seen as f64 && self.longest < RUN
    }

    /// Nothing that follows can make them a copy, of `all` pictures.
    pub(super) fn ruled_out(&self, all: usize) -> bool {
        self.longest >= RUN || self.others as f64 > (1.0 - SHARE) * all as f64
    }
}

/// A clip in small pictures.
pub(super) struct Small {
    shown: Shown,
    pictures: Vec<Vec<f32>>,
}

impl Small {
    pub(super) fn read(clip: &Clip) -> Result<Self, MeasureError> {
        let mut pictures = Vec::new();
        for frame in clip.all_frames()? {
            pictures.push(luma(&frame?.to_rgb8_scaled(SMALL, SMALL)));
        }
        Ok(Self {
            shown: Shown::of(clip.video()?, pictures.len() as u64),
            pictures,
        })
    }
}

/// How a clip lies in another one.
pub(super) struct Fit {
    /// How much later its pictures stand in the other, seconds.
    pub(super) lag: f64,
    /// Whether left and right have changed places.
    pub(super) mirrored: bool,
    /// Pairs of frames, both ascending.
    pub(super) pairs: Vec<(u64, u64)>,
}

/// Where two clips are nearest; `None` where they are never near.
pub(super) fn fit(mine: &Small, theirs: &Small) -> Option<Fit> {
    let known: Vec<usize> = (0..mine.pictures.len()).collect();
    let (distance, lag, mirrored) = search(&mine.shown, &theirs.shown, &known, |pairs| {
        let distance = |mirrored: bool| {
            let distances: Vec<f64> = pairs
                .iter()
                .filter_map(|(one, two)| {
                    let (one, two) = (mine.pictures.get(*one)?, theirs.pictures.get(*two)?);
                    Some(apart(one, two, mirrored))
                })
                .collect();
            median(&distances)
        };
        let (plain, mirror) = (distance(false)?, distance(true)?);
        Some((plain.min(mirror), mirror < plain))
    })?;
    let pair = |frame: usize| {
        let other = theirs.shown.at(mine.shown.middle(frame) + lag)?;
        Some((frame as u64, other as u64))
    };
    (distance < NEAR).then(|| Fit {
        lag,
        mirrored,
        pairs: known.into_iter().filter_map(pair).collect(),
    })
}

/// Root mean square of the difference of two small pictures, one of them mirrored if wanted.
fn apart(one: &[f32], two: &[f32], mirrored: bool) -> f64 {
    let mut sum = 0.0;
    for (a, b) in one.chunks_exact(SMALL).zip(two.chunks_exact(SMALL)) {
        for (index, value) in a.iter().enumerate() {
            let other = if mirrored { SMALL - 1 - index } else { index };
            let difference = b.get(other).map_or(0.0, |other| f64::from(value - other));
            sum += difference * difference;
        }
    }
    (sum / (SMALL * SMALL) as f64).sqrt()
}
