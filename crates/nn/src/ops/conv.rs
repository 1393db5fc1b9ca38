//! Convolutions over one, two and three axes.
//!
//! All of them are one operation: a rank-3 convolution with a padding per side, of
//! which the flatter ones use the last axes.

mod geometry;
mod gradient;
mod options;
pub(crate) mod slow;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use half::bf16;

pub(crate) use geometry::Geometry;
use geometry::five_axes;
pub use options::{Conv1dOptions, Conv2dOptions, Conv3dOptions, TimePadding};

use super::support::{apply2, apply3, on_kernels};
use crate::cpu::buffer::unwritten;
use crate::cpu::conv::{self, Sizes};
use crate::cpu::kernel::has_bf16;
use crate::cpu::storage::{Stored, by_dtype, dense, widened};

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
    convolve(x, weight, bias, geometry)
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
    convolve(x, weight, bias, geometry)
}

fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    geometry: Geometry,
) -> Result<Tensor> {
    let output = geometry.output(x, weight, bias)?;
    let op = Conv { geometry, output };
    let sizes = op.sizes(x.shape(), weight.shape())?;
    let wide = |x: &Tensor| x.reshape(&five_axes(x.dims())?);
    if !on_kernels(x) || !on_kernels(weight) {
        let y = slow::convolve(&wide(x)?, &wide(weight)?, bias, geometry)?;
        return y.reshape(op.shape(&sizes, x.shape()));
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(&x) {
        let y = op.on_gpu(&wide(&x)?, &wide(&weight)?, bias)?;
        return y.reshape(op.shape(&sizes, x.shape()));
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

    /// The result's shape, of as many axes as `x` has.
    fn shape(&self, sizes: &Sizes, x: &Shape) -> Shape {
        let mut shape = vec![sizes.batch, sizes.outputs];
        shape.extend(&self.output[5 - x.rank()..]);
        shape.into()
    }

    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Sizes> {
        let [batch, channels, t, h, w] = five_axes(x.dims())?;
        let [outputs, _, kt, kh, kw] = five_axes(weight.dims())?;
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
        let shape = self.shape(&sizes, xl.shape());
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
        let wide = |x: &Tensor| x.detach().reshape(&five_axes(x.dims())?);
        let (input, kernel, grad) = (wide(x)?, wide(weight)?, wide(&grad.contiguous()?)?);
        let dx = if x.track_op() {
            let dx = self.input_gradient(&input, &kernel, &grad)?;
            Some(dx.reshape(x.shape())?)
        } else {
            None
        };
        let dw = if weight.track_op() {
            let dw = self.weight_gradient(&input, &kernel, &grad)?;
            Some(dw.reshape(weight.shape())?)
        } else {
            None
        };
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

#[cfg(test)]
mod tests;
