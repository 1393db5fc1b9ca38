//! Which files a video model consists of, in either layout in which they are published.

use crate::ProjectError;
use models::ModelFile;
use models::verify::Network;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The files of LTX-Video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFiles {
    /// What the user calls it.
    pub name: String,
    /// The transformer: a file, or a folder with one or with shards.
    pub transformer: PathBuf,
    /// The autoencoder; of a single file the same one.
    pub vae: PathBuf,
    /// T5: a file or folder.
    pub text_encoder: Option<PathBuf>,
    /// `tokenizer.json` or `spiece.model`, or the folder with it.
    pub tokenizer: Option<PathBuf>,
    /// The latent upsampler for a second pass.
    pub upsampler: Option<PathBuf>,
    /// Whisper, for parts that hear by it and do not hold it.
    pub sound_encoder: Option<PathBuf>,
    /// The released settings by name; none to tell them from the weights.
    pub preset: Option<String>,
}

/// The video model that a path means: an official file with transformer and autoencoder, a folder with one, or
/// diffusers' folder of folders. Nothing for a file of another make.
///
/// Text encoder and tokenizer are looked for beside them, as `text_encoder` and `tokenizer`; so are `latent_upsampler`
/// and `sound_encoder`.
pub fn video_files(path: &Path) -> Result<Option<VideoFiles>, ProjectError> {
    let beside = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    let Some((transformer, vae)) = networks(path)? else {
        return Ok(None);
    };
    let part = |name: &str| {
        beside
            .map(|folder| folder.join(name))
            .filter(|path| path.is_dir())
    };
    Ok(Some(VideoFiles {
        name: path.display().to_string(),
        transformer,
        vae,
        text_encoder: part("text_encoder"),
        tokenizer: part("tokenizer"),
        upsampler: part("latent_upsampler"),
        sound_encoder: part("sound_encoder"),
        preset: None,
    }))
}

fn networks(path: &Path) -> Result<Option<(PathBuf, PathBuf)>, ProjectError> {
    if path.is_file() {
        return Ok(holds_both(path)?.then(|| (path.to_owned(), path.to_owned())));
    }
    let (transformer, vae) = (path.join("transformer"), path.join("vae"));
    if transformer.is_dir() {
        if !vae.is_dir() {
            return Err(ProjectError::missing(format!(
                "{} has a transformer, but no vae",
                path.display()
            ))
            .with_hint(
                "diffusers' folder has transformer, vae, text_encoder and tokenizer in it",
            ));
        }
        return Ok(Some((transformer, vae)));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|source| ProjectError::Files {
        action: "read",
        path: path.to_owned(),
        source,
    })? {
        let file = entry
            .map_err(|source| ProjectError::Files {
                action: "read",
                path: path.to_owned(),
                source,
            })?
            .path();
        let is_weights = file.extension().is_some_and(|end| end == "safetensors");
        if is_weights && holds_both(&file)? {
            found.push(file);
        }
    }
    found.sort();
    match found.as_slice() {
        [] => Err(ProjectError::input(format!(
            "{} has no video model in it",
            path.display()
        ))
        .with_hint("give a folder with LTX-Video's file, or diffusers' folder, or the path of a weight file")),
        [file] => Ok(Some((file.clone(), file.clone()))),
        several => Err(ProjectError::usage(format!(
            "{} has {} video models in it",
            path.display(),
            several.len()
        ))
        .with_hint("give the path of the one that is meant")),
    }
}

/// True for transformer and autoencoder in one file that is no lip model of ours.
fn holds_both(path: &Path) -> Result<bool, ProjectError> {
    let file = ModelFile::open(path).map_err(|error| ProjectError::input(error.to_string()))?;
    if Network::detect(&file) != Some(Network::LtxVideo) {
        return Ok(false);
    }
    let config = file.config().ok();
    let ours = |config: &Value| config.get("edit_yourself").is_some();
    Ok(!config.as_ref().is_some_and(ours))
}
