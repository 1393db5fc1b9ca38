//! A denoise as bytes: tensors and texts in one safetensors file.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{DiffusionError, Result};

/// Everything that is needed to go on later, bit for bit.
#[derive(Debug, Clone, Default)]
pub struct State {
    tensors: BTreeMap<String, Tensor>,
    texts: BTreeMap<String, String>,
}

impl State {
    /// Keeps a tensor (`f32`, `bf16` or `u32`).
    pub fn set_tensor(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// Keeps a text.
    pub fn set_text(&mut self, name: &str, text: impl Into<String>) {
        self.texts.insert(name.to_owned(), text.into());
    }

    /// Keeps a number.
    pub fn set_number(&mut self, name: &str, number: u64) {
        self.set_text(name, number.to_string());
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors
            .get(name)
            .ok_or_else(|| DiffusionError::State(format!("no tensor '{name}'")))
    }

    /// Whether there is a tensor of that name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether there is a text of that name.
    pub fn has_text(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The text of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.texts
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| DiffusionError::State(format!("no entry '{name}'")))
    }

    /// The number of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn number(&self, name: &str) -> Result<u64> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| DiffusionError::State(format!("'{name}' is '{text}', wanted a number")))
    }

    /// The state as a safetensors file. Equal states give equal bytes.
    ///
    /// # Errors
    /// When a tensor has a type that is not kept.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut data = Vec::with_capacity(self.tensors.len());
        for (name, tensor) in &self.tensors {
            let flat = tensor.flatten_all()?;
            let (dtype, bytes): (Dtype, Vec<u8>) = match tensor.dtype() {
                DType::F32 => (
                    Dtype::F32,
                    flat.to_vec1::<f32>()?
                        .into_iter()
                        .flat_map(f32::to_le_bytes)
                        .collect(),
                ),
                DType::U32 => (
                    Dtype::U32,
                    flat.to_vec1::<u32>()?
                        .into_iter()
                        .flat_map(u32::to_le_bytes)
                        .collect(),
                ),
                DType::BF16 => {
                    // Every bf16 is an f32, so nothing is lost on the way.
                    let wide = flat.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                    let bytes = wide.into_iter().flat_map(|v| {
                        let [_, _, low, high] = v.to_le_bytes();
                        [low, high]
                    });
                    (Dtype::BF16, bytes.collect())
                }
                other => {
                    return Err(DiffusionError::State(format!(
                        "tensor '{name}' is {other:?}"
                    )));
                }
            };
            data.push((name.as_str(), dtype, tensor.dims().to_vec(), bytes));
        }
        let mut views = Vec::with_capacity(data.len());
        for (name, dtype, shape, bytes) in &data {
            let view = TensorView::new(*dtype, shape.clone(), bytes)
                .map_err(|e| DiffusionError::State(e.to_string()))?;
            views.push((*name, view));
        }
        // One entry, because the order of several in a hash map would not be fixed.
        let texts =
            serde_json::to_string(&self.texts).map_err(|e| DiffusionError::State(e.to_string()))?;
        let metadata = HashMap::from([("state".to_owned(), texts)]);
        safetensors::serialize(views, Some(metadata))
            .map_err(|e| DiffusionError::State(e.to_string()))
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = |e: &dyn std::fmt::Display| DiffusionError::State(e.to_string());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(&e))?;
        let texts = header
            .metadata()
            .as_ref()
            .and_then(|m| m.get("state"))
            .ok_or_else(|| DiffusionError::State("no entries".to_owned()))?;
        let texts = serde_json::from_str(texts).map_err(|e| bad(&e))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(&e))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::U32 => DType::U32,
                Dtype::BF16 => DType::BF16,
                other => {
                    return Err(DiffusionError::State(format!(
                        "tensor '{name}' is {other:?}"
                    )));
                }
            };
            let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?;
            tensors.insert(name, tensor);
        }
        Ok(Self { tensors, texts })
    }
}
