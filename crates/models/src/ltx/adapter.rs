//! EditYourself's parts in a file of their own, put to a base model: audio projection, audio
//! cross-attention, sound encoder, and low-rank additions, with their configs in the header.

use nn::weights::KeyMap;
use serde_json::{Value, json};

use super::TransformerConfig;
use super::keys::{TRANSFORMER_PREFIX, transformer_keys};
use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::lora::LoraFile;

const PART: &str = "adapter";

/// A base model with an adapter's tensors and configs, and the adapter's low-rank additions,
/// where it has some. The base is an official single file, or diffusers' transformer alone, which
/// is then given the official names.
///
/// # Errors
/// When a file is of another kind, or both have a tensor of one name.
pub fn with_adapter(
    base: &ModelFile,
    adapter: &ModelFile,
) -> Result<(ModelFile, Option<LoraFile>)> {
    let base = &official(base)?;
    let loras = adapter.only(crate::lora::is_part)?;
    let others = adapter.only(|name| !crate::lora::is_part(name))?;
    if !others
        .shapes()
        .keys()
        .any(|name| name.contains("audio_attn."))
    {
        return Err(ModelError::config(
            PART,
            format!("{} has no audio cross-attention", adapter.origin()),
        ));
    }
    check_size(&base.config()?, base.origin(), &others)?;
    // The adapter's keys would otherwise change how the base model's angles are rounded.
    let mut config = base.config()?;
    let precision = TransformerConfig::from_json(&config)?.frequencies_precision;
    if let Some(Value::Object(transformer)) = config.get_mut("transformer") {
        let precision = serde_json::to_value(precision)
            .map_err(|source| ModelError::ConfigText { part: PART, source })?;
        transformer.insert("frequencies_precision".to_owned(), precision);
    }
    let joined = base.with_config(&config)?.joined(&others)?;
    let loras = if loras.shapes().is_empty() {
        None
    } else {
        Some(LoraFile::from_file(&loras)?)
    };
    Ok((joined, loras))
}

/// Whether an adapter's layers are those of a base model of this config: else, one sentence instead of a
/// difference for each of their tensors.
fn check_size(config: &Value, base: &str, adapter: &ModelFile) -> Result<()> {
    let config = TransformerConfig::from_json(config)?;
    let mut blocks = 0;
    let mut width = config.width();
    for (name, shape) in &adapter.shapes() {
        let Some((_, rest)) = name.split_once("transformer_blocks.") else {
            continue;
        };
        if let Some((index, _)) = rest.split_once('.')
            && let Ok(index) = index.parse::<usize>()
        {
            blocks = blocks.max(index + 1);
        }
        if let (true, [own, _]) = (rest.ends_with("audio_attn.to_q.weight"), shape.as_slice()) {
            width = *own;
        }
    }
    if blocks == config.num_layers && width == config.width() {
        return Ok(());
    }
    Err(ModelError::config(
        PART,
        format!(
            "{} is for a transformer of {blocks} blocks and width {width}, {base} has {} of {}; parts fit the model that they were trained on",
            adapter.origin(),
            config.num_layers,
            config.width()
        ),
    ))
}

/// The file with the official names, and its config where the official header has it.
fn official(base: &ModelFile) -> Result<ModelFile> {
    let is_own = |name: &String| name.starts_with(TRANSFORMER_PREFIX);
    if base.shapes().keys().any(is_own) {
        return Ok(base.clone());
    }
    let own = base.renamed(&transformer_keys(base))?;
    if !own.shapes().contains_key("patchify_proj.weight") {
        return Err(ModelError::config(
            PART,
            format!("{} holds no transformer of LTX-Video", base.origin()),
        ));
    }
    let config = json!({ "transformer": base.config()? });
    own.renamed(&KeyMap::new().prefix("", TRANSFORMER_PREFIX))?
        .with_config(&config)
}
