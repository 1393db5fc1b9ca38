//! Gradients without sums that nobody needs.
//!
//! candle's backward pass starts every gradient as zeros and adds to them, so that each intermediate result costs three
//! passes over memory more than its mathematics. Within [`recorded`] the operations of this crate are written to a tape
//! instead, and their results are leaves of candle's graph: what candle's own operations do between two of ours (a
//! `reshape`, a `cat`) it still differentiates, over as much of the graph as lies between leaves.

mod tie;

use std::cell::RefCell;

use candle_core::backprop::GradStore;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, Var,
};

use self::tie::tie;
use crate::ops::add;

/// The operations that were applied to something with a gradient, in their order.
#[derive(Default)]
pub struct Tape {
    nodes: Vec<Node>,
}

struct Node {
    operation: Operation,
    results: Vec<Tensor>,
}

enum Operation {
    One(Box<dyn CustomOp1>, Tensor),
    Two(Box<dyn CustomOp2>, Tensor, Tensor),
    Three(Box<dyn CustomOp3>, Tensor, Tensor, Tensor),
    Again(Function),
}

type Function = Box<dyn Fn() -> Result<Vec<Tensor>>>;

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Runs `f` and gives its result with the tape of this thread's operations.
///
/// Gradients of what `f` computed are [`Tape::backward`]'s to take: candle's own `backward` stops at the leaves.
pub fn recorded<R>(f: impl FnOnce() -> R) -> (R, Tape) {
    let outer = TAPE.replace(Some(Tape::default()));
    let restore = Restore(outer);
    let result = f();
    let tape = TAPE.take().unwrap_or_default();
    drop(restore);
    (result, tape)
}

/// Puts the outer tape back, also when `f` panics.
struct Restore(Option<Tape>);

impl Drop for Restore {
    fn drop(&mut self) {
        TAPE.set(self.0.take());
    }
}

impl Tape {
    /// The gradients of `loss`, which was computed while this tape was recorded, with respect to all leaves.
    ///
    /// # Errors
    /// When a backward pass fails.
    pub fn backward(mut self, loss: &Tensor) -> Result<GradStore> {
        let mut gradients = loss.backward()?;
        // Later operations first; what was used is dropped on the way.
        while let Some(Node { operation, results }) = self.nodes.pop() {
            let mut found = results.iter().map(|result| gradients.remove(result));
            if let Operation::Again(f) = operation {
                let found: Vec<Option<Tensor>> = found.collect();
                run_again(&mut gradients, &f, found)?;
                continue;
            }
            let (Some(result), Some(Some(gradient))) = (results.first(), found.next()) else {
                continue;
            };
            drop(found);
            match operation {
                Operation::One(op, x) => {
                    let dx = op.bwd(&x, result, &gradient)?;
                    hand_over(&mut gradients, [(x, dx)])?;
                }
                Operation::Two(op, x, y) => {
                    let (dx, dy) = op.bwd(&x, &y, result, &gradient)?;
                    hand_over(&mut gradients, [(x, dx), (y, dy)])?;
                }
                Operation::Three(op, x, y, z) => {
                    let (dx, dy, dz) = op.bwd(&x, &y, &z, result, &gradient)?;
                    hand_over(&mut gradients, [(x, dx), (y, dy), (z, dz)])?;
                }
                Operation::Again(_) => {}
            }
        }
        Ok(gradients)
    }

    fn push(operation: Operation, results: Vec<Tensor>) {
        TAPE.with_borrow_mut(|tape| {
            if let Some(tape) = tape {
                tape.nodes.push(Node { operation, results });
            }
        });
    }

    /// How many operations were recorded.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Runs `f` and remembers its results only: the backward pass runs it again for what lies between (gradient
/// checkpointing, Chen et al. 2016).
///
/// `f` must give the same values again. Without a tape, or with nothing to learn, it is plainly run.
///
/// # Errors
/// When `f` fails.
pub fn again(f: impl Fn() -> Result<Vec<Tensor>> + 'static) -> Result<Vec<Tensor>> {
    if TAPE.with_borrow(Option::is_none) {
        return f();
    }
    let (results, _) = recorded(&f);
    let results = results?;
    if !results.iter().any(Tensor::track_op) {
        return Ok(results);
    }
    let leaf = |result: &Tensor| Ok(Var::from_tensor(&result.detach())?.into_inner());
    let results: Vec<Tensor> = results.iter().map(leaf).collect::<Result<_>>()?;
    Tape::push(Operation::Again(Box::new(f)), results.clone());
    Ok(results)
}

/// The backward pass of [`again`].
fn run_again(gradients: &mut GradStore, f: &Function, found: Vec<Option<Tensor>>) -> Result<()> {
    if found.iter().all(Option::is_none) {
        return Ok(());
    }
    let (results, tape) = recorded(f);
    let mut ties = Vec::new();
    for (result, gradient) in results?.iter().zip(found) {
        if let Some(gradient) = gradient {
            ties.push(tie(result, gradient)?);
        }
    }
    let store = tape.backward(&Tensor::cat(&ties, 0)?.sum_all()?)?;
    for id in store.get_ids() {
        let Some(gradient) = store.get_id(*id) else {
            continue;
        };
        let whole = match gradients.get_id(*id) {
            Some(before) => add(before, gradient)?.detach(),
            None => gradient.clone(),
        };
        gradients.insert_id(*id, whole);
    }
    Ok(())
}

/// Adds the gradients of an operation's arguments to those of the leaves that they come from.
fn hand_over<const N: usize>(
    gradients: &mut GradStore,
    found: [(Tensor, Option<Tensor>); N],
) -> Result<()> {
    for (argument, gradient) in found {
        let Some(gradient) = gradient else { continue };
        if argument.is_variable() {
            add_to(gradients, &argument, gradient)?;
        } else if argument.track_op() {
            // Something of candle's stands between: its part of the graph is walked with this gradient.
            let mut store = tie(&argument, gradient)?.backward()?;
            for leaf in argument.sorted_nodes() {
                if leaf.is_variable()
                    && let Some(gradient) = store.remove(leaf)
                {
                    add_to(gradients, leaf, gradient)?;
                }
            }
        }
    }
    Ok(())
}

fn add_to(gradients: &mut GradStore, leaf: &Tensor, gradient: Tensor) -> Result<()> {
    let whole = match gradients.remove(leaf) {
        Some(before) => add(&before, &gradient)?,
        None => gradient,
    };
    gradients.insert(leaf, whole.detach());
    Ok(())
}

/// The operation's result as a leaf, where a tape is recorded and the operation runs on the processor; `op` back otherwise.
pub(crate) fn record1<C: CustomOp1 + 'static>(
    x: &Tensor,
    op: C,
) -> Result<std::result::Result<Tensor, C>> {
    record(
        [x],
        op,
        |op, [(s, l)]| op.cpu_fwd(s, l),
        |op, [x]| Operation::One(Box::new(op), x),
    )
}

/// See [`record1`].
pub(crate) fn record2<C: CustomOp2 + 'static>(
    x: &Tensor,
    y: &Tensor,
    op: C,
) -> Result<std::result::Result<Tensor, C>> {
    record(
        [x, y],
        op,
        |op, [(s1, l1), (s2, l2)]| op.cpu_fwd(s1, l1, s2, l2),
        |op, [x, y]| Operation::Two(Box::new(op), x, y),
    )
}

/// See [`record1`].
pub(crate) fn record3<C: CustomOp3 + 'static>(
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
    op: C,
) -> Result<std::result::Result<Tensor, C>> {
    record(
        [x, y, z],
        op,
        |op, [(s1, l1), (s2, l2), (s3, l3)]| op.cpu_fwd(s1, l1, s2, l2, s3, l3),
        |op, [x, y, z]| Operation::Three(Box::new(op), x, y, z),
    )
}

type Operand<'a> = (&'a CpuStorage, &'a Layout);

fn record<C, const N: usize>(
    arguments: [&Tensor; N],
    op: C,
    run: impl FnOnce(&C, [Operand<'_>; N]) -> Result<(CpuStorage, Shape)>,
    operation: impl FnOnce(C, [Tensor; N]) -> Operation,
) -> Result<std::result::Result<Tensor, C>> {
    if TAPE.with_borrow(Option::is_none) {
        return Ok(Err(op));
    }
    let held = arguments.map(Tensor::storage_and_layout);
    let mut operands = Vec::with_capacity(N);
    for (storage, layout) in &held {
        match &**storage {
            Storage::Cpu(storage) => operands.push((storage, *layout)),
            _ => return Ok(Err(op)),
        }
    }
    let Ok(operands) = <[Operand<'_>; N]>::try_from(operands) else {
        return Ok(Err(op));
    };
    let (storage, shape) = run(&op, operands)?;
    drop(held);
    let device = candle_core::Device::Cpu;
    let result = match storage {
        CpuStorage::F32(data) => Var::from_vec(data, shape, &device)?,
        CpuStorage::BF16(data) => Var::from_vec(data, shape, &device)?,
        _ => return Ok(Err(op)),
    };
    let result = result.into_inner();
    let operation = operation(op, arguments.map(Tensor::clone));
    Tape::push(operation, vec![result.clone()]);
    Ok(Ok(result))
}

#[cfg(test)]
mod tests;
