//! Decoded pictures in their native planar `YCbCr`.

mod convert;
mod region;
mod turn;

pub(crate) use convert::Levels;

use crate::image::{Rgb8, RgbF32};
use crate::info::{Chroma, ColourTags, PixelFormat, Rotation};
use thiserror::Error;
use units::Seconds;

/// The samples of one plane, row by row without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// 8 bits a sample.
    Bytes(Vec<u8>),
    /// More than 8 bits a sample, in the low bits of a word.
    Words(Vec<u16>),
}

/// One plane of a picture: luma, or one chroma component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` samples.
    pub samples: Samples,
}

/// A picture that can't be made or combined.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// Planes that do not belong to a picture of this size and format.
    #[error("the planes do not make a {width}x{height} picture of {format}")]
    Planes {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Format.
        format: PixelFormat,
    },
    /// Two pictures of different size or format.
    #[error(
        "a {}x{} picture of {} can't be combined with one of {}x{}, {}",
        one.0, one.1, one.2, two.0, two.1, two.2
    )]
    Different {
        /// Width, height and format of the first.
        one: (usize, usize, PixelFormat),
        /// Width, height and format of the second.
        two: (usize, usize, PixelFormat),
    },
    /// An alpha mask whose length is not that of the image.
    #[error("a mask of {found} values for an image of {expected} pixels")]
    Mask {
        /// Values given.
        found: usize,
        /// Pixels of the image.
        expected: usize,
    },
}

/// A picture as decoded: planar `YCbCr` in stored orientation.
///
/// Everything that takes or gives RGB works in *display* orientation: rotation is applied on
/// the way out and undone on the way in.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    width: usize,
    height: usize,
    format: PixelFormat,
    planes: Vec<Plane>,
    /// Colour tags.
    pub colour: ColourTags,
    /// The turn that shows the stored picture upright.
    pub rotation: Rotation,
    /// When the frame is shown, counted from the clip's zero.
    pub time: Seconds,
    /// How long it is shown.
    pub duration: Seconds,
}

impl Frame {
    /// A picture of given planes in stored orientation, shown at zero for no time, not rotated.
    pub fn from_planes(
        width: usize,
        height: usize,
        format: PixelFormat,
        planes: Vec<Plane>,
        colour: ColourTags,
    ) -> Result<Self, FrameError> {
        let fits = planes.len() == format.chroma.planes()
            && planes.iter().enumerate().all(|(index, plane)| {
                let size = format.plane_size(index, width, height);
                let length = match &plane.samples {
                    Samples::Bytes(samples) if format.bits == 8 => samples.len(),
                    Samples::Words(samples) if format.bits > 8 => samples.len(),
                    _ => return false,
                };
                (plane.width, plane.height) == size && length == size.0 * size.1
            });
        if !fits || width == 0 || height == 0 || !(8..=16).contains(&format.bits) {
            return Err(FrameError::Planes {
                width,
                height,
                format,
            });
        }
        Ok(Self {
            width,
            height,
            format,
            planes,
            colour,
            rotation: Rotation::None,
            time: Seconds::ZERO,
            duration: Seconds::ZERO,
        })
    }

    /// A black picture of a stored size; both sizes above zero.
    pub fn black(
        width: usize,
        height: usize,
        format: PixelFormat,
        colour: ColourTags,
    ) -> Result<Self, FrameError> {
        let levels = Levels::new(format.bits, colour, width, height);
        let planes = (0..format.chroma.planes())
            .map(|index| {
                let (width, height) = format.plane_size(index, width, height);
                let value = if index == 0 {
                    levels.luma_code(0.0)
                } else {
                    levels.chroma_code(0.0)
                };
                let samples = if format.bits == 8 {
                    Samples::Bytes(vec![value as u8; width * height])
                } else {
                    Samples::Words(vec![value; width * height])
                };
                Plane {
                    width,
                    height,
                    samples,
                }
            })
            .collect();
        Self::from_planes(width, height, format, planes, colour)
    }

    /// A picture of an upright RGB image.
    pub fn from_rgb(
        image: &RgbF32,
        format: PixelFormat,
        colour: ColourTags,
        rotation: Rotation,
    ) -> Result<Self, FrameError> {
        let (width, height) = if rotation.swaps() {
            (image.height, image.width)
        } else {
            (image.width, image.height)
        };
        let mut frame = Self::black(width, height, format, colour)?;
        frame.rotation = rotation;
        frame.put_region_rgb(0, 0, image, &vec![1.0; image.width * image.height])?;
        Ok(frame)
    }

    /// Columns as shown.
    pub fn width(&self) -> usize {
        if self.rotation.swaps() {
            self.height
        } else {
            self.width
        }
    }

    /// Rows as shown.
    pub fn height(&self) -> usize {
        if self.rotation.swaps() {
            self.width
        } else {
            self.height
        }
    }

    /// Columns and rows as stored.
    pub fn stored_size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Chroma resolution and bits.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Luma, then chroma; in stored orientation.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    pub(crate) fn levels(&self) -> Levels {
        Levels::new(self.format.bits, self.colour, self.width, self.height)
    }

    /// The mix of two pictures of one size and format, sample by sample:
    /// `self * (1 - weight) + other * weight`; tags and times are those of `self`.
    pub fn blend(&self, other: &Self, weight: f32) -> Result<Self, FrameError> {
        let one = (self.width, self.height, self.format);
        let two = (other.width, other.height, other.format);
        if one != two {
            return Err(FrameError::Different { one, two });
        }
        let weight = weight.clamp(0.0, 1.0);
        let mix = |a: f32, b: f32| a + (b - a) * weight + 0.5;
        let mut result = self.clone();
        for (plane, source) in result.planes.iter_mut().zip(&other.planes) {
            match (&mut plane.samples, &source.samples) {
                (Samples::Bytes(target), Samples::Bytes(source)) => {
                    for (a, &b) in target.iter_mut().zip(source) {
                        *a = mix(f32::from(*a), f32::from(b)) as u8;
                    }
                }
                (Samples::Words(target), Samples::Words(source)) => {
                    for (a, &b) in target.iter_mut().zip(source) {
                        *a = mix(f32::from(*a), f32::from(b)) as u16;
                    }
                }
                _ => {}
            }
        }
        Ok(result)
    }

    /// The whole picture as shown, 8 bits a channel.
    pub fn to_rgb8(&self) -> Rgb8 {
        self.region_rgb8(0, 0, self.width(), self.height())
    }

    /// The `width` x `height` pixels of the picture as shown whose top left one is at `(x, y)`, 8 bits a channel; cut
    /// off where the picture ends.
    pub fn region_rgb8(&self, x: usize, y: usize, width: usize, height: usize) -> Rgb8 {
        let (x, y) = (x.min(self.width()), y.min(self.height()));
        let (width, height) = (width.min(self.width() - x), height.min(self.height() - y));
        let (x, y, width, height) = turn::stored_rectangle(
            (x as i64, y as i64, width, height),
            self.width,
            self.height,
            self.rotation,
        );
        let part = (x.max(0) as usize, y.max(0) as usize, width, height);
        turn::rgb8(self.stored_rgb8(part), self.rotation)
    }

    /// The whole picture as shown, resized (area averaging) to `width` x `height`.
    pub fn to_rgb8_scaled(&self, width: usize, height: usize) -> Rgb8 {
        if (width, height) == (self.width(), self.height()) {
            return self.to_rgb8();
        }
        let (stored_width, stored_height) = if self.rotation.swaps() {
            (height, width)
        } else {
            (width, height)
        };
        turn::rgb8(
            self.stored_scaled(stored_width, stored_height),
            self.rotation,
        )
    }

    /// The whole picture as shown, as floats (not clamped).
    pub fn to_rgb_f32(&self) -> RgbF32 {
        self.region_rgb(0, 0, self.width(), self.height())
    }

    /// True for pictures without chroma.
    pub fn is_gray(&self) -> bool {
        self.format.chroma == Chroma::Gray
    }
}

impl Samples {
    /// A sample as a float; zero outside.
    pub fn get(&self, index: usize) -> f32 {
        match self {
            Self::Bytes(samples) => samples.get(index).copied().map_or(0.0, f32::from),
            Self::Words(samples) => samples.get(index).copied().map_or(0.0, f32::from),
        }
    }

    /// Sets a sample; positions outside are ignored.
    pub(crate) fn set(&mut self, index: usize, value: u16) {
        match self {
            Self::Bytes(samples) => {
                if let Some(sample) = samples.get_mut(index) {
                    *sample = value.min(255) as u8;
                }
            }
            Self::Words(samples) => {
                if let Some(sample) = samples.get_mut(index) {
                    *sample = value;
                }
            }
        }
    }

    /// Every sample as a float.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Bytes(samples) => samples.iter().copied().map(f32::from).collect(),
            Self::Words(samples) => samples.iter().copied().map(f32::from).collect(),
        }
    }
}
