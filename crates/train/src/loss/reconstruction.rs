//! How far decoded pictures are from what was encoded.

use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A measure of pictures by features, such as LPIPS: the place where one is put in.
pub trait Perceptual {
    /// Distance of `[B, 3, F, H, W]` in -1..1, a scalar with its gradient.
    ///
    /// # Errors
    /// When the sizes do not fit the measure's network.
    fn distance(&self, made: &Tensor, wanted: &Tensor) -> Result<Tensor>;
}

/// Weights of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reconstruction {
    /// Of the absolute error.
    pub absolute: f64,
    /// Of the squared error.
    pub squared: f64,
    /// Of edges at two scales and of motion, see [`detail`].
    pub detail: f64,
    /// Of a [`Perceptual`] measure, where there is one.
    pub perceptual: f64,
    /// Of the posterior's divergence.
    pub kl: f64,
}

impl Default for Reconstruction {
    fn default() -> Self {
        Self {
            absolute: 1.0,
            squared: 1.0,
            detail: 0.3,
            perceptual: 0.0,
            kl: 5e-5,
        }
    }
}

impl Reconstruction {
    /// The loss of `made` against `wanted` `[B, 3, F, H, W]`; `weight` `[B, 1, 1, H, W]` says where to look.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn loss(
        &self,
        made: &Tensor,
        wanted: &Tensor,
        weight: &Tensor,
        perceptual: Option<&dyn Perceptual>,
    ) -> Result<Tensor> {
        let difference = (made - wanted)?;
        let mean = f64::from(weight.mean_all()?.to_scalar::<f32>()?).max(1e-6);
        let per = ((difference.abs()? * self.absolute)? + (difference.sqr()? * self.squared)?)?;
        let mut loss = (per.broadcast_mul(weight)?.mean_all()? / mean)?;
        if self.detail > 0.0 {
            loss = (loss + (detail(&difference, weight)? * self.detail)?)?;
        }
        if let Some(measure) = perceptual
            && self.perceptual > 0.0
        {
            loss = (loss + (measure.distance(made, wanted)? * self.perceptual)?)?;
        }
        Ok(loss)
    }
}

/// Absolute gradients of the difference `[B, 3, F, H, W]` in space at two scales, and in time: what keeps the edges
/// of lips and teeth.
///
/// # Errors
/// When shapes do not fit, or height and width are odd.
pub fn detail(difference: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    let mut add = |part: Tensor| -> Result<()> {
        sum = Some(match sum.take() {
            Some(sum) => (sum + part)?,
            None => part,
        });
        Ok(())
    };
    let (mut difference, mut weight) = (difference.clone(), weight.clone());
    for scale in 0..2 {
        if scale == 1 {
            difference = halved(&difference)?;
            weight = halved(&weight)?;
        }
        let mean = f64::from(weight.mean_all()?.to_scalar::<f32>()?).max(1e-6);
        for axis in [4, 3] {
            let length = difference.dim(axis)? - 1;
            let step =
                (difference.narrow(axis, 1, length)? - difference.narrow(axis, 0, length)?)?;
            let part = step
                .abs()?
                .broadcast_mul(&weight.narrow(axis, 1, length)?)?
                .mean_all()?;
            add((part / mean)?)?;
        }
    }
    let frames = difference.dim(2)?;
    if frames > 1 {
        let mean = f64::from(weight.mean_all()?.to_scalar::<f32>()?).max(1e-6);
        let step = (difference.narrow(2, 1, frames - 1)? - difference.narrow(2, 0, frames - 1)?)?;
        add((step.abs()?.broadcast_mul(&weight)?.mean_all()? / mean)?)?;
    }
    match sum {
        Some(sum) => Ok(sum),
        None => Ok(difference.zeros_like()?.mean_all()?),
    }
}

/// Averages of 2 x 2 pixels.
fn halved(x: &Tensor) -> Result<Tensor> {
    let (b, c, f, h, w) = x.dims5()?;
    Ok(x.contiguous()?
        .reshape(vec![b, c, f, h / 2, 2, w / 2, 2])?
        .mean(D::Minus1)?
        .mean(4)?)
}
