//! The same in plain candle operations.

use candle_core::{D, DType, Result, Tensor};

use super::Activation;

/// See [`super::linear`].
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let dtype = x.dtype();
    let inputs = x.dim(D::Minus1)?;
    let mut shape = x.dims().to_vec();
    let rows = x.elem_count() / inputs.max(1);
    let flat = x.to_dtype(DType::F32)?.reshape((rows, inputs))?;
    let mut y = flat.matmul(&weight.to_dtype(DType::F32)?.t()?.contiguous()?)?;
    if let Some(bias) = bias {
        y = y.broadcast_add(&bias.to_dtype(DType::F32)?)?;
    }
    let y = match activation {
        Activation::None => y,
        Activation::GeluTanh => y.gelu()?,
        Activation::GeluErf => y.gelu_erf()?,
        Activation::Silu => y.silu()?,
    };
    if let Some(last) = shape.last_mut() {
        *last = weight.dim(0)?;
    }
    y.reshape(shape)?.to_dtype(dtype)
}
