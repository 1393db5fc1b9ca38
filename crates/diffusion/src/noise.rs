//! Noise as an input: a seeded source that tests can replace.

use candle_core::{Device, Tensor};
use rand::RngCore as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::error::Result;

/// What noise is for; different purposes never share values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Where denoising starts.
    Start,
    /// What is mixed into latents before they are decoded.
    Decode,
    /// Fresh noise of a stochastic step.
    Step,
    /// Where a second pass, at another size, starts.
    SecondPass,
}

/// Names one draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    pub purpose: Purpose,
    /// Block, latent or step that it belongs to.
    pub index: u64,
}

/// Where noise comes from. The same key and shape always give the same values, in
/// whatever order they are asked for.
pub trait NoiseSource {
    /// Standard normal values.
    ///
    /// # Errors
    /// When the device cannot hold them.
    fn normal(&self, key: NoiseKey, shape: &[usize], device: &Device) -> Result<Tensor>;
}

/// `ChaCha` with eight rounds, keyed by the seed and the key of the draw.
#[derive(Debug, Clone, Copy)]
pub struct ChaChaNoise {
    seed: u64,
}

impl ChaChaNoise {
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }
}

impl NoiseSource for ChaChaNoise {
    fn normal(&self, key: NoiseKey, shape: &[usize], device: &Device) -> Result<Tensor> {
        let mut bytes = [0_u8; 32];
        let purpose: u64 = match key.purpose {
            Purpose::Start => 1,
            Purpose::Decode => 2,
            Purpose::Step => 3,
            Purpose::SecondPass => 4,
        };
        let words = [self.seed, purpose, key.index, 0];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        let mut random = ChaCha8Rng::from_seed(bytes);
        let count: usize = shape.iter().product();
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let (a, b) = box_muller(random.next_u64(), random.next_u64());
            values.extend([a, b]);
        }
        values.truncate(count);
        Ok(Tensor::from_vec(values, shape, device)?)
    }
}

/// Two normal values from 128 random bits.
fn box_muller(first: u64, second: u64) -> (f32, f32) {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    // In 0..=1 without 0, so that the logarithm is finite.
    let radius = (-2.0 * (((first >> 11) + 1) as f64 * UNIT).ln()).sqrt();
    let (sin, cos) = ((second >> 11) as f64 * UNIT * std::f64::consts::TAU).sin_cos();
    ((radius * cos) as f32, (radius * sin) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, purpose: Purpose, index: u64, count: usize) -> Vec<f32> {
        ChaChaNoise::new(seed)
            .normal(NoiseKey { purpose, index }, &[count], &Device::Cpu)
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    #[test]
    fn values_are_standard_normal() {
        let values = draw(7, Purpose::Start, 0, 40_001);
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let square = values.iter().map(|v| v * v).sum::<f32>() / count;
        let fourth = values.iter().map(|v| v.powi(4)).sum::<f32>() / count;
        assert!(
            mean.abs() < 0.02 && (square - 1.0).abs() < 0.03,
            "{mean} {square}"
        );
        assert!((fourth - 3.0).abs() < 0.25, "{fourth}");
    }

    #[test]
    fn draws_repeat_and_differ() {
        let one = draw(7, Purpose::Start, 3, 5);
        assert_eq!(one, draw(7, Purpose::Start, 3, 5));
        for other in [
            draw(8, Purpose::Start, 3, 5),
            draw(7, Purpose::Decode, 3, 5),
            draw(7, Purpose::Start, 4, 5),
        ] {
            assert_ne!(one, other);
        }
    }
}
