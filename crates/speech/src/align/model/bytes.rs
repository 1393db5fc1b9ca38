//! Bounds-checked reading of the model's binary files.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// An acoustic model that can't be used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file of it is missing or unreadable.
    #[error("cannot read {path} of the acoustic model")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of it ends early.
    #[error("{path} of the acoustic model ends early, at byte {at}")]
    Short {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        at: usize,
    },
    /// A file of it is of another kind.
    #[error("{path} is not of a kind of acoustic model that can be used: {why}")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What is different.
        why: &'static str,
    },
}

impl ModelError {
    pub(super) fn unfit(path: &Path, why: &'static str) -> Self {
        Self::Kind {
            path: path.to_owned(),
            why,
        }
    }

    pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Self> {
        std::fs::read(path).map_err(|source| Self::Read {
            path: path.to_owned(),
            source,
        })
    }
}

/// A reader of little-endian values.
pub(super) struct Bytes<'a> {
    path: &'a Path,
    data: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(path: &'a Path, data: &'a [u8]) -> Self {
        Self { path, data, at: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ModelError> {
        let end = self.at.saturating_add(count);
        let piece = self
            .data
            .get(self.at..end)
            .ok_or_else(|| ModelError::Short {
                path: self.path.to_owned(),
                at: self.data.len(),
            })?;
        self.at = end;
        Ok(piece)
    }

    pub(super) fn int(&mut self) -> Result<u32, ModelError> {
        Ok(self
            .take(4)?
            .try_into()
            .map(u32::from_le_bytes)
            .unwrap_or_default())
    }

    pub(super) fn short(&mut self) -> Result<u16, ModelError> {
        Ok(self
            .take(2)?
            .try_into()
            .map(u16::from_le_bytes)
            .unwrap_or_default())
    }

    /// Text up to a zero byte.
    pub(super) fn text(&mut self) -> Result<String, ModelError> {
        let mut text = Vec::new();
        loop {
            match self.take(1)? {
                [0] => return Ok(String::from_utf8_lossy(&text).into_owned()),
                more => text.extend_from_slice(more),
            }
        }
    }

    /// Skips to the next multiple of four bytes.
    pub(super) fn align(&mut self) -> Result<(), ModelError> {
        self.take(self.at.next_multiple_of(4) - self.at).map(|_| ())
    }
}

/// Reads a parameter file: a text header up to `endhdr`, a byte order mark, `dimensions` sizes, a count, and as many
/// floats. Gives the sizes and the floats.
pub(super) fn numbers(
    path: &Path,
    dimensions: usize,
) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
    let data = ModelError::read_file(path)?;
    let mark = b"endhdr\n";
    let start = data
        .windows(mark.len())
        .take(4096)
        .position(|window| window == mark)
        .ok_or_else(|| ModelError::unfit(path, "no header"))?;
    let mut bytes = Bytes::new(path, &data);
    bytes.take(start + mark.len())?;
    if bytes.int()? != 0x1122_3344 {
        return Err(ModelError::unfit(path, "big-endian numbers"));
    }
    let mut shape = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        shape.push(bytes.int()? as usize);
    }
    let count = bytes.int()? as usize;
    let floats = bytes
        .take(count.saturating_mul(4))?
        .chunks_exact(4)
        .map(|b| b.try_into().map(f32::from_le_bytes).unwrap_or_default())
        .collect();
    Ok((shape, floats))
}
