//! Writing of safetensors files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use candle_core::{DType, Tensor};
use half::{bf16, f16};
use serde_json::json;

use super::WeightsError;

/// Writes `tensors` (`f32`, `bf16` or `f16`, others as `f32`) with texts for the header's `__metadata__`.
///
/// The file appears whole or not at all: it is written beside `path` and renamed.
/// Equal input gives equal bytes.
///
/// # Errors
/// When the file cannot be written or a tensor cannot be read.
pub fn save(
    path: impl AsRef<Path>,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut offset = 0;
    for (name, tensor) in tensors {
        let (stored, size) = match tensor.dtype() {
            DType::BF16 => ("BF16", 2),
            DType::F16 => ("F16", 2),
            _ => ("F32", 4),
        };
        let end = offset + tensor.elem_count() * size;
        header.insert(
            name.clone(),
            json!({"dtype": stored, "shape": tensor.dims(), "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut text = serde_json::Value::Object(header).to_string();
    // Readers that map the file want the data aligned.
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let write = |e| WeightsError::write(path, e);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&temporary).map_err(write)?);
    file.write_all(&(text.len() as u64).to_le_bytes())
        .map_err(write)?;
    file.write_all(text.as_bytes()).map_err(write)?;
    for (name, tensor) in tensors {
        let bytes = bytes_of(tensor).map_err(|e| WeightsError::tensor(name, e))?;
        file.write_all(&bytes).map_err(write)?;
    }
    let file = file.into_inner().map_err(|e| write(e.into_error()))?;
    file.sync_all().map_err(write)?;
    std::fs::rename(&temporary, path).map_err(write)
}

fn bytes_of(tensor: &Tensor) -> candle_core::Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::BF16 => flat
            .to_vec1::<bf16>()?
            .into_iter()
            .flat_map(bf16::to_le_bytes)
            .collect(),
        DType::F16 => flat
            .to_vec1::<f16>()?
            .into_iter()
            .flat_map(f16::to_le_bytes)
            .collect(),
        _ => flat
            .to_dtype(DType::F32)?
            .to_vec1::<f32>()?
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect(),
    })
}
