//! Which noise levels are trained.

use serde::{Deserialize, Serialize};

use crate::random::Draw;

/// Distribution of the timestep, 0 (clean) to 1 (noise).
///
/// A logit-normal value (`EditYourself` 3.1: mean 2.05, deviation 1, so that 90 % lie in 0.60..0.98),
/// shifted (X-Dub eq. 2), or pure noise, which is where a sampler starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timesteps {
    /// Mean of the normal before the sigmoid.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// X-Dub's alpha: 4 structure, 1.5 lips, 0.25 texture; 1 leaves the value.
    pub shift: f64,
    /// Probability of exactly 1.
    pub pure: f64,
    /// The mean at the end of the run; it changes in a straight line. None keeps it.
    pub mean_end: Option<f64>,
}

impl Default for Timesteps {
    fn default() -> Self {
        Self {
            mean: 2.05,
            deviation: 1.0,
            shift: 1.0,
            pure: 0.0,
            mean_end: None,
        }
    }
}

impl Timesteps {
    /// A timestep; `done` is the share of the run that is over.
    pub fn draw(&self, draw: &mut Draw, done: f64) -> f64 {
        // Both are drawn in any case, so that a changed probability shifts no other draw.
        let (pure, normal) = (draw.uniform() < self.pure, draw.normal());
        if pure { 1.0 } else { self.at(normal, done) }
    }

    /// The timestep that belongs to a standard normal value.
    pub fn at(&self, normal: f64, done: f64) -> f64 {
        let mean = match self.mean_end {
            Some(end) => self.mean + (end - self.mean) * done.clamp(0.0, 1.0),
            None => self.mean,
        };
        shifted(sigmoid(mean + self.deviation * normal), self.shift)
    }
}

/// X-Dub eq. 2: `alpha t / (1 + (alpha - 1) t)`.
pub fn shifted(t: f64, alpha: f64) -> f64 {
    alpha * t / (1.0 + (alpha - 1.0) * t)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn the_papers_share_lies_in_its_range() {
        let sampler = Timesteps::default();
        let mut draw = Draw::new(3, Purpose::Timestep, 0, 0);
        let values: Vec<f64> = (0..20_000).map(|_| sampler.draw(&mut draw, 0.0)).collect();
        let within = values.iter().filter(|t| (0.60..=0.98).contains(*t)).count();
        let share = within as f64 / values.len() as f64;
        // The paper says 90 %; the integral is 0.917.
        assert!((share - 0.917).abs() < 0.01, "{share}");
    }

    #[test]
    fn pure_noise_is_as_frequent_as_asked() {
        let sampler = Timesteps {
            pure: 0.3,
            mean_end: Some(0.0),
            ..Timesteps::default()
        };
        let mut draw = Draw::new(3, Purpose::Timestep, 0, 1);
        let ones = (0..5000)
            .filter(|_| sampler.draw(&mut draw, 1.0) >= 1.0)
            .count();
        assert!((ones as f64 / 5000.0 - 0.3).abs() < 0.03, "{ones}");
        assert!((sampler.at(0.0, 1.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn shifts_keep_the_ends_and_move_the_middle() {
        for alpha in [4.0, 1.5, 0.25] {
            assert!(shifted(0.0, alpha).abs() < 1e-12 && (shifted(1.0, alpha) - 1.0).abs() < 1e-12);
            assert!((shifted(0.5, alpha) - alpha / (1.0 + alpha)).abs() < 1e-12);
        }
    }
}
