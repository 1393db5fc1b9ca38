//! Grids of timesteps, from 1 downwards; the final 0 is left out.
//!
//! LTX-Video `ltx_video/schedulers/rf.py`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{DiffusionError, Result};

/// How timesteps lie between 1 and 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// `1, (N-1)/N, ... 1/N`.
    Uniform { steps: usize },
    /// Linear down to `1 - threshold` in the first half, then quadratic (0.9.5 and later).
    LinearQuadratic { steps: usize, threshold: f64 },
    /// The uniform grid through `s t / (1 + (s - 1) t)`.
    Shifted { steps: usize, shift: f64 },
    /// The uniform grid shifted by `exp(mu)`, mu linear in the latent positions (0.95 at
    /// 1024, 2.05 at 4096), then stretched so that its last value is `terminal`
    /// (0.9.0 and 0.9.1).
    Sd3 {
        steps: usize,
        positions: usize,
        terminal: Option<f64>,
    },
    /// Given values.
    List(Vec<f64>),
}

impl Schedule {
    /// The linear-quadratic grid with the released threshold.
    pub const fn linear_quadratic(steps: usize) -> Self {
        Self::LinearQuadratic {
            steps,
            threshold: 0.025,
        }
    }

    /// Reads the `scheduler` object of a header. `steps` overrides its own, which default
    /// to 40; `positions` is the number of latent positions.
    ///
    /// # Errors
    /// When the sampler is unknown.
    pub fn from_json(json: &Value, steps: Option<usize>, positions: usize) -> Result<Self> {
        let number = |key: &str| json.get(key).and_then(Value::as_f64);
        let steps = steps
            .or_else(|| {
                json.get("steps")
                    .and_then(Value::as_u64)
                    .map(|n| n as usize)
            })
            .unwrap_or(40);
        match json.get("sampler").and_then(Value::as_str) {
            Some("Shifted") => Ok(Self::Shifted {
                steps,
                shift: number("shift").unwrap_or(1.0),
            }),
            Some("LinearQuadratic") => Ok(Self::linear_quadratic(steps)),
            Some("Uniform") | None => match json.get("shifting").and_then(Value::as_str) {
                Some("SD3") => Ok(Self::Sd3 {
                    steps,
                    positions,
                    terminal: number("target_shift_terminal"),
                }),
                Some(other) => Err(DiffusionError::Schedule(format!(
                    "shifting '{other}' is unknown; there is SD3"
                ))),
                None => Ok(Self::Uniform { steps }),
            },
            Some(other) => Err(DiffusionError::Schedule(format!(
                "sampler '{other}' is unknown; there are Uniform, LinearQuadratic and Shifted"
            ))),
        }
    }

    /// The same grid with another number of steps; of given values, evenly picked ones.
    #[must_use]
    pub fn with_steps(&self, steps: usize) -> Self {
        let steps = steps.max(1);
        match self {
            Self::Uniform { .. } => Self::Uniform { steps },
            Self::LinearQuadratic { threshold, .. } => Self::LinearQuadratic {
                steps,
                threshold: *threshold,
            },
            Self::Shifted { shift, .. } => Self::Shifted {
                steps,
                shift: *shift,
            },
            Self::Sd3 {
                positions,
                terminal,
                ..
            } => Self::Sd3 {
                steps,
                positions: *positions,
                terminal: *terminal,
            },
            Self::List(times) => Self::List(
                (0..steps.min(times.len()))
                    .filter_map(|i| times.get(i * times.len() / steps.min(times.len())).copied())
                    .collect(),
            ),
        }
    }

    /// How many steps.
    pub fn steps(&self) -> usize {
        match self {
            Self::Uniform { steps }
            | Self::LinearQuadratic { steps, .. }
            | Self::Shifted { steps, .. }
            | Self::Sd3 { steps, .. } => *steps,
            Self::List(times) => times.len(),
        }
    }

    /// The timesteps, falling, each above 0 and at most 1.
    ///
    /// # Errors
    /// When there are none, or they do not fall.
    pub fn times(&self) -> Result<Vec<f64>> {
        let times = match self {
            Self::Uniform { steps } => uniform(*steps),
            Self::LinearQuadratic { steps, threshold } => linear_quadratic(*steps, *threshold),
            Self::Shifted { steps, shift } => uniform(*steps)
                .into_iter()
                .map(|t| shift * t / (1.0 + (shift - 1.0) * t))
                .collect(),
            Self::Sd3 {
                steps,
                positions,
                terminal,
            } => sd3(*steps, *positions, *terminal),
            Self::List(times) => times.clone(),
        };
        let falls = times.windows(2).all(|pair| matches!(pair, [a, b] if a > b));
        let within = times.iter().all(|t| *t > 0.0 && *t <= 1.0);
        if times.is_empty() || !falls || !within {
            return Err(DiffusionError::Schedule(format!(
                "{self:?} gives {times:?}, wanted falling values in 0..1"
            )));
        }
        Ok(times)
    }
}

/// The largest value of the schedule below `t`, or 0: where a token at `t` goes next.
pub fn next_time(times: &[f64], t: f64) -> f64 {
    times
        .iter()
        .copied()
        .filter(|other| *other < t - 1e-6)
        .fold(0.0, f64::max)
}

fn uniform(steps: usize) -> Vec<f64> {
    (0..steps)
        .map(|i| (steps - i) as f64 / steps as f64)
        .collect()
}

fn linear_quadratic(steps: usize, threshold: f64) -> Vec<f64> {
    if steps == 1 {
        return vec![1.0];
    }
    let linear = steps / 2;
    let (l, q) = (linear as f64, (steps - linear) as f64);
    let slope = threshold / l;
    let delta = l - threshold * steps as f64;
    let quadratic = delta / (l * q * q);
    let linear_part = slope - 2.0 * delta / (q * q);
    let constant = quadratic * l * l;
    (0..steps)
        .map(|i| {
            let x = i as f64;
            let sigma = if i < linear {
                x * slope
            } else {
                quadratic * x * x + linear_part * x + constant
            };
            1.0 - sigma
        })
        .collect()
}

fn sd3(steps: usize, positions: usize, terminal: Option<f64>) -> Vec<f64> {
    let slope = (2.05 - 0.95) / (4096.0 - 1024.0);
    let shift = (0.95 + slope * (positions as f64 - 1024.0)).exp();
    let shifted: Vec<f64> = uniform(steps)
        .into_iter()
        .map(|t| shift / (shift + (1.0 / t - 1.0)))
        .collect();
    match (terminal, shifted.last().copied()) {
        (Some(terminal), Some(last)) if last < 1.0 => shifted
            .into_iter()
            .map(|t| 1.0 - (1.0 - t) * (1.0 - terminal) / (1.0 - last))
            .collect(),
        _ => shifted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(schedule: &Schedule, wanted: &[(usize, f64)]) {
        let times = schedule.times().unwrap();
        for (index, value) in wanted {
            let found = times[*index];
            assert!(
                (found - value).abs() < 1e-6,
                "{schedule:?} {index}: {found}, wanted {value}"
            );
        }
    }

    /// Values printed by LTX-Video `ltx_video/schedulers/rf.py`.
    #[test]
    fn verify_schedule_parity() {
        let eight = [
            1.0, 0.993_75, 0.9875, 0.981_25, 0.975, 0.909_375, 0.725, 0.421_875,
        ];
        let all: Vec<_> = eight.into_iter().enumerate().collect();
        close(&Schedule::linear_quadratic(8), &all);
        let thirty = [
            (14, 0.976_666_7),
            (15, 0.975),
            (16, 0.969_111_1),
            (22, 0.756_444_5),
            (29, 0.124_111_1),
        ];
        close(&Schedule::linear_quadratic(30), &thirty);
        let forty = [
            (19, 0.976_25),
            (21, 0.971_375),
            (30, 0.725),
            (39, 0.093_875),
        ];
        close(&Schedule::linear_quadratic(40), &forty);
        for (positions, last_but_one, second) in [
            (1024, 0.205_717, 0.979_603),
            (4096, 0.319_439, 0.991_467),
            (6144, 0.404_329, 0.994_596),
        ] {
            let schedule = Schedule::Sd3 {
                steps: 20,
                positions,
                terminal: Some(0.1),
            };
            close(
                &schedule,
                &[(0, 1.0), (1, second), (18, last_but_one), (19, 0.1)],
            );
        }
    }

    #[test]
    fn shift_one_is_uniform() {
        let shifted = Schedule::Shifted {
            steps: 8,
            shift: 1.0,
        };
        assert_eq!(
            shifted.times().unwrap(),
            Schedule::Uniform { steps: 8 }.times().unwrap()
        );
        assert!(Schedule::Uniform { steps: 0 }.times().is_err());
        assert!(Schedule::List(vec![0.5, 0.7]).times().is_err());
    }

    #[test]
    fn the_next_time_of_a_partly_noised_token_is_on_the_grid() {
        let times = [1.0, 0.75, 0.5, 0.25];
        assert!((next_time(&times, 0.6) - 0.5).abs() < 1e-12);
        assert!((next_time(&times, 0.5) - 0.25).abs() < 1e-12);
        assert!(next_time(&times, 0.2).abs() < 1e-12);
    }

    #[test]
    fn the_header_decides() {
        let json = serde_json::json!({"sampler": "Shifted", "shift": 3.0, "steps": 8});
        let schedule = Schedule::from_json(&json, None, 0).unwrap();
        assert_eq!(
            schedule,
            Schedule::Shifted {
                steps: 8,
                shift: 3.0
            }
        );
        assert_eq!(Schedule::from_json(&json, Some(4), 0).unwrap().steps(), 4);
        let json = serde_json::json!({"sampler": "Magic"});
        assert!(Schedule::from_json(&json, None, 0).is_err());
    }
}
