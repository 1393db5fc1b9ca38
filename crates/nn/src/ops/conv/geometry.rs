//! What a convolution does to shapes.

use candle_core::{Result, Tensor, bail};

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

/// Sizes of batch, channels and three axes: flatter tensors have the last ones.
pub(super) fn five_axes(dims: &[usize]) -> Result<[usize; 5]> {
    match *dims {
        [b, c, l] => Ok([b, c, 1, 1, l]),
        [b, c, h, w] => Ok([b, c, 1, h, w]),
        [b, c, t, h, w] => Ok([b, c, t, h, w]),
        _ => bail!("convolution: {dims:?} is neither [B, C, L], [B, C, H, W] nor [B, C, T, H, W]"),
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
        let [_, channels, t, h, w] = five_axes(x.dims())?;
        let [outputs, per_group, kt, kh, kw] = five_axes(weight.dims())?;
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
