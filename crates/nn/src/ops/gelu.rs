//! GELU, in its tanh form and exactly.

use candle_core::{Result, Tensor};

use super::support::on_kernels;
use super::unary;
use crate::cpu::map::Function;

/// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
///
/// # Errors
/// When the dtype has no kernel.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    if on_kernels(x) {
        unary::apply(Function::GeluTanh, x)
    } else {
        slow::gelu_tanh(x)
    }
}

/// `0.5 x (1 + erf(x / sqrt(2)))`.
///
/// # Errors
/// When the dtype has no kernel.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    if on_kernels(x) {
        unary::apply(Function::GeluErf, x)
    } else {
        slow::gelu_erf(x)
    }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        let x = (noise(1, &[3, 5, 77]) * 4.0).unwrap();
        check(
            "gelu_tanh",
            std::slice::from_ref(&x),
            &|t| gelu_tanh(&t[0]),
            &|t| slow::gelu_tanh(&t[0]),
        );
        check(
            "gelu_erf",
            std::slice::from_ref(&x),
            &|t| gelu_erf(&t[0]),
            &|t| slow::gelu_erf(&t[0]),
        );
    }
}
