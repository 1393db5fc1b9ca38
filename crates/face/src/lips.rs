//! The lips of one frame laid over another, at the frames' own resolution.
//!
//! Both heads are the same person's, held alike. An affine map, fitted to points that hardly move
//! with the mouth and drawn towards a mere shift, takes the one mouth to the place of the other;
//! a soft ellipse around both mouths fades it in, and its colour is moved by what differs along
//! the ellipse's border. Training counterparts are made by the same rules; they must not drift
//! apart.

use crate::crop::{CROP_SIZE, Placement};
use crate::geometry::{Point, Rect};
use crate::mesh::{LIPS_INNER, LIPS_OUTER};
use media::image::{Affine, Rgb8, RgbF32};

/// Points around nose and cheeks, which tell how a head is turned and hardly move with the mouth.
const STABLE: [usize; 18] = [
    1, 2, 4, 5, 6, 168, 197, 195, 98, 327, 50, 280, 205, 425, 36, 266, 101, 330,
];

/// Which of them is brought to its place exactly: the base of the nose.
const ANCHOR: usize = 1;

/// Pull of the affine map towards a shift, squared crop pixels.
const RIDGE: f64 = 2000.0;

/// How far the ellipse's centre lies below that of the lips, crop pixels.
const BELOW: f32 = 8.0;

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

/// What laying lips over needs to know of a head, crop pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LipPose {
    stable: [Point; STABLE.len()],
    /// The middle of the lips.
    lips: Point,
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
        Some(LipPose {
            stable,
            lips: self.lips()?,
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
        let [x, y] = source.lips;
        let (moved, to) = (map.apply(x, y), target.lips);
        let centre = [
            f32::midpoint(moved.0, to[0]),
            f32::midpoint(moved.1, to[1]) + BELOW,
        ];
        let to_source = from.crop_to_frame(CROP_SIZE).compose(&map.inverse()?);
        Some(Self {
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
        let far = ((x - self.centre[0]) / radii[0]).hypot((y - self.centre[1]) / radii[1]);
        ((1.0 - far) * radii[0] / soft + 0.5).clamp(0.0, 1.0)
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

/// The affine map from the source's crop pixels to the target's: least squares over the stable
/// points with a pull towards no turn and no stretch, exact at the base of the nose.
fn affine(source: &LipPose, target: &LipPose) -> Affine {
    let mut pairs = [[[0.0_f64; 2]; 2]; STABLE.len()];
    let points = source.stable.iter().zip(&target.stable);
    for (pair, (from, to)) in pairs.iter_mut().zip(points) {
        *pair = [from, to].map(|point| point.map(f64::from));
    }
    let count = STABLE.len() as f64;
    let mean = |side: usize| -> [f64; 2] {
        [0, 1].map(|axis| pairs.iter().map(|pair| pair[side][axis]).sum::<f64>() / count)
    };
    let (from, to) = (mean(0), mean(1));
    // Normal equations: (A'A + ridge) M' = A'B + ridge.
    let mut square = [[RIDGE, 0.0], [0.0, RIDGE]];
    let mut cross = [[RIDGE, 0.0], [0.0, RIDGE]];
    for [a, b] in &pairs {
        let a = [a[0] - from[0], a[1] - from[1]];
        let b = [b[0] - to[0], b[1] - to[1]];
        for i in 0..2 {
            for j in 0..2 {
                square[i][j] += a[i] * a[j];
                cross[i][j] += a[i] * b[j];
            }
        }
    }
    let [[p, q], [r, s]] = square;
    let whole = p * s - q * r;
    let solve = |j: usize| {
        let (x, y) = (cross[0][j], cross[1][j]);
        [(s * x - q * y) / whole, (p * y - r * x) / whole]
    };
    let [[xx, xy], [yx, yy]] = [solve(0), solve(1)];
    let [anchor, goal] = pairs[ANCHOR];
    let x = goal[0] - xx * anchor[0] - xy * anchor[1];
    let y = goal[1] - yx * anchor[0] - yy * anchor[1];
    Affine([xx, xy, x, yx, yy, y].map(|value| value as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(x: f64, y: f64) -> Placement {
        Placement {
            a: 256.0,
            b: 0.0,
            x,
            y,
        }
    }

    /// A mesh whose points lie on a grid of crop pixels, shifted in the frame.
    fn mesh(x: f32, y: f32) -> Vec<Point> {
        (0..468)
            .map(|index| {
                let lips = LIPS_OUTER.contains(&index) || LIPS_INNER.contains(&index);
                let place = [
                    90.0 + (index * 37 % 75) as f32,
                    if lips {
                        180.0
                    } else {
                        80.0 + (index * 53 % 80) as f32
                    },
                ];
                [place[0] + x, place[1] + y]
            })
            .collect()
    }

    fn picture(x: i64, y: i64, width: usize, height: usize) -> Rgb8 {
        let mut image = Rgb8::new(width, height);
        for row in 0..height {
            for column in 0..width {
                let (u, v) = (x + column as i64, y + row as i64);
                image.set_pixel(column, row, [(u % 200) as u8, (v % 200) as u8, 90]);
            }
        }
        image
    }

    #[test]
    fn a_mouth_laid_over_itself_changes_nothing() {
        let (place, points) = (placement(10.0, 4.0), mesh(10.0, 4.0));
        let head = Head {
            placement: &place,
            landmarks: &points,
        };
        let fit = LipFit::new(head, head).unwrap();
        let (x, y, width, height) = fit.area();
        let recorded = picture(x, y, width, height).to_f32();
        let (px, py, pw, ph) = head.mouth_area().unwrap();
        let piece = Piece {
            x: px,
            y: py,
            image: picture(px, py, pw, ph),
        };
        let (drawn, alpha) = fit.draw(&recorded, (x, y), &piece);
        assert!(alpha.contains(&1.0));
        for (drawn, recorded) in drawn.data.iter().zip(&recorded.data) {
            assert!((drawn - recorded).abs() < 2e-3, "{drawn} {recorded}");
        }
    }

    #[test]
    fn a_head_elsewhere_in_the_frame_gives_the_same_mouth_in_its_place() {
        // The same head and the same pixels, 30 to the right and 20 down, all brighter.
        let (near, far) = (placement(0.0, 0.0), placement(30.0, 20.0));
        let (points, moved) = (mesh(0.0, 0.0), mesh(30.0, 20.0));
        let target = Head {
            placement: &near,
            landmarks: &points,
        };
        let source = Head {
            placement: &far,
            landmarks: &moved,
        };
        let fit = LipFit::new(target, source).unwrap();
        let (x, y, width, height) = fit.area();
        let recorded = picture(x, y, width, height).to_f32();
        let (px, py, pw, ph) = source.mouth_area().unwrap();
        let mut image = picture(px - 30, py - 20, pw, ph);
        for value in &mut image.data {
            *value += 20;
        }
        let piece = Piece {
            x: px,
            y: py,
            image,
        };
        let (drawn, alpha) = fit.draw(&recorded, (x, y), &piece);
        for (index, weight) in alpha.iter().enumerate() {
            if *weight > 0.0 {
                let (column, row) = (index % width, index / width);
                let (a, b) = (drawn.pixel(column, row), recorded.pixel(column, row));
                assert!(
                    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 4e-3),
                    "{a:?} {b:?}"
                );
            }
        }
    }

    #[test]
    fn too_few_points_give_no_fit() {
        let place = placement(0.0, 0.0);
        let head = Head {
            placement: &place,
            landmarks: &[[1.0, 2.0]],
        };
        assert!(LipFit::new(head, head).is_none());
        assert!(head.mouth_area().is_none());
    }
}
