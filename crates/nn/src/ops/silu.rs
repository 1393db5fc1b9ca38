//! `x * sigmoid(x)`.

use candle_core::{Result, Tensor};

use super::support::on_kernels;
use super::unary;
use crate::cpu::map::Function;

/// `x / (1 + exp(-x))`.
///
/// # Errors
/// When the dtype has no kernel.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    if on_kernels(x) {
        unary::apply(Function::Silu, x)
    } else {
        slow::silu(x)
    }
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{DType, Result, Tensor};

    /// See [`super::silu`].
    pub fn silu(x: &Tensor) -> Result<Tensor> {
        x.to_dtype(DType::F32)?.silu()?.to_dtype(x.dtype())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        let x = (noise(1, &[3, 5, 77]) * 4.0).unwrap();
        check("silu", std::slice::from_ref(&x), &|t| silu(&t[0]), &|t| {
            slow::silu(&t[0])
        });
    }
}
