//! Masks with soft edges.

use crate::image::Affine;

/// How much of a made picture is seen at each pixel: 0 none, 1 all.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` values in 0..=1, row by row.
    pub values: Vec<f32>,
}

/// A soft edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feather {
    /// Pixels over which the mask rises from 0 at its edge to 1, inwards.
    pub radius: f32,
}

impl Mask {
    /// A mask that is computed pixel by pixel; values are clamped to 0..=1.
    pub fn from_fn(width: usize, height: usize, value: impl Fn(f32, f32) -> f32) -> Self {
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                values.push(value(x as f32, y as f32).clamp(0.0, 1.0));
            }
        }
        Self {
            width,
            height,
            values,
        }
    }

    /// The pixels whose centres lie in `left..right` and `top..bottom`.
    pub fn rectangle(
        width: usize,
        height: usize,
        (left, top, right, bottom): (f32, f32, f32, f32),
    ) -> Self {
        Self::from_fn(width, height, |x, y| {
            f32::from(u8::from(x >= left && x < right && y >= top && y < bottom))
        })
    }

    /// The pixels of an upright ellipse.
    pub fn ellipse(
        width: usize,
        height: usize,
        (centre_x, centre_y): (f32, f32),
        (radius_x, radius_y): (f32, f32),
    ) -> Self {
        Self::from_fn(width, height, |x, y| {
            let across = (x - centre_x) / radius_x.max(1e-6);
            let down = (y - centre_y) / radius_y.max(1e-6);
            f32::from(u8::from(across * across + down * down <= 1.0))
        })
    }

    /// The pixels inside a polygon (even-odd rule), which is closed by itself.
    pub fn polygon(width: usize, height: usize, points: &[[f32; 2]]) -> Self {
        let mut values = vec![0.0; width * height];
        let edges: Vec<([f32; 2], [f32; 2])> = points
            .iter()
            .copied()
            .zip(points.iter().copied().cycle().skip(1))
            .collect();
        for (y, row) in values.chunks_exact_mut(width.max(1)).enumerate() {
            let y = y as f32;
            let mut crossings: Vec<f32> = edges
                .iter()
                .filter(|([_, y0], [_, y1])| (*y0 <= y) != (*y1 <= y))
                .map(|([x0, y0], [x1, y1])| x0 + (y - y0) / (y1 - y0) * (x1 - x0))
                .collect();
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                if let &[from, to] = pair {
                    let first = from.ceil().clamp(0.0, width as f32) as usize;
                    let last = (to.floor() + 1.0).clamp(0.0, width as f32) as usize;
                    if let Some(inside) = row.get_mut(first..last.max(first)) {
                        inside.fill(1.0);
                    }
                }
            }
        }
        Self {
            width,
            height,
            values,
        }
    }

    /// The mask's value; zero outside.
    pub fn get(&self, x: usize, y: usize) -> f32 {
        if x >= self.width {
            return 0.0;
        }
        self.values.get(y * self.width + x).copied().unwrap_or(0.0)
    }

    /// The mask seen through a map, as `RgbF32::warp_affine` does it; zero beyond the border.
    #[must_use]
    pub fn warp_affine(&self, width: usize, height: usize, inverse: &Affine) -> Self {
        Self::from_fn(width, height, |x, y| {
            let (x, y) = inverse.apply(x, y);
            let (left, top) = (x.floor(), y.floor());
            let (right_weight, lower_weight) = (x - left, y - top);
            let at = |x: f32, y: f32| {
                if x < 0.0 || y < 0.0 {
                    0.0
                } else {
                    self.get(x as usize, y as usize)
                }
            };
            let upper = at(left, top) * (1.0 - right_weight) + at(left + 1.0, top) * right_weight;
            let lower = at(left, top + 1.0) * (1.0 - right_weight)
                + at(left + 1.0, top + 1.0) * right_weight;
            upper * (1.0 - lower_weight) + lower * lower_weight
        })
    }

    /// The product with another mask of the same size; the rest of a smaller one counts as zero.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::from_fn(self.width, self.height, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let inside = y < other.height;
            self.get(x, y) * if inside { other.get(x, y) } else { 0.0 }
        })
    }

    /// The smallest rectangle (x, y, width, height) outside which the mask is zero; `None` where
    /// it is zero everywhere.
    pub fn bounds(&self) -> Option<(usize, usize, usize, usize)> {
        let mut bounds: Option<(usize, usize, usize, usize)> = None;
        for (index, _) in self
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > 0.0)
        {
            let (x, y) = (index % self.width, index / self.width);
            let (left, top, right, bottom) = bounds.unwrap_or((x, y, x, y));
            bounds = Some((left.min(x), top.min(y), right.max(x), bottom.max(y)));
        }
        bounds.map(|(left, top, right, bottom)| (left, top, right - left + 1, bottom - top + 1))
    }
}

impl Feather {
    /// The mask with a soft edge inside its own: 0 outside, rising smoothly over the radius. The
    /// picture's border is not an edge.
    pub fn apply(&self, mask: &Mask) -> Mask {
        if self.radius <= 0.0 {
            return mask.clone();
        }
        let distance = distance_inside(mask);
        let values = mask
            .values
            .iter()
            .zip(&distance)
            .map(|(value, distance)| {
                let along = ((distance - 0.5) / self.radius).clamp(0.0, 1.0);
                // Smoothstep: no visible line at either end.
                value * along * along * (3.0 - 2.0 * along)
            })
            .collect();
        Mask {
            width: mask.width,
            height: mask.height,
            values,
        }
    }
}

/// Distance in pixels from each pixel to the nearest one outside the mask (below one half).
/// Exact, by the lower envelope of parabolas along columns and then rows (Felzenszwalb and
/// Huttenlocher, "Distance Transforms of Sampled Functions").
fn distance_inside(mask: &Mask) -> Vec<f32> {
    const FAR: f32 = 1e12;
    let (width, height) = (mask.width, mask.height);
    let mut field: Vec<f32> = mask
        .values
        .iter()
        .map(|&value| if value < 0.5 { 0.0 } else { FAR })
        .collect();
    for x in 0..width {
        let column: Vec<f32> = field.iter().skip(x).step_by(width).copied().collect();
        let column = envelope(&column);
        for (target, value) in field.iter_mut().skip(x).step_by(width).zip(column) {
            *target = value;
        }
    }
    for row in field.chunks_exact_mut(width.max(1)).take(height) {
        let values = envelope(row);
        row.copy_from_slice(&values);
    }
    field.iter().map(|value| value.sqrt()).collect()
}

/// `min over j of (i - j)^2 + f(j)` for every i.
fn envelope(f: &[f32]) -> Vec<f32> {
    // Parabolas of the envelope: their place, and where each begins to be the lowest.
    let mut parts: Vec<(usize, f64)> = Vec::with_capacity(f.len());
    let height = |at: usize| f64::from(f.get(at).copied().unwrap_or(0.0)) + (at as f64).powi(2);
    for place in 0..f.len() {
        let mut begin = f64::NEG_INFINITY;
        while let Some(&(other, other_begin)) = parts.last() {
            begin = (height(place) - height(other)) / (2.0 * (place as f64 - other as f64));
            if begin > other_begin {
                break;
            }
            parts.pop();
            begin = f64::NEG_INFINITY;
        }
        parts.push((place, begin));
    }
    let mut result = Vec::with_capacity(f.len());
    let mut part = 0;
    for place in 0..f.len() {
        while parts
            .get(part + 1)
            .is_some_and(|&(_, begin)| begin < place as f64)
        {
            part += 1;
        }
        let lowest = parts.get(part).map_or(0, |&(lowest, _)| lowest);
        let across = place as f32 - lowest as f32;
        result.push(across * across + f.get(lowest).copied().unwrap_or(0.0));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_are_those_of_a_plain_search(bits in prop::collection::vec(prop::bool::weighted(0.7), 63)) {
            let mask = Mask { width: 9, height: 7, values: bits.iter().map(|&b| f32::from(u8::from(b))).collect() };
            let fast = distance_inside(&mask);
            let outside: Vec<usize> = (0..63).filter(|&i| !bits[i]).collect();
            prop_assume!(!outside.is_empty());
            for (index, distance) in fast.iter().enumerate() {
                let slow = outside.iter().map(|&other| {
                    let dx = (index % 9) as f32 - (other % 9) as f32;
                    let dy = (index / 9) as f32 - (other / 9) as f32;
                    (dx * dx + dy * dy).sqrt()
                }).fold(f32::MAX, f32::min);
                prop_assert!((distance - slow).abs() < 1e-3, "{} {}", distance, slow);
            }
        }
    }

    #[test]
    fn a_feather_rises_inwards_and_leaves_the_outside_alone() {
        let mask = Mask::rectangle(40, 40, (10.0, 10.0, 30.0, 30.0));
        let soft = Feather { radius: 5.0 }.apply(&mask);
        assert!(soft.get(9, 20).abs() < 1e-6);
        assert!(soft.get(10, 20) < 0.1 && soft.get(12, 20) > soft.get(11, 20));
        assert!((soft.get(20, 20) - 1.0).abs() < 1e-6);
        assert_eq!(soft.bounds(), Some((10, 10, 20, 20)));
    }

    #[test]
    fn a_mask_up_to_the_border_stays_full_there() {
        let mask = Mask::rectangle(20, 20, (0.0, 0.0, 20.0, 10.0));
        let soft = Feather { radius: 4.0 }.apply(&mask);
        assert!((soft.get(0, 0) - 1.0).abs() < 1e-6);
        assert!(soft.get(0, 9) < 0.1);
    }

    #[test]
    fn a_polygon_is_filled() {
        let mask = Mask::polygon(
            20,
            20,
            &[[2.0, 2.0], [15.0, 2.0], [15.0, 12.0], [2.0, 12.0]],
        );
        assert!((mask.values.iter().sum::<f32>() - 14.0 * 10.0).abs() < 15.0);
        assert!(mask.get(8, 8) > 0.5 && mask.get(18, 8) < 0.5);
        assert!(Mask::polygon(4, 4, &[]).bounds().is_none());
    }

    #[test]
    fn warping_by_a_shift_moves_the_mask() {
        let mask = Mask::rectangle(20, 20, (5.0, 5.0, 10.0, 10.0));
        let moved = mask.warp_affine(20, 20, &Affine::translation(-3.0, -2.0));
        assert_eq!(moved.bounds(), Some((8, 7, 5, 5)));
    }
}
