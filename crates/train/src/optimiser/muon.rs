//! Muon (Jordan et al. 2024): momentum, made orthogonal by a Newton-Schulz iteration, as
//! `torch.optim.Muon`, with the iteration in `f32` instead of bf16.

use candle_core::{Device, Tensor};
use nn::ops::{SymmetricOptions, product, symmetric_product};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// The quintic's coefficients.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// How the step's size follows the matrix's shape `[A, B]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MuonScale {
    /// `sqrt(max(1, A / B))`.
    #[default]
    Original,
    /// `0.2 sqrt(max(A, B))`: elements as large as Adam's, so that both share rates.
    LikeAdamw,
}

/// Constants of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Decay of the momentum.
    pub momentum: f64,
    /// Whether the gradient is mixed in once more.
    pub nesterov: bool,
    /// Iterations.
    pub iterations: usize,
    /// Size of a step.
    pub scale: MuonScale,
}

impl Default for Muon {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            nesterov: true,
            iterations: 5,
            scale: MuonScale::Original,
        }
    }
}

/// Momentum of one matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MuonState {
    /// Row by row.
    pub momentum: Vec<f32>,
}

impl MuonState {
    /// Zeros for `count` numbers.
    pub fn new(count: usize) -> Self {
        Self {
            momentum: vec![0.0; count],
        }
    }
}

impl Muon {
    /// Moves the matrix `data` `[rows, columns]` by `gradient`.
    ///
    /// # Errors
    /// When the lengths do not fit the shape.
    pub fn step(
        &self,
        data: &mut [f32],
        gradient: &[f32],
        state: &mut MuonState,
        (rows, columns): (usize, usize),
        rate: f64,
        decay: f64,
    ) -> Result<()> {
        let mix = self.momentum as f32;
        let mut update = vec![0.0_f32; gradient.len()];
        update
            .par_iter_mut()
            .zip(gradient)
            .zip(&mut state.momentum)
            .with_min_len(1 << 14)
            .for_each(|((u, g), m)| {
                *m += (g - *m) * (1.0 - mix);
                *u = if self.nesterov {
                    g + (*m - g) * mix
                } else {
                    *m
                };
            });
        let update = Tensor::from_vec(update, (rows, columns), &Device::Cpu)?;
        let update = orthogonalise(&update, self.iterations)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let (a, b) = (rows as f64, columns as f64);
        let size = match self.scale {
            MuonScale::Original => (a / b).max(1.0).sqrt(),
            MuonScale::LikeAdamw => 0.2 * a.max(b).sqrt(),
        };
        let (keep, size) = ((1.0 - rate * decay) as f32, (rate * size) as f32);
        data.par_iter_mut()
            .zip(&update)
            .with_min_len(1 << 14)
            .for_each(|(p, u)| *p = *p * keep - size * u);
        Ok(())
    }
}

/// Brings the singular values of `x` `[A, B]` near one.
///
/// Every iteration multiplies `x` by a polynomial of its Gram matrix `G = x x^T` (of the shorter side), so the products
/// are gathered in small square matrices and `x` itself is multiplied once. They all are polynomials of the first `G`:
/// symmetric, and free to change places.
///
/// # Errors
/// When `x` is no matrix.
pub fn orthogonalise(x: &Tensor, iterations: usize) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let tall = rows > columns;
    let wide = if tall { x.t()? } else { x.clone() };
    let square = f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?.max(1e-14));
    let scaled = |scale: f64| SymmetricOptions {
        scale,
        ..SymmetricOptions::default()
    };
    let both = |x: &Tensor, y: &Tensor| symmetric_product(x, y, scaled(1.0));
    let mut gram = symmetric_product(&wide, &wide, scaled(1.0 / square))?;
    let [a, b, c] = QUINTIC;
    let mut gathered: Option<Tensor> = None;
    for iteration in 1..=iterations {
        let polynomial = SymmetricOptions {
            scale: c,
            addition: Some((b, &gram)),
            diagonal: a,
        };
        let step = symmetric_product(&gram, &gram, polynomial)?;
        if iteration < iterations {
            gram = both(&both(&step, &gram)?, &step)?;
        }
        gathered = Some(match &gathered {
            Some(gathered) => both(&step, gathered)?,
            None => (step / square.sqrt())?,
        });
    }
    Ok(match gathered {
        None => (x / square.sqrt())?,
        Some(gathered) if tall => product(x, &gathered)?,
        Some(gathered) => product(&gathered, x)?,
    })
}
