//! Which part of a picture, and so which tokens of a latent, are made anew.

use super::Grid;

/// A rectangle of a picture, as shares of its width and height from the top left corner: it is
/// the same in every size that the picture is worked on in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    /// The smallest one that encloses both.
    #[must_use]
    pub fn enclosing(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Grown on every side by a share of its own size, within the picture.
    #[must_use]
    pub fn grown(self, share: f64) -> Self {
        let across = (self.right - self.left) * share;
        let down = (self.bottom - self.top) * share;
        Self {
            left: (self.left - across).max(0.0),
            top: (self.top - down).max(0.0),
            right: (self.right + across).min(1.0),
            bottom: (self.bottom + down).min(1.0),
        }
    }

    /// Pixels of a picture of rows and columns `size` that it touches: rows, then columns.
    pub fn pixels(self, size: (usize, usize)) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let span = |from: f64, to: f64, size: usize| {
            let scaled = |share: f64| share.clamp(0.0, 1.0) * size as f64;
            // What lies on a border by the last bits of a share touches nothing beyond it.
            let start = (scaled(from) + 1e-6).floor() as usize;
            let end = (scaled(to) - 1e-6).ceil().max(0.0) as usize;
            start.min(size)..end.clamp(start.min(size), size)
        };
        (
            span(self.top, self.bottom, size.0),
            span(self.left, self.right, size.1),
        )
    }

    /// Cells of a grid that it touches, on pictures of rows and columns `size`.
    fn cells(self, size: (usize, usize), grid: &Grid) -> Vec<u32> {
        let (rows, columns) = self.pixels(size);
        let stride = grid.spatial_stride;
        let touched = |range: std::ops::Range<usize>| {
            if range.is_empty() {
                return 0..0;
            }
            range.start / stride..range.end.div_ceil(stride)
        };
        let columns = touched(columns);
        touched(rows)
            .flat_map(|row| {
                columns
                    .clone()
                    .map(move |column| (row * grid.columns + column) as u32)
            })
            .collect()
    }
}

/// What of a frame is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Made {
    /// Nothing: it is shown as recorded.
    Nothing,
    /// What lies in an area; the rest is context.
    Part(Area),
    /// All of it: there is no such picture.
    Whole,
}

impl Made {
    /// What two frames of one latent have made between them.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (Self::Part(own), Self::Part(other)) => Self::Part(own.enclosing(other)),
            (Self::Part(area), Self::Nothing) | (Self::Nothing, Self::Part(area)) => {
                Self::Part(area)
            }
            (Self::Nothing, Self::Nothing) => Self::Nothing,
        }
    }
}

/// The mask M of a latent (EditYourself eq. 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LatentMask {
    /// Every token stays as it is.
    Known,
    /// Every token is made.
    Whole,
    /// Tokens of these cells are made, in row-major order.
    Cells(Vec<u32>),
}

impl LatentMask {
    /// The mask of a latent whose frames have this made: every cell that the area touches.
    pub fn of(made: Made, size: (usize, usize), grid: &Grid) -> Self {
        match made {
            Made::Nothing => Self::Known,
            Made::Whole => Self::Whole,
            Made::Part(area) => {
                let cells = area.cells(size, grid);
                if cells.is_empty() {
                    Self::Known
                } else if cells.len() == grid.cells() {
                    Self::Whole
                } else {
                    Self::Cells(cells)
                }
            }
        }
    }

    /// Whether no token of the latent is known.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// How firmly each of `cells` tokens is known: 1, or 0 where it is made.
    pub fn strengths(&self, cells: usize) -> Vec<f64> {
        match self {
            Self::Known => vec![1.0; cells],
            Self::Whole => vec![0.0; cells],
            Self::Cells(made) => {
                let mut strengths = vec![1.0; cells];
                for cell in made {
                    if let Some(strength) = strengths.get_mut(*cell as usize) {
                        *strength = 0.0;
                    }
                }
                strengths
            }
        }
    }

    /// Cells whose tokens are made.
    pub fn made(&self, cells: usize) -> Vec<u32> {
        match self {
            Self::Known => Vec::new(),
            Self::Whole => (0..cells as u32).collect(),
            Self::Cells(made) => made.clone(),
        }
    }

    /// Cells whose tokens are known.
    pub fn known(&self, cells: usize) -> Vec<u32> {
        (0..)
            .zip(self.strengths(cells))
            .filter(|(_, strength)| *strength > 0.0)
            .map(|(cell, _)| cell)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid {
        rows: 3,
        columns: 5,
        spatial_stride: 32,
        temporal_stride: 8,
        first: 0,
        rate: 25.0,
    };

    #[test]
    fn an_area_masks_the_cells_that_it_touches() {
        let size = (90, 160);
        let area = |left: f64, top: f64, right: f64, bottom: f64| Area {
            left: left / 160.0,
            top: top / 90.0,
            right: right / 160.0,
            bottom: bottom / 90.0,
        };
        // One pixel of the next cell is enough; a common border is not.
        let mask = |area| LatentMask::of(Made::Part(area), size, &GRID);
        assert_eq!(
            mask(area(32.0, 0.0, 64.0, 32.0)),
            LatentMask::Cells(vec![1])
        );
        let found = mask(area(32.0, 31.0, 65.0, 33.0));
        assert_eq!(found, LatentMask::Cells(vec![1, 2, 6, 7]));
        assert_eq!(found.known(15), [0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(
            found.strengths(15).iter().sum::<f64>().to_bits(),
            11.0_f64.to_bits()
        );
        assert!(mask(area(0.0, 0.0, 160.0, 90.0)).is_whole());
        assert_eq!(mask(area(50.0, 40.0, 50.0, 40.0)), LatentMask::Known);
    }

    #[test]
    fn frames_of_a_latent_share_the_enclosing_area() {
        let (a, b) = (
            Area {
                left: 0.1,
                top: 0.2,
                right: 0.3,
                bottom: 0.4,
            },
            Area {
                left: 0.2,
                top: 0.1,
                right: 0.5,
                bottom: 0.3,
            },
        );
        let both = Made::Part(a).with(Made::Nothing).with(Made::Part(b));
        let wanted = Area {
            left: 0.1,
            top: 0.1,
            right: 0.5,
            bottom: 0.4,
        };
        assert_eq!(both, Made::Part(wanted));
        assert_eq!(both.with(Made::Whole), Made::Whole);
        let grown = wanted.grown(0.5);
        assert_eq!(
            (grown.left.to_bits(), grown.top.to_bits()),
            (0.0_f64.to_bits(), 0.0_f64.to_bits())
        );
        assert!((grown.right - 0.7).abs() < 1e-12 && (grown.bottom - 0.55).abs() < 1e-12);
    }
}
