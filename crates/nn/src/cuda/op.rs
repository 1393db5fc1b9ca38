//! Results with gradients from closures over tensors.

use std::sync::{Mutex, PoisonError};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

use super::memory::Space;
use crate::ops::support::tracked;

/// Gradients of the arguments, in order; those that nobody wants may be missing.
pub(crate) type Gradients = Vec<Option<Tensor>>;

/// Makes a tensor of a result that was computed from `inputs`, one to three of them;
/// `backward` gives their gradients from the result and its gradient.
pub(crate) fn done(
    name: &'static str,
    inputs: &[&Tensor],
    result: Space,
    backward: impl Fn(&Tensor, &Tensor) -> Result<Gradients> + Send + Sync + 'static,
) -> Result<Tensor> {
    let wanted: Vec<Option<&Tensor>> = inputs.iter().copied().map(Some).collect();
    if !tracked(&wanted) {
        return Ok(result.tensor());
    }
    let op = Done {
        name,
        result: Mutex::new(Some(result)),
        backward,
    };
    match inputs {
        [x] => x.apply_op1(op),
        [x, y] => x.apply_op2(y, op),
        [x, y, z] => x.apply_op3(y, z, op),
        _ => bail!("{name} has {} arguments", inputs.len()),
    }
}

/// A result that is there already, as an operation of its arguments.
struct Done<F> {
    name: &'static str,
    result: Mutex<Option<Space>>,
    backward: F,
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Gradients>> Done<F> {
    fn on_processor(&self) -> Result<(CpuStorage, Shape)> {
        bail!("{} got tensors that are not on a GPU", self.name)
    }

    fn take(&self) -> Result<(CudaStorage, Shape)> {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        match result.take() {
            Some(space) => Ok((space.storage, space.shape)),
            None => bail!("{} was asked for its result twice", self.name),
        }
    }

    fn gradients<const COUNT: usize>(
        &self,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; COUNT]> {
        let mut gradients = (self.backward)(&result.detach(), grad)?.into_iter();
        Ok(std::array::from_fn(|_| gradients.next().flatten()))
    }
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Gradients>> CustomOp1 for Done<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_processor()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.take()
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [x] = self.gradients(result, grad)?;
        Ok(x)
    }
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Gradients>> CustomOp2 for Done<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_processor()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.take()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, y] = self.gradients(result, grad)?;
        Ok((x, y))
    }
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Gradients>> CustomOp3 for Done<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_processor()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.take()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, y, z] = self.gradients(result, grad)?;
        Ok((x, y, z))
    }
}
