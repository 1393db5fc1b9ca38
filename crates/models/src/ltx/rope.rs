//! Rotary positions of tokens in seconds and pixels.
//!
//! LTX-Video `transformer3d.py` `precompute_freqs_cis`,
//! `symmetric_patchifier.py` `get_latent_coords`. Angles are `f64`, or `f32` where the released
//! weights were trained so ([`Precision`]).

use candle_core::{Device, Tensor};

use super::{Precision, TransformerConfig};
use crate::error::{ModelError, Result};

/// Where a token lies: seconds, rows and columns in pixels.
pub type Position = [f64; 3];

/// Cosines and sines of a sequence, `[N, width / 2]` or `[B, N, width / 2]`, `f32`.
#[derive(Debug, Clone)]
pub struct Rope {
    pub cos: Tensor,
    pub sin: Tensor,
}

impl Rope {
    /// The two tables as the layers take them.
    pub fn tables(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }

    /// Tables of one sequence that all samples share.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn new(
        config: &TransformerConfig,
        positions: &[Position],
        device: &Device,
    ) -> Result<Self> {
        let half = config.width() / 2;
        let (cos, sin) = angles(config, positions);
        Ok(Self {
            cos: Tensor::from_vec(cos, (positions.len(), half), device)?,
            sin: Tensor::from_vec(sin, (positions.len(), half), device)?,
        })
    }

    /// Tables of `coords` `[B, 3, N]` (seconds, y, x).
    ///
    /// # Errors
    /// When `coords` has another shape.
    pub fn of_coords(config: &TransformerConfig, coords: &Tensor) -> Result<Self> {
        let (batch, axes, tokens) = coords.dims3()?;
        if axes != 3 {
            return Err(ModelError::input(
                "coords",
                format!("shape {:?}, wanted [B, 3, N]", coords.dims()),
            ));
        }
        let flat = coords
            .transpose(1, 2)?
            .contiguous()?
            .to_dtype(candle_core::DType::F64)?
            .flatten_all()?
            .to_vec1::<f64>()?;
        let positions: Vec<Position> = flat.as_chunks::<3>().0.to_vec();
        let (cos, sin) = angles(config, &positions);
        let shape = (batch, tokens, config.width() / 2);
        Ok(Self {
            cos: Tensor::from_vec(cos, shape, coords.device())?,
            sin: Tensor::from_vec(sin, shape, coords.device())?,
        })
    }
}

/// Pair `p + 3k + axis` of the width turns by `w_k * u_axis`, with `p` unturned pairs in
/// front (width mod 6 of them, halved), `w_k = pi/2 * theta^(k / (F - 1))` and
/// `u = 2 * position / maximum - 1`.
fn angles(config: &TransformerConfig, positions: &[Position]) -> (Vec<f32>, Vec<f32>) {
    let width = config.width();
    let still = (width % 6) / 2;
    let precision = config.frequencies_precision;
    let frequencies = frequencies(width / 6, config.positional_embedding_theta, precision);
    let mut cos = Vec::with_capacity(positions.len() * width / 2);
    let mut sin = Vec::with_capacity(positions.len() * width / 2);
    for position in positions {
        cos.extend(std::iter::repeat_n(1.0, still));
        sin.extend(std::iter::repeat_n(0.0, still));
        let mut u = [0.0; 3];
        for ((u, p), max) in u
            .iter_mut()
            .zip(position)
            .zip(config.positional_embedding_max_pos)
        {
            *u = match precision {
                Precision::Float64 => 2.0 * p / max - 1.0,
                Precision::Float32 => f64::from(*p as f32 / max as f32 * 2.0 - 1.0),
            };
        }
        for frequency in &frequencies {
            for u in u {
                let angle = match precision {
                    Precision::Float64 => frequency * u,
                    Precision::Float32 => f64::from(*frequency as f32 * u as f32),
                };
                let (s, c) = angle.sin_cos();
                cos.push(c as f32);
                sin.push(s as f32);
            }
        }
    }
    (cos, sin)
}

/// The `count` values of `w_k`. In `f32` every operation rounds in the order of diffusers'
/// `LTXVideoRotaryPosEmbed`.
fn frequencies(count: usize, theta: f64, precision: Precision) -> Vec<f64> {
    let last = count.saturating_sub(1);
    match precision {
        Precision::Float64 => (0..count)
            .map(|k| {
                let exponent = if last > 0 {
                    k as f64 / last as f64
                } else {
                    0.0
                };
                std::f64::consts::FRAC_PI_2 * theta.powf(exponent)
            })
            .collect(),
        Precision::Float32 => {
            let step = 1.0 / last.max(1) as f32;
            (0..count)
                .map(|k| {
                    // PyTorch's linspace counts from the nearer end, and rounds once there: at the
                    // highest frequency the last bit of an exponent moves an angle by up to 0.009.
                    let exponent = if k < count / 2 || last == 0 {
                        step * k as f32
                    } else {
                        step.mul_add(-((last - k) as f32), 1.0)
                    };
                    let power = theta.powf(f64::from(exponent)) as f32;
                    f64::from(power * std::f32::consts::PI / 2.0)
                })
                .collect()
        }
    }
}

/// Seconds of latent `n` at `rate` frames a second, with `stride` frames a latent.
///
/// With the causal fix it is the time of the latent's first frame, `stride * n + 1 -
/// stride`, and not below zero for `n >= 0`; negative `n`, the places of reference
/// tokens, are not clamped (EditYourself 3.4).
pub fn latent_seconds(n: i64, stride: usize, rate: f64, causal: bool) -> f64 {
    let stride = stride as i64;
    let frame = if causal {
        let first = stride * n + 1 - stride;
        if n >= 0 { first.max(0) } else { first }
    } else {
        stride * n
    };
    frame as f64 / rate
}

/// Positions of a whole grid, frame by frame, row by row.
pub fn grid_positions(
    seconds: &[f64],
    rows: usize,
    columns: usize,
    stride: usize,
) -> Vec<Position> {
    let mut positions = Vec::with_capacity(seconds.len() * rows * columns);
    for second in seconds {
        for row in 0..rows {
            for column in 0..columns {
                positions.push([*second, (row * stride) as f64, (column * stride) as f64]);
            }
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values printed by LTX-Video's `precompute_freqs_cis`: 13B at 25 fps, latents (0,0,0) and (3,5,7).
    #[test]
    fn verify_rope_parity() {
        let config = TransformerConfig::ltx_13b();
        let second = latent_seconds(3, 8, 25.0, true);
        assert!((second - 0.68).abs() < 1e-12);
        let positions = [
            [latent_seconds(0, 8, 25.0, true), 0.0, 0.0],
            [second, 5.0 * 32.0, 7.0 * 32.0],
        ];
        let rope = Rope::new(&config, &positions, &Device::Cpu).unwrap();
        let cos = rope.cos.to_vec2::<f32>().unwrap();
        let sin = rope.sin.to_vec2::<f32>().unwrap();
        // (token, dimension, cos, sin, tolerance); pair = dimension / 2
        let golden = [
            (0, 0, 1.0, 0.0, 1e-6),
            (0, 2, 1.0, 0.0, 1e-6),
            (0, 4, 0.0, -1.0, 1e-6),
            (0, 6, 0.0, -1.0, 1e-6),
            (1, 4, 0.106_611, -0.994_301, 2e-6),
            (1, 6, 0.242_980, -0.970_031, 2e-6),
            (1, 8, 0.336_890, -0.941_544, 2e-6),
            (0, 10, -0.021_387, -0.999_771, 2e-6),
            (1, 10, 0.086_770, -0.996_228, 2e-6),
            (0, 2048, 0.490_061, 0.871_688, 2e-4),
            (0, 2050, 0.483_779, -0.875_190, 2e-4),
            (1, 2048, -0.807_609, -0.589_719, 2e-4),
            (1, 2050, -0.965_541, -0.260_252, 2e-4),
            (1, 2052, 0.082_368, -0.996_602, 2e-4),
            (0, 4090, 1.0, -0.000_599, 5e-3),
            (1, 4090, 1.0, -0.000_500, 5e-3),
            (1, 4092, -0.707_615, -0.706_598, 5e-3),
            (1, 4094, 0.706_840, -0.707_373, 5e-3),
        ];
        for (token, dimension, c, s, tolerance) in golden {
            let found: (f32, f32) = (cos[token][dimension / 2], sin[token][dimension / 2]);
            assert!(
                (found.0 - c).abs() < tolerance && (found.1 - s).abs() < tolerance,
                "token {token}, dimension {dimension}: {found:?}, wanted {c}, {s}"
            );
        }
    }

    #[test]
    fn reference_times_are_not_clamped() {
        let times: Vec<f64> = (-2..4).map(|n| latent_seconds(n, 4, 25.0, true)).collect();
        let wanted = [-11.0, -7.0, 0.0, 1.0, 5.0, 9.0].map(|frame: f64| frame / 25.0);
        assert_eq!(times, wanted);
    }
}
