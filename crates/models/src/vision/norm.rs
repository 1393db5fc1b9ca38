//! Batch norms with fixed statistics, folded into the convolution before them or applied alone.

use candle_core::Tensor;
use nn::layers::{Conv2d, Conv3d};
use nn::ops::{Conv2dOptions, Conv3dOptions};
use nn::weights::View;

use crate::error::Result;

/// `x * scale + shift`, one of each a channel: what a batch norm does when it does not learn.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    scale: Tensor,
    shift: Tensor,
}

impl Affine {
    /// From `weight`, `bias`, `running_mean` and `running_var` (`weight` and `bias` may be missing).
    pub(crate) fn load(view: &View, channels: usize, eps: f64) -> Result<Self> {
        let mean = view.get(channels, "running_mean")?;
        let deviation = (view.get(channels, "running_var")? + eps)?.sqrt()?;
        let scale = if view.contains("weight") {
            (view.get(channels, "weight")? / deviation)?
        } else {
            deviation.recip()?
        };
        let shift = (mean * &scale)?.neg()?;
        let shift = if view.contains("bias") {
            (shift + view.get(channels, "bias")?)?
        } else {
            shift
        };
        Ok(Self { scale, shift })
    }

    /// `x` `[B, C, ..]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = vec![1; x.rank()];
        if let Some(place) = shape.get_mut(1) {
            *place = self.scale.elem_count();
        }
        let scale = self.scale.reshape(shape.as_slice())?;
        let shift = self.shift.reshape(shape.as_slice())?;
        Ok(x.broadcast_mul(&scale)?.broadcast_add(&shift)?)
    }

    /// The weight and bias of a convolution that does this as well.
    fn fold(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let mut shape = vec![1; weight.rank()];
        if let Some(place) = shape.first_mut() {
            *place = self.scale.elem_count();
        }
        let folded = weight.broadcast_mul(&self.scale.reshape(shape)?)?;
        let bias = match bias {
            Some(bias) => ((bias * &self.scale)? + &self.shift)?,
            None => self.shift.clone(),
        };
        Ok((folded, bias))
    }
}

/// The weight `conv.weight` of a view with the batch norm `norm` folded in.
fn folded(conv: &View, norm: Option<(&View, f64)>) -> Result<(Tensor, Option<Tensor>)> {
    let weight = conv.get_any("weight")?;
    let outputs = weight.dims().first().copied().unwrap_or(0);
    let bias = if conv.contains("bias") {
        Some(conv.get(outputs, "bias")?)
    } else {
        None
    };
    let Some((norm, eps)) = norm else {
        return Ok((weight, bias));
    };
    let (weight, bias) = Affine::load(norm, outputs, eps)?.fold(&weight, bias.as_ref())?;
    Ok((weight, Some(bias)))
}

/// A convolution over `[B, C, H, W]`, a batch norm folded in, and `max(x, 0)` where wanted.
#[derive(Debug, Clone)]
pub(crate) struct ConvNorm2d {
    conv: Conv2d,
    relu: bool,
}

impl ConvNorm2d {
    /// Kernel and channels are those of the file.
    pub(crate) fn load(
        conv: &View,
        norm: Option<(&View, f64)>,
        options: Conv2dOptions,
        relu: bool,
    ) -> Result<Self> {
        let (weight, bias) = folded(conv, norm)?;
        Ok(Self {
            conv: Conv2d::new(weight, bias, options),
            relu,
        })
    }

    /// The same with as many zeros around as keep the size at stride 1 (odd kernels).
    pub(crate) fn load_same(
        conv: &View,
        norm: Option<(&View, f64)>,
        stride: usize,
        relu: bool,
    ) -> Result<Self> {
        let shape = conv.shape("weight").unwrap_or_default();
        let pad = |axis: usize| shape.get(axis).copied().unwrap_or(1) / 2;
        let options = Conv2dOptions {
            height: (pad(2), pad(2)),
            width: (pad(3), pad(3)),
            ..Conv2dOptions::new(stride, 0)
        };
        Self::load(conv, norm, options, relu)
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(x)?;
        Ok(if self.relu { x.relu()? } else { x })
    }

    /// Channels that come out.
    pub(crate) fn outputs(&self) -> usize {
        self.conv.weight().dims().first().copied().unwrap_or(0)
    }
}

/// A convolution over `[B, C, T, H, W]`, a batch norm folded in, and `max(x, 0)` where wanted.
#[derive(Debug, Clone)]
pub(crate) struct ConvNorm3d {
    conv: Conv3d,
    relu: bool,
}

impl ConvNorm3d {
    pub(crate) fn load(
        conv: &View,
        norm: Option<(&View, f64)>,
        options: Conv3dOptions,
        relu: bool,
    ) -> Result<Self> {
        let (weight, bias) = folded(conv, norm)?;
        Ok(Self {
            conv: Conv3d::new(weight, bias, options),
            relu,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(x)?;
        Ok(if self.relu { x.relu()? } else { x })
    }

    /// With other padding or stride.
    pub(crate) fn forward_with(&self, x: &Tensor, options: &Conv3dOptions) -> Result<Tensor> {
        let x = self.conv.forward_with(x, options)?;
        Ok(if self.relu { x.relu()? } else { x })
    }

    /// Side of the kernel along time, height and width.
    pub(crate) fn kernel(&self) -> [usize; 3] {
        let dims = self.conv.weight().dims();
        [2, 3, 4].map(|axis| dims.get(axis).copied().unwrap_or(1))
    }
}
