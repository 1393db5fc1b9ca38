//! A weight file on disk or in the binary, as named tensors with a config.

mod gguf;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use nn::weights::{Checkpoint, Header, KeyMap, StoredType, View, WeightsError};

use self::gguf::Gguf;
use crate::error::{ModelError, Result};

#[derive(Debug, Clone)]
enum Source {
    File(Checkpoint),
    Gguf(Gguf),
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
    /// Maps a safetensors file, a shard index, or a folder with one of them; or reads the
    /// header of a GGUF file, whose tensors become floats when they are asked for.
    ///
    /// # Errors
    /// When it is something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let source = if Gguf::is_one(path) {
            Source::Gguf(Gguf::open(path)?)
        } else {
            Source::File(Checkpoint::open(path)?)
        };
        Ok(Self {
            origin: path.display().to_string(),
            source,
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
            Source::Gguf(_) => None,
            Source::Memory { metadata, .. } => metadata.get(key).map(String::as_str),
        }
    }

    /// The JSON under `config` in the header, where the official files keep all configs;
    /// without it that of a `config.json` beside the file, where diffusers and
    /// transformers keep theirs.
    ///
    /// # Errors
    /// When there is neither, or it is no JSON.
    pub fn config(&self) -> Result<serde_json::Value> {
        self.config_if_any()?.ok_or_else(|| {
            WeightsError::NoMetadata {
                path: self.origin.clone().into(),
                key: "config".to_owned(),
            }
            .into()
        })
    }

    /// [`Self::config`], or none where there is neither.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn config_if_any(&self) -> Result<Option<serde_json::Value>> {
        let text = match self.metadata("config") {
            Some(text) => Some(text.to_owned()),
            None => self.text_beside("config.json")?,
        };
        let Some(text) = text else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| ModelError::ConfigText {
                part: "header",
                source,
            })
    }

    /// Where a file of that name would lie in the same folder; an empty path for tensors in
    /// memory.
    fn beside(&self, name: &str) -> PathBuf {
        if matches!(self.source, Source::Memory { .. }) {
            return PathBuf::new();
        }
        let path = Path::new(&self.origin);
        if path.is_dir() {
            path.join(name)
        } else {
            path.with_file_name(name)
        }
    }

    /// The text of a file of that name in the same folder, if there is one.
    pub(crate) fn text_beside(&self, name: &str) -> Result<Option<String>> {
        let path = self.beside(name);
        if !path.is_file() {
            return Ok(None);
        }
        std::fs::read_to_string(&path)
            .map(Some)
            .map_err(|source| WeightsError::Read { path, source }.into())
    }

    /// Names and shapes of all tensors.
    pub fn shapes(&self) -> TensorShapes {
        match &self.source {
            Source::File(checkpoint) => checkpoint
                .names()
                .filter_map(|name| Some((name.to_owned(), checkpoint.info(name)?.shape)))
                .collect(),
            Source::Gguf(gguf) => gguf.shapes(),
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
            Source::Gguf(gguf) => Source::Gguf(gguf.renamed(keys)?),
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

    /// The same safetensors file with another config in its header.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn with_config(&self, config: &serde_json::Value) -> Result<Self> {
        let Source::File(file) = &self.source else {
            return Err(ModelError::config(
                "adapter",
                format!("{} is no safetensors file", self.origin),
            ));
        };
        Ok(Self {
            origin: self.origin.clone(),
            source: Source::File(file.clone().with_metadata("config", &config.to_string())),
        })
    }

    /// The tensors of two safetensors files, none of which may be in both, and the configs of
    /// both headers: objects are joined, other values are `other`'s.
    ///
    /// # Errors
    /// When a name is in both, or a file is of another kind.
    pub fn joined(&self, other: &Self) -> Result<Self> {
        let (Source::File(own), Source::File(more)) = (&self.source, &other.source) else {
            return Err(ModelError::config(
                "adapter",
                format!(
                    "{} and {} are not both safetensors files",
                    self.origin, other.origin
                ),
            ));
        };
        let mut config = self.config()?;
        merge(&mut config, other.config()?);
        Ok(Self {
            origin: format!("{} with {}", self.origin, other.origin),
            source: Source::File(
                own.joined(more)?
                    .with_metadata("config", &config.to_string()),
            ),
        })
    }

    /// The tensors whose names are wanted.
    ///
    /// # Errors
    /// Never for names as they are.
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let names = self.shapes().into_keys().filter(|name| wanted(name));
        let keys = names.fold(KeyMap::new(), |keys, name| keys.prefix(&name, &name));
        self.renamed(&keys)
    }

    /// All tensors as `dtype` on `device`. Those of a mapped file are read when they are
    /// asked for; a GGUF file is made floats at once, so ask it for [`Self::part`].
    ///
    /// # Errors
    /// When a quantised tensor cannot be read.
    pub fn view(&self, dtype: DType, device: &Device) -> Result<View> {
        self.part("", dtype, device)
    }

    /// The tensors under `prefix` (with its dot, or empty), without it.
    ///
    /// # Errors
    /// When a quantised tensor cannot be read.
    pub fn part(&self, prefix: &str, dtype: DType, device: &Device) -> Result<View> {
        let view = match &self.source {
            Source::File(checkpoint) => checkpoint.view(dtype, device),
            Source::Gguf(gguf) => {
                View::of_tensors(gguf.tensors(prefix, dtype, device)?, dtype, device)
            }
            Source::Memory { tensors, .. } => View::of_tensors(tensors.clone(), dtype, device),
        };
        Ok(match prefix.strip_suffix('.') {
            Some(prefix) => view.at(prefix),
            None => view,
        })
    }

    /// How a tensor is stored, such as `BF16` or `Q8_0`.
    pub fn stored(&self, name: &str) -> Option<String> {
        match &self.source {
            Source::File(checkpoint) => {
                Some(checkpoint.info(name)?.stored.to_string().to_uppercase())
            }
            Source::Gguf(gguf) => gguf.stored(name),
            Source::Memory { tensors, .. } => {
                Some(tensors.get(name)?.dtype().as_str().to_uppercase())
            }
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

/// Puts `other`'s values into `config`, object by object.
fn merge(config: &mut serde_json::Value, other: serde_json::Value) {
    match (config, other) {
        (serde_json::Value::Object(own), serde_json::Value::Object(more)) => {
            for (key, value) in more {
                merge(own.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (own, value) => *own = value,
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
