//! Parts of a video, and what a layer needs to compute one.

use candle_core::Tensor;

use crate::error::Result;

/// The part `start..end` of an axis of `total` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    pub total: usize,
}

impl Span {
    /// A whole axis.
    pub const fn whole(total: usize) -> Self {
        Self {
            start: 0,
            end: total,
            total,
        }
    }

    pub const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Grown by `before` and `after`, within the axis.
    #[must_use]
    pub fn grown(&self, before: usize, after: usize) -> Self {
        Self {
            start: self.start.saturating_sub(before),
            end: (self.end + after).min(self.total),
            total: self.total,
        }
    }

    /// The part of an axis `factor` times shorter that this one is made of, when the
    /// longer axis has lost its first `dropped` elements.
    #[must_use]
    pub(super) fn source(&self, factor: usize, dropped: usize) -> Self {
        let total = (self.total + dropped) / factor;
        Self {
            start: (self.start + dropped) / factor,
            end: (self.end + dropped).div_ceil(factor).min(total),
            total,
        }
    }
}

/// A part of a video: frames, rows, columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub frames: Span,
    pub rows: Span,
    pub columns: Span,
}

impl Region {
    /// All of it.
    pub const fn whole(frames: usize, rows: usize, columns: usize) -> Self {
        Self {
            frames: Span::whole(frames),
            rows: Span::whole(rows),
            columns: Span::whole(columns),
        }
    }

    pub(super) fn axes(&self) -> [Span; 3] {
        [self.frames, self.rows, self.columns]
    }

    pub(super) fn of_axes([frames, rows, columns]: [Span; 3]) -> Self {
        Self {
            frames,
            rows,
            columns,
        }
    }

    /// What a 3x3x3 convolution reads to compute this region.
    #[must_use]
    pub(super) fn read_by_conv(&self, causal: bool) -> Self {
        Self {
            frames: if causal {
                self.frames.grown(2, 0)
            } else {
                self.frames.grown(1, 1)
            },
            rows: self.rows.grown(1, 1),
            columns: self.columns.grown(1, 1),
        }
    }
}

/// `[B, C, t, h, w]` that holds a region.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) data: Tensor,
    pub(super) at: Region,
}

impl Part {
    /// The part of this part that is `region`.
    pub(super) fn cut(&self, region: Region) -> Result<Self> {
        let mut data = self.data.clone();
        for (axis, (held, wanted)) in self.at.axes().into_iter().zip(region.axes()).enumerate() {
            let start = wanted.start.checked_sub(held.start);
            let (Some(start), true) = (start, wanted.end <= held.end) else {
                return Err(crate::error::ModelError::input(
                    "region",
                    format!("{wanted:?} is not within {held:?}"),
                ));
            };
            if wanted.len() != held.len() {
                data = data.narrow(axis + 2, start, wanted.len())?;
            }
        }
        Ok(Self { data, at: region })
    }
}
