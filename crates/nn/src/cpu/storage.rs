//! From candle's storage to slices and back.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, DType, Layout, Result, bail};
use half::bf16;

use super::real::Real;

/// An element type that candle stores.
pub(crate) trait Stored: Real + candle_core::WithDType {
    /// All elements of a storage of this type.
    fn all(storage: &CpuStorage) -> Result<&[Self]>;
    /// A storage of these elements.
    fn store(data: Vec<Self>) -> CpuStorage;
}

impl Stored for f32 {
    fn all(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice()
    }

    fn store(data: Vec<Self>) -> CpuStorage {
        CpuStorage::F32(data)
    }
}

impl Stored for bf16 {
    fn all(storage: &CpuStorage) -> Result<&[Self]> {
        storage.as_slice()
    }

    fn store(data: Vec<Self>) -> CpuStorage {
        CpuStorage::BF16(data)
    }
}

/// The elements of a contiguous tensor.
pub(crate) fn dense<'a, T: Stored>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::all(storage)?[start..end]),
        None => bail!("a kernel got a tensor that is not contiguous: {layout:?}"),
    }
}

/// The elements of a contiguous tensor of either type, widened.
pub(crate) fn widened(storage: &CpuStorage, layout: &Layout) -> Result<Vec<f32>> {
    match storage.dtype() {
        DType::F32 => Ok(dense::<f32>(storage, layout)?.to_vec()),
        DType::BF16 => Ok(dense::<bf16>(storage, layout)?
            .iter()
            .map(|x| x.get())
            .collect()),
        other => bail!("a kernel got a tensor of {other:?}"),
    }
}

/// Whether kernels take this dtype.
pub(crate) const fn has_kernels(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::BF16)
}

/// Runs an expression with `$type` bound to the Rust type of a dtype.
macro_rules! by_dtype {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $type = f32;
                $body
            }
            candle_core::DType::BF16 => {
                type $type = half::bf16;
                $body
            }
            other => candle_core::bail!("there is no kernel for {other:?}"),
        }
    };
}
pub(crate) use by_dtype;
