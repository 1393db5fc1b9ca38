//! One or several safetensors files as one set of named tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::decode::decode;
use super::shard::{Shard, find_in_folder, open_shard};
use super::{Header, HeaderTensor, KeyMap, StoredType, View, WeightsError};

/// What a checkpoint says about a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub stored: StoredType,
    pub shape: Vec<usize>,
    pub bytes: usize,
}

#[derive(Clone)]
struct Entry {
    shard: usize,
    tensor: HeaderTensor,
}

/// Named tensors in mapped files. Cloning is cheap; the files stay mapped.
#[derive(Clone)]
pub struct Checkpoint {
    path: PathBuf,
    shards: Arc<[Arc<Shard>]>,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("tensors", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens `path`: a `.safetensors` file, an `.index.json` of shards, or a folder
    /// with exactly one index or one safetensors file.
    ///
    /// The files must not be changed by others while they are open.
    ///
    /// # Errors
    /// When it is something else, or its header does not hold together.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::open(find_in_folder(path)?);
        }
        if path.extension().is_some_and(|e| e == "json") {
            return Self::open_index(path);
        }
        Self::from_shards(path, vec![open_shard(path)?])
    }

    fn open_index(path: &Path) -> Result<Self, WeightsError> {
        let text = std::fs::read(path).map_err(|e| WeightsError::read(path, e))?;
        let bad = |reason: String| WeightsError::Index {
            path: path.to_path_buf(),
            reason,
        };
        let index: ShardIndex = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        let files: BTreeSet<&String> = index.weight_map.values().collect();
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let mut shards = Vec::with_capacity(files.len());
        for file in files {
            let mut parts = Path::new(file).components();
            if !matches!(
                (parts.next(), parts.next()),
                (Some(Component::Normal(_)), None)
            ) {
                return Err(bad(format!("shard '{file}' is not a plain file name")));
            }
            shards.push(open_shard(&folder.join(file))?);
        }
        let checkpoint = Self::from_shards(path, shards)?;
        for (name, file) in &index.weight_map {
            let held = checkpoint
                .entries
                .get(name)
                .and_then(|e| checkpoint.shards.get(e.shard));
            if held.is_none_or(|shard| shard.path.file_name().is_none_or(|f| f != file.as_str())) {
                return Err(bad(format!("tensor '{name}' is not in shard '{file}'")));
            }
        }
        Ok(checkpoint)
    }

    fn from_shards(path: &Path, opened: Vec<(Shard, Header)>) -> Result<Self, WeightsError> {
        let mut shards = Vec::with_capacity(opened.len());
        let mut entries = BTreeMap::new();
        let mut metadata = BTreeMap::new();
        for (index, (shard, header)) in opened.into_iter().enumerate() {
            for (name, tensor) in header.tensors {
                if entries.contains_key(&name) {
                    let reason = format!("tensor '{name}' is in more than one shard");
                    return Err(WeightsError::Index {
                        path: path.to_path_buf(),
                        reason,
                    });
                }
                entries.insert(
                    name,
                    Entry {
                        shard: index,
                        tensor,
                    },
                );
            }
            metadata.extend(header.metadata);
            shards.push(Arc::new(shard));
        }
        Ok(Self {
            path: path.to_path_buf(),
            shards: shards.into(),
            entries,
            metadata,
        })
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mapped files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Dtype, shape and size of a tensor, without reading it.
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        self.entries.get(name).map(|entry| TensorInfo {
            stored: entry.tensor.stored,
            shape: entry.tensor.shape.clone(),
            bytes: entry.tensor.end - entry.tensor.start,
        })
    }

    /// A text of the header's `__metadata__`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The JSON text of the header's `__metadata__` under `key`, parsed.
    ///
    /// # Errors
    /// When it is missing or does not parse.
    pub fn config<T: DeserializeOwned>(&self, key: &str) -> Result<T, WeightsError> {
        let text = self.metadata(key).ok_or_else(|| WeightsError::NoMetadata {
            path: self.path.clone(),
            key: key.to_owned(),
        })?;
        serde_json::from_str(text).map_err(|source| WeightsError::Metadata {
            path: self.path.clone(),
            key: key.to_owned(),
            source,
        })
    }

    /// The tensor `name` as `dtype` (a real one) on `device`. It is a copy; the file's pages are given
    /// back to the system.
    ///
    /// # Errors
    /// When it is missing or of a type that has no such conversion.
    pub fn tensor(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, WeightsError> {
        let (entry, bytes) = self.bytes(name)?;
        let tensor = decode(
            bytes,
            entry.tensor.stored,
            &entry.tensor.shape,
            dtype,
            device,
        )
        .map_err(|e| WeightsError::tensor(name, e))?;
        if let Some(shard) = self.shards.get(entry.shard) {
            shard.release(entry.tensor.start..entry.tensor.end);
        }
        tensor.ok_or_else(|| WeightsError::Type {
            origin: self.path.display().to_string(),
            name: name.to_owned(),
            found: entry.tensor.stored.to_string(),
            wanted: dtype.as_str().to_owned(),
        })
    }

    fn bytes(&self, name: &str) -> Result<(&Entry, &[u8]), WeightsError> {
        self.entries
            .get(name)
            .and_then(|entry| {
                let shard = self.shards.get(entry.shard)?;
                let bytes = shard.map.get(entry.tensor.start..entry.tensor.end)?;
                Some((entry, bytes))
            })
            .ok_or_else(|| WeightsError::Missing {
                origin: self.path.display().to_string(),
                name: name.to_owned(),
                near: nearest(name, self.entries.keys()),
            })
    }

    /// The same files with the tensors renamed.
    ///
    /// # Errors
    /// When two tensors would get one name.
    pub fn renamed(&self, keys: &KeyMap) -> Result<Self, WeightsError> {
        let mut entries = BTreeMap::new();
        for (name, entry) in &self.entries {
            let Some(new) = keys.apply(name) else {
                continue;
            };
            if entries.contains_key(&new) {
                return Err(WeightsError::Clash { name: new });
            }
            entries.insert(new, entry.clone());
        }
        Ok(Self {
            entries,
            ..self.clone()
        })
    }

    /// The tensors of both, none of which may be in both; texts of the header are those of
    /// `other` where it has them.
    ///
    /// # Errors
    /// When a name is in both.
    pub fn joined(&self, other: &Self) -> Result<Self, WeightsError> {
        let mut joined = self.clone();
        for (name, entry) in &other.entries {
            let moved = Entry {
                shard: entry.shard + self.shards.len(),
                ..entry.clone()
            };
            if joined.entries.insert(name.clone(), moved).is_some() {
                return Err(WeightsError::Clash { name: name.clone() });
            }
        }
        joined.shards = self
            .shards
            .iter()
            .chain(other.shards.iter())
            .cloned()
            .collect();
        joined.metadata.extend(other.metadata.clone());
        Ok(joined)
    }

    /// The same tensors under another text in the header's `__metadata__`.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, text: &str) -> Self {
        self.metadata.insert(key.to_owned(), text.to_owned());
        self
    }

    /// All tensors as `dtype` on `device`, addressed by prefix.
    pub fn view(&self, dtype: DType, device: &Device) -> View {
        View::of_checkpoint(self.clone(), dtype, device)
    }

    /// SHA-256 of the files' bytes in the order of [`Self::files`], in hexadecimal.
    pub fn sha256(&self) -> String {
        super::digest::of_slices(self.shards.iter().map(|shard| shard.map.as_ref()))
    }
}

/// A remark on the names nearest to one that was not found.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> String {
    let common = |other: &str| {
        name.bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    match names.max_by_key(|other| common(other)) {
        Some(best) if common(best) > 0 => format!("; the nearest is '{best}'"),
        _ => String::new(),
    }
}
