//! The head crop: a stabilised square around the head, in which the small model works.
//!
//! Per frame a similarity is fitted from template points to eight points of the face mesh that
//! hardly move with the mouth, then the four parameters are smoothed over time without delay.
//! Training crops are made by the same rules; they must not drift apart.

mod fit;
mod paste;
pub mod smooth;

use crate::geometry::{Point, Rect, to_pixel_centres};
use crate::sample;
use crate::track::FaceTrack;
use media::Frame;
use media::image::{Affine, Rgb8};
use std::ops::Range;
use units::FrameIndex;

pub use fit::TEMPLATE;

/// Side of the crop in pixels.
pub const CROP_SIZE: usize = 256;

/// The part of the crop that the model makes anew, crop pixels: token rows 4..8 and columns 1..7
/// of a grid of 8x8. It does not follow the mouth, so that its shape says nothing about it.
pub const MASK: Rect = Rect {
    left: 32.0,
    top: 128.0,
    right: 224.0,
    bottom: 256.0,
};

/// Standard deviation of the smoothing, frames.
const SIGMA: f64 = 2.0;

/// Where a crop lies in its frame: crop units `(u, v)` (0..1) are at
/// `(a u - b v + x, b u + a v + y)` in continuous frame pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Scale times the cosine of the turn, frame pixels.
    pub a: f64,
    /// Scale times the sine of the turn, frame pixels.
    pub b: f64,
    /// Frame x of the crop's top left corner.
    pub x: f64,
    /// Frame y of the crop's top left corner.
    pub y: f64,
}

impl Placement {
    /// The least-squares similarity (Umeyama 1991, without reflection) from the template to a
    /// face's points; `None` without enough points, or for a face of no size.
    pub fn fit(landmarks: &[Point]) -> Option<Self> {
        fit::fit(landmarks)
    }

    /// Side of the crop in frame pixels.
    pub fn side(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The map from crop units to frame positions (both continuous).
    pub fn unit_to_frame(&self) -> Affine {
        let [a, b, x, y] = [self.a, self.b, self.x, self.y].map(|value| value as f32);
        Affine([a, -b, x, b, a, y])
    }

    /// The map from positions in a crop of `size` pixels to frame positions (both continuous).
    pub fn crop_to_frame(&self, size: usize) -> Affine {
        let unit = 1.0 / size as f32;
        self.unit_to_frame().compose(&Affine::scale(unit, unit))
    }

    /// Where crop unit `(u, v)` lies in the frame.
    pub fn to_frame(&self, [u, v]: Point) -> Point {
        let (x, y) = self.unit_to_frame().apply(u, v);
        [x, y]
    }

    /// Where a frame position lies in the crop, crop units.
    pub fn to_unit(&self, [x, y]: Point) -> Point {
        let (x, y) = (f64::from(x) - self.x, f64::from(y) - self.y);
        let square = (self.a * self.a + self.b * self.b).max(f64::MIN_POSITIVE);
        [
            ((self.a * x + self.b * y) / square) as f32,
            ((self.a * y - self.b * x) / square) as f32,
        ]
    }

    /// The smallest upright box in the frame around a box in crop units.
    pub fn bounds(&self, area: &Rect) -> Rect {
        let corners = [
            [area.left, area.top],
            [area.right, area.top],
            [area.left, area.bottom],
            [area.right, area.bottom],
        ];
        let [first, rest @ ..] = corners.map(|corner| self.to_frame(corner));
        rest.iter().fold(
            Rect::new(first[0], first[1], first[0], first[1]),
            |rect, &[x, y]| rect.union(&Rect::new(x, y, x, y)),
        )
    }

    /// The crop of `size` x `size` pixels out of a frame: bilinear, averaged over the area where it
    /// shrinks, the frame's border repeated outside of it.
    pub fn extract(&self, frame: &Rgb8, size: usize) -> Rgb8 {
        let data = sample::square(frame, &self.unit_to_frame(), size, self.over(size));
        rounded(size, size, &data)
    }

    /// The same straight from a decoded frame, or a part (x, y, width, height; crop pixels) of it: only
    /// what is seen is converted.
    pub fn extract_part(
        &self,
        frame: &Frame,
        size: usize,
        part: (usize, usize, usize, usize),
    ) -> Rgb8 {
        let (x, y, width, height) = part;
        let unit = 1.0 / size.max(1) as f32;
        let [left, top, right, bottom] =
            [x, y, x + width, y + height].map(|pixels| pixels as f32 * unit);
        // Two pixels more: sampling looks at neighbours.
        let seen = self.bounds(&Rect::new(left, top, right, bottom)).grow(2.0);
        let inside = |low: f32, high: f32, size: usize| {
            let first = (low.max(0.0) as usize).min(size.saturating_sub(1));
            (
                first,
                (high.ceil().max(0.0) as usize).clamp(first + 1, size.max(first + 1)),
            )
        };
        let (left, right) = inside(seen.left, seen.right, frame.width());
        let (top, bottom) = inside(seen.top, seen.bottom, frame.height());
        let piece = frame.region_rgb8(left, top, right - left, bottom - top);
        let moved = Self {
            x: self.x - left as f64,
            y: self.y - top as f64,
            ..*self
        };
        let data = sample::part(&piece, &moved.unit_to_frame(), size, self.over(size), part);
        rounded(width, height, &data)
    }

    /// Samples across a crop pixel. Training's rule: one up to 1.05 frame pixels a crop pixel, then enough for each.
    fn over(&self, size: usize) -> usize {
        let ratio = self.side() / size.max(1) as f64;
        if ratio <= 1.05 {
            1
        } else {
            (ratio.ceil() as usize).min(32)
        }
    }

    /// The map by which `media::image`'s `warp_affine` (positions at pixel centres) draws the crop
    /// of `size` pixels from the frame.
    pub fn warp(&self, size: usize) -> Affine {
        to_pixel_centres(&self.crop_to_frame(size))
    }
}

/// The crop's placements along a track.
#[derive(Clone, Debug)]
pub struct HeadCrop {
    first: FrameIndex,
    placements: Vec<Option<Placement>>,
}

impl HeadCrop {
    /// Fitted to a track and smoothed by a zero-phase Gaussian of two frames within every stretch
    /// that has landmarks without a break; the ends count as if they went on unchanged.
    pub fn of_track(track: &FaceTrack) -> Self {
        let points = track.faces().map(|face| face.map(|face| face.landmarks));
        Self::of_points(track.frames.start, points)
    }

    /// The same for bare landmarks, frame by frame from `first` on; `None` where there is no face.
    pub fn of_points<P: AsRef<[Point]>>(
        first: FrameIndex,
        points: impl IntoIterator<Item = Option<P>>,
    ) -> Self {
        let mut placements: Vec<Option<Placement>> = points
            .into_iter()
            .map(|points| Placement::fit(points?.as_ref()))
            .collect();
        for run in smooth::runs(&placements) {
            let Some(part) = placements.get_mut(run) else {
                continue;
            };
            let raw: Vec<[f64; 4]> = part
                .iter()
                .flatten()
                .map(|place| [place.a, place.b, place.x, place.y])
                .collect();
            for (place, [a, b, x, y]) in part.iter_mut().zip(smooth::gaussian(&raw, SIGMA)) {
                *place = Some(Placement { a, b, x, y });
            }
        }
        Self { first, placements }
    }

    /// The frames that it spans (with or without a face).
    pub fn frames(&self) -> Range<FrameIndex> {
        self.first..self.first + self.placements.len() as u64
    }

    /// Where the crop lies in a frame; `None` where the face is missing.
    pub fn placement(&self, frame: FrameIndex) -> Option<&Placement> {
        let at = frame.0.checked_sub(self.first.0)?;
        self.placements.get(usize::try_from(at).ok()?)?.as_ref()
    }

    /// The crop of [`CROP_SIZE`] pixels out of a frame of the track; `None` where the face is missing.
    pub fn extract(&self, index: FrameIndex, frame: &Rgb8) -> Option<Rgb8> {
        Some(self.placement(index)?.extract(frame, CROP_SIZE))
    }

    /// Landmarks of a frame of the track in crop pixels.
    pub fn landmarks_in_crop(&self, index: FrameIndex, points: &[Point]) -> Option<Vec<Point>> {
        let place = self.placement(index)?;
        let size = CROP_SIZE as f32;
        Some(
            points
                .iter()
                .map(|&point| place.to_unit(point).map(|value| value * size))
                .collect(),
        )
    }
}

/// Values 0..=255 as bytes.
fn rounded(width: usize, height: usize, data: &[f32]) -> Rgb8 {
    Rgb8 {
        width,
        height,
        data: data.iter().map(|&value| (value + 0.5) as u8).collect(),
    }
}

#[cfg(test)]
mod tests;
