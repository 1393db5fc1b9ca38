//! Weights packed once and kept beside their layer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Result, Storage, Tensor};

use crate::cpu::linear::PackedWeight;
use crate::cpu::storage::{by_dtype, dense};

/// Packed weights of the process may take so many bytes; beyond it they are packed
/// again in every call, which costs little when there are many rows.
pub const BUDGET: usize = 4 << 30;

static USED: AtomicUsize = AtomicUsize::new(0);

/// A packed weight with its share of the budget.
struct Kept {
    weight: Arc<PackedWeight>,
    bytes: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        USED.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Place for a weight packed for `f32` and one for bf16 activations. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct PackCache {
    kept: Arc<[OnceLock<Option<Kept>>; 2]>,
}

impl std::fmt::Debug for PackCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PackCache")
    }
}

impl PackCache {
    /// The packed weight for activations of `dtype`, packed now if it is not there yet;
    /// nothing when the budget is spent.
    pub(crate) fn get(&self, weight: &Tensor, dtype: DType) -> Result<Option<Arc<PackedWeight>>> {
        let for_bf16 = dtype == DType::BF16 && weight.dtype() == DType::BF16;
        let place = &self.kept[usize::from(for_bf16)];
        if let Some(kept) = place.get() {
            return Ok(kept.as_ref().map(|kept| kept.weight.clone()));
        }
        let estimate = weight.elem_count() * if for_bf16 { 2 } else { 4 };
        let kept = if USED.load(Ordering::Relaxed) + estimate > BUDGET {
            None
        } else {
            let weight = pack(weight, for_bf16)?;
            let bytes = weight.bytes();
            USED.fetch_add(bytes, Ordering::Relaxed);
            Some(Kept {
                weight: Arc::new(weight),
                bytes,
            })
        };
        Ok(place
            .get_or_init(|| kept)
            .as_ref()
            .map(|kept| kept.weight.clone()))
    }
}

fn pack(weight: &Tensor, for_bf16: bool) -> Result<PackedWeight> {
    let (outputs, inputs) = weight.dims2()?;
    let weight = weight.contiguous()?;
    let (storage, layout) = weight.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => by_dtype!(weight.dtype(), W => {
            Ok(PackedWeight::new(dense::<W>(storage, layout)?, outputs, inputs, for_bf16))
        }),
        _ => candle_core::bail!("only weights in main memory are packed"),
    }
}
