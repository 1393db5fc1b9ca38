//! What tells tokens their places.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::interpolate::{Kernel, resize};

/// DINO adds this to the number of patches before it divides by that of training, against rounding
/// (facebookresearch/dino, issue 8); it moves the samples a little.
const MORE: f64 = 0.1;

/// Learned positions `[1, 1 + side², C]` at `rows` x `columns`, bicubic; the class token's stays.
pub(super) fn stretched(
    learned: &Tensor,
    side: usize,
    rows: usize,
    columns: usize,
) -> Result<Tensor> {
    let (_, count, width) = learned.dims3()?;
    let class = learned.narrow(1, 0, 1)?;
    let table = learned
        .narrow(1, 1, count - 1)?
        .squeeze(0)?
        .t()?
        .contiguous()?
        .to_vec2::<f32>()?;
    let scale = [rows, columns].map(|to| side as f64 / (to as f64 + MORE));
    let mut planes = Vec::with_capacity(width * rows * columns);
    for plane in &table {
        let to = (rows, columns);
        planes.extend(resize(
            plane,
            (side, side),
            to,
            Some(scale),
            Kernel::Bicubic,
        ));
    }
    let places = Tensor::from_vec(planes, (width, rows * columns), learned.device())?
        .t()?
        .unsqueeze(0)?
        .contiguous()?;
    Ok(Tensor::cat(&[&class.contiguous()?, &places], 1)?)
}

/// Sine and cosine in turn, of the token's number over 10,000 to the power of 0 to 1: `[1, count, width]`.
pub(super) fn waves(count: usize, width: usize, device: &Device) -> Result<Tensor> {
    let mut table = Vec::with_capacity(count * width);
    for token in 0..count {
        for channel in 0..width {
            let power = (2 * (channel / 2)) as f64 / width as f64;
            let angle = token as f64 / 10_000_f64.powf(power);
            let value = if channel % 2 == 0 {
                angle.sin()
            } else {
                angle.cos()
            };
            table.push(value as f32);
        }
    }
    Ok(Tensor::from_vec(table, (1, count, width), device)?)
}
