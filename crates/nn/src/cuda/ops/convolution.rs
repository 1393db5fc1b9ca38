//! Convolution.

use candle_core::{DType, Result, Tensor};

use super::{run, table};
use crate::cpu::conv::Sizes;
use crate::cuda::memory::{Space, at, at_or_nothing, element};
use crate::cuda::plan::convolution::Convolution;

/// The convolution of contiguous tensors, without a gradient.
pub(crate) fn forward(
    sizes: &Sizes,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Space> {
    let plan = Convolution {
        element: element(x)?,
        sizes,
    };
    let weight = weight.detach().to_dtype(x.dtype())?.contiguous()?;
    let bias = bias.map(table).transpose()?;
    let [frames, rows, columns] = sizes.output;
    let shape = (sizes.batch, sizes.outputs, frames, rows, columns);
    let y = Space::new(x.device(), x.dtype(), shape)?;
    let [x_count, weight_count] = plan.scratch();
    let narrow = |count: usize| Space::new(x.device(), DType::BF16, count);
    let (x_last, weight_last) = (narrow(x_count)?, narrow(weight_count)?);
    let places = (at(x)?, at(&weight)?, at_or_nothing(bias.as_ref())?);
    let launches = plan.forward(places, y.at()?, [x_last.at()?, weight_last.at()?]);
    run(x, &launches)?;
    Ok(y)
}

/// The gradient of the weight, in `f32`; tensors are contiguous.
pub(crate) fn weight_gradient(
    sizes: &Sizes,
    x: &Tensor,
    grad: &Tensor,
    weight: &Tensor,
) -> Result<Tensor> {
    let plan = Convolution {
        element: element(x)?,
        sizes,
    };
    let to = Space::new(x.device(), DType::F32, weight.shape())?;
    let [x_count, grad_count, parts] = plan.weight_scratch();
    let x_last = Space::new(x.device(), DType::BF16, x_count)?;
    let grad_last = Space::new(x.device(), DType::BF16, grad_count)?;
    let parts = Space::new(x.device(), DType::F32, parts)?;
    let scratch = [x_last.at()?, grad_last.at()?, parts.at()?];
    run(
        x,
        &plan.weight_gradient(at(x)?, at(grad)?, to.at()?, scratch),
    )?;
    Ok(to.tensor())
}
