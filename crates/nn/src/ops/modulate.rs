//! Adaptive scale, shift and gate.

use candle_core::{Result, Tensor};

/// `x * (1 + scale) + shift`; `x` is `[B, N, width]`, `scale` and `shift`
/// broadcast to it (`[width]`, `[B, 1, width]` or `[B, N, width]`).
///
/// # Errors
/// When the shapes do not fit.
pub fn modulate(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    slow::modulate(x, scale, shift)
}

/// `x + gate * y`, the gated residual; `gate` broadcasts as in [`modulate`].
///
/// # Errors
/// When the shapes do not fit.
pub fn gate_add(x: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
    slow::gate_add(x, gate, y)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{DType, Result, Tensor};

    /// See [`super::modulate`].
    pub fn modulate(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
        let scale = (scale.to_dtype(DType::F32)? + 1.0)?;
        x.to_dtype(DType::F32)?
            .broadcast_mul(&scale)?
            .broadcast_add(&shift.to_dtype(DType::F32)?)?
            .to_dtype(x.dtype())
    }

    /// See [`super::gate_add`].
    pub fn gate_add(x: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
        let added = y
            .to_dtype(DType::F32)?
            .broadcast_mul(&gate.to_dtype(DType::F32)?)?;
        (x.to_dtype(DType::F32)? + added)?.to_dtype(x.dtype())
    }
}
