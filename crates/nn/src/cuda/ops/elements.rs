//! Functions of single elements.

use candle_core::{Result, Tensor};

use super::run;
use crate::cpu::map::Function;
use crate::cuda::memory::{Space, at, element};
use crate::cuda::op::done;
use crate::cuda::plan::elements as plan;

/// `function(x)`; `x` is contiguous.
pub(crate) fn apply(function: Function, x: &Tensor) -> Result<Tensor> {
    let (element, count) = (element(x)?, x.elem_count());
    let y = Space::like(x)?;
    run(x, &[plan::apply(element, function, count, at(x)?, y.at()?)])?;
    let kept = x.clone();
    done("element", &[x], y, move |_, grad| {
        let grad = grad.contiguous()?;
        let dx = Space::like(&kept)?;
        let launch = plan::slope(element, function, count, at(&kept)?, at(&grad)?, dx.at()?);
        run(&kept, &[launch])?;
        Ok(vec![Some(dx.tensor())])
    })
}
