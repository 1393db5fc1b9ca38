//! GGUF files: quantised tensors, made floats when they are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device, Tensor};
use nn::weights::{KeyMap, WeightsError};

use super::TensorShapes;
use crate::error::{ModelError, Result};

/// Tensors of a GGUF file under our names.
#[derive(Clone)]
pub(super) struct Gguf {
    path: PathBuf,
    content: Arc<Content>,
    /// Our name and the stored one.
    names: BTreeMap<String, String>,
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gguf")
            .field("path", &self.path)
            .field("tensors", &self.names.len())
            .finish_non_exhaustive()
    }
}

impl Gguf {
    /// Whether a file starts like GGUF. False where it cannot be read: whoever opens it
    /// next says why.
    pub(super) fn is_one(path: &Path) -> bool {
        let mut magic = [0; 4];
        path.is_file()
            && File::open(path)
                .and_then(|mut file| file.read_exact(&mut magic))
                .is_ok()
            && &magic == b"GGUF"
    }

    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut reader = BufReader::new(open(path)?);
        let content = Content::read(&mut reader).map_err(|error| bad(path, &error))?;
        let names = content
            .tensor_infos
            .keys()
            .map(|name| (name.clone(), name.clone()))
            .collect();
        Ok(Self {
            path: path.to_path_buf(),
            content: Arc::new(content),
            names,
        })
    }

    pub(super) fn shapes(&self) -> TensorShapes {
        self.names
            .iter()
            .filter_map(|(name, stored)| {
                let info = self.content.tensor_infos.get(stored)?;
                Some((name.clone(), info.shape.dims().to_vec()))
            })
            .collect()
    }

    /// How a tensor is stored, such as `Q8_0`.
    pub(super) fn stored(&self, name: &str) -> Option<String> {
        let info = self.content.tensor_infos.get(self.names.get(name)?)?;
        Some(format!("{:?}", info.ggml_dtype))
    }

    pub(super) fn renamed(&self, keys: &KeyMap) -> Result<Self> {
        let mut names = BTreeMap::new();
        for (name, stored) in &self.names {
            let Some(new) = keys.apply(name) else {
                continue;
            };
            if names.insert(new.clone(), stored.clone()).is_some() {
                return Err(WeightsError::Clash { name: new }.into());
            }
        }
        Ok(Self {
            names,
            ..self.clone()
        })
    }

    /// The tensors whose names start with `prefix`, as `dtype`, under their full names.
    pub(super) fn tensors(
        &self,
        prefix: &str,
        dtype: DType,
        device: &Device,
    ) -> Result<BTreeMap<String, Tensor>> {
        let mut reader = BufReader::new(open(&self.path)?);
        let mut tensors = BTreeMap::new();
        for (name, stored) in &self.names {
            if !name.starts_with(prefix) {
                continue;
            }
            let tensor = self
                .content
                .tensor(&mut reader, stored, &Device::Cpu)
                .map_err(|error| bad(&self.path, &error))?;
            let tensor = tensor.dequantize(&Device::Cpu)?.to_dtype(dtype)?;
            tensors.insert(name.clone(), tensor.to_device(device)?);
        }
        Ok(tensors)
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| {
        WeightsError::Read {
            path: path.to_path_buf(),
            source,
        }
        .into()
    })
}

fn bad(path: &Path, error: &candle_core::Error) -> ModelError {
    // candle's errors carry a backtrace behind the first line.
    let reason = error.to_string();
    ModelError::Gguf {
        path: path.to_path_buf(),
        reason: reason.lines().next().unwrap_or_default().to_owned(),
    }
}
