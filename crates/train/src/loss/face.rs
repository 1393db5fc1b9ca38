//! Losses that look harder at the face.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::flow::{squared_error, weighted_mean};
use crate::error::Result;

/// X-Dub eq. 1 and 13: what is added to the weight of face and lip tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceWeights {
    /// Weight of the face.
    pub face: f64,
    /// Weight of the lips, besides.
    pub lips: f64,
}

impl Default for FaceWeights {
    /// X-Dub B.6.
    fn default() -> Self {
        Self {
            face: 0.3,
            lips: 0.3,
        }
    }
}

/// X-Dub eq. 1: `mean((1 + w M + w_lip M_lip) |v - u|^2)`, over all tokens.
///
/// `face` and `lips` `[B, N]` or `[1, N]` hold shares in 0..1.
///
/// # Errors
/// When shapes do not fit.
pub fn face_weighted_flow(
    predicted: &Tensor,
    target: &Tensor,
    face: &Tensor,
    lips: &Tensor,
    weights: FaceWeights,
) -> Result<Tensor> {
    let weight = ((face * weights.face)? + (lips * weights.lips)?)?.affine(1.0, 1.0)?;
    let errors = squared_error(predicted, target)?;
    Ok(errors.broadcast_mul(&weight.unsqueeze(2)?)?.mean_all()?)
}

/// SkyReels-Audio eq. 2: `w1 M |v - u|^2 + w2 (1 - M) |v - u|^2`, each a mean over its own tokens.
///
/// # Errors
/// When shapes do not fit.
pub fn joint_flow(
    predicted: &Tensor,
    target: &Tensor,
    mask: &Tensor,
    (inside, outside): (f64, f64),
) -> Result<Tensor> {
    let errors = squared_error(predicted, target)?;
    let (batch, tokens, _) = errors.dims3()?;
    let mask = mask.broadcast_as((batch, tokens))?;
    let rest = mask.affine(-1.0, 1.0)?;
    let held = |m: &Tensor| -> Result<bool> { Ok(m.sum_all()?.to_scalar::<f32>()? > 0.0) };
    let mut sum = errors.zeros_like()?.mean_all()?;
    for (mask, weight) in [(&mask, inside), (&rest, outside)] {
        if held(mask)? {
            sum = (sum + (weighted_mean(&errors, Some(mask))? * weight)?)?;
        }
    }
    Ok(sum)
}

/// SkyReels-Audio's gated face loss: all tokens when `p >= p_mask`, else `M_lip |v - u|^2`.
/// As in the paper the mean is over all tokens in both cases.
///
/// # Errors
/// When shapes do not fit.
pub fn gated_flow(
    predicted: &Tensor,
    target: &Tensor,
    lips: &Tensor,
    p: f64,
    p_mask: f64,
) -> Result<Tensor> {
    let errors = squared_error(predicted, target)?;
    if p >= p_mask {
        return Ok(errors.mean_all()?);
    }
    Ok(errors.broadcast_mul(&lips.unsqueeze(2)?)?.mean_all()?)
}
