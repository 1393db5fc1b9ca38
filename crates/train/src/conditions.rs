//! Which conditions a sample is trained with: Table 1 of `EditYourself`.

use serde::{Deserialize, Serialize};

use crate::random::Draw;

/// Probabilities that a condition is there, drawn independently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditionRates {
    /// Sound.
    pub audio: f64,
    /// The first latent frame, kept clean.
    pub first_frame: f64,
    /// The video around the mask. Without it everything is masked.
    pub video: f64,
    /// Identity reference tokens.
    pub identity: f64,
    /// Caption; SkyReels-Audio drops text with 0.15.
    pub text: f64,
}

impl Default for ConditionRates {
    fn default() -> Self {
        Self::stage_2()
    }
}

impl ConditionRates {
    /// Table 1, stage 1.
    pub const fn stage_1() -> Self {
        Self {
            audio: 1.0,
            first_frame: 0.9,
            video: 0.9,
            identity: 0.0,
            text: 1.0,
        }
    }

    /// Table 1, stage 2.
    pub const fn stage_2() -> Self {
        Self {
            audio: 0.9,
            first_frame: 0.9,
            video: 0.9,
            identity: 0.5,
            text: 1.0,
        }
    }

    /// What one sample gets.
    pub fn draw(&self, draw: &mut Draw) -> Conditions {
        Conditions {
            audio: draw.chance(self.audio),
            first_frame: draw.chance(self.first_frame),
            video: draw.chance(self.video),
            identity: draw.chance(self.identity),
            text: draw.chance(self.text),
        }
    }
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Sound.
    pub audio: bool,
    /// The first latent frame.
    pub first_frame: bool,
    /// The video around the mask.
    pub video: bool,
    /// Identity reference tokens.
    pub identity: bool,
    /// Caption.
    pub text: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn rates_are_kept_and_independent() {
        let rates = ConditionRates::stage_2();
        let drawn: Vec<Conditions> = (0..8000)
            .map(|n| rates.draw(&mut Draw::new(2, Purpose::Conditions, 0, n)))
            .collect();
        let share = |f: &dyn Fn(&Conditions) -> bool| {
            drawn.iter().filter(|c| f(c)).count() as f64 / drawn.len() as f64
        };
        assert!((share(&|c| c.audio) - 0.9).abs() < 0.015);
        assert!((share(&|c| c.identity) - 0.5).abs() < 0.02);
        assert!((share(&|c| c.audio && c.identity) - 0.45).abs() < 0.02);
        assert!((share(&|c| !c.audio && !c.first_frame) - 0.01).abs() < 0.005);
        assert!(drawn.iter().all(|c| c.text));
    }
}
