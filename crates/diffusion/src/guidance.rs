//! Combining the velocities of conditioned and unconditioned branches.
//!
//! LTX-Video `ltx_video/pipelines/pipeline_ltx_video.py`, denoising loop. Statistics are taken
//! over noised tokens only, since the outputs of clean ones mean nothing.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Strengths of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guidance {
    /// Classifier-free guidance; 1 is off.
    pub scale: f64,
    /// Whether the negative branch is first scaled to lie nearest to the positive.
    pub star: bool,
    /// Strength of the perturbed branch (STG); 0 is off.
    pub perturbed: f64,
    /// Share of the positive branch's spread that is restored; acts with STG only.
    pub rescale: f64,
}

impl Default for Guidance {
    fn default() -> Self {
        Self {
            scale: 1.0,
            star: false,
            perturbed: 0.0,
            rescale: 1.0,
        }
    }
}

/// Velocities `[B, N, C]` of one step.
#[derive(Debug, Clone, Copy)]
pub struct Branches<'a> {
    pub positive: &'a Tensor,
    pub negative: Option<&'a Tensor>,
    pub perturbed: Option<&'a Tensor>,
    /// Indices (`u32`) of the noised tokens, over which statistics are taken; all without.
    pub noised: Option<&'a Tensor>,
}

impl Guidance {
    /// The velocity to follow.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn combine(&self, branches: &Branches<'_>) -> Result<Tensor> {
        let counted = |t: &Tensor| -> Result<Tensor> {
            let t = match branches.noised {
                Some(index) => t.index_select(index, 1)?,
                None => t.clone(),
            };
            Ok(t.to_dtype(DType::F32)?.flatten_from(1)?)
        };
        let positive = branches.positive;
        let mut velocity = match branches.negative {
            Some(negative) if (self.scale - 1.0).abs() > f64::EPSILON => {
                let negative = if self.star {
                    let (p, n) = (counted(positive)?, counted(negative)?);
                    let alpha = (&p * &n)?
                        .sum_keepdim(1)?
                        .div(&(n.sqr()?.sum_keepdim(1)? + 1e-8)?)?;
                    negative.broadcast_mul(&alpha.unsqueeze(2)?)?
                } else {
                    negative.clone()
                };
                (&negative + ((positive - &negative)? * self.scale)?)?
            }
            _ => positive.clone(),
        };
        if let Some(perturbed) = branches.perturbed
            && self.perturbed.abs() > f64::EPSILON
        {
            velocity = (&velocity + ((positive - perturbed)? * self.perturbed)?)?;
            if (self.rescale - 1.0).abs() > f64::EPSILON {
                let factor =
                    deviation(&counted(positive)?)?.div(&deviation(&counted(&velocity)?)?)?;
                let factor = factor.affine(self.rescale, 1.0 - self.rescale)?;
                velocity = velocity.broadcast_mul(&factor.unsqueeze(2)?)?;
            }
        }
        Ok(velocity)
    }
}

/// Unbiased standard deviation of each row, `[B, 1]`.
fn deviation(rows: &Tensor) -> Result<Tensor> {
    let count = rows.dim(1)?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
    let variance = (centred.sqr()?.sum_keepdim(1)? / (count.saturating_sub(1).max(1)) as f64)?;
    Ok(variance.sqrt()?)
}

/// `without + scale (with - without)`: how strongly the sound is followed.
///
/// # Errors
/// When the shapes differ.
pub fn audio(with: &Tensor, without: &Tensor, scale: f64) -> Result<Tensor> {
    Ok((without + ((with - without)? * scale)?)?)
}

/// Strengths that change over the steps, as in the released presets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuidanceSchedule {
    /// Falling timesteps; an entry holds from its timestep down to the next.
    pub timesteps: Vec<f64>,
    /// One entry a timestep.
    pub entries: Vec<Guidance>,
}

impl GuidanceSchedule {
    /// The entry of the first timestep that is not above `t` (LTX-Video
    /// `pipeline_ltx_video.py`, `guidance_timesteps`).
    pub fn at(&self, t: f64) -> Guidance {
        self.timesteps
            .iter()
            .position(|own| *own <= t)
            .and_then(|index| self.entries.get(index))
            .or(self.entries.last())
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn row(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (1, values.len(), 1), &Device::Cpu).unwrap()
    }

    fn flat(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn star_rescale_removes_a_scaled_copy() {
        // A negative branch that is twice the positive one carries no other direction.
        let (positive, negative) = (row(&[1.0, -2.0, 3.0]), row(&[2.0, -4.0, 6.0]));
        let guidance = Guidance {
            scale: 7.0,
            star: true,
            ..Guidance::default()
        };
        let combined = guidance
            .combine(&Branches {
                positive: &positive,
                negative: Some(&negative),
                perturbed: None,
                noised: None,
            })
            .unwrap();
        for (a, b) in flat(&combined).iter().zip(flat(&positive)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn full_rescale_restores_the_spread_of_noised_tokens() {
        let positive = row(&[1.0, -2.0, 3.0, 500.0]);
        let perturbed = row(&[0.0, 1.0, 2.0, -500.0]);
        let noised = Tensor::new(&[0_u32, 1, 2], &Device::Cpu).unwrap();
        let guidance = Guidance {
            perturbed: 4.0,
            rescale: 0.999_999,
            ..Guidance::default()
        };
        let combined = guidance
            .combine(&Branches {
                positive: &positive,
                negative: None,
                perturbed: Some(&perturbed),
                noised: Some(&noised),
            })
            .unwrap();
        let spread = |t: &Tensor| {
            let picked = t.index_select(&noised, 1).unwrap().flatten_from(1).unwrap();
            flat(&deviation(&picked).unwrap())[0]
        };
        assert!((spread(&combined) - spread(&positive)).abs() < 1e-3);
    }

    #[test]
    fn presets_hold_until_the_next_timestep() {
        let entry = |scale| Guidance {
            scale,
            ..Guidance::default()
        };
        let schedule = GuidanceSchedule {
            timesteps: vec![1.0, 0.996, 0.9933],
            entries: vec![entry(1.0), entry(2.0), entry(6.0)],
        };
        for (t, scale) in [(1.0, 1.0), (0.9983, 2.0), (0.995, 6.0), (0.99, 6.0)] {
            assert_eq!(schedule.at(t), entry(scale), "{t}");
        }
    }

    #[test]
    fn audio_guidance_of_one_is_the_branch_with_sound() {
        let found = audio(&row(&[1.0]), &row(&[0.25]), 1.0).unwrap();
        assert_eq!(flat(&found), [1.0]);
    }
}
