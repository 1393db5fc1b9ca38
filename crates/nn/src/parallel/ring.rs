//! Keys and values that go around.

use candle_core::{DType, Result, Tensor};

use super::{Exchange, Local};
use crate::ops::AttentionOptions;
use crate::ops::attention::with_log_sums;

/// Attention of all ranks' tokens to each other; gives this rank's, `[B, n, heads * D]`.
///
/// A rank adds up its parts in the order in which they arrive, which begins with its own.
///
/// # Errors
/// When shapes do not fit, or a rank is gone.
pub fn ring(group: &mut impl Exchange, local: &Local) -> Result<Tensor> {
    let mut travelling = vec![local.keys.contiguous()?, local.values.contiguous()?];
    travelling.extend(
        local
            .key_bias
            .as_ref()
            .map(Tensor::contiguous)
            .transpose()?,
    );
    let mut sum: Option<Part> = None;
    for step in 0..group.size() {
        if step > 0 {
            travelling = group.shift(travelling)?;
        }
        let [keys, values, bias @ ..] = travelling.as_slice() else {
            candle_core::bail!("the ring brought {} tensors", travelling.len());
        };
        let options = AttentionOptions {
            heads: local.heads,
            scale: local.scale,
            key_bias: bias.first().cloned(),
        };
        let (result, log_sums) = with_log_sums(&local.queries, keys, values, &options)?;
        let part = Part::new(&result, &log_sums)?;
        sum = Some(match sum {
            Some(sum) => sum.join(&part)?,
            None => part,
        });
    }
    match sum {
        Some(part) => part.result(local.queries.dtype()),
        None => Ok(local.queries.clone()),
    }
}

/// What queries found in some of the keys.
struct Part {
    /// `[B, n, heads, D]` in `f32`.
    mean: Tensor,
    /// Logarithm of the sum of the weights, `[B, n, heads, 1]`.
    log_sum: Tensor,
}

impl Part {
    fn new(result: &Tensor, log_sums: &Tensor) -> Result<Self> {
        // Below every score that is one, and finite, so that differences are numbers.
        const NOTHING: f64 = -1e30;
        let (batch, heads, queries) = log_sums.dims3()?;
        let log_sum = log_sums.transpose(1, 2)?.contiguous()?.unsqueeze(3)?;
        Ok(Self {
            mean: result
                .to_dtype(DType::F32)?
                .reshape((batch, queries, heads, ()))?,
            log_sum: log_sum.maximum(NOTHING)?,
        })
    }

    /// Both together: means weighted by the parts' sums.
    fn join(&self, other: &Self) -> Result<Self> {
        let top = self.log_sum.maximum(&other.log_sum)?;
        let (a, b) = (
            (&self.log_sum - &top)?.exp()?,
            (&other.log_sum - &top)?.exp()?,
        );
        let sum = (&a + &b)?;
        let (a, b) = ((a / &sum)?, (b / &sum)?);
        Ok(Self {
            mean: (self.mean.broadcast_mul(&a)? + other.mean.broadcast_mul(&b)?)?,
            log_sum: (sum.log()? + top)?,
        })
    }

    fn result(&self, dtype: DType) -> Result<Tensor> {
        let (batch, queries, _, _) = self.mean.dims4()?;
        self.mean.reshape((batch, queries, ()))?.to_dtype(dtype)
    }
}
