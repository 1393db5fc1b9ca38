//! The released settings of the 13B model: steps, guidance per step, perturbed blocks.
//!
//! LTX-Video `configs/ltxv-13b-0.9.7-{dev,distilled}.yaml` (0.9.8 carries the same numbers and a
//! tone map).

use crate::error::{DiffusionError, Result};
use crate::guidance::{Guidance, GuidanceSchedule};
use crate::schedule::Schedule;

/// How a perturbed branch is made; the words of the presets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StgMode {
    /// `stg_av`: self-attention gives its values.
    AttentionValues,
    /// `stg_as`: self-attention gives its input.
    AttentionSkip,
    /// `stg_r`: no effect in LTX-Video.
    Residual,
    /// `stg_t`: the block gives its input.
    TransformerBlock,
}

impl StgMode {
    /// By a preset's word, in either spelling.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "attention_values" | "stg_av" => Self::AttentionValues,
            "attention_skip" | "stg_as" => Self::AttentionSkip,
            "residual" | "stg_r" => Self::Residual,
            "transformer_block" | "stg_t" => Self::TransformerBlock,
            _ => return None,
        })
    }
}

/// What one step does.
#[derive(Debug, Clone, PartialEq)]
pub struct StepGuidance {
    pub guidance: Guidance,
    /// Blocks that the perturbed branch changes.
    pub blocks: Vec<usize>,
}

/// One denoise of a preset.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    pub schedule: Schedule,
    /// Timesteps left out at the start: the pass begins at a lower noise level.
    pub skip_initial: usize,
    /// Timesteps left out at the end: the last step is a long one.
    pub skip_final: usize,
    pub guidance: GuidanceSchedule,
    /// Blocks for each entry of `guidance`.
    pub skip_blocks: Vec<Vec<usize>>,
    pub mode: StgMode,
}

impl Pass {
    /// Without guidance.
    pub fn plain(schedule: Schedule) -> Self {
        Self {
            schedule,
            skip_initial: 0,
            skip_final: 0,
            guidance: GuidanceSchedule {
                timesteps: vec![1.0],
                entries: vec![Guidance::default()],
            },
            skip_blocks: vec![Vec::new()],
            mode: StgMode::AttentionValues,
        }
    }

    /// The timesteps that are visited, falling; the last step ends at 0.
    ///
    /// # Errors
    /// When none are left.
    pub fn times(&self) -> Result<Vec<f64>> {
        let times = self.schedule.times()?;
        let end = times.len().saturating_sub(self.skip_final);
        match times.get(self.skip_initial..end) {
            Some(left) if !left.is_empty() => Ok(left.to_vec()),
            _ => Err(DiffusionError::Schedule(format!(
                "{} steps without the first {} and the last {} leave none",
                times.len(),
                self.skip_initial,
                self.skip_final
            ))),
        }
    }

    /// The same pass from a lower noise level on (`SDEdit`): a strength of 1 is all of it, 0.5
    /// starts at the first timestep not above 0.5.
    #[must_use]
    pub fn from_strength(mut self, strength: f64) -> Self {
        if let Ok(times) = self.schedule.times() {
            let above = times.iter().filter(|t| **t > strength + 1e-9).count();
            self.skip_initial = self
                .skip_initial
                .max(above.min(times.len().saturating_sub(1)));
        }
        self
    }

    /// The same pass with another number of steps in its grid; what is left out at either end
    /// keeps its share.
    #[must_use]
    pub fn with_steps(mut self, steps: usize) -> Self {
        let own = self.schedule.steps().max(1);
        self.schedule = self.schedule.with_steps(steps);
        let steps = self.schedule.steps();
        let share = |left_out: usize| (left_out * steps + own / 2) / own;
        self.skip_initial = share(self.skip_initial).min(steps.saturating_sub(1));
        self.skip_final = share(self.skip_final).min(steps.saturating_sub(self.skip_initial + 1));
        self
    }

    /// Guidance and blocks at timestep `t`: those of the first listed timestep not above it.
    pub fn at(&self, t: f64) -> StepGuidance {
        let index = self
            .guidance
            .timesteps
            .iter()
            .position(|own| *own <= t)
            .unwrap_or(self.skip_blocks.len().saturating_sub(1));
        StepGuidance {
            guidance: self.guidance.at(t),
            // The 13B list is one shorter than its timesteps; the last one goes on.
            blocks: self
                .skip_blocks
                .get(index)
                .or(self.skip_blocks.last())
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Both passes of a preset, and what is done around the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    pub first: Pass,
    pub second: Pass,
    /// Share of the requested size that the first pass works at.
    pub downscale: f64,
    /// Timestep that the decoder is told, and the share of noise that it gets.
    pub decode_timestep: f64,
    pub decode_noise_scale: f64,
    /// For [`crate::latents::tone_map`].
    pub tone_map: Option<f64>,
}

impl Preset {
    /// A preset by name: `ltx-13b-dev`, `ltx-13b-distilled` or `ltx-2b`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ltx-13b-dev" => Some(Self::ltx_13b_dev()),
            "ltx-13b-distilled" => Some(Self::ltx_13b_distilled()),
            "ltx-2b" => Some(Self::ltx_2b()),
            _ => None,
        }
    }

    /// Guidance by lists over 27 of 30 steps, then 13 steps from 0.955 down.
    pub fn ltx_13b_dev() -> Self {
        let scale = [1.0, 1.0, 6.0, 8.0, 6.0, 1.0, 1.0];
        let perturbed = [0.0, 0.0, 4.0, 4.0, 4.0, 2.0, 1.0];
        let rescale = [1.0, 1.0, 0.5, 0.5, 1.0, 1.0, 1.0];
        let entries = (0..scale.len())
            .filter_map(|i| {
                Some(Guidance {
                    scale: *scale.get(i)?,
                    star: true,
                    perturbed: *perturbed.get(i)?,
                    rescale: *rescale.get(i)?,
                })
            })
            .collect();
        let first = Pass {
            skip_final: 3,
            guidance: GuidanceSchedule {
                timesteps: vec![1.0, 0.996, 0.9933, 0.985, 0.9767, 0.9008, 0.618],
                entries,
            },
            skip_blocks: vec![
                vec![],
                vec![11, 25, 35, 39],
                vec![22, 35, 39],
                vec![28],
                vec![28],
                vec![28],
                vec![28],
            ],
            ..Pass::plain(Schedule::linear_quadratic(30))
        };
        let second = Pass {
            skip_initial: 17,
            guidance: GuidanceSchedule {
                timesteps: vec![1.0],
                entries: vec![Guidance {
                    star: true,
                    perturbed: 1.0,
                    ..Guidance::default()
                }],
            },
            skip_blocks: vec![vec![27]],
            ..Pass::plain(Schedule::linear_quadratic(30))
        };
        Self {
            first,
            second,
            downscale: 0.666_666_6,
            decode_timestep: 0.05,
            decode_noise_scale: 0.025,
            tone_map: None,
        }
    }

    /// Forty steps with the same guidance at each; the released settings have one pass, so the
    /// second is that of the 13B model without its perturbed branch, whose block a smaller
    /// model may lack.
    pub fn ltx_2b() -> Self {
        let guidance = Guidance {
            scale: 3.0,
            perturbed: 1.0,
            rescale: 0.7,
            ..Guidance::default()
        };
        Self {
            first: Pass {
                guidance: GuidanceSchedule {
                    timesteps: vec![1.0],
                    entries: vec![guidance],
                },
                skip_blocks: vec![vec![19]],
                ..Pass::plain(Schedule::linear_quadratic(40))
            },
            second: Pass {
                skip_initial: 17,
                ..Pass::plain(Schedule::linear_quadratic(30))
            },
            ..Self::ltx_13b_dev()
        }
    }

    /// Seven steps and three, without guidance.
    pub fn ltx_13b_distilled() -> Self {
        Self {
            first: Pass::plain(Schedule::List(vec![
                1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725,
            ])),
            second: Pass::plain(Schedule::List(vec![0.9094, 0.725, 0.4219])),
            tone_map: Some(0.6),
            ..Self::ltx_13b_dev()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps that `configs/ltxv-13b-0.9.7-dev.yaml` takes, as the official pipeline chose
    /// them when run.
    #[test]
    fn the_dev_preset_gives_the_known_steps() {
        let preset = Preset::ltx_13b_dev();
        let times = preset.first.times().unwrap();
        assert_eq!(times.len(), 27);
        for (steps, scale, perturbed, rescale, blocks) in [
            (0..3, 1.0, 0.0, 1.0, None),
            (3..5, 6.0, 4.0, 0.5, Some(vec![22, 35, 39])),
            (5..10, 8.0, 4.0, 0.5, Some(vec![28])),
            (10..14, 6.0, 4.0, 1.0, Some(vec![28])),
            (14..19, 1.0, 2.0, 1.0, Some(vec![28])),
            (19..27, 1.0, 1.0, 1.0, Some(vec![28])),
        ] {
            for step in steps {
                let at = preset.first.at(times[step]);
                let found = (
                    at.guidance.scale,
                    at.guidance.perturbed,
                    at.guidance.rescale,
                );
                assert_eq!(found, (scale, perturbed, rescale), "step {step}");
                if let Some(blocks) = &blocks {
                    assert_eq!(&at.blocks, blocks, "step {step}");
                }
            }
        }
        let second = preset.second.times().unwrap();
        assert_eq!(second.len(), 13);
        assert!((second[0] - 0.954_777_8).abs() < 1e-6);
    }

    #[test]
    fn other_numbers_of_steps_keep_what_is_left_out() {
        let count = |pass: Pass, steps| pass.with_steps(steps).times().unwrap().len();
        let dev = Preset::ltx_13b_dev();
        assert_eq!(count(dev.first.clone(), 30), 27);
        assert_eq!(count(dev.first.clone(), 10), 9);
        assert_eq!(count(dev.first, 1), 1);
        assert_eq!(count(dev.second, 1), 1);
        assert_eq!(count(Preset::ltx_13b_distilled().first, 3), 3);
    }

    #[test]
    fn a_strength_starts_at_its_noise_level() {
        let pass = Pass::plain(Schedule::Uniform { steps: 10 });
        let start = |strength| pass.clone().from_strength(strength).times().unwrap()[0];
        assert_eq!(start(1.0).to_bits(), 1.0_f64.to_bits());
        assert!((start(0.55) - 0.5).abs() < 1e-12);
        assert!((start(0.0) - 0.1).abs() < 1e-12);
    }
}
