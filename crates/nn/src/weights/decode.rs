//! Stored bytes as tensors.

use candle_core::{DType, Device, Shape, Tensor};
use half::{bf16, f16};

use super::StoredType;

/// Bytes to a tensor of `dtype`; `None` when there is no conversion.
pub(super) fn decode(
    bytes: &[u8],
    stored: StoredType,
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> candle_core::Result<Option<Tensor>> {
    fn collect<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| f(*chunk))
            .collect()
    }
    let shape = Shape::from(shape);
    let cpu = Device::Cpu;
    // Straight into the wanted type where it is common, to save a copy.
    let tensor = match (stored, dtype) {
        (StoredType::F32, _) => Tensor::from_vec(collect(bytes, f32::from_le_bytes), shape, &cpu)?,
        (StoredType::Bf16, DType::F32) => Tensor::from_vec(
            collect(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            shape,
            &cpu,
        )?,
        (StoredType::F16, DType::F32 | DType::BF16) => Tensor::from_vec(
            collect(bytes, |b| f16::from_le_bytes(b).to_f32()),
            shape,
            &cpu,
        )?,
        (StoredType::Bf16, _) => {
            Tensor::from_vec(collect(bytes, bf16::from_le_bytes), shape, &cpu)?
        }
        (StoredType::F16, _) => Tensor::from_vec(collect(bytes, f16::from_le_bytes), shape, &cpu)?,
        (StoredType::F64, _) => Tensor::from_vec(collect(bytes, f64::from_le_bytes), shape, &cpu)?,
        (StoredType::I64, _) => Tensor::from_vec(collect(bytes, i64::from_le_bytes), shape, &cpu)?,
        (StoredType::U32, _) => Tensor::from_vec(collect(bytes, u32::from_le_bytes), shape, &cpu)?,
        (StoredType::I32, _) => Tensor::from_vec(
            collect(bytes, |b| i64::from(i32::from_le_bytes(b))),
            shape,
            &cpu,
        )?,
        (StoredType::U8 | StoredType::Bool, _) => Tensor::from_vec(bytes.to_vec(), shape, &cpu)?,
        (StoredType::F8E4M3, _) => {
            Tensor::from_raw_buffer(bytes, DType::F8E4M3, shape.dims(), &cpu)?
        }
        _ => return Ok(None),
    };
    tensor.to_dtype(dtype)?.to_device(device).map(Some)
}
