//! Trained weights as files that the program runs.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use nn::ops::{Activation, linear};
use nn::weights::save;

use crate::error::{Result, TrainError};
use crate::lora::LoraOptions;
use crate::params::Parameters;

/// Tensors with fewer numbers stay `f32`: vectors, tables, statistics.
const SMALL: usize = 4096;

/// How matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stored {
    /// As they are.
    #[default]
    F32,
    /// Half the size, three digits.
    F16,
}

/// Writes a whole model, `values` in place of the trained tensors, low-rank additions added in.
///
/// # Errors
/// When the file can't be written.
pub fn model(
    path: &Path,
    parameters: &Parameters,
    values: &BTreeMap<String, Tensor>,
    lora: Option<&LoraOptions>,
    stored: Stored,
) -> Result<()> {
    let mut tensors = parameters.frozen().clone();
    for (name, value) in values {
        if !name.contains(".lora_") {
            tensors.insert(name.clone(), value.clone());
        }
    }
    if let Some(lora) = lora {
        merge(&mut tensors, values, lora.scale())?;
    }
    for tensor in tensors.values_mut() {
        let large = tensor.rank() >= 2 && tensor.elem_count() >= SMALL;
        let dtype = if large && stored == Stored::F16 {
            DType::F16
        } else {
            DType::F32
        };
        *tensor = tensor.to_dtype(dtype)?;
    }
    Ok(save(path, &tensors, parameters.metadata())?)
}

/// Adds `scale * up down` to the matrices that additions belong to.
fn merge(
    tensors: &mut BTreeMap<String, Tensor>,
    values: &BTreeMap<String, Tensor>,
    scale: f64,
) -> Result<()> {
    for (name, down) in values {
        let Some(layer) = name.strip_suffix(".lora_A.weight") else {
            continue;
        };
        let up = values.get(&format!("{layer}.lora_B.weight"));
        let weight = tensors.get_mut(&format!("{layer}.weight"));
        let (Some(up), Some(weight)) = (up, weight) else {
            return Err(TrainError::Recipe(format!(
                "the LoRA of '{layer}' lacks a part"
            )));
        };
        let added = linear(up, &down.t()?.contiguous()?, None, Activation::None)?;
        *weight = (weight.to_dtype(DType::F32)? + (added * scale)?)?;
    }
    Ok(())
}

/// Writes the low-rank additions alone; the header says their scale.
///
/// # Errors
/// When there are none, or the file can't be written.
pub fn lora(path: &Path, values: &BTreeMap<String, Tensor>, options: &LoraOptions) -> Result<()> {
    let mut tensors: BTreeMap<String, Tensor> = values.clone();
    tensors.retain(|name, _| name.contains(".lora_"));
    if tensors.is_empty() {
        return Err(TrainError::Recipe("the run has no LoRA".to_owned()));
    }
    // The form of diffusers, which `models::lora` reads too.
    let scale = serde_json::json!({"r": options.rank, "lora_alpha": options.alpha});
    let metadata = BTreeMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("lora_adapter_metadata".to_owned(), scale.to_string()),
    ]);
    Ok(save(path, &tensors, &metadata)?)
}
