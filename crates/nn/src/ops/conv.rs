//! Convolutions over one, two and three axes.
//!
//! All of them are one operation: a rank-3 convolution with a padding per side, of
//! which the flatter ones use the last axes.

use candle_core::{Result, Tensor, bail};

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

/// How [`conv3d`] moves over `[B, C, T, H, W]`; axes in the order T, H, W.
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

/// How [`conv2d`] moves over `[B, C, H, W]`; axes in the order H, W.
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

/// How [`conv1d`] moves over `[B, C, L]`.
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

/// A convolution with everything spelled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) stride: [usize; 3],
    pub(crate) dilation: [usize; 3],
    pub(crate) groups: usize,
    /// Frames, rows and columns added in front and behind.
    pub(crate) padding: [(usize, usize); 3],
    /// Added frames are copies of the outermost ones instead of zeros.
    pub(crate) replicate: bool,
}

/// Convolution of `x` `[B, Cin, T, H, W]` with `weight` `[Cout, Cin / groups, kt, kh, kw]`
/// and `bias` `[Cout]`; a correlation, as in every framework.
///
/// # Errors
/// When the shapes do not fit.
pub fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv3dOptions,
) -> Result<Tensor> {
    let (_, _, kt, _, _) = weight.dims5()?;
    let reach = kt.saturating_sub(1) * options.dilation[0];
    let (time, replicate) = match options.time {
        TimePadding::Causal => ((reach, 0), true),
        TimePadding::Symmetric => ((reach / 2, reach - reach / 2), true),
        TimePadding::Zeros(front, behind) => ((front, behind), false),
    };
    let geometry = Geometry {
        stride: options.stride,
        dilation: options.dilation,
        groups: options.groups,
        padding: [time, options.height, options.width],
        replicate,
    };
    convolve(x, weight, bias, geometry)
}

/// Convolution of `x` `[B, Cin, H, W]` with `weight` `[Cout, Cin / groups, kh, kw]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    let (_, _, _, _) = x.dims4()?;
    let (_, _, _, _) = weight.dims4()?;
    let [sh, sw] = options.stride;
    let [dh, dw] = options.dilation;
    let geometry = Geometry {
        stride: [1, sh, sw],
        dilation: [1, dh, dw],
        groups: options.groups,
        padding: [(0, 0), options.height, options.width],
        replicate: false,
    };
    convolve(&x.unsqueeze(2)?, &weight.unsqueeze(2)?, bias, geometry)?.squeeze(2)
}

/// Convolution of `x` `[B, Cin, L]` with `weight` `[Cout, Cin / groups, k]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn conv1d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv1dOptions,
) -> Result<Tensor> {
    let (_, _, _) = x.dims3()?;
    let (_, _, _) = weight.dims3()?;
    let geometry = Geometry {
        stride: [1, 1, options.stride],
        dilation: [1, 1, options.dilation],
        groups: options.groups,
        padding: [(0, 0), (0, 0), options.padding],
        replicate: false,
    };
    let x = x.unsqueeze(2)?.unsqueeze(2)?;
    let weight = weight.unsqueeze(2)?.unsqueeze(2)?;
    convolve(&x, &weight, bias, geometry)?
        .squeeze(2)?
        .squeeze(2)
}

fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    geometry: Geometry,
) -> Result<Tensor> {
    geometry.output(x, weight, bias)?;
    slow::convolve(x, weight, bias, geometry)
}

impl Geometry {
    /// Output frames, rows and columns; checks everything on the way.
    pub(crate) fn output(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<[usize; 3]> {
        let (_, channels, t, h, w) = x.dims5()?;
        let (outputs, per_group, kt, kh, kw) = weight.dims5()?;
        if self.groups == 0 || outputs % self.groups != 0 || per_group * self.groups != channels {
            bail!(
                "convolution: x {:?} and weight {:?} do not fit {} groups",
                x.dims(),
                weight.dims(),
                self.groups
            );
        }
        if let Some(bias) = bias
            && bias.dims() != [outputs]
        {
            bail!(
                "convolution: bias is {:?} for {outputs} output channels",
                bias.dims()
            );
        }
        let mut sizes = [0; 3];
        for (axis, (size, kernel)) in [(t, kt), (h, kh), (w, kw)].into_iter().enumerate() {
            let (front, behind) = self.padding[axis];
            let reach = kernel.saturating_sub(1) * self.dilation[axis] + 1;
            let padded = size + front + behind;
            if kernel == 0
                || size == 0
                || self.stride[axis] == 0
                || self.dilation[axis] == 0
                || padded < reach
            {
                bail!(
                    "convolution: kernel {:?} with dilation {:?} does not fit into {:?} padded by {:?}",
                    [kt, kh, kw],
                    self.dilation,
                    [t, h, w],
                    self.padding
                );
            }
            sizes[axis] = (padded - reach) / self.stride[axis] + 1;
        }
        Ok(sizes)
    }
}

/// The same in plain candle operations: temporal taps as accumulated 2D convolutions.
pub(crate) mod slow {
    use candle_core::{DType, Result, Tensor, bail};

    use super::Geometry;

    pub(crate) fn convolve(
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        geometry: Geometry,
    ) -> Result<Tensor> {
        let dtype = x.dtype();
        let [frames, rows, columns] = geometry.output(x, weight, bias)?;
        let (outputs, _, kt, _, _) = weight.dims5()?;
        let [st, sh, sw] = geometry.stride;
        let [dt, dh, dw] = geometry.dilation;
        if dh != dw {
            bail!(
                "convolution: the slow form has one dilation for height and width, not {dh} and {dw}"
            );
        }
        let x = x.to_dtype(DType::F32)?;
        let weight = weight.to_dtype(DType::F32)?;
        let (front, behind) = geometry.padding[0];
        let x = if geometry.replicate {
            x.pad_with_same(2, front, behind)?
        } else {
            x.pad_with_zeros(2, front, behind)?
        };
        let (above, below) = geometry.padding[1];
        let (left, right) = geometry.padding[2];
        let x = x
            .pad_with_zeros(3, above, below)?
            .pad_with_zeros(4, left, right)?;
        let mut result = Vec::with_capacity(frames);
        for frame in 0..frames {
            let mut sum: Option<Tensor> = None;
            for tap in 0..kt {
                let picture = x
                    .narrow(2, frame * st + tap * dt, 1)?
                    .squeeze(2)?
                    .contiguous()?;
                let kernel = weight.narrow(2, tap, 1)?.squeeze(2)?.contiguous()?;
                let y = picture.conv2d(&kernel, 0, 1, dh, geometry.groups)?;
                sum = Some(match sum {
                    Some(sum) => (sum + y)?,
                    None => y,
                });
            }
            if let Some(sum) = sum {
                result.push(thin(&thin(&sum, 2, rows, sh)?, 3, columns, sw)?);
            }
        }
        let mut y = Tensor::stack(&result, 2)?;
        if let Some(bias) = bias {
            y = y.broadcast_add(&bias.to_dtype(DType::F32)?.reshape((1, outputs, 1, 1, 1))?)?;
        }
        y.to_dtype(dtype)
    }

    /// Every `stride`-th of an axis.
    fn thin(x: &Tensor, axis: usize, count: usize, stride: usize) -> Result<Tensor> {
        if stride == 1 {
            return Ok(x.clone());
        }
        let wanted: Vec<u32> = (0..count).map(|i| (i * stride) as u32).collect();
        x.index_select(&Tensor::new(wanted, x.device())?, axis)
    }
}
