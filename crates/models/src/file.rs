//! A weight file on disk or in the binary, as named tensors with a config.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use nn::weights::{Checkpoint, Header, KeyMap, StoredType, View, WeightsError};

use crate::error::{ModelError, Result};

#[derive(Debug, Clone)]
enum Source {
    File(Checkpoint),
    Memory {
        tensors: BTreeMap<String, Tensor>,
        metadata: BTreeMap<String, String>,
    },
}

/// Names and shapes that a network needs.
pub type TensorShapes = BTreeMap<String, Vec<usize>>;

/// Named tensors of one model.
#[derive(Debug, Clone)]
pub struct ModelFile {
    origin: String,
    source: Source,
}

impl ModelFile {
    /// Maps a safetensors file, a shard index, or a folder with one of them.
    ///
    /// # Errors
    /// When it is something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self {
            origin: path.display().to_string(),
            source: Source::File(Checkpoint::open(path)?),
        })
    }

    /// Reads a safetensors file that is already in memory, such as the embedded model.
    /// `origin` names it in errors.
    ///
    /// # Errors
    /// When the header does not hold together or a tensor has a type that is no number here.
    pub fn from_bytes(origin: &str, bytes: &[u8]) -> Result<Self> {
        let header = Header::parse(bytes).map_err(|reason| WeightsError::Header {
            path: origin.into(),
            reason,
        })?;
        let mut tensors = BTreeMap::new();
        for (name, entry) in header.tensors {
            let data = bytes
                .get(entry.start..entry.end)
                .ok_or_else(|| WeightsError::Header {
                    path: origin.into(),
                    reason: format!("tensor '{name}' lies outside of the file"),
                })?;
            let dtype = match entry.stored {
                StoredType::F32 => DType::F32,
                StoredType::Bf16 => DType::BF16,
                StoredType::F16 => DType::F16,
                StoredType::F64 => DType::F64,
                StoredType::I64 => DType::I64,
                StoredType::U32 => DType::U32,
                StoredType::U8 => DType::U8,
                other => {
                    return Err(WeightsError::Type {
                        origin: origin.to_owned(),
                        name,
                        found: other.to_string(),
                        wanted: "a float".to_owned(),
                    }
                    .into());
                }
            };
            let tensor = Tensor::from_raw_buffer(data, dtype, &entry.shape, &Device::Cpu)?;
            tensors.insert(name, tensor);
        }
        Ok(Self::from_tensors(origin, tensors, header.metadata))
    }

    /// Tensors that are already in memory.
    pub fn from_tensors(
        origin: &str,
        tensors: BTreeMap<String, Tensor>,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        Self {
            origin: origin.to_owned(),
            source: Source::Memory { tensors, metadata },
        }
    }

    /// The file's name for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A text of the header's `__metadata__`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        match &self.source {
            Source::File(checkpoint) => checkpoint.metadata(key),
            Source::Memory { metadata, .. } => metadata.get(key).map(String::as_str),
        }
    }

    /// The JSON under `config` in the header, where the official files keep all configs.
    ///
    /// # Errors
    /// When it is missing or no JSON.
    pub fn config(&self) -> Result<serde_json::Value> {
        let text = self
            .metadata("config")
            .ok_or_else(|| WeightsError::NoMetadata {
                path: self.origin.clone().into(),
                key: "config".to_owned(),
            })?;
        serde_json::from_str(text).map_err(|source| ModelError::ConfigText {
            part: "header",
            source,
        })
    }

    /// Names and shapes of all tensors.
    pub fn shapes(&self) -> TensorShapes {
        match &self.source {
            Source::File(checkpoint) => checkpoint
                .names()
                .filter_map(|name| Some((name.to_owned(), checkpoint.info(name)?.shape)))
                .collect(),
            Source::Memory { tensors, .. } => tensors
                .iter()
                .map(|(name, t)| (name.clone(), t.dims().to_vec()))
                .collect(),
        }
    }

    /// The same tensors under other names; names without a rule are dropped.
    ///
    /// # Errors
    /// When two tensors would get one name.
    pub fn renamed(&self, keys: &KeyMap) -> Result<Self> {
        let source = match &self.source {
            Source::File(checkpoint) => Source::File(checkpoint.renamed(keys)?),
            Source::Memory { tensors, metadata } => {
                let mut renamed = BTreeMap::new();
                for (name, tensor) in tensors {
                    let Some(new) = keys.apply(name) else {
                        continue;
                    };
                    if renamed.insert(new.clone(), tensor.clone()).is_some() {
                        return Err(WeightsError::Clash { name: new }.into());
                    }
                }
                Source::Memory {
                    tensors: renamed,
                    metadata: metadata.clone(),
                }
            }
        };
        Ok(Self {
            origin: self.origin.clone(),
            source,
        })
    }

    /// All tensors as `dtype` on `device`.
    pub fn view(&self, dtype: DType, device: &Device) -> View {
        match &self.source {
            Source::File(checkpoint) => checkpoint.view(dtype, device),
            Source::Memory { tensors, .. } => View::of_tensors(tensors.clone(), dtype, device),
        }
    }

    /// Compares names and shapes with what a config asks for. Names that `ignored`
    /// accepts may be there in addition.
    ///
    /// # Errors
    /// [`ModelError::Differences`], one sentence for each.
    pub fn check(&self, wanted: &TensorShapes, ignored: impl Fn(&str) -> bool) -> Result<()> {
        let found = self.shapes();
        let mut differences = Vec::new();
        for (name, shape) in wanted {
            match found.get(name) {
                None => differences.push(format!("'{name}' {shape:?} is missing")),
                Some(other) if other != shape => {
                    differences.push(format!("'{name}' is {other:?}, wanted {shape:?}"));
                }
                Some(_) => {}
            }
        }
        for name in found.keys() {
            if !wanted.contains_key(name) && !ignored(name) {
                differences.push(format!("'{name}' is not expected"));
            }
        }
        if differences.is_empty() {
            Ok(())
        } else {
            Err(ModelError::Differences {
                origin: self.origin.clone(),
                differences,
            })
        }
    }
}

/// Adds a weight `[outputs, inputs]` and its bias.
pub(crate) fn linear_shapes(shapes: &mut TensorShapes, name: &str, inputs: usize, outputs: usize) {
    shapes.insert(format!("{name}.weight"), vec![outputs, inputs]);
    shapes.insert(format!("{name}.bias"), vec![outputs]);
}

/// Adds a convolution's weight of the given shape and its bias.
pub(crate) fn conv_shapes(shapes: &mut TensorShapes, name: &str, weight: &[usize]) {
    shapes.insert(format!("{name}.weight"), weight.to_vec());
    shapes.insert(
        format!("{name}.bias"),
        weight.first().copied().into_iter().collect(),
    );
}
