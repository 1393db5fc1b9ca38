//! Interleaved RGB images and what is done to their geometry.
//!
//! Pixel positions are pixel centres at integers; `data` runs row by row, three values a pixel.

mod affine;
mod resize;
mod warp;

pub use affine::Affine;

use std::fmt;

/// An interleaved 8-bit RGB image; `data` has `width * height * 3` values.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green, blue of every pixel, row by row.
    pub data: Vec<u8>,
}

/// An interleaved RGB image of floats, black 0 and white 1 (values beyond are kept);
/// `data` has `width * height * 3` values.
#[derive(Clone, PartialEq)]
pub struct RgbF32 {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green, blue of every pixel, row by row.
    pub data: Vec<f32>,
}

impl Rgb8 {
    /// A black image.
    pub fn new(width: usize, height: usize) -> Self {
        Self::filled(width, height, [0; 3])
    }

    /// An image of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            data: colour.repeat(width * height),
        }
    }

    /// An image of given pixels; `None` unless `data` has `width * height * 3` values.
    pub fn from_vec(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        (data.len() == width * height * 3).then_some(Self {
            width,
            height,
            data,
        })
    }

    /// The colour at `(x, y)`; positions outside give the nearest border pixel, black in an
    /// empty image.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        pixel(&self.data, self.width, self.height, x, y)
    }

    /// Sets the colour at `(x, y)`; positions outside are ignored.
    pub fn set_pixel(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        set_pixel(&mut self.data, self.width, self.height, x, y, colour);
    }

    /// The same image as floats in 0..=1.
    pub fn to_f32(&self) -> RgbF32 {
        RgbF32 {
            width: self.width,
            height: self.height,
            data: self
                .data
                .iter()
                .map(|&value| f32::from(value) / 255.0)
                .collect(),
        }
    }

    /// The `width` x `height` pixels whose top left one is at `(x, y)`, which may lie outside:
    /// the border is repeated.
    #[must_use]
    pub fn crop(&self, x: i64, y: i64, width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: crop(
                &self.data,
                (self.width, self.height),
                (x, y),
                (width, height),
            ),
        }
    }

    /// Resized to `width` x `height`: area averaging where it shrinks, bilinear where it grows.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let source: Vec<f32> = self.data.iter().map(|&value| f32::from(value)).collect();
        let data = resize::resize(&source, (self.width, self.height), (width, height), 3);
        Self {
            width,
            height,
            data: data.into_iter().map(round_u8).collect(),
        }
    }

    /// An image of `width` x `height` whose pixel `p` shows `self` at `inverse(p)`, sampled
    /// bilinearly; beyond the border the border pixel is repeated. Where the map shrinks, use
    /// [`Rgb8::resize`] first or the result aliases.
    #[must_use]
    pub fn warp_affine(&self, width: usize, height: usize, inverse: &Affine) -> Self {
        Self {
            width,
            height,
            data: warp::warp(
                &self.data,
                (self.width, self.height),
                (width, height),
                inverse,
                f32::from,
                round_u8,
            ),
        }
    }
}

impl RgbF32 {
    /// A black image.
    pub fn new(width: usize, height: usize) -> Self {
        Self::filled(width, height, [0.0; 3])
    }

    /// An image of one colour.
    pub fn filled(width: usize, height: usize, colour: [f32; 3]) -> Self {
        Self {
            width,
            height,
            data: colour.repeat(width * height),
        }
    }

    /// An image of given pixels; `None` unless `data` has `width * height * 3` values.
    pub fn from_vec(width: usize, height: usize, data: Vec<f32>) -> Option<Self> {
        (data.len() == width * height * 3).then_some(Self {
            width,
            height,
            data,
        })
    }

    /// The colour at `(x, y)`; positions outside give the nearest border pixel, black in an
    /// empty image.
    pub fn pixel(&self, x: usize, y: usize) -> [f32; 3] {
        pixel(&self.data, self.width, self.height, x, y)
    }

    /// Sets the colour at `(x, y)`; positions outside are ignored.
    pub fn set_pixel(&mut self, x: usize, y: usize, colour: [f32; 3]) {
        set_pixel(&mut self.data, self.width, self.height, x, y, colour);
    }

    /// The same image with 8 bits a channel, rounded and clamped.
    pub fn to_rgb8(&self) -> Rgb8 {
        Rgb8 {
            width: self.width,
            height: self.height,
            data: self
                .data
                .iter()
                .map(|&value| round_u8(value * 255.0))
                .collect(),
        }
    }

    /// The `width` x `height` pixels whose top left one is at `(x, y)`, which may lie outside:
    /// the border is repeated.
    #[must_use]
    pub fn crop(&self, x: i64, y: i64, width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: crop(
                &self.data,
                (self.width, self.height),
                (x, y),
                (width, height),
            ),
        }
    }

    /// Resized to `width` x `height`: area averaging where it shrinks, bilinear where it grows.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        Self {
            width,
            height,
            data: resize::resize(&self.data, (self.width, self.height), (width, height), 3),
        }
    }

    /// An image of `width` x `height` whose pixel `p` shows `self` at `inverse(p)`, sampled
    /// bilinearly; beyond the border the border pixel is repeated. Where the map shrinks, use
    /// [`RgbF32::resize`] first or the result aliases.
    #[must_use]
    pub fn warp_affine(&self, width: usize, height: usize, inverse: &Affine) -> Self {
        Self {
            width,
            height,
            data: warp::warp(
                &self.data,
                (self.width, self.height),
                (width, height),
                inverse,
                |value| value,
                |value| value,
            ),
        }
    }
}

/// Resizes one channel (`width * height` values, a mask for example) like [`RgbF32::resize`].
pub fn resize_plane(data: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    resize::resize(data, from, to, 1)
}

impl fmt::Debug for Rgb8 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rgb8({}x{})", self.width, self.height)
    }
}

impl fmt::Debug for RgbF32 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RgbF32({}x{})", self.width, self.height)
    }
}

fn round_u8(value: f32) -> u8 {
    // A float to integer cast saturates, and takes NaN to zero.
    (value + 0.5) as u8
}

fn pixel<T: Copy + Default>(data: &[T], width: usize, height: usize, x: usize, y: usize) -> [T; 3] {
    let x = x.min(width.saturating_sub(1));
    let y = y.min(height.saturating_sub(1));
    let start = (y * width + x) * 3;
    match data.get(start..start + 3) {
        Some(&[red, green, blue]) => [red, green, blue],
        _ => [T::default(); 3],
    }
}

fn set_pixel<T: Copy>(
    data: &mut [T],
    width: usize,
    height: usize,
    x: usize,
    y: usize,
    colour: [T; 3],
) {
    if x >= width || y >= height {
        return;
    }
    let start = (y * width + x) * 3;
    if let Some(target) = data.get_mut(start..start + 3) {
        target.copy_from_slice(&colour);
    }
}

fn crop<T: Copy + Default>(
    data: &[T],
    size: (usize, usize),
    at: (i64, i64),
    out: (usize, usize),
) -> Vec<T> {
    let mut result = Vec::with_capacity(out.0 * out.1 * 3);
    let inside = |value: i64, limit: usize| value.clamp(0, limit.saturating_sub(1) as i64) as usize;
    for row in 0..out.1 {
        let y = inside(at.1 + row as i64, size.1);
        for column in 0..out.0 {
            let x = inside(at.0 + column as i64, size.0);
            result.extend_from_slice(&pixel(data, size.0, size.1, x, y));
        }
    }
    result
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are copied, not computed")]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Rgb8 {
        let mut image = Rgb8::new(width, height);
        for y in 0..height {
            for x in 0..width {
                image.set_pixel(x, y, [x as u8, y as u8, (x * y) as u8]);
            }
        }
        image
    }

    #[test]
    fn a_crop_across_the_border_repeats_it() {
        let image = ramp(5, 4);
        let crop = image.crop(-2, -1, 4, 6);
        assert_eq!(crop.pixel(0, 0), image.pixel(0, 0));
        assert_eq!(crop.pixel(3, 1), image.pixel(1, 0));
        assert_eq!(crop.pixel(3, 5), image.pixel(1, 3));
    }

    #[test]
    fn floats_hold_every_8_bit_value() {
        let image = ramp(16, 16);
        assert_eq!(image.to_f32().to_rgb8(), image);
    }

    #[test]
    fn conversion_to_8_bits_saturates() {
        let image = RgbF32::filled(1, 1, [-0.5, 2.0, f32::NAN]);
        assert_eq!(image.to_rgb8().pixel(0, 0), [0, 255, 0]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert!(Rgb8::from_vec(2, 2, vec![0; 11]).is_none());
        assert!(RgbF32::from_vec(2, 2, vec![0.0; 12]).is_some());
    }

    #[test]
    fn empty_images_do_nothing_bad() {
        let image = RgbF32::new(0, 0);
        assert_eq!(image.pixel(3, 3), [0.0; 3]);
        assert_eq!(image.resize(2, 2).data.len(), 12);
        assert_eq!(image.warp_affine(2, 2, &Affine::IDENTITY).data.len(), 12);
        assert_eq!(image.crop(0, 0, 2, 2).data.len(), 12);
    }
}
