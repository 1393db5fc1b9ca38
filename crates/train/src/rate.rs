//! The learning rate over the steps of a run.

use serde::{Deserialize, Serialize};

/// How the rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fall {
    /// It stays.
    #[default]
    None,
    /// In a straight line.
    Linear,
    /// Along half a cosine.
    Cosine,
}

/// Factor of all learning rates by step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSchedule {
    /// Steps in which the rate rises from zero.
    pub warm_up: u64,
    /// How it falls.
    pub fall: Fall,
    /// Share of the run at which the fall begins, 0..1.
    pub fall_from: f64,
    /// What is left at the end, 0..1.
    pub end: f64,
}

impl Default for RateSchedule {
    fn default() -> Self {
        Self {
            warm_up: 0,
            fall: Fall::None,
            fall_from: 0.0,
            end: 0.0,
        }
    }
}

impl RateSchedule {
    /// The factor of step `step` (from 0) of `steps`.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        let rise = if step < self.warm_up {
            (step + 1) as f64 / self.warm_up as f64
        } else {
            1.0
        };
        let done = step as f64 / steps.max(1) as f64;
        let along = ((done - self.fall_from) / (1.0 - self.fall_from).max(1e-9)).clamp(0.0, 1.0);
        let left = match self.fall {
            Fall::None => 1.0,
            Fall::Linear => 1.0 - along,
            Fall::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * along).cos()),
        };
        rise * (self.end + (1.0 - self.end) * left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_stays_and_falls() {
        let schedule = RateSchedule {
            warm_up: 10,
            fall: Fall::Linear,
            fall_from: 0.5,
            end: 0.1,
        };
        let at = |step| schedule.factor(step, 100);
        assert!((at(0) - 0.1).abs() < 1e-12 && (at(9) - 1.0).abs() < 1e-12);
        assert!((at(50) - 1.0).abs() < 1e-12 && (at(75) - 0.55).abs() < 1e-12);
        assert!((at(100) - 0.1).abs() < 1e-12);
        let cosine = RateSchedule {
            fall: Fall::Cosine,
            ..RateSchedule::default()
        };
        assert!((cosine.factor(50, 100) - 0.5).abs() < 1e-12);
    }
}
