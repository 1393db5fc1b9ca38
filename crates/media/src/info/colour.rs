//! Colour tags, by the code points of ITU-T H.273, and HDR10 metadata.

use serde::{Deserialize, Serialize};

/// Whether samples use the whole range of their bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColourRange {
    /// Not said; read as limited.
    #[default]
    Unspecified,
    /// Black at 16 and white at 235 of 255.
    Limited,
    /// Black at 0 and white at 255 of 255.
    Full,
}

/// The weights of red, green and blue in luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Matrix {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
    /// SMPTE 240M.
    Smpte240,
}

impl Matrix {
    /// The weights of red and blue; green has the rest. Source: H.273 table 4.
    pub fn weights(self) -> (f32, f32) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
            Self::Smpte240 => (0.212, 0.087),
        }
    }
}

/// Colour tags as stored: code points of H.273, 2 where the file says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColourTags {
    /// Colour primaries.
    pub primaries: u8,
    /// Transfer characteristics (16 is PQ, 18 is HLG).
    pub transfer: u8,
    /// Matrix coefficients.
    pub matrix: u8,
    /// Range.
    pub range: ColourRange,
}

impl Default for ColourTags {
    fn default() -> Self {
        Self {
            primaries: 2,
            transfer: 2,
            matrix: 2,
            range: ColourRange::Unspecified,
        }
    }
}

impl ColourTags {
    /// The matrix to convert with. Untagged pictures are read as players do: BT.709 from 720
    /// rows (or columns, for upright clips of phones) on, BT.601 below.
    pub fn matrix_for(self, width: usize, height: usize) -> Matrix {
        match self.matrix {
            4..=6 => Matrix::Bt601,
            7 => Matrix::Smpte240,
            9 | 10 => Matrix::Bt2020,
            2 if width.min(height) < 720 => Matrix::Bt601,
            _ => Matrix::Bt709,
        }
    }

    /// True where samples use their whole range.
    pub fn is_full(self) -> bool {
        self.range == ColourRange::Full
    }
}

/// The display that HDR pictures were graded on (SMPTE ST 2086).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MasteringDisplay {
    /// Chromaticity (x, y) of red, green and blue.
    pub primaries: [(f64, f64); 3],
    /// Chromaticity (x, y) of white.
    pub white: (f64, f64),
    /// Darkest and brightest luminance in cd/m².
    pub luminance: (f64, f64),
}

/// Light levels of the content (CTA-861.3), in cd/m².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentLight {
    /// Brightest pixel.
    pub max_content: u32,
    /// Brightest frame on average.
    pub max_frame_average: u32,
}

/// HDR10 metadata, where the file has any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HdrMetadata {
    /// The grading display.
    pub mastering: Option<MasteringDisplay>,
    /// Light levels.
    pub light: Option<ContentLight>,
}
