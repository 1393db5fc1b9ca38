//! One file of a checkpoint: found, recognised, mapped.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::{Header, WeightsError};

/// A mapped file.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) map: Mmap,
}

/// Tensors below this size keep their pages: giving them back would cost more than they hold.
const WORTH_RELEASING: usize = 1 << 20;

impl Shard {
    /// Takes pages whose bytes were copied out of the process' memory; read again, they come from the
    /// system's cache or the file. Without this, weights would count twice while they are loaded.
    pub(super) fn release(&self, bytes: Range<usize>) {
        if bytes.len() < WORTH_RELEASING {
            return;
        }
        // SAFETY: the mapping is read-only and of a file, so pages that are dropped come back with the
        // same bytes when they are touched, by whomever.
        #[cfg(unix)]
        #[expect(unsafe_code, reason = "advice on a mapping")]
        let advised = unsafe {
            self.map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                bytes.start,
                bytes.len(),
            )
        };
        // It is advice: where the system refuses, the pages stay until it wants them.
        #[cfg(unix)]
        drop(advised);
    }
}

/// The index or the file that a folder is meant by.
pub(super) fn find_in_folder(folder: &Path) -> Result<PathBuf, WeightsError> {
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

/// Maps a file and reads its header.
pub(super) fn open_shard(path: &Path) -> Result<(Shard, Header), WeightsError> {
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
