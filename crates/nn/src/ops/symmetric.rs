//! Products whose result is known to be symmetric, at little more than half the price.

use candle_core::{CpuStorage, DType, Layout, Result, Tensor, bail};

use super::linear::in_rows;
use super::support::Raw;
use crate::cpu::pack::Strided;
use crate::cpu::storage::dense;
use crate::cpu::symmetric::product;

/// What is done to a symmetric product before it is written: `scale * product + addition + diagonal * I`.
#[derive(Debug, Clone, Copy)]
pub struct SymmetricOptions<'a> {
    /// Factor of the product.
    pub scale: f64,
    /// A symmetric matrix with its factor.
    pub addition: Option<(f64, &'a Tensor)>,
    /// Factor of the identity.
    pub diagonal: f64,
}

impl Default for SymmetricOptions<'_> {
    fn default() -> Self {
        Self {
            scale: 1.0,
            addition: None,
            diagonal: 0.0,
        }
    }
}

/// `a b^T` for `a` and `b` `[N, K]` of which the caller knows that the result `[N, N]` is symmetric: Gram matrices,
/// and products of polynomials of one symmetric matrix. Of numbers above the diagonal only the mirror images are
/// made. Views that are transposed are read where they lie. There is no gradient.
///
/// # Errors
/// When the shapes do not fit.
pub fn symmetric_product(a: &Tensor, b: &Tensor, options: SymmetricOptions<'_>) -> Result<Tensor> {
    let (size, inner) = a.dims2()?;
    if b.dims() != a.dims() {
        bail!(
            "symmetric product: {:?} and {:?} differ",
            a.dims(),
            b.dims()
        );
    }
    if let Some((_, addition)) = options.addition
        && addition.dims() != [size, size]
    {
        bail!(
            "symmetric product: the addition is {:?}, not [{size}, {size}]",
            addition.dims()
        );
    }
    let kernel = a.device().is_cpu()
        && [Some(a), Some(b), options.addition.map(|(_, t)| t)]
            .into_iter()
            .flatten()
            .all(|t| t.dtype() == DType::F32);
    if !kernel {
        return slow::symmetric_product(a, b, options);
    }
    let ((a, a_turned), (b, b_turned)) = (in_rows(a)?, in_rows(b)?);
    let (scale, diagonal) = (options.scale as f32, options.diagonal as f32);
    let run =
        |al: (&CpuStorage, &Layout), bl: (&CpuStorage, &Layout), added: Option<(f32, &[f32])>| {
            let view = |data, turned| {
                if turned {
                    Strided::dense(data, inner, size).transposed()
                } else {
                    Strided::dense(data, size, inner)
                }
            };
            let left = view(dense::<f32>(al.0, al.1)?, a_turned);
            let right = view(dense::<f32>(bl.0, bl.1)?, b_turned).transposed();
            let out = product(&left, &right, scale, added, diagonal);
            Ok((CpuStorage::F32(out), (size, size).into()))
        };
    if let Some((factor, addition)) = options.addition {
        let three = |s1: &CpuStorage,
                     l1: &Layout,
                     s2: &CpuStorage,
                     l2: &Layout,
                     s3: &CpuStorage,
                     l3: &Layout| {
            let added = (factor as f32, dense::<f32>(s3, l3)?);
            run((s1, l1), (s2, l2), Some(added))
        };
        let addition = addition.detach().contiguous()?;
        a.apply_op3_no_bwd(&b, &addition, &Raw("symmetric-product", three))
    } else {
        let two = |s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout| {
            run((s1, l1), (s2, l2), None)
        };
        a.apply_op2_no_bwd(&b, &Raw("symmetric-product", two))
    }
}

/// The slow twin.
pub mod slow {
    use candle_core::{Result, Tensor};

    use super::SymmetricOptions;

    /// See [`super::symmetric_product`].
    ///
    /// # Errors
    /// As the fast one.
    pub fn symmetric_product(
        a: &Tensor,
        b: &Tensor,
        options: SymmetricOptions<'_>,
    ) -> Result<Tensor> {
        let mut sum = (a.matmul(&b.t()?.contiguous()?)? * options.scale)?;
        if let Some((factor, addition)) = options.addition {
            sum = (sum + (addition * factor)?)?;
        }
        let identity = Tensor::eye(a.dim(0)?, a.dtype(), a.device())?;
        sum + (identity * options.diagonal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_close, noise};

    #[test]
    fn agrees_with_its_slow_twin_at_any_size() {
        for (size, inner) in [
            (1, 1),
            (3, 7),
            (63, 20),
            (64, 300),
            (65, 65),
            (130, 31),
            (200, 513),
        ] {
            let a = noise(size as u64, &[size, inner]);
            let gram = SymmetricOptions {
                scale: 0.1,
                ..SymmetricOptions::default()
            };
            let fast = symmetric_product(&a, &a, gram).unwrap();
            assert_close(
                "gram",
                &fast,
                &slow::symmetric_product(&a, &a, gram).unwrap(),
                1e-5,
            );
            // Polynomials of one symmetric matrix commute, so their products are symmetric.
            let options = SymmetricOptions {
                scale: -4.0,
                addition: Some((2.5, &fast)),
                diagonal: 3.0,
            };
            let square = symmetric_product(&fast, &fast, options).unwrap();
            let slow = slow::symmetric_product(&fast, &fast, options).unwrap();
            assert_close("polynomial", &square, &slow, 1e-5);
            let turned = square.t().unwrap().contiguous().unwrap();
            assert_close("symmetric", &square, &turned, 0.0);
        }
    }

    #[test]
    fn unfit_shapes_are_refused() {
        let (a, b) = (noise(1, &[4, 3]), noise(2, &[4, 4]));
        assert!(symmetric_product(&a, &b, SymmetricOptions::default()).is_err());
        let options = SymmetricOptions {
            addition: Some((1.0, &a)),
            ..SymmetricOptions::default()
        };
        assert!(symmetric_product(&a, &a, options).is_err());
    }
}
