//! How decoded pictures are laid out.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How many chroma samples there are for the luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Chroma {
    /// None.
    Gray,
    /// One for two by two.
    C420,
    /// One for two in a row.
    C422,
    /// One each.
    C444,
}

impl Chroma {
    /// Luma columns and rows of one chroma sample.
    pub fn step(self) -> (usize, usize) {
        match self {
            Self::C420 => (2, 2),
            Self::C422 => (2, 1),
            Self::C444 | Self::Gray => (1, 1),
        }
    }

    /// Planes of a picture.
    pub fn planes(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// Chroma resolution and bits of a planar `YCbCr` picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelFormat {
    /// Chroma resolution.
    pub chroma: Chroma,
    /// Bits of a sample: 8 (stored in bytes), 10 or 12 (stored in 16-bit words).
    pub bits: u8,
}

impl PixelFormat {
    /// The most common format: 4:2:0, 8 bits.
    pub const YUV420: Self = Self {
        chroma: Chroma::C420,
        bits: 8,
    };

    /// Width and height of a plane of a picture; odd sizes round up.
    pub fn plane_size(self, plane: usize, width: usize, height: usize) -> (usize, usize) {
        if plane == 0 {
            return (width, height);
        }
        let (across, down) = self.chroma.step();
        (width.div_ceil(across), height.div_ceil(down))
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chroma = match self.chroma {
            Chroma::Gray => "gray",
            Chroma::C420 => "4:2:0",
            Chroma::C422 => "4:2:2",
            Chroma::C444 => "4:4:4",
        };
        write!(formatter, "{chroma} {} bit", self.bits)
    }
}

/// The clockwise turn that shows a stored picture upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rotation {
    /// Shown as stored.
    #[default]
    None,
    /// A quarter turn clockwise.
    Quarter,
    /// A half turn.
    Half,
    /// A quarter turn anticlockwise.
    ThreeQuarters,
}

impl Rotation {
    /// The turn nearest to an angle in degrees, clockwise.
    pub fn from_degrees(degrees: f64) -> Self {
        match (degrees / 90.0).round().rem_euclid(4.0) as i64 {
            1 => Self::Quarter,
            2 => Self::Half,
            3 => Self::ThreeQuarters,
            _ => Self::None,
        }
    }

    /// Degrees clockwise: 0, 90, 180 or 270.
    pub fn degrees(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Quarter => 90,
            Self::Half => 180,
            Self::ThreeQuarters => 270,
        }
    }

    /// True where width and height change places.
    pub fn swaps(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }

    /// The turn back.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::Quarter => Self::ThreeQuarters,
            Self::ThreeQuarters => Self::Quarter,
            same => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_round_to_quarter_turns() {
        assert_eq!(Rotation::from_degrees(-90.0), Rotation::ThreeQuarters);
        assert_eq!(Rotation::from_degrees(450.0), Rotation::Quarter);
        assert_eq!(Rotation::from_degrees(179.9), Rotation::Half);
        assert_eq!(Rotation::from_degrees(f64::NAN), Rotation::None);
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        assert_eq!(PixelFormat::YUV420.plane_size(1, 5, 3), (3, 2));
    }
}
