//! Boxes and squares in frame pixels.
//!
//! Positions are continuous: the top left pixel covers `0..1` in both directions, so its centre is
//! at `(0.5, 0.5)` and the frame reaches from 0 to its width. (`media::image` counts from pixel
//! centres instead; [`to_pixel_centres`] is the one place where the two meet.)

use media::image::Affine;

/// A position in frame pixels, x to the right, y down.
pub type Point = [f32; 2];

/// An axis-aligned box; empty where `right <= left` or `bottom <= top`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Smallest x.
    pub left: f32,
    /// Smallest y.
    pub top: f32,
    /// Largest x.
    pub right: f32,
    /// Largest y.
    pub bottom: f32,
}

impl Rect {
    /// A box from its two corners.
    pub fn new(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    /// The smallest box around points; `None` without points.
    pub fn around(points: impl IntoIterator<Item = Point>) -> Option<Self> {
        points
            .into_iter()
            .fold(None, |found: Option<Self>, [x, y]| {
                let point = Self::new(x, y, x, y);
                Some(found.map_or(point, |rect| rect.union(&point)))
            })
    }

    /// Pixels across.
    pub fn width(&self) -> f32 {
        (self.right - self.left).max(0.0)
    }

    /// Pixels down.
    pub fn height(&self) -> f32 {
        (self.bottom - self.top).max(0.0)
    }

    /// Square pixels.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The middle.
    pub fn centre(&self) -> Point {
        [
            f32::midpoint(self.left, self.right),
            f32::midpoint(self.top, self.bottom),
        ]
    }

    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        self.area() <= 0.0
    }

    /// Whether a point lies inside or on the border.
    pub fn contains(&self, [x, y]: Point) -> bool {
        x >= self.left && x <= self.right && y >= self.top && y <= self.bottom
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// What both cover; empty where they do not meet.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        }
    }

    /// The part inside a frame of `width` x `height` pixels.
    #[must_use]
    pub fn clamp(&self, width: usize, height: usize) -> Self {
        self.intersection(&Self::new(0.0, 0.0, width as f32, height as f32))
    }

    /// Stretched about its centre.
    #[must_use]
    pub fn scale(&self, factor: f32) -> Self {
        let [x, y] = self.centre();
        let (w, h) = (self.width() * factor / 2.0, self.height() * factor / 2.0);
        Self::new(x - w, y - h, x + w, y + h)
    }

    /// Moved by `(x, y)` pixels.
    #[must_use]
    pub fn shift(&self, x: f32, y: f32) -> Self {
        Self::new(self.left + x, self.top + y, self.right + x, self.bottom + y)
    }

    /// Grown by a margin in pixels on every side.
    #[must_use]
    pub fn grow(&self, margin: f32) -> Self {
        Self::new(
            self.left - margin,
            self.top - margin,
            self.right + margin,
            self.bottom + margin,
        )
    }

    /// Intersection over union, 0 (apart) to 1 (equal).
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = self.intersection(other).area();
        let total = self.area() + other.area() - shared;
        if total > 0.0 { shared / total } else { 0.0 }
    }

    /// Whole pixels that the box touches inside a frame of `width` x `height`:
    /// `(x, y, width, height)`, zero-sized where it lies outside.
    pub fn pixels(&self, width: usize, height: usize) -> (usize, usize, usize, usize) {
        let inside = self.clamp(width, height);
        if inside.is_empty() {
            return (0, 0, 0, 0);
        }
        let (x, y) = (inside.left.floor() as usize, inside.top.floor() as usize);
        let right = (inside.right.ceil() as usize).min(width);
        let bottom = (inside.bottom.ceil() as usize).min(height);
        (x, y, right - x, bottom - y)
    }
}

/// A turned square: what the landmark network looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    /// Its middle in frame pixels.
    pub centre: Point,
    /// Side in frame pixels.
    pub side: f32,
    /// How far it is turned, radians, x towards y.
    pub angle: f32,
}

impl Square {
    /// The map from the unit square to frame positions.
    pub(crate) fn unit_to_frame(&self) -> Affine {
        let (sin, cos) = self.angle.sin_cos();
        let (c, s) = (self.side * cos, self.side * sin);
        let [x, y] = self.centre;
        Affine([c, -s, x - (c - s) / 2.0, s, c, y - f32::midpoint(s, c)])
    }
}

/// Distance between two points.
pub(crate) fn distance(a: Point, b: Point) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Turns a map between continuous positions into one between pixel-centre positions, as
/// `media::image` wants them: centre `i` of either side lies at `i + 0.5`.
pub fn to_pixel_centres(map: &Affine) -> Affine {
    let [a, b, c, d, e, f] = map.0;
    Affine([
        a,
        b,
        c + f32::midpoint(a, b) - 0.5,
        d,
        e,
        f + f32::midpoint(d, e) - 0.5,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect() -> impl Strategy<Value = Rect> {
        (
            -50.0_f32..50.0,
            -50.0_f32..50.0,
            0.5_f32..80.0,
            0.5_f32..80.0,
        )
            .prop_map(|(x, y, w, h)| Rect::new(x, y, x + w, y + h))
    }

    proptest! {
        #[test]
        fn a_union_holds_both_and_nothing_smaller_does(a in rect(), b in rect()) {
            let both = a.union(&b);
            prop_assert_eq!(both.union(&a), both);
            prop_assert_eq!(both.intersection(&a), a);
            prop_assert_eq!(both.intersection(&b), b);
            prop_assert_eq!(both.left, a.left.min(b.left));
            prop_assert_eq!(both.bottom, a.bottom.max(b.bottom));
        }

        #[test]
        fn overlap_is_symmetric_and_one_only_for_equals(a in rect(), b in rect(), far in 500.0_f32..900.0) {
            prop_assert!((a.overlap(&b) - b.overlap(&a)).abs() < 1e-6);
            prop_assert!((a.overlap(&a) - 1.0).abs() < 1e-6);
            prop_assert!(a.overlap(&a.scale(1.5)) < 0.5);
            prop_assert_eq!(a.overlap(&b.shift(far, 0.0)), 0.0);
        }

        #[test]
        fn scaling_keeps_the_centre_and_multiplies_the_area(a in rect(), factor in 0.2_f32..4.0) {
            let scaled = a.scale(factor);
            prop_assert!(distance(a.centre(), scaled.centre()) < 1e-3);
            prop_assert!((scaled.area() / a.area() - factor * factor).abs() < 1e-2 * factor * factor);
        }

        #[test]
        fn whole_pixels_cover_the_part_inside(a in rect()) {
            let (x, y, w, h) = a.pixels(40, 30);
            prop_assert!(x + w <= 40 && y + h <= 30);
            let inside = a.clamp(40, 30);
            if !inside.is_empty() {
                prop_assert!(x as f32 <= inside.left && (x + w) as f32 >= inside.right);
                prop_assert!(y as f32 <= inside.top && (y + h) as f32 >= inside.bottom);
                prop_assert!((w as f32) < inside.width() + 2.0 && (h as f32) < inside.height() + 2.0);
            }
        }

        #[test]
        fn a_square_maps_its_middle_and_corners(x in -9.0_f32..9.0, y in -9.0_f32..9.0, side in 1.0_f32..50.0, angle in -3.0_f32..3.0) {
            let square = Square { centre: [x, y], side, angle };
            let map = square.unit_to_frame();
            let (u, v) = map.apply(0.5, 0.5);
            prop_assert!(distance([u, v], [x, y]) < 1e-3);
            let (a, b) = (map.apply(0.0, 0.0), map.apply(1.0, 0.0));
            prop_assert!(((b.1 - a.1).atan2(b.0 - a.0) - angle).abs() < 1e-3);
            prop_assert!((distance([a.0, a.1], [b.0, b.1]) - side).abs() < 1e-2);
        }
    }

    #[test]
    fn no_points_have_no_box() {
        assert!(Rect::around([]).is_none());
        let rect = Rect::around([[3.0, 1.0], [-1.0, 4.0]]).unwrap();
        assert_eq!(rect, Rect::new(-1.0, 1.0, 3.0, 4.0));
    }

    #[test]
    fn pixel_centres_lie_half_a_pixel_in() {
        // Twice as large: continuous 3.0 is 1.5, so centre 2.5 + 0.5 = 3.0 is at 1.5 - 0.5 = 1.0.
        let (x, _) = to_pixel_centres(&Affine::scale(0.5, 0.5)).apply(2.5, 0.0);
        assert!((x - 1.0).abs() < 1e-6);
    }
}
