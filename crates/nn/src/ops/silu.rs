//! `x * sigmoid(x)`.

use candle_core::{Result, Tensor};

/// `x / (1 + exp(-x))`.
///
/// # Errors
/// When the dtype has no kernel.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    slow::silu(x)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{DType, Result, Tensor};

    /// See [`super::silu`].
    pub fn silu(x: &Tensor) -> Result<Tensor> {
        x.to_dtype(DType::F32)?.silu()?.to_dtype(x.dtype())
    }
}
