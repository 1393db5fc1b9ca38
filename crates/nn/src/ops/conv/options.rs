//! How convolutions move.

/// What stands before the first frame and after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePadding {
    /// `(kernel - 1) * dilation` copies of the first frame in front.
    Causal,
    /// Half of that on either side: copies of the first and of the last frame.
    Symmetric,
    /// So many frames of zeros in front and behind.
    Zeros(usize, usize),
}

/// How [`conv3d`](super::conv3d) moves over `[B, C, T, H, W]`; axes in the order T, H, W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv3dOptions {
    pub stride: [usize; 3],
    pub dilation: [usize; 3],
    pub groups: usize,
    pub time: TimePadding,
    /// Zeros above and below.
    pub height: (usize, usize),
    /// Zeros at the left and at the right.
    pub width: (usize, usize),
}

impl Conv3dOptions {
    /// Stride 1, one group, `time` as given and `space` zeros on all four sides.
    pub const fn same(time: TimePadding, space: usize) -> Self {
        Self {
            stride: [1; 3],
            dilation: [1; 3],
            groups: 1,
            time,
            height: (space, space),
            width: (space, space),
        }
    }

    /// Causal in time with a spatial padding of 1: the LTX encoder's 3x3x3 convolution.
    pub const fn causal() -> Self {
        Self::same(TimePadding::Causal, 1)
    }

    /// Symmetric in time with a spatial padding of 1: the LTX decoder's 3x3x3 convolution.
    pub const fn symmetric() -> Self {
        Self::same(TimePadding::Symmetric, 1)
    }
}

/// How [`conv2d`](super::conv2d) moves over `[B, C, H, W]`; axes in the order H, W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dOptions {
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
    /// Zeros above and below.
    pub height: (usize, usize),
    /// Zeros at the left and at the right.
    pub width: (usize, usize),
}

impl Conv2dOptions {
    /// One stride and one padding for both axes, one group.
    pub const fn new(stride: usize, padding: usize) -> Self {
        Self {
            stride: [stride; 2],
            dilation: [1; 2],
            groups: 1,
            height: (padding, padding),
            width: (padding, padding),
        }
    }
}

/// How [`conv1d`](super::conv1d) moves over `[B, C, L]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv1dOptions {
    pub stride: usize,
    pub dilation: usize,
    pub groups: usize,
    /// Zeros in front and behind.
    pub padding: (usize, usize),
}

impl Conv1dOptions {
    /// One padding for both ends, no dilation, one group.
    pub const fn new(stride: usize, padding: usize) -> Self {
        Self {
            stride,
            dilation: 1,
            groups: 1,
            padding: (padding, padding),
        }
    }
}
