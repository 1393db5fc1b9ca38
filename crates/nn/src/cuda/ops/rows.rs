//! Rows of `[.., width]`.

use candle_core::{D, DType, Result, Tensor};

use super::{run, table};
use crate::cpu::rows::{Kind, TableAt};
use crate::cuda::launch::At;
use crate::cuda::memory::{Space, at, element};
use crate::cuda::op::done;
use crate::cuda::plan::elements::products;
use crate::cuda::plan::rows::{self as plan, Normalise};
use crate::cuda::plan::sums::Sums;

/// What [`normalise`] does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub(crate) kind: Kind,
    pub(crate) eps: f32,
    pub(crate) offset: f32,
}

impl Norm {
    fn plan(
        self,
        x: &Tensor,
        factor: Option<(At, TableAt)>,
        summand: Option<(At, TableAt)>,
    ) -> Result<Normalise> {
        let width = x.dim(D::Minus1)?;
        Ok(Normalise {
            element: element(x)?,
            rows: x.elem_count() / width,
            width,
            kind: self.kind,
            eps: self.eps,
            offset: self.offset,
            factor,
            summand,
        })
    }
}

/// A table that the kernels read, with its steps.
type Table = Option<(Tensor, TableAt)>;

fn wide(t: Option<(&Tensor, TableAt)>) -> Result<Table> {
    match t {
        Some((t, steps)) => Ok(Some((table(t)?, steps))),
        None => Ok(None),
    }
}

fn place(t: &Table) -> Result<Option<(At, TableAt)>> {
    match t {
        Some((t, steps)) => Ok(Some((at(t)?, *steps))),
        None => Ok(None),
    }
}

/// `normalised(x) * (offset + factor) + summand`; `x` is contiguous.
pub(crate) fn normalise(
    x: &Tensor,
    factor: Option<(&Tensor, TableAt)>,
    summand: Option<(&Tensor, TableAt)>,
    norm: Norm,
) -> Result<Tensor> {
    let (factors, summands) = (wide(factor)?, wide(summand)?);
    let y = Space::like(x)?;
    let plan = norm.plan(x, place(&factors)?, place(&summands)?)?;
    run(x, &[plan.forward(at(x)?, y.at()?)])?;

    let mut inputs = vec![x];
    inputs.extend(factor.map(|(t, _)| t));
    inputs.extend(summand.map(|(t, _)| t));
    let kept = x.clone();
    let originals = [factor, summand].map(|t| t.map(|(t, steps)| (t.clone(), steps)));
    done("normalise", &inputs, y, move |_, grad| {
        let x = kept.detach();
        let grad = grad.contiguous()?;
        let (rows, width) = (plan.rows, plan.width);
        let wants = |i: usize| originals[i].as_ref().is_some_and(|(t, _)| t.track_op());
        let products = if wants(0) {
            Some(Space::new(x.device(), DType::F32, (rows, width))?)
        } else {
            None
        };
        let dx = Space::like(&x)?;
        // The tables' addresses are asked for again: they may have moved between devices' streams.
        let plan = norm.plan(&x, place(&factors)?, None)?;
        let products_at = products.as_ref().map_or(Ok(At::NOTHING), Space::at)?;
        run(
            &x,
            &[plan.backward(at(&x)?, at(&grad)?, dx.at()?, products_at)],
        )?;
        let mut gradients = vec![kept.track_op().then(|| dx.tensor())];
        if let Some((factor, steps)) = &originals[0] {
            gradients.push(match products {
                Some(products) => Some(sum_into(&products.tensor(), *steps, factor)?),
                None => None,
            });
        }
        if let Some((summand, steps)) = &originals[1] {
            gradients.push(if wants(1) {
                Some(sum_into(&grad.reshape((rows, width))?, *steps, summand)?)
            } else {
                None
            });
        }
        Ok(gradients)
    })
}

/// Sums `[rows, width]` into a table like `like`.
pub(crate) fn sum_into(rows: &Tensor, steps: TableAt, like: &Tensor) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    let targets = like.elem_count() / width;
    let sums = Sums::of_table(element(rows)?, (count, width), steps, targets);
    let to = Space::new(rows.device(), DType::F32, like.shape())?;
    let scratch = Space::new(rows.device(), DType::F32, sums.scratch())?;
    run(rows, &sums.launches(at(rows)?, to.at()?, scratch.at()?))?;
    to.tensor().to_dtype(like.dtype())
}

/// Sums `[rows, width]` over its rows, in `f32`.
pub(crate) fn sum_rows(x: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let x = x.contiguous()?;
    let steps = TableAt {
        tokens: rows.max(1),
        batch: 0,
        token: 0,
    };
    let like = Tensor::zeros(width, DType::F32, x.device())?;
    sum_into(&x, steps, &like)
}

/// `x + gate * y`; `x` and `y` are contiguous.
pub(crate) fn gate_add(x: &Tensor, gate: &Tensor, steps: TableAt, y: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    let size = (x.elem_count() / width, width);
    let gates = table(gate)?;
    let out = Space::like(x)?;
    let launch = plan::gate_add(
        element(x)?,
        size,
        at(x)?,
        (at(&gates)?, steps),
        at(y)?,
        out.at()?,
    );
    run(x, &[launch])?;
    let kept = [x.clone(), gate.clone(), y.clone()];
    done("gate-add", &[x, gate, y], out, move |_, grad| {
        let [x, gate, y] = &kept;
        let grad = grad.contiguous()?;
        let plain = Norm {
            kind: Kind::Plain,
            eps: 0.0,
            offset: 0.0,
        };
        let dy = if y.track_op() {
            Some(normalise(
                &grad.detach(),
                Some((&gates, steps)),
                None,
                plain,
            )?)
        } else {
            None
        };
        let d_gate = if gate.track_op() {
            let rows = Space::new(x.device(), DType::F32, size)?;
            let launch = products(element(x)?, x.elem_count(), at(y)?, at(&grad)?, rows.at()?);
            run(x, &[launch])?;
            Some(sum_into(&rows.tensor(), steps, gate)?)
        } else {
            None
        };
        Ok(vec![x.track_op().then(|| grad.clone()), d_gate, dy])
    })
}

/// Rotates pairs; all are contiguous, the tables in `f32`.
pub(crate) fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, steps: TableAt) -> Result<Tensor> {
    let turned = turn(x, cos, sin, steps, 1.0)?;
    let tables = [cos.clone(), sin.clone()];
    done("rope", &[x], turned, move |_, grad| {
        let [cos, sin] = &tables;
        // The inverse of a rotation is its transpose.
        let dx = turn(&grad.contiguous()?, cos, sin, steps, -1.0)?;
        Ok(vec![Some(dx.tensor())])
    })
}

fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor, steps: TableAt, sign: f32) -> Result<Space> {
    let width = x.dim(D::Minus1)?;
    let y = Space::like(x)?;
    let launch = plan::rotate(
        element(x)?,
        (x.elem_count() / width, width),
        (at(x)?, y.at()?),
        (at(cos)?, at(sin)?),
        steps,
        sign,
    );
    run(x, &[launch])?;
    Ok(y)
}
