//! Rotary positions over the full width, interleaved pairs.

use candle_core::{D, Result, Tensor, bail};

/// Rotates the pairs `(2j, 2j+1)` of the last axis:
/// `a' = a cos - b sin`, `b' = b cos + a sin`.
///
/// `x` is `[B, N, width]`, before the head split; `cos` and `sin` are `f32`,
/// `[N, width / 2]` or `[B, N, width / 2]`, one value a pair. Tables come from the
/// caller, who computes angles in `f64`.
///
/// # Errors
/// When the shapes do not fit.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (b, n, width) = x.dims3()?;
    let fits = |t: &Tensor| match *t.dims() {
        [tn, half] => (tn, half * 2) == (n, width),
        [tb, tn, half] => (tb == b || tb == 1) && (tn, half * 2) == (n, width),
        _ => false,
    };
    if !fits(cos) || !fits(sin) {
        bail!(
            "rope: x is {:?} but the tables are {:?} and {:?}",
            x.dims(),
            cos.dims(),
            sin.dims()
        );
    }
    let _ = D::Minus1;
    slow::rope(x, cos, sin)
}

/// The same in plain candle operations.
pub mod slow {
    use candle_core::{D, DType, Result, Tensor};

    /// See [`super::rope`].
    pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let (b, n, width) = x.dims3()?;
        let pairs = x.to_dtype(DType::F32)?.reshape((b, n, width / 2, 2))?;
        let first = pairs.narrow(D::Minus1, 0, 1)?.squeeze(D::Minus1)?;
        let second = pairs.narrow(D::Minus1, 1, 1)?.squeeze(D::Minus1)?;
        let (cos, sin) = (cos.to_dtype(DType::F32)?, sin.to_dtype(DType::F32)?);
        let even = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
        let odd = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
        Tensor::stack(&[even, odd], 3)?
            .reshape((b, n, width))?
            .to_dtype(x.dtype())
    }
}
