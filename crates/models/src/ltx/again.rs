//! Blocks of which a training step remembers the results only, and runs them again in its backward pass.

use candle_core::Tensor;
use nn::layers::KeysValues;
use nn::tape::again;

use super::block::{Block, Pass, SkipMode};
use super::inputs::{AudioQueries, Caption, ContextGroup};
use super::rope::Rope;
use super::times::Times;
use crate::error::{ModelError, Result};

/// A [`Pass`] that owns what it holds; tensors are shared.
struct Kept {
    times: Times,
    rope: Rope,
    caption: Caption,
    skip: Option<SkipMode>,
    memory: Option<KeysValues>,
    audio: Option<(KeysValues, AudioQueries)>,
    self_bias: Option<Tensor>,
}

impl Kept {
    fn of(pass: &Pass<'_>) -> Self {
        Self {
            times: pass.times.clone(),
            rope: pass.rope.clone(),
            caption: pass.caption.clone(),
            skip: pass.skip,
            memory: pass.memory.cloned(),
            audio: pass
                .audio
                .map(|(kv, queries)| (kv.clone(), queries.clone())),
            self_bias: pass.self_bias.cloned(),
        }
    }

    fn pass(&self) -> Pass<'_> {
        Pass {
            times: &self.times,
            rope: &self.rope,
            caption: &self.caption,
            skip: self.skip,
            memory: self.memory.as_ref(),
            audio: self.audio.as_ref().map(|(kv, queries)| (kv, queries)),
            self_bias: self.self_bias.as_ref(),
        }
    }
}

/// [`Block::forward`], run again when its gradient is asked for.
pub(super) fn forward(block: &Block, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
    let (block, x, kept) = (block.clone(), x.clone(), Kept::of(pass));
    let f = move || Ok(vec![block.forward(&x, &kept.pass()).map_err(inner)?]);
    let [x] = expected(again(f)?)?;
    Ok(x)
}

/// [`Block::context`], run again when its gradients are asked for.
pub(super) fn context(
    block: &Block,
    x: &Tensor,
    pass: &Pass<'_>,
    groups: &[ContextGroup],
    window: usize,
    last: bool,
) -> Result<(KeysValues, Option<Tensor>)> {
    let (block, x, kept, groups) = (block.clone(), x.clone(), Kept::of(pass), groups.to_vec());
    let f = move || {
        let found = block.context(&x, &kept.pass(), &groups, window, last);
        let (kv, next) = found.map_err(inner)?;
        Ok([kv.keys, kv.values].into_iter().chain(next).collect())
    };
    let results = again(f)?;
    if last {
        let [keys, values] = expected(results)?;
        return Ok((KeysValues { keys, values }, None));
    }
    let [keys, values, next] = expected(results)?;
    Ok((KeysValues { keys, values }, Some(next)))
}

fn inner(error: ModelError) -> candle_core::Error {
    candle_core::Error::wrap(error)
}

fn expected<const N: usize>(results: Vec<Tensor>) -> Result<[Tensor; N]> {
    let count = results.len();
    results.try_into().map_err(|_| {
        ModelError::config(
            "ltx transformer",
            format!("a block gave {count} results instead of {N}"),
        )
    })
}
