//! Fréchet distance of two sets of features (FID, FVD), with memory that does not grow with their number.

use crate::MeasureError;
use crate::linear::{eigenvalues, factor};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Features are folded in so many at a time, which keeps each row of the sums in the cache.
const BLOCK: usize = 32;

/// Count, mean and covariance of feature vectors, gathered one by one.
///
/// Sums are taken of differences to the first vector: features are far from zero, and covariances of what is left
/// keep their digits.
#[derive(Clone, Debug)]
pub struct Moments {
    dim: usize,
    count: u64,
    first: Vec<f64>,
    sum: Vec<f64>,
    /// Upper half, row by row in full rows.
    products: Vec<f64>,
    waiting: Vec<Vec<f64>>,
}

impl Moments {
    /// Of vectors of `dim` numbers; holds `dim * dim` of them (34 MB for Inception's 2,048).
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            count: 0,
            first: Vec::new(),
            sum: vec![0.0; dim],
            products: vec![0.0; dim * dim],
            waiting: Vec::new(),
        }
    }

    /// Numbers in a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vectors so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes one vector in.
    ///
    /// # Errors
    /// When it has another length or a number that is not finite.
    pub fn push(&mut self, features: &[f32]) -> Result<(), MeasureError> {
        if features.len() != self.dim {
            return Err(MeasureError::Features {
                reason: format!("{} numbers instead of {}", features.len(), self.dim),
            });
        }
        if let Some(bad) = features.iter().find(|value| !value.is_finite()) {
            return Err(MeasureError::Features {
                reason: format!("a feature is {bad}"),
            });
        }
        if self.first.is_empty() {
            self.first = features.iter().map(|v| f64::from(*v)).collect();
        }
        let shifted: Vec<f64> = features
            .iter()
            .zip(&self.first)
            .map(|(value, first)| f64::from(*value) - first)
            .collect();
        for (sum, value) in self.sum.iter_mut().zip(&shifted) {
            *sum += value;
        }
        self.count += 1;
        self.waiting.push(shifted);
        if self.waiting.len() == BLOCK {
            self.fold();
        }
        Ok(())
    }

    fn fold(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.products
            .par_chunks_mut(self.dim.max(1))
            .enumerate()
            .with_min_len(16)
            .for_each(|(row, sums)| {
                for features in &waiting {
                    let scale = features.get(row).copied().unwrap_or(0.0);
                    let others = features.get(row..).unwrap_or_default();
                    let sums = sums.get_mut(row..).unwrap_or_default();
                    for (sum, other) in sums.iter_mut().zip(others) {
                        *sum += scale * other;
                    }
                }
            });
    }

    /// Mean and sample covariance (divided by count - 1, as `numpy.cov`).
    fn statistics(&self) -> (Vec<f64>, Vec<f64>) {
        let mut whole = self.clone();
        whole.fold();
        let (dim, count) = (self.dim, self.count as f64);
        let shift: Vec<f64> = self.sum.iter().map(|sum| sum / count).collect();
        let mean = shift.iter().zip(&self.first).map(|(s, f)| s + f).collect();
        let mut covariance = vec![0.0; dim * dim];
        for row in 0..dim {
            for column in row..dim {
                let product = whole
                    .products
                    .get(row * dim + column)
                    .copied()
                    .unwrap_or(0.0);
                let means = shift
                    .get(row)
                    .zip(shift.get(column))
                    .map_or(0.0, |(a, b)| a * b);
                let value = (product - count * means) / (count - 1.0);
                for at in [row * dim + column, column * dim + row] {
                    if let Some(place) = covariance.get_mut(at) {
                        *place = value;
                    }
                }
            }
        }
        (mean, covariance)
    }
}

/// `|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½)` (Heusel et al. 2017) of two sets with at least two vectors each.
///
/// The trace of the root is the sum of the singular values of `L1ᵀ L2` for factors `S = L Lᵀ`, that is, of the square
/// roots of the eigenvalues of `L1ᵀ S2 L1`. So nothing is added to singular covariances and nothing gets complex.
///
/// # Errors
/// When the sets do not fit together or have less than two vectors.
pub fn frechet_distance(one: &Moments, two: &Moments) -> Result<f64, MeasureError> {
    if one.dim != two.dim {
        return Err(MeasureError::Features {
            reason: format!("{} numbers in one set, {} in the other", one.dim, two.dim),
        });
    }
    if one.count < 2 || two.count < 2 {
        return Err(MeasureError::Features {
            reason: format!(
                "{} and {} vectors; each set needs two",
                one.count, two.count
            ),
        });
    }
    let dim = one.dim;
    let ((mean_one, cov_one), (mean_two, cov_two)) =
        rayon::join(|| one.statistics(), || two.statistics());
    let means: f64 = mean_one
        .iter()
        .zip(&mean_two)
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    let trace = |cov: &[f64]| (0..dim).filter_map(|i| cov.get(i * dim + i)).sum::<f64>();
    let traces = trace(&cov_one) + trace(&cov_two);
    // The set with fewer vectors has the thinner factor.
    let (thin, other) = if one.count <= two.count {
        (cov_one, cov_two)
    } else {
        (cov_two, cov_one)
    };
    let factor = factor(&thin, dim);
    if factor.rank == 0 {
        return Ok(means + traces);
    }
    let rank = factor.rank;
    let left = Tensor::from_vec(factor.values, (dim, rank), &Device::Cpu)?;
    let other = Tensor::from_vec(other, (dim, dim), &Device::Cpu)?;
    let middle = left.t()?.contiguous()?.matmul(&other.matmul(&left)?)?;
    let mut product: Vec<f64> = middle.flatten_all()?.to_vec1()?;
    symmetrise(&mut product, rank);
    let values = eigenvalues(product, rank).ok_or_else(|| MeasureError::Features {
        reason: "the covariances have no eigenvalues".to_owned(),
    })?;
    let root: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
    // Rounding may leave a hair below zero for equal sets.
    Ok((means + traces - 2.0 * root).max(0.0))
}

/// Rounding makes a product that should be symmetric nearly so.
fn symmetrise(a: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let (lower, upper) = (i * n + j, j * n + i);
            if let (Some(&x), Some(&y)) = (a.get(lower), a.get(upper)) {
                let mean = f64::midpoint(x, y);
                for at in [lower, upper] {
                    if let Some(place) = a.get_mut(at) {
                        *place = mean;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moments, frechet_distance};

    fn set(count: usize, dim: usize, spread: f64, centre: f64) -> Moments {
        let mut moments = Moments::new(dim);
        for n in 0..count {
            let features: Vec<f32> = (0..dim)
                .map(|d| (centre + spread * ((n * 31 + d * 17) as f64 * 0.7).sin()) as f32)
                .collect();
            moments.push(&features).unwrap();
        }
        moments
    }

    #[test]
    fn a_set_has_no_distance_to_itself_and_a_shift_has_its_square() {
        let here = set(100, 6, 1.0, 0.0);
        assert!(frechet_distance(&here, &here).unwrap() < 1e-9);
        let there = set(100, 6, 1.0, 2.0);
        assert!((frechet_distance(&here, &there).unwrap() - 24.0).abs() < 1e-5);
    }

    #[test]
    fn of_one_number_it_is_the_difference_of_deviations() {
        let (one, two) = (set(50, 1, 1.0, 0.0), set(50, 1, 3.0, 0.0));
        let (mean, variance) = one.statistics();
        let wanted = (2.0 * mean[0]).powi(2) + (2.0 * variance[0].sqrt()).powi(2);
        let found = frechet_distance(&one, &two).unwrap();
        assert!((found - wanted).abs() < 1e-5 * wanted, "{found} {wanted}");
    }

    #[test]
    fn fewer_vectors_than_numbers_still_have_a_distance() {
        let (one, two) = (set(5, 40, 1.0, 0.0), set(7, 40, 1.2, 0.3));
        let (forth, back) = (
            frechet_distance(&one, &two).unwrap(),
            frechet_distance(&two, &one).unwrap(),
        );
        assert!(forth > 0.0 && (forth - back).abs() < 1e-9 * forth);
        assert!(frechet_distance(&one, &one).unwrap() < 1e-6);
    }

    #[test]
    fn ten_thousand_frames_are_not_held() {
        let numbers = |moments: &Moments| {
            let waiting: usize = moments.waiting.iter().map(Vec::capacity).sum();
            let kept = [&moments.first, &moments.sum, &moments.products];
            waiting + kept.iter().map(|part| part.capacity()).sum::<usize>()
        };
        let dim = 24;
        let mut moments = Moments::new(dim);
        let mut most = 0;
        for n in 0..10_000 {
            let features: Vec<f32> = (0..dim).map(|d| ((n * 7 + d) as f32).sin()).collect();
            moments.push(&features).unwrap();
            most = most.max(numbers(&moments));
        }
        assert_eq!(moments.count(), 10_000);
        // The products, two vectors, and the block that waits to be folded in.
        let bound = dim * dim + (2 + super::BLOCK) * dim;
        assert!(most <= bound, "{most} numbers, bound {bound}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(frechet_distance(&set(5, 4, 1.0, 0.0), &set(5, 3, 1.0, 0.0)).is_err());
        assert!(frechet_distance(&set(1, 4, 1.0, 0.0), &set(5, 4, 1.0, 0.0)).is_err());
        assert!(Moments::new(2).push(&[1.0]).is_err());
        assert!(Moments::new(2).push(&[1.0, f32::NAN]).is_err());
    }
}
