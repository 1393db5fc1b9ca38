//! Quarter turns of images.

use crate::image::{Rgb8, RgbF32};
use crate::info::Rotation;
use std::borrow::Cow;

/// An image, turned.
pub(super) fn rgb8(image: Rgb8, rotation: Rotation) -> Rgb8 {
    if rotation == Rotation::None {
        return image;
    }
    let (width, height, data) = turn(&image.data, image.width, image.height, 3, rotation);
    Rgb8 {
        width,
        height,
        data,
    }
}

/// A turned copy; the image itself where there is nothing to turn.
pub(super) fn rgb_f32(image: &RgbF32, rotation: Rotation) -> Cow<'_, RgbF32> {
    if rotation == Rotation::None {
        return Cow::Borrowed(image);
    }
    let (width, height, data) = turn(&image.data, image.width, image.height, 3, rotation);
    Cow::Owned(RgbF32 {
        width,
        height,
        data,
    })
}

/// A turned copy of `channels` interleaved channels, with its width and height.
pub(super) fn turn<T: Copy>(
    data: &[T],
    width: usize,
    height: usize,
    channels: usize,
    rotation: Rotation,
) -> (usize, usize, Vec<T>) {
    let (out_width, out_height) = if rotation.swaps() {
        (height, width)
    } else {
        (width, height)
    };
    let mut result = Vec::with_capacity(data.len());
    for y in 0..out_height {
        for x in 0..out_width {
            let (source_x, source_y) = match rotation {
                Rotation::None => (x, y),
                Rotation::Quarter => (y, height - 1 - x),
                Rotation::Half => (width - 1 - x, height - 1 - y),
                Rotation::ThreeQuarters => (width - 1 - y, x),
            };
            let start = (source_y * width + source_x) * channels;
            result.extend_from_slice(data.get(start..start + channels).unwrap_or_default());
        }
    }
    (out_width, out_height, result)
}

/// A rectangle of the turned picture as a rectangle of the stored one (`width` x `height`):
/// the stored rectangle's top left corner and size.
pub(super) fn stored_rectangle(
    (x, y, w, h): (i64, i64, usize, usize),
    width: usize,
    height: usize,
    rotation: Rotation,
) -> (i64, i64, usize, usize) {
    let (wide, high) = (width as i64, height as i64);
    match rotation {
        Rotation::None => (x, y, w, h),
        Rotation::Quarter => (y, high - x - w as i64, h, w),
        Rotation::Half => (wide - x - w as i64, high - y - h as i64, w, h),
        Rotation::ThreeQuarters => (wide - y - h as i64, x, h, w),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_moves_the_top_left_to_the_top_right() {
        let (width, height, data) = turn(&[1, 2, 3, 4, 5, 6], 3, 2, 1, Rotation::Quarter);
        assert_eq!((width, height), (2, 3));
        assert_eq!(data, [4, 1, 5, 2, 6, 3]);
    }

    #[test]
    fn every_turn_is_undone_by_its_inverse() {
        let data: Vec<u32> = (0..3 * 5).collect();
        for rotation in [
            Rotation::None,
            Rotation::Quarter,
            Rotation::Half,
            Rotation::ThreeQuarters,
        ] {
            let (width, height, turned) = turn(&data, 5, 3, 1, rotation);
            let (_, _, back) = turn(&turned, width, height, 1, rotation.inverse());
            assert_eq!(back, data);
        }
    }

    #[test]
    fn a_rectangle_of_the_turned_picture_is_found_in_the_stored_one() {
        let data: Vec<u32> = (0..7 * 5).collect();
        for rotation in [
            Rotation::None,
            Rotation::Quarter,
            Rotation::Half,
            Rotation::ThreeQuarters,
        ] {
            let (turned_width, _, turned) = turn(&data, 7, 5, 1, rotation);
            let (x, y, w, h) = stored_rectangle((1, 2, 3, 2), 7, 5, rotation);
            let mut cut = Vec::new();
            for row in 0..h {
                for column in 0..w {
                    cut.push(data[(y as usize + row) * 7 + x as usize + column]);
                }
            }
            let (_, _, cut) = turn(&cut, w, h, 1, rotation);
            let mut expected = Vec::new();
            for row in 2..4 {
                for column in 1..4 {
                    expected.push(turned[row * turned_width + column]);
                }
            }
            assert_eq!(cut, expected, "{rotation:?}");
        }
    }
}
