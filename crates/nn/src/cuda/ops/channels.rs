//! Normalisation of `[B, C, ..]`.

use candle_core::{DType, Result, Tensor};

use super::{run, table};
use crate::cuda::memory::{Space, at, element};
use crate::cuda::op::done;
use crate::cuda::plan::channels::ChannelNorm;

/// What [`normalise`] does; `groups` 0 stands for the norm over channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub(crate) groups: usize,
    pub(crate) eps: f32,
    pub(crate) offset: f32,
    pub(crate) silu: bool,
}

impl Norm {
    fn plan(self, x: &Tensor, affine: Option<&(Tensor, Tensor)>) -> Result<ChannelNorm> {
        let (batch, channels) = (x.dim(0)?, x.dim(1)?);
        let affine = match affine {
            Some((factor, summand)) => {
                // The kernel has one number of rows for both tables.
                let rows = factor.elem_count() / channels;
                Some((at(factor)?, at(summand)?, rows))
            }
            None => None,
        };
        Ok(ChannelNorm {
            element: element(x)?,
            batch,
            channels,
            positions: x.dims()[2..].iter().product(),
            groups: self.groups,
            eps: self.eps,
            offset: self.offset,
            silu: self.silu,
            affine,
        })
    }
}

/// Both tables with the same number of rows.
fn tables(x: &Tensor, factor: &Tensor, summand: &Tensor) -> Result<(Tensor, Tensor)> {
    let channels = x.dim(1)?;
    let rows = factor.elem_count().max(summand.elem_count()) / channels;
    let of = |t: &Tensor| {
        table(
            &t.detach()
                .reshape(((), channels))?
                .broadcast_as((rows, channels))?,
        )
    };
    Ok((of(factor)?, of(summand)?))
}

/// Normalises a contiguous tensor; `affine` is factor and summand, `[C]` or `[B, C]`.
pub(crate) fn normalise(
    x: &Tensor,
    affine: Option<(&Tensor, &Tensor)>,
    norm: Norm,
) -> Result<Tensor> {
    let wide = match affine {
        Some((factor, summand)) => Some(tables(x, factor, summand)?),
        None => None,
    };
    let plan = norm.plan(x, wide.as_ref())?;
    let number = |count: usize| Space::new(x.device(), DType::F32, count);
    let (statistics, scratch, y) = (
        number(plan.statistics())?,
        number(plan.scratch())?,
        Space::like(x)?,
    );
    let mut launches = plan.make_statistics(at(x)?, statistics.at()?, scratch.at()?);
    launches.push(plan.forward(at(x)?, y.at()?, statistics.at()?));
    run(x, &launches)?;

    let mut inputs = vec![x];
    if let Some((factor, summand)) = affine {
        inputs.extend([factor, summand]);
    }
    let (kept, statistics) = (x.clone(), statistics.tensor());
    let originals = affine.map(|(factor, summand)| [factor.clone(), summand.clone()]);
    done("channel-norm", &inputs, y, move |_, grad| {
        let x = kept.detach();
        let grad = grad.contiguous()?;
        let plan = norm.plan(&x, wide.as_ref())?;
        let dx = Space::like(&x)?;
        let sums = Space::new(x.device(), DType::F32, (2, plan.batch, plan.channels))?;
        let launches = plan.backward(at(&x)?, at(&grad)?, dx.at()?, sums.at()?, at(&statistics)?);
        run(&x, &launches)?;
        let sums = sums.tensor();
        let mut gradients = vec![kept.track_op().then(|| dx.tensor())];
        for (index, table) in originals.iter().flatten().enumerate() {
            let rows = sums.get(index)?;
            let rows = if table.elem_count() == plan.channels {
                rows.sum(0)?
            } else {
                rows
            };
            gradients.push(if table.track_op() {
                Some(rows.reshape(table.shape())?.to_dtype(table.dtype())?)
            } else {
                None
            });
        }
        Ok(gradients)
    })
}
