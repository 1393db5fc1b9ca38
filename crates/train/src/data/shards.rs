//! Clips in tar files of the `WebDataset` layout, with a Parquet index.
//!
//! A sample is a run of members with one key: `KEY.mp4` (the clip's file as it came, whatever its ending),
//! `KEY.flac` (its sound, mono, 16 kHz), `KEY.json` (who, measures, words, caption). The index says where
//! each sample lies, so that any of them is read without the others.

mod flac;
mod index;
mod write;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use flac::flac_of;
pub use index::{read_index, write_index};
pub use write::{Packed, ShardWriter};

use crate::error::{Result, TrainError};

/// Names of indices in a folder of shards: one a worker, `index-PREFIX.parquet`.
const INDEX: (&str, &str) = ("index-", ".parquet");

/// Indices of a folder, sorted; none when it is no folder of shards.
///
/// # Errors
/// When the folder can't be read.
pub fn indices(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let path = entry.map_err(TrainError::io(folder))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if name.starts_with(INDEX.0) && name.ends_with(INDEX.1) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// All samples of a folder of shards, whoever of several workers wrote them.
///
/// # Errors
/// When an index can't be read, or there is none.
pub fn read_folder(folder: &Path) -> Result<Vec<Entry>> {
    let indices = indices(folder)?;
    if indices.is_empty() {
        return Err(TrainError::file(folder, "it holds no index of shards"));
    }
    let mut entries = Vec::new();
    for index in indices {
        entries.extend(read_index(&index)?);
    }
    Ok(entries)
}

/// One sample's line in the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The tar file's name.
    pub shard: String,
    /// The sample's key.
    pub key: String,
    /// The clip's ending, `mp4` for example.
    pub ending: String,
    /// Where the clip's bytes begin in the tar file.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
    /// SHA-256 of them, the first half, in hexadecimal.
    pub digest: String,
    /// Path in the folder that it was packed from.
    pub source: String,
    /// Who is seen.
    pub identity: String,
    /// Frames.
    pub frames: u64,
    /// Frames a second.
    pub rate: f64,
    /// Correlation of mouth and sound, where it was measured.
    pub agreement: Option<f64>,
}

impl Entry {
    /// The clip's bytes as a file in `folder`, written once.
    ///
    /// # Errors
    /// When the shard can't be read, or its bytes are not those of the index.
    pub fn extract(&self, shards: &Path, folder: &Path) -> Result<PathBuf> {
        let plain =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
        if !plain(&self.ending) || !plain(&self.digest) {
            return Err(TrainError::file(
                shards,
                format!("the index has a strange entry '{}'", self.key),
            ));
        }
        let path = folder.join(format!("{}.{}", self.digest, self.ending));
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == self.bytes) {
            return Ok(path);
        }
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        let shard = shards.join(Path::new(&self.shard).file_name().unwrap_or_default());
        let mut file = std::fs::File::open(&shard).map_err(TrainError::io(&shard))?;
        file.seek(SeekFrom::Start(self.offset))
            .map_err(TrainError::io(&shard))?;
        let temporary = path.with_extension(format!("{}.part", self.ending));
        let mut out = std::fs::File::create(&temporary).map_err(TrainError::io(&temporary))?;
        let copied =
            std::io::copy(&mut file.take(self.bytes), &mut out).map_err(TrainError::io(&shard))?;
        if copied != self.bytes {
            return Err(TrainError::file(
                &shard,
                format!("sample '{}' is cut off", self.key),
            ));
        }
        std::fs::rename(&temporary, &path).map_err(TrainError::io(&path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
