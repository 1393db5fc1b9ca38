//! One or several safetensors files as one set of named tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Shape, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Header, HeaderTensor, KeyMap, StoredType, View, WeightsError};

/// What a checkpoint says about a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub stored: StoredType,
    pub shape: Vec<usize>,
    pub bytes: usize,
}

struct Shard {
    path: PathBuf,
    map: Mmap,
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

    /// The tensor `name` as `dtype` (a real one) on `device`.
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

fn find_in_folder(folder: &Path) -> Result<PathBuf, WeightsError> {
    let mut indices = Vec::new();
    let mut files = Vec::new();
    for item in std::fs::read_dir(folder).map_err(|e| WeightsError::read(folder, e))? {
        let path = item.map_err(|e| WeightsError::read(folder, e))?.path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if name.ends_with(".safetensors.index.json") {
            indices.push(path);
        } else if path.extension().is_some_and(|e| e == "safetensors") {
            files.push(path);
        }
    }
    let count = (indices.len(), files.len());
    match (indices.pop(), files.pop()) {
        (Some(index), _) if count.0 == 1 => Ok(index),
        (None, Some(file)) if count.1 == 1 => Ok(file),
        _ => Err(WeightsError::Index {
            path: folder.to_path_buf(),
            reason: format!(
                "the folder has {} indices and {} safetensors files; name one",
                count.0, count.1
            ),
        }),
    }
}

fn open_shard(path: &Path) -> Result<(Shard, Header), WeightsError> {
    let read = |e| WeightsError::read(path, e);
    let file = File::open(path).map_err(read)?;
    if file.metadata().map_err(read)?.len() == 0 {
        return Err(WeightsError::Header {
            path: path.to_path_buf(),
            reason: "the file is empty".to_owned(),
        });
    }
    // SAFETY: the mapping is read-only and private to this value. A file that is cut
    // short by someone else meanwhile raises SIGBUS; `open` states that condition.
    #[expect(unsafe_code, reason = "mapping a file")]
    let map = unsafe { Mmap::map(&file) }.map_err(read)?;
    if let Some((found, hint)) = foreign(&map) {
        return Err(WeightsError::Format {
            path: path.to_path_buf(),
            found,
            hint,
        });
    }
    let header = Header::parse(&map).map_err(|reason| WeightsError::Header {
        path: path.to_path_buf(),
        reason,
    })?;
    Ok((
        Shard {
            path: path.to_path_buf(),
            map,
        },
        header,
    ))
}

/// What a file is that is not safetensors, by its first bytes.
fn foreign(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const PICKLE: &str =
        ", because a pickle can run code when it is loaded; convert it to safetensors first";
    // No safetensors header is so short that its length starts like these.
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(("a zip archive, probably a PyTorch pickle", PICKLE));
    }
    if let [0x80, 2..=5, third, ..] = bytes
        && matches!(
            third,
            b'}' | b']' | b'(' | b'c' | b'X' | 0x8a | 0x95 | b'q' | b'.' | b'N' | b'K'
        )
        && bytes.get(8) != Some(&b'{')
    {
        return Some(("a Python pickle", PICKLE));
    }
    if bytes.starts_with(b"GGUF") {
        return Some(("a GGUF file", ""));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Some((
            "a Git LFS pointer",
            "; fetch the real file with 'git lfs pull'",
        ));
    }
    if bytes.starts_with(b"<!DOCTYPE") || bytes.starts_with(b"<html") {
        return Some(("a web page", "; the download probably needs a login"));
    }
    if bytes.starts_with(b"\x89HDF\r\n") {
        return Some(("an HDF5 file", ""));
    }
    None
}

/// Bytes to a tensor of `dtype`; `None` when there is no conversion.
fn decode(
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
