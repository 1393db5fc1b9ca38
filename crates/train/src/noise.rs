//! Noise of a sample: immiscible diffusion by nearest neighbours.

use candle_core::Tensor;

use crate::error::{Result, TrainError};
use crate::random::Draw;

/// The nearest of `candidates` to `clean`, by squared distance; the first of equals
/// (`EditYourself` 4.1: k = 4 draws a sample).
///
/// # Errors
/// When there are none, or shapes differ.
pub fn nearest(clean: &Tensor, candidates: &[Tensor]) -> Result<Tensor> {
    let mut best: Option<(f64, &Tensor)> = None;
    for candidate in candidates {
        let distance = f64::from(
            (clean.detach() - candidate)?
                .sqr()?
                .sum_all()?
                .to_scalar::<f32>()?,
        );
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, noise)| noise.clone())
        .ok_or_else(|| TrainError::Recipe("noise is chosen among 0 candidates".to_owned()))
}

/// Noise for `clean`: the nearest of `k` draws, or one draw when `k` is below 2.
///
/// # Errors
/// When a tensor can't be made.
pub fn immiscible(clean: &Tensor, k: usize, draw: &mut Draw) -> Result<Tensor> {
    let candidates = (0..k.max(1))
        .map(|_| draw.normals(clean.dims()))
        .collect::<Result<Vec<_>>>()?;
    nearest(clean, &candidates)
}

/// Eq. 5: `(1 - t) clean + t noise`; `t` broadcasts to `clean`, so that it may differ by token.
///
/// # Errors
/// When shapes do not fit.
pub fn noised(clean: &Tensor, noise: &Tensor, t: &Tensor) -> Result<Tensor> {
    let keep = t.affine(-1.0, 1.0)?;
    Ok((clean.broadcast_mul(&keep)? + noise.broadcast_mul(t)?)?)
}

/// The velocity that is learnt: `noise - clean`.
///
/// # Errors
/// When shapes do not fit.
pub fn velocity(clean: &Tensor, noise: &Tensor) -> Result<Tensor> {
    Ok((noise - clean)?)
}
