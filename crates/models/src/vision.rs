//! Parts that the networks for measuring share: convolutions with folded batch norms, pooling, `PReLU`.
//!
//! These networks only ever run forwards, with fixed statistics, in `f32`.

pub(crate) mod norm;
pub(crate) mod pool;

use candle_core::{Result, Tensor};

pub(crate) use norm::{ConvNorm2d, ConvNorm3d};

/// `max(x, 0) + slope * min(x, 0)`, one slope a channel; `x` `[B, C, ..]`, `slope` `[C]`.
pub(crate) fn prelu(x: &Tensor, slope: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    if let Some(place) = shape.get_mut(1) {
        *place = slope.elem_count();
    }
    let positive = x.relu()?;
    &positive + (x - &positive)?.broadcast_mul(&slope.reshape(shape)?)?
}
