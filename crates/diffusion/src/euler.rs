//! First-order steps along the flow.

use candle_core::{DType, Tensor};

use crate::error::Result;
use crate::schedule::next_time;

/// `x - (t - next) v` for tokens that share a timestep; any shape.
///
/// # Errors
/// When the shapes differ.
pub fn step(x: &Tensor, velocity: &Tensor, t: f64, next: f64) -> Result<Tensor> {
    let velocity = velocity.to_dtype(x.dtype())?;
    Ok((x - (velocity * (t - next))?)?)
}

/// The same for tokens with a timestep each: `x` and `velocity` are `[B, N, C]`, `times`
/// has N values. A token at 0 stays as it is.
///
/// # Errors
/// When the shapes differ.
pub fn step_tokens(
    x: &Tensor,
    velocity: &Tensor,
    times: &[f64],
    schedule: &[f64],
) -> Result<Tensor> {
    let lengths: Vec<f32> = times
        .iter()
        .map(|t| (t - next_time(schedule, *t)) as f32)
        .collect();
    let count = lengths.len();
    let lengths = Tensor::from_vec(lengths, (1, count, 1), x.device())?.to_dtype(x.dtype())?;
    let velocity = velocity.to_dtype(x.dtype())?;
    Ok((x - velocity.broadcast_mul(&lengths)?)?)
}

/// Timestep of a token that is conditioned with a strength in 0..1 (1 is clean), when the
/// step is at `t`: `min(t, 1 - strength)` (LTX-Video `pipeline_ltx_video.py`,
/// denoising loop).
pub fn token_time(t: f64, strength: f64) -> f64 {
    t.min(1.0 - strength)
}

/// `(1 - t) x0 + t noise`.
///
/// # Errors
/// When the shapes differ.
pub fn noised(x0: &Tensor, noise: &Tensor, t: f64) -> Result<Tensor> {
    let noise = noise.to_dtype(DType::F32)?;
    Ok(((x0.to_dtype(DType::F32)? * (1.0 - t))? + (noise * t)?)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::schedule::Schedule;

    #[test]
    fn the_true_velocity_leads_to_the_clean_sample() {
        let x0 = Tensor::new(&[[[0.3_f32, -0.7]]], &Device::Cpu).unwrap();
        let noise = Tensor::new(&[[[1.5_f32, 0.2]]], &Device::Cpu).unwrap();
        let velocity = (&noise - &x0).unwrap();
        let times = Schedule::linear_quadratic(8).times().unwrap();
        let mut x = noised(&x0, &noise, 1.0).unwrap();
        for t in &times {
            x = step(&x, &velocity, *t, next_time(&times, *t)).unwrap();
        }
        let found = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(
            (found[0] - 0.3).abs() < 1e-6 && (found[1] + 0.7).abs() < 1e-6,
            "{found:?}"
        );
    }

    #[test]
    fn clean_tokens_stay() {
        let x = Tensor::new(&[[[0.3_f32], [0.4]]], &Device::Cpu).unwrap();
        let velocity = Tensor::ones((1, 2, 1), DType::F32, &Device::Cpu).unwrap();
        let schedule = [1.0, 0.5];
        let times = [token_time(1.0, 1.0), token_time(1.0, 0.0)];
        let moved = step_tokens(&x, &velocity, &times, &schedule).unwrap();
        let found = moved.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(found[0].to_bits(), 0.3_f32.to_bits());
        assert!((found[1] + 0.1).abs() < 1e-6);
    }
}
