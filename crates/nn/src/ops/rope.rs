//! Rotary positions over the full width, interleaved pairs.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use super::support::{apply3, on_kernels, table_at};
use crate::cpu::rows::{Table, TableAt, rotate};
use crate::cpu::storage::{Stored, by_dtype, dense};

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
    if !on_kernels(x) {
        return slow::rope(x, cos, sin);
    }
    let at = table_at("rope", x, cos, width / 2)?;
    if table_at("rope", x, sin, width / 2)? != at {
        bail!(
            "rope: cosines are {:?} but sines are {:?}",
            cos.dims(),
            sin.dims()
        );
    }
    let table = |t: &Tensor| t.detach().to_dtype(DType::F32)?.contiguous();
    let (x, cos, sin) = (x.contiguous()?, table(cos)?, table(sin)?);
    #[cfg(feature = "cuda")]
    if super::support::on_gpu(&x) {
        return crate::cuda::ops::rows::rope(&x, &cos, &sin, at);
    }
    apply3(&x, &cos, &sin, Rope { at, sign: 1.0 })
}

struct Rope {
    at: TableAt,
    sign: f32,
}

impl CustomOp3 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xl: &Layout,
        cs: &CpuStorage,
        cl: &Layout,
        ss: &CpuStorage,
        sl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = xl.dims().last().copied().unwrap_or(2);
        let cos = Table {
            data: dense(cs, cl)?,
            at: self.at,
        };
        let sin = Table {
            data: dense(ss, sl)?,
            at: self.at,
        };
        by_dtype!(xs.dtype(), T => {
            Ok((T::store(rotate::<T>(dense(xs, xl)?, width, cos, sin, self.sign)), xl.shape().clone()))
        })
    }

    fn bwd(
        &self,
        _: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        // The inverse of a rotation is its transpose.
        let inverse = Self {
            at: self.at,
            sign: -self.sign,
        };
        Ok((
            Some(grad.contiguous()?.apply_op3_no_bwd(cos, sin, &inverse)?),
            None,
            None,
        ))
    }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn agrees_with_the_slow_form() {
        for tables in [&[9, 10][..], &[1, 9, 10], &[2, 9, 10]] {
            let angles = (noise(2, tables) * 7.0).unwrap();
            let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
            check(
                "rope",
                &[noise(1, &[2, 9, 20])],
                &|t| rope(&t[0], &cos, &sin),
                &|t| slow::rope(&t[0], &cos, &sin),
            );
        }
        let x = noise(1, &[2, 9, 20]);
        assert!(rope(&x, &noise(2, &[9, 20]), &noise(2, &[9, 20])).is_err());
    }
}
