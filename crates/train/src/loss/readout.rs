//! A linear reader of the mouth from clean latents.
//!
//! Fitted once by ridge regression on recordings; as a loss through the one-step estimate it tells the
//! transformer at once what the flow loss tells only after thousands of steps: that the sound
//! decides the mouth's shape.

use candle_core::{Device, Tensor};
use nn::ops::{Activation, linear};

use super::flow::squared_error;
use super::sound::correlation;
use crate::error::{Result, TrainError};

/// Normalised targets are `features x weights`; weights `[features, targets]`.
#[derive(Debug, Clone)]
pub struct Readout {
    /// `[targets, features]`, as a linear layer.
    pub weights: Tensor,
    /// Mean of the targets `[targets]`.
    pub mean: Tensor,
    /// Standard deviation of the targets `[targets]`.
    pub deviation: Tensor,
    /// Weight of every target in the loss `[targets]`.
    pub importance: Tensor,
    /// How many of the targets, from the first, are mouth openings of the latent's frames.
    pub openings: usize,
}

impl Readout {
    /// Ridge regression of normalised `targets` `[rows, K]` on `features` `[rows, F]`.
    ///
    /// # Errors
    /// When there are no rows, or a matrix can't be factored.
    pub fn fit(features: &Tensor, targets: &Tensor, ridge: f64, openings: usize) -> Result<Self> {
        let (rows, width) = features.dims2()?;
        let (_, count) = targets.dims2()?;
        if rows < 2 {
            return Err(TrainError::Data(format!(
                "a reader of the mouth can't be fitted to {rows} latents"
            )));
        }
        let mean = targets.mean(0)?;
        let centred = targets.broadcast_sub(&mean)?;
        let deviation = (centred.sqr()?.mean(0)? + 1e-12)?.sqrt()?;
        let normal = centred.broadcast_div(&deviation)?;
        let product = |a: &Tensor, b: &Tensor| linear(a, b, None, Activation::None);
        let turned = features.t()?.contiguous()?;
        let normal = normal.t()?.contiguous()?;
        // (X^T X + r)^-1 X^T Y, or X^T (X X^T + r)^-1 Y, whichever matrix is smaller.
        let weights = if rows < width {
            let gram = product(features, features)?.to_vec2::<f32>()?;
            let solved = solve(&gram, &normal.t()?.to_vec2::<f32>()?, ridge)?;
            let solved = Tensor::new(solved, &Device::Cpu)?.t()?.contiguous()?;
            product(&solved, &turned)?
        } else {
            let gram = product(&turned, &turned)?.to_vec2::<f32>()?;
            let right = product(&turned, &normal)?.to_vec2::<f32>()?;
            let solved = solve(&gram, &right, ridge)?;
            Tensor::new(solved, &Device::Cpu)?.t()?.contiguous()?
        };
        let device = Device::Cpu;
        Ok(Self {
            weights: weights.reshape((count, width))?,
            mean,
            deviation,
            importance: Tensor::ones(count, candle_core::DType::F32, &device)?,
            openings: openings.min(count),
        })
    }

    /// Normalised readings of latents `[.., F]`: `[.., K]`.
    ///
    /// # Errors
    /// When the widths differ.
    pub fn read(&self, latents: &Tensor) -> Result<Tensor> {
        Ok(linear(latents, &self.weights, None, Activation::None)?)
    }

    /// `(target - mean) / deviation`.
    ///
    /// # Errors
    /// When the widths differ.
    pub fn normalise(&self, targets: &Tensor) -> Result<Tensor> {
        Ok(targets
            .broadcast_sub(&self.mean)?
            .broadcast_div(&self.deviation)?)
    }

    /// Squared error of readings `[B, L, K]` against normalised targets, with the readers' importance;
    /// `keep` `[B, L]` says which latents count.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn error(&self, readings: &Tensor, targets: &Tensor, keep: &Tensor) -> Result<Tensor> {
        let errors = squared_error(readings, targets)?.broadcast_mul(&self.importance)?;
        let kept = keep.sum_all()?.to_scalar::<f32>()?.max(1.0);
        let total = f64::from(kept * self.importance.sum_all()?.to_scalar::<f32>()?);
        Ok((errors.broadcast_mul(&keep.unsqueeze(2)?)?.sum_all()? / total)?)
    }

    /// `1 - correlation` of the openings over a window's latents `first..`, averaged over samples
    /// that `keep` `[B]` keeps.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn correlation_loss(
        &self,
        readings: &Tensor,
        targets: &Tensor,
        first: usize,
        keep: &Tensor,
    ) -> Result<Tensor> {
        let (batch, latents, _) = readings.dims3()?;
        let pick = |x: &Tensor| -> Result<Tensor> {
            Ok(x.narrow(1, first, latents - first)?
                .narrow(2, 0, self.openings)?
                .contiguous()?
                .reshape((batch, (latents - first) * self.openings))?)
        };
        let loss = correlation(&pick(readings)?, &pick(targets)?)?.affine(-1.0, 1.0)?;
        let count = keep.sum_all()?.to_scalar::<f32>()?.max(1.0);
        Ok(((loss * keep)?.sum_all()? / f64::from(count))?)
    }
}

/// Sum of products, in eight parts, so that it is not one chain of additions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0_f64; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for ((part, a), b) in parts.iter_mut().zip(a).zip(b) {
            *part += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    parts.iter().sum::<f64>() + rest
}

/// Solves `(gram + ridge I) x = right` by Cholesky in `f64`.
pub(crate) fn solve(gram: &[Vec<f32>], right: &[Vec<f32>], ridge: f64) -> Result<Vec<Vec<f32>>> {
    let n = gram.len();
    let bad =
        || TrainError::Data("the latents do not determine a reader; raise the ridge".to_owned());
    let mut lower = vec![0.0_f64; n * n];
    let at = |m: &[f64], i: usize, j: usize| m.get(i * n + j).copied().unwrap_or(0.0);
    for i in 0..n {
        for j in 0..=i {
            let own = gram.get(i).and_then(|row| row.get(j)).copied();
            let mut sum = f64::from(own.unwrap_or(0.0)) + if i == j { ridge } else { 0.0 };
            let (a, b) = (lower.get(i * n..i * n + j), lower.get(j * n..j * n + j));
            if let (Some(a), Some(b)) = (a, b) {
                sum -= dot(a, b);
            }
            let value = if i == j {
                if sum <= 0.0 {
                    return Err(bad());
                }
                sum.sqrt()
            } else {
                sum / at(&lower, j, j)
            };
            if let Some(slot) = lower.get_mut(i * n + j) {
                *slot = value;
            }
        }
    }
    let columns = right.first().map_or(0, Vec::len);
    let mut x: Vec<Vec<f64>> = right
        .iter()
        .map(|row| row.iter().map(|v| f64::from(*v)).collect())
        .collect();
    // Forwards through L, then backwards through its transpose.
    for i in 0..n {
        for c in 0..columns {
            let mut sum = x.get(i).and_then(|r| r.get(c)).copied().unwrap_or(0.0);
            for (k, row) in x.iter().enumerate().take(i) {
                sum -= at(&lower, i, k) * row.get(c).copied().unwrap_or(0.0);
            }
            if let Some(slot) = x.get_mut(i).and_then(|r| r.get_mut(c)) {
                *slot = sum / at(&lower, i, i);
            }
        }
    }
    for i in (0..n).rev() {
        for c in 0..columns {
            let mut sum = x.get(i).and_then(|r| r.get(c)).copied().unwrap_or(0.0);
            for (k, row) in x.iter().enumerate().skip(i + 1) {
                sum -= at(&lower, k, i) * row.get(c).copied().unwrap_or(0.0);
            }
            if let Some(slot) = x.get_mut(i).and_then(|r| r.get_mut(c)) {
                *slot = sum / at(&lower, i, i);
            }
        }
    }
    Ok(x.into_iter()
        .map(|row| row.into_iter().map(|v| v as f32).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Purpose};

    #[test]
    fn a_linear_law_is_found_and_the_ridge_shrinks_it() {
        let mut draw = Draw::new(1, Purpose::Weights, 0, 0);
        let features = draw.normals(&[200, 6]).unwrap();
        let law = draw.normals(&[2, 6]).unwrap();
        let targets = (linear(&features, &law, None, Activation::None).unwrap() + 3.0).unwrap();
        let readout = Readout::fit(&features, &targets, 1e-6, 1).unwrap();
        // The features have no mean to speak of, but a small one remains in 200 rows.
        let centred = features
            .broadcast_sub(&features.mean_keepdim(0).unwrap())
            .unwrap();
        let readout2 = Readout::fit(&centred, &targets, 1e-6, 1).unwrap();
        let error = |r: &Readout, f: &Tensor| {
            squared_error(&r.read(f).unwrap(), &r.normalise(&targets).unwrap())
                .unwrap()
                .mean_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        assert!(error(&readout2, &centred) < 1e-6);
        assert!(error(&readout, &features) < 0.02);
        // With fewer rows than features the other matrix is factored; the reader is the same as by the first.
        let few = centred.narrow(0, 0, 5).unwrap().contiguous().unwrap();
        let wanted = targets.narrow(0, 0, 5).unwrap().contiguous().unwrap();
        let dual = Readout::fit(&few, &wanted, 0.5, 1).unwrap();
        let padded = Tensor::cat(&[&few, &few.zeros_like().unwrap()], 0).unwrap();
        let mean = wanted.mean_keepdim(0).unwrap();
        let filled = Tensor::cat(&[&wanted, &mean.repeat((5, 1)).unwrap()], 0).unwrap();
        let primal = Readout::fit(&padded, &filled, 0.5, 1).unwrap();
        // Rows at the mean add nothing but to the deviation.
        let scale = primal.deviation.broadcast_div(&dual.deviation).unwrap();
        let same = primal
            .weights
            .broadcast_mul(&scale.unsqueeze(1).unwrap())
            .unwrap();
        let apart = (same - &dual.weights)
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-4);
        let shrunk = Readout::fit(&centred, &targets, 1e3, 1).unwrap();
        assert!(error(&shrunk, &centred) > 0.1);
    }
}
