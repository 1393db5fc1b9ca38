//! What the operations share: closures as custom operations, tracking, shapes.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

use crate::cpu::rows::TableAt;
use crate::cpu::storage::has_kernels;
use crate::tape::{record1, record2, record3};

type Output = Result<(CpuStorage, Shape)>;

/// A closure as an operation without a gradient: for backward passes.
pub(crate) struct Raw<F>(pub(crate) &'static str, pub(crate) F);

impl<F: Fn(&CpuStorage, &Layout) -> Output> CustomOp1 for Raw<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Output {
        (self.1)(s, l)
    }
}

impl<F: Fn(&CpuStorage, &Layout, &CpuStorage, &Layout) -> Output> CustomOp2 for Raw<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Output {
        (self.1)(s1, l1, s2, l2)
    }
}

impl<F> CustomOp3 for Raw<F>
where
    F: Fn(&CpuStorage, &Layout, &CpuStorage, &Layout, &CpuStorage, &Layout) -> Output,
{
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Output {
        (self.1)(s1, l1, s2, l2, s3, l3)
    }
}

/// Whether the kernels take this tensor.
pub(crate) fn on_kernels(x: &Tensor) -> bool {
    on_gpu(x) || (x.device().is_cpu() && has_kernels(x.dtype()) && x.elem_count() > 0)
}

/// Whether the GPU's kernels take this tensor.
#[cfg(feature = "cuda")]
pub(crate) fn on_gpu(x: &Tensor) -> bool {
    crate::cuda::memory::takes(x)
}

/// See above; there are none in this build.
#[cfg(not(feature = "cuda"))]
pub(crate) const fn on_gpu(_: &Tensor) -> bool {
    false
}

/// Whether a gradient may be asked for.
pub(crate) fn tracked(tensors: &[Option<&Tensor>]) -> bool {
    tensors.iter().flatten().any(|t| t.track_op())
}

/// Applies an operation, remembering it only where a gradient may be asked for: on this thread's tape, or in candle's graph.
pub(crate) fn apply1<C: CustomOp1 + Send + Sync + 'static>(x: &Tensor, op: C) -> Result<Tensor> {
    if tracked(&[Some(x)]) {
        match record1(x, op)? {
            Ok(leaf) => Ok(leaf),
            Err(op) => x.apply_op1(op),
        }
    } else {
        x.apply_op1_no_bwd(&op)
    }
}

/// See [`apply1`].
pub(crate) fn apply2<C: CustomOp2 + Send + Sync + 'static>(
    x: &Tensor,
    y: &Tensor,
    op: C,
) -> Result<Tensor> {
    if tracked(&[Some(x), Some(y)]) {
        match record2(x, y, op)? {
            Ok(leaf) => Ok(leaf),
            Err(op) => x.apply_op2(y, op),
        }
    } else {
        x.apply_op2_no_bwd(y, &op)
    }
}

/// See [`apply1`].
pub(crate) fn apply3<C: CustomOp3 + Send + Sync + 'static>(
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
    op: C,
) -> Result<Tensor> {
    if tracked(&[Some(x), Some(y), Some(z)]) {
        match record3(x, y, z, op)? {
            Ok(leaf) => Ok(leaf),
            Err(op) => x.apply_op3(y, z, op),
        }
    } else {
        x.apply_op3_no_bwd(y, z, &op)
    }
}

/// How `table` (`[width]`, `[B, 1, width]`, `[B, N, width]`, with 1 for any axis but the
/// last) broadcasts to the rows of `x` `[.., width]`.
pub(crate) fn table_at(name: &str, x: &Tensor, table: &Tensor, width: usize) -> Result<TableAt> {
    let rows = x.elem_count() / x.dim(candle_core::D::Minus1)?.max(1);
    let tokens = if x.rank() == 3 { x.dim(1)? } else { rows };
    let batch = rows / tokens.max(1);
    let (table_batch, table_tokens) = match *table.dims() {
        [w] if w == width => (1, 1),
        [n, w] if w == width => (1, n),
        [b, n, w] if w == width => (b, n),
        _ => (0, 0),
    };
    if ![1, batch].contains(&table_batch) || ![1, tokens].contains(&table_tokens) {
        bail!(
            "{name}: {:?} does not broadcast to {:?}",
            table.dims(),
            x.dims()
        );
    }
    let token = usize::from(table_tokens > 1);
    Ok(TableAt {
        tokens: tokens.max(1),
        batch: if table_batch > 1 { table_tokens } else { 0 },
        token,
    })
}
