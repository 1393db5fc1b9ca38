//! GELU, in its tanh form and exactly.

use candle_core::{Result, Tensor};

/// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
///
/// # Errors
/// When the dtype has no kernel.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    slow::gelu_tanh(x)
}

/// `0.5 x (1 + erf(x / sqrt(2)))`.
///
/// # Errors
/// When the dtype has no kernel.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    slow::gelu_erf(x)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{DType, Result, Tensor};

    /// See [`super::gelu_tanh`].
    pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
        x.to_dtype(DType::F32)?.gelu()?.to_dtype(x.dtype())
    }

    /// See [`super::gelu_erf`].
    pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
        x.to_dtype(DType::F32)?.gelu_erf()?.to_dtype(x.dtype())
    }
}
