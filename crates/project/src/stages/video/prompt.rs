//! Prompts to embeddings. An embedding is kept on disk, so that the text encoder, the second largest network of all,
//! is read once for each prompt.

use super::{fingerprint, open};
use crate::{ProjectError, VideoFiles};
use candle_core::{DType, Device, Tensor};
use models::ModelFile;
use models::t5::{T5Config, T5Encoder};
use models::tokenizer::{PROMPT_TOKENS, PromptTokenizer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Hidden states `[1, L, C]` and their mask `[1, L]`.
pub(super) type Embedding = (Tensor, Tensor);

/// Embeds prompts, or finds them in `cache`. The text encoder keeps no weights between its blocks, and is gone when
/// this returns.
pub(super) fn embed(
    files: &VideoFiles,
    prompts: &[&str],
    channels: usize,
    cache: Option<&Path>,
    dtype: DType,
) -> Result<Vec<Embedding>, ProjectError> {
    let (Some(encoder), Some(tokenizer)) = (&files.text_encoder, &files.tokenizer) else {
        let what = if files.text_encoder.is_none() {
            "text_encoder"
        } else {
            "tokenizer"
        };
        return Err(ProjectError::missing(format!(
            "{} has no {what} beside it",
            files.name
        ))
        .with_hint(
            "`reword models pull t5-xxl` fetches them; put them beside the model as text_encoder and tokenizer",
        ));
    };
    let wrong = |error: models::ModelError| ProjectError::input(error.to_string());
    let tokenizer_file = PromptTokenizer::file(tokenizer).map_err(wrong)?;
    let identity = [
        fingerprint(encoder)?,
        super::super::model::hex(&super::of_bytes(&tokenizer_file)?),
        format!("{dtype:?} {PROMPT_TOKENS}"),
    ];
    let mut loaded: Option<(PromptTokenizer, T5Encoder)> = None;
    let mut embedded = Vec::new();
    for prompt in prompts {
        let kept = cache.map(|folder| place(folder, &identity, prompt));
        if let Some(found) = kept.as_deref().and_then(|path| read(path, channels)) {
            embedded.push(found);
            continue;
        }
        let (tokenizer, encoder) = match &mut loaded {
            Some(loaded) => loaded,
            None => loaded.insert((
                PromptTokenizer::open(&tokenizer_file).map_err(wrong)?,
                load(encoder, channels, dtype)?,
            )),
        };
        let tokens = tokenizer
            .prompt(prompt, PROMPT_TOKENS, &Device::Cpu)
            .map_err(wrong)?;
        let hidden = encoder
            .forward(&tokens.ids, Some(&tokens.mask))
            .map_err(|error| ProjectError::input(format!("{}: {error}", files.name)))?;
        if let Some(path) = kept {
            keep(&path, &hidden, &tokens.mask)?;
        }
        embedded.push((hidden, tokens.mask));
    }
    Ok(embedded)
}

/// Sizes of the text encoder, where there is one.
pub(super) fn config(files: &VideoFiles) -> Result<Option<T5Config>, ProjectError> {
    let Some(path) = &files.text_encoder else {
        return Ok(None);
    };
    config_of(&open(path)?, path).map(Some)
}

fn config_of(file: &ModelFile, path: &Path) -> Result<T5Config, ProjectError> {
    let wrong = |error: models::ModelError| ProjectError::input(error.to_string());
    match file.config_if_any().map_err(wrong)? {
        Some(json) => T5Config::from_json(&json).map_err(wrong),
        None => T5Encoder::detect(file)
            .ok_or_else(|| ProjectError::input(format!("{} holds no T5 encoder", path.display()))),
    }
}

fn load(path: &Path, channels: usize, dtype: DType) -> Result<T5Encoder, ProjectError> {
    let wrong = |error: models::ModelError| ProjectError::input(error.to_string());
    let file = open(path)?;
    let config = config_of(&file, path)?;
    if config.d_model != channels {
        return Err(ProjectError::input(format!(
            "{} gives {} channels, the model takes captions of {channels}",
            path.display(),
            config.d_model
        )));
    }
    T5Encoder::load(&file, &config, dtype, &Device::Cpu).map_err(wrong)
}

fn place(folder: &Path, identity: &[String; 3], prompt: &str) -> PathBuf {
    let mut hash = Sha256::new();
    for part in identity.iter().map(String::as_str).chain([prompt]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    folder.join(format!(
        "{}.safetensors",
        super::super::model::hex(&hash.finalize())
    ))
}

/// What is kept, if it is whole; anything else is made anew.
fn read(path: &Path, channels: usize) -> Option<Embedding> {
    if !path.is_file() {
        return None;
    }
    let view = ModelFile::open(path)
        .ok()?
        .view(DType::F32, &Device::Cpu)
        .ok()?;
    let hidden = view.get((1, PROMPT_TOKENS, channels), "hidden").ok()?;
    let mask = view.get((1, PROMPT_TOKENS), "mask").ok()?;
    Some((hidden, mask))
}

fn keep(path: &Path, hidden: &Tensor, mask: &Tensor) -> Result<(), ProjectError> {
    let failed = |source| ProjectError::Files {
        action: "write",
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let tensors = BTreeMap::from([
        ("hidden".to_owned(), hidden.clone()),
        ("mask".to_owned(), mask.clone()),
    ]);
    nn::weights::save(path, &tensors, &BTreeMap::new())
        .map_err(|error| ProjectError::fault("generate", error))
}
