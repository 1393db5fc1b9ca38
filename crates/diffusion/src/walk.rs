//! Denoising a whole video by windows: one step on every window, then the next step.

use candle_core::{DType, Tensor};

use crate::error::{DiffusionError, Result};
use crate::euler;
use crate::schedule::next_time;
use crate::state::State;
use crate::windows::{ShiftedWindows, Window};

/// What a method gives: velocities of a window's latents.
pub trait WindowVelocity {
    /// `x` `[latents, ..]` at `time` to velocities of the same shape.
    ///
    /// # Errors
    /// Whatever the method runs into, as a tensor error.
    fn velocity(&mut self, x: &Tensor, window: &Window, time: f64) -> Result<Tensor>;
}

/// A denoise in progress.
#[derive(Debug, Clone)]
pub struct Walk {
    times: Vec<f64>,
    windows: ShiftedWindows,
    step: usize,
    x: Tensor,
}

impl Walk {
    /// Starts at `noise` `[latents, ..]`, `f32`.
    pub const fn new(times: Vec<f64>, windows: ShiftedWindows, noise: Tensor) -> Self {
        Self {
            times,
            windows,
            step: 0,
            x: noise,
        }
    }

    /// Goes on from [`Self::save`]; the schedule and the windows must be the same.
    ///
    /// # Errors
    /// When the state was saved by something else.
    pub fn resume(times: Vec<f64>, windows: ShiftedWindows, state: &State) -> Result<Self> {
        let step = state.number("step")? as usize;
        if state.text("times")? != listed(&times) || step > times.len() {
            return Err(DiffusionError::State(
                "it belongs to another schedule".to_owned(),
            ));
        }
        Ok(Self {
            step,
            x: state.tensor("x")?.clone(),
            times,
            windows,
        })
    }

    /// The state between two steps.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.set_number("step", self.step as u64);
        state.set_text("times", listed(&self.times));
        state.set_tensor("x", self.x.clone());
        state
    }

    /// Latents as they are now, `[latents, ..]`.
    pub const fn latents(&self) -> &Tensor {
        &self.x
    }

    /// Steps done.
    pub const fn step(&self) -> usize {
        self.step
    }

    /// The timestep of the next step; none when all are done.
    pub fn time(&self) -> Option<f64> {
        self.times.get(self.step).copied()
    }

    /// Does one step; false when there is none left.
    ///
    /// # Errors
    /// When the method fails or gives another shape.
    pub fn advance(&mut self, method: &mut impl WindowVelocity) -> Result<bool> {
        let Some(t) = self.time() else {
            return Ok(false);
        };
        let count = self.x.dim(0)?;
        let windows = self.windows.at(self.step, self.times.len(), count)?;
        let velocity = self.velocity(method, &windows, t)?;
        self.x = euler::step(&self.x, &velocity, t, next_time(&self.times, t))?;
        self.step += 1;
        Ok(true)
    }

    fn velocity(
        &self,
        method: &mut impl WindowVelocity,
        windows: &[Window],
        t: f64,
    ) -> Result<Tensor> {
        let count = self.x.dim(0)?;
        let index = |window: &Window| -> Result<Tensor> {
            let list: Vec<u32> = window.latents.iter().map(|n| *n as u32).collect();
            Ok(Tensor::new(list, self.x.device())?)
        };
        let mut visits = vec![0.0_f32; count];
        let mut sum = Tensor::zeros_like(&self.x)?;
        for window in windows {
            let index = index(window)?;
            let x = self.x.index_select(&index, 0)?;
            let velocity = method.velocity(&x, window, t)?.to_dtype(DType::F32)?;
            sum = sum.index_add(&index, &velocity.contiguous()?, 0)?;
            for latent in &window.latents {
                if let Some(visits) = visits.get_mut(*latent) {
                    *visits += 1.0;
                }
            }
        }
        if visits.iter().all(|v| (v - 1.0).abs() < f32::EPSILON) {
            return Ok(sum);
        }
        let mut shape = vec![1; self.x.rank()];
        if let Some(first) = shape.first_mut() {
            *first = count;
        }
        let visits = Tensor::from_vec(visits, shape, self.x.device())?;
        Ok(sum.broadcast_div(&visits)?)
    }
}

/// Exact text of a schedule, to recognise it.
fn listed(times: &[f64]) -> String {
    times
        .iter()
        .map(|t| format!("{:016x}", t.to_bits()))
        .collect::<Vec<_>>()
        .join(",")
}
