//! The files of a video model: which they are, what tells them apart, and what lies beside them.

use crate::{ProjectError, VideoFiles};
use models::ModelFile;
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The latent upsampler of a job with two passes.
pub(super) fn upsampler(files: &VideoFiles) -> Result<&Path, ProjectError> {
    files.upsampler.as_deref().ok_or_else(|| {
        ProjectError::missing(format!("{} has no latent upsampler beside it", files.name)).with_hint(
            "`reword models pull ltx-spatial-upscaler` fetches it; put it beside the model as latent_upsampler, or leave --two-pass out",
        )
    })
}

/// The sound encoder's own file, where the parts have none.
pub(super) fn sound_encoder(
    files: &VideoFiles,
    parts: &ModelFile,
) -> Result<Option<PathBuf>, ProjectError> {
    if methods::SoundEncoder::is_in(parts) {
        return Ok(None);
    }
    match &files.sound_encoder {
        Some(path) => Ok(Some(path.clone())),
        None => Err(ProjectError::missing(format!(
            "{} names a sound encoder and does not hold it",
            parts.origin()
        ))
        .with_hint(
            "`reword models pull whisper-small` fetches it; put it beside the model as sound_encoder",
        )),
    }
}

/// The weight files that a path means, in a fixed order.
fn weight_files(path: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| ProjectError::Files {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let end = file.extension().unwrap_or_default();
        if end == "safetensors" || end == "gguf" {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// SHA-256 of a model's weight files. Those in the hub's cache bear it as their name.
pub(super) fn checksum(path: &Path) -> Result<String, ProjectError> {
    let mut hash = Sha256::new();
    let files = weight_files(path)?;
    for file in &files {
        let named = file.canonicalize().ok().and_then(|blob| {
            let name = blob.file_name()?.to_str()?.to_lowercase();
            let is_sha256 = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_sha256.then_some(name)
        });
        let own = match named {
            Some(name) => name,
            None => crate::stages::model::hex(&of_bytes(file)?),
        };
        if files.len() == 1 {
            return Ok(own);
        }
        hash.update(own);
    }
    Ok(crate::stages::model::hex(&hash.finalize()))
}

pub(super) fn of_bytes(path: &Path) -> Result<Vec<u8>, ProjectError> {
    let failed = |source| ProjectError::Files {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(failed)?;
    Ok(hash.finalize().to_vec())
}

/// Tells weights apart without reading gigabytes: sizes, and pieces from everywhere in the files.
pub(crate) fn fingerprint(path: &Path) -> Result<String, ProjectError> {
    const PIECE: u64 = 64 << 10;
    const PIECES: u64 = 64;
    let mut hash = Sha256::new();
    for path in weight_files(path)? {
        let failed = |source| ProjectError::Files {
            action: "read",
            path: path.clone(),
            source,
        };
        let mut file = std::fs::File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        hash.update(length.to_le_bytes());
        for piece in 0..PIECES {
            let start = length / PIECES * piece;
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            let mut bytes = Vec::new();
            file.by_ref()
                .take(PIECE)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
            hash.update(&bytes);
        }
    }
    Ok(crate::stages::model::hex(&hash.finalize()))
}
