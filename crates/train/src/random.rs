//! Randomness by name: every draw belongs to a seed, a purpose, a step and a sample.
//!
//! No generator is carried from step to step, so a resumed run, and a run of any number of
//! ranks, draws what an undisturbed one draws.

use candle_core::{Device, Tensor};
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::Result;

/// What a draw is for; purposes never share values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The order of samples.
    Order = 1,
    /// Which part of a clip is taken.
    Window,
    /// Noise that is mixed into latents.
    Noise,
    /// Noise levels.
    Timestep,
    /// Which conditions are dropped.
    Conditions,
    /// Which frames are references.
    References,
    /// Changes to pictures and sound.
    Augment,
    /// First values of weights.
    Weights,
    /// Sampling for sheets and validation.
    Validation,
    /// Which part a loss looks at.
    Loss,
}

/// Random numbers of one draw.
#[derive(Debug, Clone)]
pub struct Draw {
    random: ChaCha8Rng,
    spare: Option<f64>,
}

impl Draw {
    /// The numbers named by `seed`, `purpose`, `step` and `index` (of a sample in the global batch).
    pub fn new(seed: u64, purpose: Purpose, step: u64, index: u64) -> Self {
        let mut bytes = [0_u8; 32];
        // The tag keeps these apart from the sampler's own noise under the same seed.
        let words = [seed, 0x7472_6169_6e00_0000 | purpose as u64, step, index];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        Self {
            random: ChaCha8Rng::from_seed(bytes),
            spare: None,
        }
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform between `low` and `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Uniform in 0..`count`; 0 when there is nothing to choose from.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (self.uniform() * std::f64::consts::TAU).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Standard normal values as a tensor.
    ///
    /// # Errors
    /// When the tensor can't be made.
    pub fn normals(&mut self, shape: &[usize]) -> Result<Tensor> {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| self.normal() as f32)
            .collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// `count` different numbers of 0..`total`, in random order; all of them when there are fewer.
    pub fn choose(&mut self, total: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..total).collect();
        let count = count.min(total);
        for at in 0..count {
            let other = at + self.below(total - at);
            all.swap(at, other);
        }
        all.truncate(count);
        all
    }

    /// An index of `weights`, as likely as its weight; 0 when they are all zero.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let mut left = self.uniform() * total;
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        // Rounding may leave a rest: the last that has any weight.
        weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_named_and_repeat() {
        let draw = |seed, purpose, step, index| Draw::new(seed, purpose, step, index).uniform();
        let one = draw(1, Purpose::Noise, 2, 3);
        assert!((one - draw(1, Purpose::Noise, 2, 3)).abs() < f64::EPSILON);
        for other in [
            draw(2, Purpose::Noise, 2, 3),
            draw(1, Purpose::Timestep, 2, 3),
            draw(1, Purpose::Noise, 3, 3),
            draw(1, Purpose::Noise, 2, 4),
        ] {
            assert!((one - other).abs() > 1e-9);
        }
    }

    #[test]
    fn normals_have_the_right_moments() {
        let values = Draw::new(5, Purpose::Noise, 0, 0)
            .normals(&[40_000])
            .unwrap();
        let values = values.to_vec1::<f32>().unwrap();
        let n = values.len() as f32;
        let mean = values.iter().sum::<f32>() / n;
        let square = values.iter().map(|v| v * v).sum::<f32>() / n;
        let fourth = values.iter().map(|v| v.powi(4)).sum::<f32>() / n;
        assert!(
            mean.abs() < 0.02 && (square - 1.0).abs() < 0.03,
            "{mean} {square}"
        );
        assert!((fourth - 3.0).abs() < 0.25, "{fourth}");
    }

    #[test]
    fn choices_are_fair_and_different() {
        let mut draw = Draw::new(9, Purpose::Order, 0, 0);
        let mut counts = [0_usize; 3];
        for _ in 0..6000 {
            counts[draw.weighted(&[1.0, 0.0, 2.0])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(
            (counts[2] as f64 / counts[0] as f64 - 2.0).abs() < 0.2,
            "{counts:?}"
        );
        let mut chosen = draw.choose(10, 4);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 4);
        assert_eq!(draw.choose(2, 5).len(), 2);
    }
}
