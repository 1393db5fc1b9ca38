//! Blocks that are run again in the backward pass instead of being remembered
//! (gradient checkpointing, Chen et al. 2016).

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, Var, bail};

use super::tie::{Slot, tie};
use crate::ops::support::apply1;
use crate::tape::{recorded, unrecorded};

type Function = Arc<dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync>;

/// `f(inputs)`, of which only the inputs are kept: the backward pass runs `f` again.
///
/// `variables` are those that `f` uses beside its inputs and that are to get gradients.
/// `f` must give the same values when it is run again. Without anything to learn it is
/// plainly run.
///
/// # Errors
/// When `f` fails, or its result is not in main memory.
pub fn recomputed(
    inputs: &[Tensor],
    variables: &[Var],
    f: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let sources: Vec<&Tensor> = inputs
        .iter()
        .filter(|input| input.track_op())
        .chain(variables.iter().map(Var::as_tensor))
        .collect();
    if sources.is_empty() {
        return f(inputs);
    }
    // A custom operation has three arguments at most. So its only argument is a row of
    // ties, one number for each source, and each tie's backward pass hands over the
    // gradient that the operation's own backward pass left for it.
    let mut slots = Vec::with_capacity(sources.len());
    let mut ties = Vec::with_capacity(sources.len());
    for source in sources {
        let slot = Slot::default();
        ties.push(tie(source, &slot)?);
        slots.push(slot);
    }
    let again = Recomputed {
        inputs: inputs
            .iter()
            .map(|input| (input.detach(), input.track_op()))
            .collect(),
        variables: variables.to_vec(),
        slots,
        f: Arc::new(f),
    };
    apply1(&Tensor::cat(&ties, 0)?, again)
}

struct Recomputed {
    /// With whether a gradient is wanted.
    inputs: Vec<(Tensor, bool)>,
    variables: Vec<Var>,
    /// Of the inputs that want one, then of the variables.
    slots: Vec<Slot>,
    f: Function,
}

impl CustomOp1 for Recomputed {
    fn name(&self) -> &'static str {
        "recomputed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let inputs: Vec<Tensor> = self.inputs.iter().map(|(input, _)| input.clone()).collect();
        // The graph of this pass goes with the result, of which the numbers are taken.
        let result = unrecorded(|| (self.f)(&inputs))?.detach().contiguous()?;
        let (storage, layout) = result.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(data)), Some((start, end))) => {
                let data = data.get(start..end).unwrap_or_default().to_vec();
                Ok((CpuStorage::F32(data), result.shape().clone()))
            }
            (Storage::Cpu(CpuStorage::BF16(data)), Some((start, end))) => {
                let data = data.get(start..end).unwrap_or_default().to_vec();
                Ok((CpuStorage::BF16(data), result.shape().clone()))
            }
            _ => bail!(
                "recomputed: the result is {:?} on {:?}",
                result.dtype(),
                result.device()
            ),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        _: &candle_core::CudaStorage,
        _: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage as _;
        let inputs: Vec<Tensor> = self.inputs.iter().map(|(input, _)| input.clone()).collect();
        let result = unrecorded(|| (self.f)(&inputs))?.detach().contiguous()?;
        // The storage is taken whole, so it must hold nothing else.
        let alone = (0, result.elem_count());
        let result = if result.layout().contiguous_offsets() == Some(alone) {
            result
        } else {
            result.affine(1.0, 0.0)?
        };
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("recomputed: the result is on {:?}", result.device()),
        }
    }

    fn bwd(&self, ties: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut leaves = Vec::new();
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for (input, wanted) in &self.inputs {
            if *wanted {
                let leaf = Var::from_tensor(input)?;
                inputs.push(leaf.as_tensor().clone());
                leaves.push(leaf);
            } else {
                inputs.push(input.clone());
            }
        }
        leaves.extend(self.variables.iter().cloned());
        let (result, tape) = recorded(|| (self.f)(&inputs));
        let mut gradients = tape.backward(&tie(&result?, &Slot::holding(grad.clone()))?)?;
        for (leaf, slot) in leaves.iter().zip(&self.slots) {
            slot.put(gradients.remove(leaf.as_tensor()));
        }
        Ok(Some(ties.zeros_like()?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::ops::testing::{assert_close, noise};
    use crate::ops::{Activation, linear, rms_norm};

    fn block(x: &Tensor, y: &Tensor, w: &Tensor, v: &Tensor) -> Result<Tensor> {
        let inner = linear(x, w, None, Activation::GeluTanh)?;
        let inner = (rms_norm(&inner, None, 1e-6)? * y)?;
        x + linear(&inner, v, None, Activation::None)?
    }

    #[test]
    fn gradients_equal_those_of_a_remembered_pass() {
        let x = Var::from_tensor(&noise(1, &[7, 12])).unwrap();
        let y = noise(2, &[7, 20]);
        let w = Var::from_tensor(&noise(3, &[20, 12])).unwrap();
        let v = Var::from_tensor(&noise(4, &[12, 20])).unwrap();
        let direction = noise(5, &[7, 12]);
        let runs = Arc::new(AtomicUsize::new(0));
        let gradients = |again: bool| {
            // Two blocks in a row share their weights, and the second one's input is no leaf.
            let mut z = x.as_tensor().clone();
            for _ in 0..2 {
                z = if again {
                    let (w2, v2, runs) = (w.clone(), v.clone(), runs.clone());
                    recomputed(&[z, y.clone()], &[w.clone(), v.clone()], move |inputs| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        block(&inputs[0], &inputs[1], w2.as_tensor(), v2.as_tensor())
                    })
                } else {
                    block(&z, &y, w.as_tensor(), v.as_tensor())
                }
                .unwrap();
            }
            let loss = (&z * &direction).unwrap().sum_all().unwrap();
            let store = loss.backward().unwrap();
            [&x, &w, &v].map(|leaf| store.get(leaf.as_tensor()).unwrap().clone())
        };
        let (plain, again) = (gradients(false), gradients(true));
        for (i, (a, b)) in again.iter().zip(&plain).enumerate() {
            assert_close(&format!("gradient {i}"), a, b, 1e-6);
        }
        assert_eq!(runs.load(Ordering::Relaxed), 4, "each block runs twice");
    }

    #[test]
    fn nothing_to_learn_is_plainly_run() {
        let x = noise(1, &[2, 3]);
        let y = recomputed(std::slice::from_ref(&x), &[], |inputs| &inputs[0] * 2.0).unwrap();
        assert!(!y.track_op());
        assert_close("plain", &y, &(x * 2.0).unwrap(), 0.0);
    }
}
