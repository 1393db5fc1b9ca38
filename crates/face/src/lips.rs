//! The lips of one frame laid over another, at the frames' own resolution.
//!
//! Both heads are the same person's, held alike. An affine map, fitted to points that hardly move
//! with the mouth and drawn towards a mere shift, takes the one mouth to the place of the other;
//! a soft ellipse around both mouths fades it in, down to below the lower of both chins and within
//! both faces' outlines, and its colour is moved by what differs along the ellipse's border.
//! Training counterparts are made by the same rules.

mod pose;

pub use pose::LipPose;

use crate::crop::{CROP_SIZE, Placement};
use crate::geometry::{Point, Rect};
use crate::mesh::{CHIN, LIPS_INNER, LIPS_OUTER};
use media::image::{Affine, Rgb8, RgbF32};
use pose::{JAW, STABLE, affine, width_at};

/// How far the ellipse's centre lies below that of the lips, crop pixels.
const BELOW: f32 = 8.0;

/// The ellipse reaches at least this far below both chins, crop pixels: a jaw that was lower must not be seen under the one
/// that is laid over it.
const CHIN_ROOM: f32 = 8.0;

/// Weights along the ellipse's border where colours are compared.
const RING: std::ops::Range<f32> = 0.05..0.6;

/// Room around the ellipse for the map's turn and stretch, crop pixels.
const ROOM: f32 = 12.0;

/// What is laid over of a mouth, crop pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipse {
    /// Half axes.
    pub radii: [f32; 2],
    /// Over how much the border fades.
    pub soft: f32,
}

impl Ellipse {
    /// What the program lays over; training varies it.
    pub const USUAL: Self = Self {
        radii: [46.0, 42.0],
        soft: 14.0,
    };

    /// The box around it, `grown` crop pixels larger on every side; shares of the crop.
    fn bounds(&self, [x, y]: Point, grown: f32) -> Rect {
        let unit = 1.0 / CROP_SIZE as f32;
        let (across, down) = (self.radii[0] + grown, self.radii[1] + grown);
        Rect::new(
            (x - across) * unit,
            (y - down) * unit,
            (x + across) * unit,
            (y + down) * unit,
        )
    }
}

/// A head in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Where the head crop lies.
    pub placement: &'a Placement,
    /// The 468 points, frame pixels.
    pub landmarks: &'a [Point],
}

impl Head<'_> {
    /// A point of the mesh in crop pixels.
    fn point(&self, index: usize) -> Option<Point> {
        let point = self.landmarks.get(index)?;
        Some(
            self.placement
                .to_unit(*point)
                .map(|value| value * CROP_SIZE as f32),
        )
    }

    /// The middle of the lips in crop pixels.
    fn lips(&self) -> Option<Point> {
        let mut sum = [0.0; 2];
        for &index in LIPS_OUTER.iter().chain(&LIPS_INNER) {
            let [x, y] = self.point(index)?;
            sum = [sum[0] + x, sum[1] + y];
        }
        Some(sum.map(|value| value / (LIPS_OUTER.len() + LIPS_INNER.len()) as f32))
    }

    /// Its lips and how it is held; `None` without enough landmarks.
    pub fn pose(&self) -> Option<LipPose> {
        let mut stable = [[0.0; 2]; STABLE.len()];
        for (point, index) in stable.iter_mut().zip(STABLE) {
            *point = self.point(index)?;
        }
        let mut jaw = [[[0.0; 2]; 5]; 2];
        for (point, index) in jaw.as_flattened_mut().iter_mut().zip(JAW.as_flattened()) {
            *point = self.point(*index)?;
        }
        Some(LipPose {
            jaw,
            stable,
            lips: self.lips()?,
            chin: self.point(CHIN)?,
        })
    }

    /// The part of the frame that laying these lips over another frame may need: frame pixels,
    /// left, top, width and height.
    pub fn mouth_area(&self) -> Option<(i64, i64, usize, usize)> {
        let [x, y] = self.lips()?;
        let usual = Ellipse::USUAL;
        let area = usual.bounds([x, y + BELOW], usual.soft + ROOM);
        Some(pixels(&self.placement.bounds(&area)))
    }
}

/// The whole pixels that a box touches.
fn pixels(area: &Rect) -> (i64, i64, usize, usize) {
    let (left, top) = (area.left.floor() as i64, area.top.floor() as i64);
    let across = (area.right.ceil() as i64 - left).max(0) as usize;
    let down = (area.bottom.ceil() as i64 - top).max(0) as usize;
    (left, top, across, down)
}

/// A part of a frame, with its place in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Frame x of its left column.
    pub x: i64,
    /// Frame y of its top row.
    pub y: i64,
    /// Its pixels.
    pub image: Rgb8,
}

/// How the lips of one head lie over another.
#[derive(Clone, Debug)]
pub struct LipFit {
    /// From crop pixels of the target to frame positions of the source.
    to_source: Affine,
    placement: Placement,
    ellipse: Ellipse,
    /// The ellipse's centre, crop pixels of the target.
    centre: Point,
    /// The outlines of both faces, from the height of the lips downwards, on the left and on the right of the centre:
    /// how far from it, and at which height.
    outlines: [[[Point; JAW[0].len()]; 2]; 2],
}

impl LipFit {
    /// Fits `source`'s lips to `target`; `None` without enough landmarks.
    pub fn new(target: Head<'_>, source: Head<'_>) -> Option<Self> {
        let poses = (&target.pose()?, &source.pose()?);
        let placements = (target.placement, source.placement);
        Self::of_poses(placements, poses, Ellipse::USUAL)
    }

    /// The same from what is known of the target and of the source; `None` for a head without size.
    pub fn of_poses(
        (placement, from): (&Placement, &Placement),
        (target, source): (&LipPose, &LipPose),
        ellipse: Ellipse,
    ) -> Option<Self> {
        let map = affine(source, target);
        let moved = |[x, y]: Point| map.apply(x, y);
        let (from_lips, lips) = (moved(source.lips), target.lips);
        let mut centre = [
            f32::midpoint(from_lips.0, lips[0]),
            f32::midpoint(from_lips.1, lips[1]) + BELOW,
        ];
        let mut ellipse = ellipse;
        let chin = moved(source.chin).1.max(target.chin[1]) + CHIN_ROOM;
        let longer = chin - (centre[1] + ellipse.radii[1]);
        if longer > 0.0 {
            centre[1] += longer / 2.0;
            ellipse.radii[1] += longer / 2.0;
        }
        let outline = |[x, y]: Point| [(x - centre[0]).abs(), y];
        let outlines = [
            source.jaw.map(|side| {
                side.map(|point| {
                    let (x, y) = moved(point);
                    outline([x, y])
                })
            }),
            target.jaw.map(|side| side.map(outline)),
        ];
        let to_source = from.crop_to_frame(CROP_SIZE).compose(&map.inverse()?);
        Some(Self {
            outlines,
            to_source,
            placement: *placement,
            ellipse,
            centre,
        })
    }

    /// The part of the target frame that changes: left, top, width and height in pixels.
    pub fn area(&self) -> (i64, i64, usize, usize) {
        let area = self.ellipse.bounds(self.centre, self.ellipse.soft / 2.0);
        pixels(&self.placement.bounds(&area))
    }

    /// The weight of the lips at a place of the target's crop, 0..1.
    fn weight(&self, [x, y]: Point) -> f32 {
        let Ellipse { radii, soft } = self.ellipse;
        let [across, down] = [x - self.centre[0], y - self.centre[1]];
        let far = (across / radii[0]).hypot(down / radii[1]);
        let inside = (1.0 - far) * radii[0] / soft;
        // Beside either face there is background, which moves with neither.
        let side = usize::from(across > 0.0);
        let room = self
            .outlines
            .iter()
            .map(|sides| width_at(&sides[side], y) - across.abs())
            .fold(f32::MAX, f32::min);
        (inside.min(room / soft) + 0.5).clamp(0.0, 1.0)
    }

    /// The lips in their new place: colours and weights for the pixels of `recorded`, which is the
    /// target frame from `(x, y)` on. `piece` is the source frame's [`Head::mouth_area`].
    pub fn draw(&self, recorded: &RgbF32, (x, y): (i64, i64), piece: &Piece) -> (RgbF32, Vec<f32>) {
        let (width, height) = (recorded.width, recorded.height);
        let mut drawn = recorded.clone();
        let mut alpha = vec![0.0; width * height];
        let mut differs = [0.0_f64; 3];
        let mut ring = 0_u32;
        let size = CROP_SIZE as f32;
        for (index, weight) in alpha.iter_mut().enumerate() {
            let (column, row) = (index % width, index / width);
            let place = [
                (x + column as i64) as f32 + 0.5,
                (y + row as i64) as f32 + 0.5,
            ];
            let place = self.placement.to_unit(place).map(|value| value * size);
            *weight = self.weight(place);
            if *weight <= 0.0 {
                continue;
            }
            let (u, v) = self.to_source.apply(place[0], place[1]);
            let colour = piece.at(u, v);
            if RING.contains(weight) {
                let own = recorded.pixel(column, row);
                for (sum, (own, other)) in differs.iter_mut().zip(own.iter().zip(&colour)) {
                    *sum += f64::from(own - other);
                }
                ring += 1;
            }
            drawn.set_pixel(column, row, colour);
        }
        let shift = differs.map(|sum| (sum / f64::from(ring.max(1))) as f32);
        for (pixel, weight) in drawn.data.chunks_exact_mut(3).zip(&alpha) {
            if *weight > 0.0 {
                for (value, shift) in pixel.iter_mut().zip(shift) {
                    *value = (*value + shift).clamp(0.0, 1.0);
                }
            }
        }
        (drawn, alpha)
    }
}

impl Piece {
    /// The colour at a frame position, bilinear; the border repeated.
    fn at(&self, u: f32, v: f32) -> [f32; 3] {
        let (u, v) = (u - self.x as f32 - 0.5, v - self.y as f32 - 0.5);
        let limit = |value: f32, size: usize| value.clamp(0.0, size.saturating_sub(1) as f32);
        let (u, v) = (limit(u, self.image.width), limit(v, self.image.height));
        let (left, top) = (u.floor(), v.floor());
        let (across, down) = (u - left, v - top);
        let pixel = |x: usize, y: usize| self.image.pixel(left as usize + x, top as usize + y);
        let corners = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
        let shares = [
            (1.0 - across) * (1.0 - down),
            across * (1.0 - down),
            (1.0 - across) * down,
            across * down,
        ];
        let mut colour = [0.0; 3];
        for (corner, share) in corners.iter().zip(shares) {
            for (value, &byte) in colour.iter_mut().zip(corner) {
                *value += share * f32::from(byte) / 255.0;
            }
        }
        colour
    }
}

#[cfg(test)]
mod tests;
