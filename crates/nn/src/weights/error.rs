//! What can be wrong with a weight file.

use std::path::{Path, PathBuf};

/// Why a weight file or a tensor in it could not be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is {found}; only safetensors files are read{hint}", path.display())]
    Format {
        path: PathBuf,
        found: &'static str,
        hint: &'static str,
    },
    #[error("{}: bad safetensors header: {reason}", path.display())]
    Header { path: PathBuf, reason: String },
    #[error("{}: bad shard index: {reason}", path.display())]
    Index { path: PathBuf, reason: String },
    #[error("{}: no metadata entry '{key}'", path.display())]
    NoMetadata { path: PathBuf, key: String },
    #[error("{}: metadata entry '{key}' cannot be read", path.display())]
    Metadata {
        path: PathBuf,
        key: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{origin}: no tensor '{name}'{near}")]
    Missing {
        origin: String,
        name: String,
        near: String,
    },
    #[error("{origin}: tensor '{name}' is {found:?}, wanted {wanted:?}")]
    Shape {
        origin: String,
        name: String,
        found: Vec<usize>,
        wanted: Vec<usize>,
    },
    #[error("{origin}: tensor '{name}' is stored as {found}, which cannot be made {wanted}")]
    Type {
        origin: String,
        name: String,
        found: String,
        wanted: String,
    },
    #[error("two tensors would be called '{name}' after renaming")]
    Clash { name: String },
    #[error("tensor '{name}'")]
    Tensor {
        name: String,
        #[source]
        source: candle_core::Error,
    },
}

impl WeightsError {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn tensor(name: &str, source: candle_core::Error) -> Self {
        Self::Tensor {
            name: name.to_owned(),
            source,
        }
    }
}

impl From<WeightsError> for candle_core::Error {
    fn from(error: WeightsError) -> Self {
        // candle prints its wrapped errors without their sources.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::Msg(text)
    }
}
