//! Timesteps as vectors.

use candle_core::{DType, Result, Tensor};

use super::Linear;
use crate::ops::Activation;
use crate::weights::{View, WeightsError};

/// Sinusoids of `t` (any shape, `f32`): `[.., channels]`, cosines first.
///
/// Frequency `i` of `channels / 2` is `10000^(-i / (channels / 2))`, as in LTX-Video
/// (`flip_sin_to_cos`, no frequency shift). Angles are rounded to `f32` after each operation, as
/// diffusers' `get_timestep_embedding` does: at a timestep of 1000 the last bit of a frequency is
/// worth 6e-5 radians, which a network shows as an error of 1e-4.
///
/// # Errors
/// When `channels` is odd or `t` is no real tensor.
pub fn sinusoid(t: &Tensor, channels: usize) -> Result<Tensor> {
    if !channels.is_multiple_of(2) {
        candle_core::bail!("sinusoid: {channels} channels cannot be halved");
    }
    let half = channels / 2;
    let base = -(10_000_f64.ln()) as f32;
    let frequencies: Vec<f32> = (0..half)
        .map(|i| f64::from(base * i as f32 / half as f32).exp() as f32)
        .collect();
    let values = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let mut table = Vec::with_capacity(values.len() * channels);
    for value in values {
        let angles = frequencies.iter().map(|frequency| value * frequency);
        table.extend(angles.clone().map(|angle| f64::from(angle).cos() as f32));
        table.extend(angles.map(|angle| f64::from(angle).sin() as f32));
    }
    let mut shape = t.dims().to_vec();
    shape.push(channels);
    Tensor::from_vec(table, shape, t.device())
}

/// `linear_2(silu(linear_1(sinusoid(t))))`.
#[derive(Debug, Clone)]
pub struct TimestepEmbedding {
    first: Linear,
    second: Linear,
    channels: usize,
}

impl TimestepEmbedding {
    /// From two layers; `channels` is the sinusoid's width.
    pub fn new(first: Linear, second: Linear, channels: usize) -> Self {
        Self {
            first,
            second,
            channels,
        }
    }

    /// `linear_1` and `linear_2`, to give them low-rank additions.
    pub fn linears_mut(&mut self) -> [&mut Linear; 2] {
        [&mut self.first, &mut self.second]
    }

    /// `linear_1` (`channels` to `hidden`) and `linear_2` (`hidden` to `outputs`) of the view.
    ///
    /// # Errors
    /// When a weight is missing or a shape is wrong.
    pub fn load(
        view: &View,
        channels: usize,
        hidden: usize,
        outputs: usize,
    ) -> std::result::Result<Self, WeightsError> {
        Ok(Self::new(
            Linear::load(&view.at("linear_1"), channels, hidden)?,
            Linear::load(&view.at("linear_2"), hidden, outputs)?,
            channels,
        ))
    }

    /// `t` (any shape, already multiplied, 0..1000) to `[.., outputs]` in the weights' dtype.
    ///
    /// # Errors
    /// When a shape does not fit.
    pub fn forward(&self, t: &Tensor) -> Result<Tensor> {
        let x = sinusoid(t, self.channels)?.to_dtype(self.first.weight().dtype())?;
        self.second
            .forward(&self.first.forward_act(&x, Activation::Silu)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn cosines_come_first() {
        let t = Tensor::new(&[[0.0_f32, 2.0]], &Device::Cpu).unwrap();
        let y = sinusoid(&t, 4).unwrap();
        assert_eq!(y.dims(), [1, 2, 4]);
        let rows = y.to_vec3::<f32>().unwrap();
        assert_eq!(rows[0][0], [1.0, 1.0, 0.0, 0.0]);
        let expected = [2.0_f32.cos(), 0.02_f32.cos(), 2.0_f32.sin(), 0.02_f32.sin()];
        for (a, b) in rows[0][1].iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
