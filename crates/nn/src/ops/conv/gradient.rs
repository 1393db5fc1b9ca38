//! The backward pass of a convolution.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, Layout, Result, Tensor};
use half::bf16;
use rayon::prelude::*;

use super::{Conv, Geometry, convolve};
use crate::cpu::buffer::unwritten;
use crate::cpu::conv;
use crate::cpu::kernel::{Element as _, has_bf16};
use crate::cpu::level::Level;
use crate::cpu::storage::{Stored, by_dtype, dense};
use crate::ops::support::Raw;

impl Conv {
    /// The gradient of the input is a convolution of the result's gradient, spread out by
    /// the stride, with the mirrored weight; copies of frames then flow back to their source.
    pub(super) fn input_gradient(
        &self,
        x: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> Result<Tensor> {
        let geometry = self.geometry;
        let kernel = &weight.dims()[2..];
        let mirrored = mirrored(weight, geometry.groups)?;
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

    pub(super) fn weight_gradient(
        &self,
        x: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> Result<Tensor> {
        let sizes = self.sizes(x.shape(), weight.shape())?;
        #[cfg(feature = "cuda")]
        if crate::ops::support::on_gpu(x) {
            return crate::cuda::ops::convolution::weight_gradient(&sizes, x, grad, weight)?
                .to_dtype(weight.dtype());
        }
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
        x.apply_op2_no_bwd(grad, &Raw("conv-weight-gradient", run))?
            .to_dtype(weight.dtype())
    }
}

/// `[outputs, inputs / groups, ..]` to `[inputs, outputs / groups, ..]` with every tap mirrored.
fn mirrored(weight: &Tensor, groups: usize) -> Result<Tensor> {
    let (outputs, inputs, kt, kh, kw) = weight.dims5()?;
    let (each, taps) = (outputs / groups, kt * kh * kw);
    let run = |s: &CpuStorage, l: &Layout| {
        let out = by_dtype!(s.dtype(), T => {
            let weight: &[T] = dense(s, l)?;
            // SAFETY: every row of the result is written.
            #[expect(unsafe_code, reason = "written below")]
            let mut out = unsafe { unwritten::<T>(weight.len()) };
            out.par_chunks_mut(each * taps).enumerate().for_each(|(row, out)| {
                let (group, input) = (row / inputs, row % inputs);
                for (output, to) in (group * each..).zip(out.chunks_exact_mut(taps)) {
                    let from = &weight[(output * inputs + input) * taps..][..taps];
                    for (to, from) in to.iter_mut().zip(from.iter().rev()) {
                        *to = *from;
                    }
                }
            });
            T::store(out)
        });
        Ok((out, (groups * inputs, each, kt, kh, kw).into()))
    };
    weight.contiguous()?.apply_op1_no_bwd(&Raw("mirrored", run))
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
pub(super) fn channel_sums(x: &Tensor) -> Result<Tensor> {
    let (batch, channels) = (x.dim(0)?, x.dim(1)?);
    if x.device().is_cpu() {
        let positions = x.elem_count() / (batch * channels).max(1);
        let run = |s: &CpuStorage, l: &Layout| {
            let sums = by_dtype!(s.dtype(), T => {
                conv::channel_sums::<T>(dense(s, l)?, channels, positions)
            });
            Ok((CpuStorage::F32(sums), channels.into()))
        };
        return x.contiguous()?.apply_op1_no_bwd(&Raw("channel-sums", run));
    }
    x.to_dtype(candle_core::DType::F32)?
        .reshape((batch, channels, ()))?
        .sum(2)?
        .sum(0)
}
