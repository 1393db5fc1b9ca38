//! Adam with decoupled weight decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Constants of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Decay of the averages of gradient and square.
    pub betas: [f64; 2],
    /// Added to the root of the square.
    pub eps: f64,
    /// Largest part of the rate that one number may move; 0 for no bound (**ours**).
    pub most: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            most: 0.0,
        }
    }
}

/// Averages of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamWState {
    /// Of the gradient.
    pub mean: Vec<f32>,
    /// Of its square.
    pub square: Vec<f32>,
    /// Steps that this parameter has taken.
    pub step: u64,
}

impl AdamWState {
    /// Zeros for `count` numbers.
    pub fn new(count: usize) -> Self {
        Self {
            mean: vec![0.0; count],
            square: vec![0.0; count],
            step: 0,
        }
    }
}

impl AdamW {
    /// Moves `data` by `gradient` of the same length; `decay` is torch's `weight_decay`.
    pub fn step(
        &self,
        data: &mut [f32],
        gradient: &[f32],
        state: &mut AdamWState,
        rate: f64,
        decay: f64,
    ) {
        state.step += 1;
        let [b1, b2] = self.betas;
        let power = |beta: f64| 1.0 - beta.powi(state.step.min(i32::MAX as u64) as i32);
        let keep = (1.0 - rate * decay) as f32;
        let size = (rate / power(b1)) as f32;
        let root = power(b2).sqrt() as f32;
        let (b1, b2, eps) = (b1 as f32, b2 as f32, self.eps as f32);
        let most = if self.most > 0.0 {
            (rate * self.most) as f32
        } else {
            f32::INFINITY
        };
        // Elements are independent, so sharing them out changes no value.
        data.par_iter_mut()
            .zip(gradient)
            .zip(&mut state.mean)
            .zip(&mut state.square)
            .with_min_len(1 << 14)
            .for_each(|(((p, g), mean), square)| {
                *mean += (g - *mean) * (1.0 - b1);
                *square = *square * b2 + g * g * (1.0 - b2);
                let step = size * *mean / (square.sqrt() / root + eps);
                *p = *p * keep - step.clamp(-most, most);
            });
    }
}
