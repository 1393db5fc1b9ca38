//! `y = activation(x W^T + b)`, with low-rank additions.

use candle_core::{D, Result, Tensor, bail};

/// What is applied to a linear layer's result before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    #[default]
    None,
    /// The tanh form of GELU.
    GeluTanh,
    /// The exact GELU by the error function.
    GeluErf,
    /// `x * sigmoid(x)`.
    Silu,
}

impl Activation {
    /// Applies it as an operation of its own.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::GeluTanh => super::gelu_tanh(x),
            Self::GeluErf => super::gelu_erf(x),
            Self::Silu => super::silu(x),
        }
    }
}

/// A low-rank addition `scale * up(down(x))` (`LoRA`, Hu et al. 2021).
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[rank, inputs]`.
    pub down: Tensor,
    /// `[outputs, rank]`.
    pub up: Tensor,
    /// alpha / rank, times the strength that the user chose.
    pub scale: f64,
}

/// `activation(x W^T + b)`.
///
/// `x` is `[.., inputs]`, `weight` is `[outputs, inputs]`, `bias` is `[outputs]`;
/// the result is `[.., outputs]` in the dtype of `x`. Sums are `f32`.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    slow::linear(x, weight, bias, activation)
}

/// [`linear`] with low-rank additions before the activation.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear_lora(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    loras: &[Lora],
) -> Result<Tensor> {
    if loras.is_empty() {
        return linear(x, weight, bias, activation);
    }
    let mut sum = linear(x, weight, bias, Activation::None)?;
    for lora in loras {
        let inner = linear(x, &lora.down, None, Activation::None)?;
        let added = linear(&inner, &lora.up, None, Activation::None)?;
        sum = (sum + (added * lora.scale)?)?;
    }
    activation.apply(&sum)
}

fn check(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<()> {
    let (outputs, inputs) = weight.dims2()?;
    if x.rank() == 0 || x.dim(D::Minus1)? != inputs {
        bail!(
            "linear: x is {:?} but the weight {:?} takes {inputs} inputs",
            x.dims(),
            weight.dims()
        );
    }
    if let Some(bias) = bias
        && bias.dims() != [outputs]
    {
        bail!(
            "linear: bias is {:?} but the weight {:?} has {outputs} outputs",
            bias.dims(),
            weight.dims()
        );
    }
    Ok(())
}

/// The same in plain candle operations.
pub mod slow {
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
}
