//! Tokens exchanged for heads and back.

use candle_core::{D, Result, Tensor, bail};

use super::{Exchange, Local, ring};
use crate::ops::{AttentionOptions, attention};

/// Attention of all ranks' tokens to each other; gives this rank's, `[B, n, heads * D]`.
///
/// # Errors
/// When the number of heads is no multiple of the ranks', shapes do not fit, or a rank is gone.
pub fn ulysses(group: &mut impl Exchange, local: &Local) -> Result<Tensor> {
    exchanged(group, local, |local| {
        let options = AttentionOptions {
            heads: local.heads,
            scale: local.scale,
            key_bias: local.key_bias.clone(),
        };
        attention(&local.queries, &local.keys, &local.values, &options)
    })
}

/// Both ways at once: rank `(i, j)` of a grid exchanges heads in its `row` of ranks, and
/// keys and values go around in its `column`.
///
/// # Errors
/// As [`ulysses`].
pub fn grid(row: &mut impl Exchange, column: &mut impl Exchange, local: &Local) -> Result<Tensor> {
    exchanged(row, local, |local| ring(column, local))
}

/// Runs `inner` on the group's tokens with this rank's part of the heads.
fn exchanged(
    group: &mut impl Exchange,
    local: &Local,
    inner: impl FnOnce(&Local) -> Result<Tensor>,
) -> Result<Tensor> {
    let size = group.size();
    if size == 0 || !local.heads.is_multiple_of(size) {
        bail!("{} heads can't be shared by {size} ranks", local.heads);
    }
    let mut counts = Vec::new();
    let mut gather = |x: &Tensor| -> Result<Tensor> {
        let width = x.dim(D::Minus1)? / size;
        let parts = (0..size).map(|r| x.narrow(D::Minus1, r * width, width)?.contiguous());
        let parts = group.all_to_all(parts.collect::<Result<_>>()?)?;
        counts = parts
            .iter()
            .map(|part| part.dim(1))
            .collect::<Result<_>>()?;
        Tensor::cat(&parts, 1)
    };
    let keys = gather(&local.keys)?;
    let values = gather(&local.values)?;
    let queries = gather(&local.queries)?;
    let key_bias = match &local.key_bias {
        Some(bias) => {
            let parts = group.all_to_all(vec![bias.contiguous()?; size])?;
            Some(Tensor::cat(&parts, 1)?)
        }
        None => None,
    };
    let result = inner(&Local {
        queries,
        keys,
        values,
        key_bias,
        heads: local.heads / size,
        scale: local.scale,
    })?;
    let mut start = 0;
    let mut parts = Vec::with_capacity(size);
    for count in counts {
        parts.push(result.narrow(1, start, count)?.contiguous()?);
        start += count;
    }
    Tensor::cat(&group.all_to_all(parts)?, 2)
}
