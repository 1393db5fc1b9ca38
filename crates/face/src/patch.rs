//! A piece of a frame to be laid over it.

use media::image::RgbF32;

/// A piece of a frame to be laid over it: colour and weight of every pixel of a rectangle.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Frame x of its left column.
    pub x: usize,
    /// Frame y of its top row.
    pub y: usize,
    /// Colours, as large as the patch.
    pub image: RgbF32,
    /// Weight of each pixel, 0 (recorded) to 1 (made), row by row.
    pub alpha: Vec<f32>,
}

/// 0 up to the border (`inside` <= 0), 1 from `feather` inwards, a smooth step between.
pub(crate) fn rise(inside: f32, feather: f32) -> f32 {
    let t = (inside / feather.max(1e-6)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::rise;

    #[test]
    fn a_rise_is_smooth_and_ends_where_it_should() {
        assert_eq!(
            (
                rise(-1.0, 2.0),
                rise(0.0, 2.0),
                rise(2.0, 2.0),
                rise(9.0, 2.0)
            ),
            (0.0, 0.0, 1.0, 1.0)
        );
        assert!((rise(1.0, 2.0) - 0.5).abs() < 1e-6);
        assert!((1..100).all(|i| rise(i as f32, 100.0) > rise((i - 1) as f32, 100.0)));
        assert_eq!(rise(0.1, 0.0), 1.0);
    }
}
