//! Bilinear sampling through an affine map.

use super::Affine;

/// The `out` sized image whose pixel `p` shows the source at `inverse(p)`; three channels.
pub(super) fn warp<T: Copy + Default>(
    data: &[T],
    size: (usize, usize),
    out: (usize, usize),
    inverse: &Affine,
    read: impl Fn(T) -> f32,
    write: impl Fn(f32) -> T,
) -> Vec<T> {
    if size.0 == 0 || size.1 == 0 || data.len() < size.0 * size.1 * 3 {
        return vec![T::default(); out.0 * out.1 * 3];
    }
    let mut result = Vec::with_capacity(out.0 * out.1 * 3);
    let (right, bottom) = (size.0 - 1, size.1 - 1);
    for row in 0..out.1 {
        for column in 0..out.0 {
            let (x, y) = inverse.apply(column as f32, row as f32);
            let (left, next_x, weight_x) = neighbours(x, right);
            let (top, next_y, weight_y) = neighbours(y, bottom);
            let at = |x: usize, y: usize| (y * size.0 + x) * 3;
            let corners = [
                at(left, top),
                at(next_x, top),
                at(left, next_y),
                at(next_x, next_y),
            ];
            for channel in 0..3 {
                let [a, b, c, d] =
                    corners.map(|start| data.get(start + channel).copied().map_or(0.0, &read));
                let upper = a + (b - a) * weight_x;
                let lower = c + (d - c) * weight_x;
                result.push(write(upper + (lower - upper) * weight_y));
            }
        }
    }
    result
}

/// The two pixels around a position and the weight of the second; clamped to `0..=last`.
fn neighbours(position: f32, last: usize) -> (usize, usize, f32) {
    // `max` before `min` also takes NaN to zero.
    let position = position.max(0.0).min(last as f32);
    let first = position.floor();
    let index = (first as usize).min(last);
    (index, (index + 1).min(last), position - first)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are copied, not computed")]
mod tests {
    use crate::image::{Affine, RgbF32};

    fn plane(width: usize, height: usize) -> RgbF32 {
        let mut image = RgbF32::new(width, height);
        for y in 0..height {
            for x in 0..width {
                image.set_pixel(x, y, [x as f32, y as f32, (x + 2 * y) as f32]);
            }
        }
        image
    }

    #[test]
    fn the_identity_changes_nothing() {
        let image = plane(7, 5);
        assert_eq!(image.warp_affine(7, 5, &Affine::IDENTITY), image);
    }

    #[test]
    fn a_linear_image_is_sampled_exactly() {
        let image = plane(40, 30);
        let inverse = Affine::similarity(0.7, 0.3, 11.0, 6.0);
        let out = image.warp_affine(16, 12, &inverse);
        for y in 0..12 {
            for x in 0..16 {
                let (u, v) = inverse.apply(x as f32, y as f32);
                let [red, green, blue] = out.pixel(x, y);
                assert!((red - u).abs() < 1e-3 && (green - v).abs() < 1e-3);
                assert!((blue - (u + 2.0 * v)).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn beyond_the_border_the_border_is_repeated() {
        let image = plane(4, 4);
        let out = image.warp_affine(3, 1, &Affine::translation(-100.0, 100.0));
        assert_eq!(out.pixel(2, 0), image.pixel(0, 3));
        let wild = image.warp_affine(1, 1, &Affine([f32::NAN; 6]));
        assert_eq!(wild.pixel(0, 0), image.pixel(0, 0));
    }
}
