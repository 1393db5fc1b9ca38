//! Convolutions over one, two and three axes.
//!
//! All of them are one operation: a rank-3 convolution with a padding per side, of
//! which the flatter ones use the last axes.

mod gradient;
pub(crate) mod slow;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use half::bf16;

use super::support::{apply2, apply3, on_kernels};
use crate::cpu::buffer::unwritten;
use crate::cpu::conv::{self, Sizes};
use crate::cpu::kernel::has_bf16;
use crate::cpu::storage::{Stored, by_dtype, dense, widened};

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
    let output = geometry.output(x, weight, bias)?;
    if !on_kernels(x) || !on_kernels(weight) {
        return slow::convolve(x, weight, bias, geometry);
    }
    let op = Conv { geometry, output };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(&x) {
        return op.on_gpu(&x, &weight, bias);
    }
    match bias {
        Some(bias) => apply3(&x, &weight, &bias.contiguous()?, op),
        None => apply2(&x, &weight, op),
    }
}

#[derive(Clone, Copy)]
struct Conv {
    geometry: Geometry,
    output: [usize; 3],
}

impl Conv {
    #[cfg(feature = "cuda")]
    fn on_gpu(self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let sizes = self.sizes(x.shape(), weight.shape())?;
        let y = crate::cuda::ops::convolution::forward(&sizes, x, weight, bias)?;
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        let kept = (x.clone(), weight.clone(), bias.cloned());
        crate::cuda::op::done("conv", &inputs, y, move |_, grad| {
            let (x, weight, bias) = &kept;
            let (dx, dw, db) = self.backward(x, weight, bias.as_ref(), grad)?;
            Ok(vec![dx, dw, db])
        })
    }

    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Sizes> {
        let (batch, channels, t, h, w) = x.dims5()?;
        let (outputs, _, kt, kh, kw) = weight.dims5()?;
        let geometry = self.geometry;
        Ok(Sizes {
            batch,
            channels,
            outputs,
            groups: geometry.groups,
            input: [t, h, w],
            kernel: [kt, kh, kw],
            output: self.output,
            stride: geometry.stride,
            dilation: geometry.dilation,
            padding: geometry.padding,
            replicate: geometry.replicate,
        })
    }

    fn forward(
        &self,
        (xs, xl): (&CpuStorage, &Layout),
        (ws, wl): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(xl.shape(), wl.shape())?;
        let bias = bias.map(|(s, l)| widened(s, l)).transpose()?;
        let [t, h, w] = self.output;
        let shape = Shape::from((sizes.batch, sizes.outputs, t, h, w));
        by_dtype!(xs.dtype(), T => by_dtype!(ws.dtype(), W => {
            let (x, weight) = (dense::<T>(xs, xl)?, dense::<W>(ws, wl)?);
            // SAFETY: every group's rows and positions are written.
            #[expect(unsafe_code, reason = "written below")]
            let mut out = unsafe { unwritten::<T>(shape.elem_count()) };
            if size_of::<T>() == 2 && size_of::<W>() == 2 && has_bf16() {
                conv::forward::<T, W, bf16>(&sizes, x, weight, bias.as_deref(), &mut out);
            } else {
                conv::forward::<T, W, f32>(&sizes, x, weight, bias.as_deref(), &mut out);
            }
            Ok((T::store(out), shape))
        }))
    }

    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let dx = x
            .track_op()
            .then(|| self.input_gradient(x, weight, &grad))
            .transpose()?;
        let dw = weight
            .track_op()
            .then(|| self.weight_gradient(x, weight, &grad))
            .transpose()?;
        let db = match bias {
            Some(bias) if bias.track_op() => {
                Some(gradient::channel_sums(&grad)?.to_dtype(bias.dtype())?)
            }
            _ => None,
        };
        Ok((dx, dw, db))
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        ws: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((xs, xl), (ws, wl), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = self.backward(x, weight, None, grad)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        ws: &CpuStorage,
        wl: &Layout,
        bs: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((xs, xl), (ws, wl), Some((bs, bl)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, Some(bias), grad)
    }
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

#[cfg(test)]
mod tests;
