//! The same in plain candle operations: temporal taps as accumulated 2D convolutions.

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
