//! Convolutions over one, two and three axes.
//!
//! All of them are one operation: a rank-3 convolution with a padding per side, of
//! which the flatter ones use the last axes.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use half::bf16;

use super::support::{Raw, apply2, apply3, on_kernels};
use crate::cpu::buffer::zeroed;
use crate::cpu::conv::{self, Sizes};
use crate::cpu::kernel::{Element as _, has_bf16};
use crate::cpu::level::Level;
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
            let mut out = zeroed::<T>(shape.elem_count());
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
            Some(bias) if bias.track_op() => Some(channel_sums(&grad)?.to_dtype(bias.dtype())?),
            _ => None,
        };
        Ok((dx, dw, db))
    }

    /// The gradient of the input is a convolution of the result's gradient, spread out by
    /// the stride, with the mirrored weight; copies of frames then flow back to their source.
    fn input_gradient(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let geometry = self.geometry;
        let kernel = &weight.dims()[2..];
        let mirrored = mirrored(&weight.detach(), geometry.groups)?;
        let mut grad = grad.clone();
        let mut padding = [(0, 0); 3];
        for axis in 0..3 {
            grad = spread(&grad, axis + 2, geometry.stride[axis])?;
            let size = x.dim(axis + 2)?;
            let (front, behind) = geometry.padding[axis];
            let reach = (kernel[axis] - 1) * geometry.dilation[axis];
            // Inputs that no output position reaches lie behind the last one.
            let unread = size + front + behind - (grad.dim(axis + 2)? + reach);
            let frames = axis == 0 && geometry.replicate;
            let (drop_front, drop_behind) = if frames { (0, 0) } else { (front, behind) };
            let cut_front = drop_front.saturating_sub(reach);
            let cut_behind = drop_behind.saturating_sub(reach + unread);
            let length = grad.dim(axis + 2)?;
            grad = grad.narrow(axis + 2, cut_front, length - cut_front - cut_behind)?;
            padding[axis] = (
                reach.saturating_sub(drop_front),
                (reach + unread).saturating_sub(drop_behind),
            );
        }
        let geometry = Geometry {
            stride: [1; 3],
            padding,
            replicate: false,
            ..geometry
        };
        let dx = convolve(
            &grad.contiguous()?,
            &mirrored.to_dtype(grad.dtype())?,
            None,
            geometry,
        )?;
        if self.geometry.replicate {
            fold_frames(&dx, self.geometry.padding[0], x.dim(2)?)
        } else {
            Ok(dx)
        }
    }

    fn weight_gradient(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let sizes = self.sizes(x.shape(), weight.shape())?;
        let level = Level::current();
        let run = |xs: &CpuStorage, xl: &Layout, gs: &CpuStorage, gl: &Layout| {
            by_dtype!(xs.dtype(), T => {
                let (x, grad) = (dense::<T>(xs, xl)?, dense::<T>(gs, gl)?);
                let dw = if size_of::<T>() == 2 && has_bf16() {
                    conv::weight_gradient::<T, bf16>(&sizes, x, grad, bf16::kernels(level).columns)
                } else {
                    conv::weight_gradient::<T, f32>(&sizes, x, grad, f32::kernels(level).columns)
                };
                Ok((CpuStorage::F32(dw), weight.shape().clone()))
            })
        };
        x.detach()
            .apply_op2_no_bwd(grad, &Raw("conv-weight-gradient", run))?
            .to_dtype(weight.dtype())
    }
}

/// `[outputs, inputs / groups, ..]` to `[inputs, outputs / groups, ..]` with every tap mirrored.
fn mirrored(weight: &Tensor, groups: usize) -> Result<Tensor> {
    let (outputs, inputs, kt, kh, kw) = weight.dims5()?;
    let swapped = weight
        .reshape(vec![groups, outputs / groups, inputs, kt, kh, kw])?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((groups * inputs, outputs / groups, kt, kh, kw))?;
    (2..5).try_fold(swapped, |weight, axis| {
        let size = weight.dim(axis)?;
        if size == 1 {
            return Ok(weight);
        }
        let order: Vec<u32> = (0..size as u32).rev().collect();
        weight.index_select(&Tensor::new(order, weight.device())?, axis)
    })
}

/// Puts `stride - 1` zeros between neighbours of an axis.
fn spread(x: &Tensor, axis: usize, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(x.clone());
    }
    let size = x.dim(axis)?;
    let wide = x
        .unsqueeze(axis + 1)?
        .pad_with_zeros(axis + 1, 0, stride - 1)?;
    let mut shape = x.dims().to_vec();
    shape[axis] = size * stride;
    wide.reshape(shape)?
        .narrow(axis, 0, (size - 1) * stride + 1)
}

/// Adds what copies of the outermost frames received to those frames.
fn fold_frames(dx: &Tensor, (front, behind): (usize, usize), frames: usize) -> Result<Tensor> {
    let inner = dx.narrow(2, front, frames)?;
    let first = dx.narrow(2, 0, front + 1)?.sum_keepdim(2)?;
    let last = dx
        .narrow(2, front + frames - 1, behind + 1)?
        .sum_keepdim(2)?;
    if frames == 1 {
        return dx.sum_keepdim(2);
    }
    let middle = inner.narrow(2, 1, frames - 2)?;
    Tensor::cat(&[&first, &middle, &last], 2)
}

/// Sums `[B, C, ..]` over everything but the channels, in `f32`.
fn channel_sums(x: &Tensor) -> Result<Tensor> {
    let (batch, channels) = (x.dim(0)?, x.dim(1)?);
    x.to_dtype(candle_core::DType::F32)?
        .reshape((batch, channels, ()))?
        .sum(2)?
        .sum(0)
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

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, check, noise};
    use super::*;

    fn check3(x: &[usize], weight: &[usize], geometry: Geometry) {
        let args = [noise(1, x), noise(2, weight), noise(3, &weight[..1])];
        check(
            &format!("conv {x:?} {weight:?} {geometry:?}"),
            &args,
            &|t| convolve(&t[0], &t[1], Some(&t[2]), geometry),
            &|t| slow::convolve(&t[0], &t[1], Some(&t[2]), geometry),
        );
    }

    const PLAIN: Geometry = Geometry {
        stride: [1; 3],
        dilation: [1; 3],
        groups: 1,
        padding: [(0, 0); 3],
        replicate: false,
    };

    #[test]
    fn agrees_with_the_slow_form() {
        let causal = Geometry {
            padding: [(2, 0), (1, 1), (1, 1)],
            replicate: true,
            ..PLAIN
        };
        let symmetric = Geometry {
            padding: [(1, 1), (1, 1), (1, 1)],
            replicate: true,
            ..PLAIN
        };
        check3(&[1, 3, 4, 5, 6], &[5, 3, 3, 3, 3], causal);
        check3(&[2, 4, 1, 7, 8], &[3, 4, 3, 3, 3], causal);
        check3(&[1, 5, 3, 6, 33], &[20, 5, 3, 3, 3], symmetric);
        check3(&[1, 2, 1, 3, 3], &[2, 2, 3, 3, 3], symmetric);
        check3(&[1, 6, 2, 3, 4], &[7, 6, 1, 1, 1], PLAIN);
        check3(
            &[1, 3, 5, 6, 7],
            &[4, 3, 2, 3, 2],
            Geometry {
                padding: [(1, 0), (0, 2), (3, 1)],
                ..PLAIN
            },
        );
        check3(
            &[2, 3, 5, 9, 9],
            &[4, 3, 3, 3, 3],
            Geometry {
                padding: [(1, 1), (1, 1), (1, 1)],
                ..PLAIN
            },
        );
    }

    #[test]
    fn groups_and_dilation() {
        check3(
            &[1, 6, 2, 6, 7],
            &[4, 3, 1, 3, 3],
            Geometry {
                groups: 2,
                padding: [(0, 0), (1, 1), (1, 1)],
                ..PLAIN
            },
        );
        check3(
            &[2, 4, 1, 5, 18],
            &[8, 1, 1, 3, 3],
            Geometry {
                groups: 4,
                padding: [(0, 0), (1, 1), (1, 1)],
                ..PLAIN
            },
        );
        check3(
            &[1, 3, 1, 9, 9],
            &[2, 3, 1, 3, 3],
            Geometry {
                dilation: [1, 2, 2],
                padding: [(0, 0), (2, 2), (2, 2)],
                ..PLAIN
            },
        );
    }

    #[test]
    fn strides() {
        let geometry = Geometry {
            stride: [2, 2, 2],
            padding: [(1, 1), (0, 1), (0, 1)],
            ..PLAIN
        };
        check3(&[1, 3, 5, 8, 9], &[4, 3, 3, 3, 3], geometry);
        check3(
            &[1, 4, 1, 8, 8],
            &[4, 1, 1, 3, 3],
            Geometry {
                groups: 4,
                stride: [1, 2, 2],
                padding: [(0, 0), (0, 1), (0, 1)],
                ..PLAIN
            },
        );
        check3(
            &[1, 2, 1, 8, 8],
            &[3, 2, 1, 5, 5],
            Geometry {
                stride: [1, 3, 2],
                padding: [(0, 0), (2, 2), (1, 2)],
                ..PLAIN
            },
        );
    }

    #[test]
    fn the_flatter_forms_are_the_same_operation() {
        let (x, w) = (noise(1, &[2, 3, 17]), noise(2, &[4, 3, 4]));
        let options = Conv1dOptions {
            dilation: 2,
            ..Conv1dOptions::new(2, 3)
        };
        let got = conv1d(&x, &w, None, &options).unwrap();
        assert_close("conv1d", &got, &x.conv1d(&w, 3, 2, 2, 1).unwrap(), 1e-5);
        let (x, w) = (noise(1, &[2, 4, 9, 8]), noise(2, &[6, 2, 3, 3]));
        let options = Conv2dOptions {
            groups: 2,
            ..Conv2dOptions::new(2, 1)
        };
        let got = conv2d(&x, &w, None, &options).unwrap();
        assert_close("conv2d", &got, &x.conv2d(&w, 1, 2, 1, 2).unwrap(), 1e-5);
        let (x, w) = (noise(1, &[1, 2, 4, 5, 5]), noise(2, &[3, 2, 3, 3, 3]));
        let causal = conv3d(&x, &w, None, &Conv3dOptions::causal()).unwrap();
        assert_eq!(causal.dims(), [1, 3, 4, 5, 5]);
        // The first frame of a causal convolution sees only itself.
        let alone = conv3d(
            &x.narrow(2, 0, 1).unwrap(),
            &w,
            None,
            &Conv3dOptions::causal(),
        )
        .unwrap();
        assert_close("causal", &alone, &causal.narrow(2, 0, 1).unwrap(), 1e-5);
    }

    #[test]
    fn misfits_are_refused() {
        let x = noise(1, &[1, 3, 2, 2]);
        assert!(
            conv2d(
                &x,
                &noise(2, &[4, 2, 1, 1]),
                None,
                &Conv2dOptions::new(1, 0)
            )
            .is_err()
        );
        let error = conv2d(
            &x,
            &noise(2, &[4, 3, 5, 1]),
            None,
            &Conv2dOptions::new(1, 1),
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("does not fit"), "{error}");
        assert!(
            conv2d(
                &x,
                &noise(2, &[4, 3, 1, 1]),
                Some(&noise(3, &[3])),
                &Conv2dOptions::new(1, 0)
            )
            .is_err()
        );
    }
}
