//! First values of weights that nobody has trained.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use candle_core::{Device, Tensor};
use models::ModelFile;
use models::audio_projection;
use models::ltx::{TransformerConfig, VaeConfig};
use models::mel_encoder::MelEncoderConfig;
use models::sync_scorer::SyncScorerConfig;
use serde_json::Value;

use crate::error::{Result, TrainError};
use crate::pattern::Patterns;
use crate::random::{Draw, Purpose};
use crate::stage::object;

/// Names and shapes of a whole model by its config: transformer, projection, sound encoder with a mouth head of
/// `readings` numbers, autoencoder. Of a config with `sync_scorer`, that network alone.
///
/// # Errors
/// When the config does not hold together.
pub fn shapes(config: &Value, readings: usize) -> Result<BTreeMap<String, Vec<usize>>> {
    if config.get("sync_scorer").is_some() {
        let scorer: SyncScorerConfig = object(config, "sync_scorer")?;
        return Ok(scorer.shapes());
    }
    let mut all = BTreeMap::new();
    let mut put = |prefix: &str, shapes: BTreeMap<String, Vec<usize>>| {
        for (name, shape) in shapes {
            all.insert(format!("{prefix}{name}"), shape);
        }
    };
    let transformer = TransformerConfig::from_json(config)?;
    put("model.diffusion_model.", transformer.shapes());
    let captions = vec![1, transformer.caption_channels];
    put(
        "model.diffusion_model.",
        BTreeMap::from([("empty_caption".to_owned(), captions)]),
    );
    if let Some(audio) = &transformer.audio {
        put(
            "model.diffusion_model.audio_projection.",
            audio_projection::shapes(audio),
        );
    }
    let encoder: MelEncoderConfig = object(config, "audio_encoder")?;
    put("audio_encoder.", encoder.shapes());
    if readings > 0 {
        put(
            "audio_encoder.",
            BTreeMap::from([
                ("mouth.weight".to_owned(), vec![readings, encoder.channels]),
                ("mouth.bias".to_owned(), vec![readings]),
            ]),
        );
    }
    let vae = VaeConfig::from_json(config)?;
    put("vae.", vae.shapes());
    let statistic = |name: &str| {
        (
            format!("per_channel_statistics.{name}"),
            vec![vae.latent_channels],
        )
    };
    put(
        "vae.",
        BTreeMap::from([statistic("mean-of-means"), statistic("std-of-means")]),
    );
    Ok(all)
}

/// A whole model that starts at random.
///
/// # Errors
/// When the config does not hold together.
pub fn fresh(config: &Value, readings: usize, seed: u64) -> Result<ModelFile> {
    let mut tensors = BTreeMap::new();
    for (name, shape) in shapes(config, readings)? {
        let value = first_values(&name, &shape, seed)?;
        tensors.insert(name, value);
    }
    let metadata = BTreeMap::from([
        ("config".to_owned(), config.to_string()),
        ("format".to_owned(), "pt".to_owned()),
    ]);
    Ok(ModelFile::from_tensors("new weights", tensors, metadata))
}

/// `file` with first values in place of the tensors that fit `which`.
///
/// # Errors
/// When a pattern fits nothing, or a tensor can't be read.
pub fn renewed(file: &ModelFile, which: &Patterns, seed: u64) -> Result<ModelFile> {
    let shapes = file.shapes();
    if let Some(idle) = which.idle(shapes.keys().map(String::as_str)) {
        return Err(TrainError::Recipe(format!(
            "the pattern '{idle}' of model.fresh fits no tensor of {}",
            file.origin()
        )));
    }
    let view = file.view(candle_core::DType::F32, &Device::Cpu)?;
    let mut tensors = BTreeMap::new();
    for (name, shape) in &shapes {
        let value = if which.fit(name) {
            first_values(name, shape, seed)?
        } else {
            view.get_any(name)?
        };
        tensors.insert(name.clone(), value);
    }
    Ok(ModelFile::from_tensors(
        file.origin(),
        tensors,
        metadata_of(file),
    ))
}

/// `file` with the tensors of `other` that fit `names`.
///
/// # Errors
/// When a pattern fits nothing, or a tensor can't be read.
pub fn with_part(file: &ModelFile, other: &ModelFile, names: &Patterns) -> Result<ModelFile> {
    let shapes = other.shapes();
    if let Some(idle) = names.idle(shapes.keys().map(String::as_str)) {
        return Err(TrainError::Recipe(format!(
            "the pattern '{idle}' of model.parts fits no tensor of {}",
            other.origin()
        )));
    }
    let mut tensors = all_of(file)?;
    let view = other.view(candle_core::DType::F32, &Device::Cpu)?;
    for name in shapes.keys().filter(|name| names.fit(name)) {
        tensors.insert(name.clone(), view.get_any(name)?);
    }
    Ok(ModelFile::from_tensors(
        file.origin(),
        tensors,
        metadata_of(file),
    ))
}

/// `file` with `add` merged into its config, and first values for the tensors that it then lacks.
///
/// # Errors
/// When the config does not hold together, or a tensor can't be read.
pub fn completed(file: &ModelFile, add: &Value, readings: usize, seed: u64) -> Result<ModelFile> {
    let mut config = file.config()?;
    merge(&mut config, add);
    let mut tensors = all_of(file)?;
    for (name, shape) in shapes(&config, readings)? {
        if let Entry::Vacant(place) = tensors.entry(name) {
            let value = first_values(place.key(), &shape, seed)?;
            place.insert(value);
        }
    }
    let mut metadata = metadata_of(file);
    metadata.insert("config".to_owned(), config.to_string());
    Ok(ModelFile::from_tensors(file.origin(), tensors, metadata))
}

/// Objects are merged, everything else is replaced.
fn merge(into: &mut Value, add: &Value) {
    match (into, add) {
        (Value::Object(into), Value::Object(add)) => {
            for (key, value) in add {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, add) => *into = add.clone(),
    }
}

/// All tensors, in `f32`.
fn all_of(file: &ModelFile) -> Result<BTreeMap<String, Tensor>> {
    let view = file.view(candle_core::DType::F32, &Device::Cpu)?;
    let mut tensors = BTreeMap::new();
    for name in view.names() {
        let tensor = view.get_any(&name)?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn metadata_of(file: &ModelFile) -> BTreeMap<String, String> {
    ["config", "format"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), file.metadata(key)?.to_owned())))
        .collect()
}

/// What a tensor of this name starts at.
fn first_values(name: &str, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let all = |value: f32| -> Result<Tensor> {
        Ok(Tensor::from_vec(vec![value; count], shape, &Device::Cpu)?)
    };
    let has = |part: &str| name.contains(part);
    let last = |part: &str| name.ends_with(part);
    if last("timestep_scale_multiplier") {
        return all(1000.0);
    }
    if last("std-of-means") || (has("norm") && last(".weight")) {
        return all(1.0);
    }
    if has("pool.") && last(".weight") {
        return all(0.5);
    }
    if last(".mix") {
        return all(1.0 / count.max(1) as f32);
    }
    // So that at first the sound adds nothing, and nothing is added to what is noise.
    let silent = has("audio_attn.to_out.") || has("proj_out.") || last("mean-of-means");
    let shared_variance = last("encoder.conv_out.conv.bias");
    if silent || (last(".bias") && !shared_variance) {
        return all(0.0);
    }
    let mut draw = Draw::new(seed, Purpose::Weights, 1, hash(name));
    let fan = match shape {
        [_, rest @ ..] if !rest.is_empty() => rest.iter().product::<usize>().max(1),
        _ => 1,
    };
    let deviation = if last("scale_shift_table") {
        1.0 / (fan as f64).sqrt()
    } else if last(".position") {
        0.02
    } else if last("empty_caption") {
        0.5
    } else if has("adaln_single.linear.") || (has("time_embedder") && has("linear_2")) {
        // Modulation starts small, so that blocks are near the identity in scale.
        0.1 / (fan as f64).sqrt()
    } else if has("res_blocks") && has("conv2.") {
        0.2 / (fan as f64).sqrt()
    } else {
        1.0 / (fan as f64).sqrt()
    };
    let mut values: Vec<f32> = (0..count)
        .map(|_| (deviation * draw.normal()) as f32)
        .collect();
    // A large variance would drown the means before the decoder can read them.
    let outputs = shape.first().copied().unwrap_or(1).max(1);
    if shared_variance {
        values.fill(0.0);
        if let Some(value) = values.last_mut() {
            *value = -5.0;
        }
    } else if last("encoder.conv_out.conv.weight")
        && let Some(row) = values.get_mut(count - count / outputs..)
    {
        row.fill(0.0);
    }
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// A number of a name that stays the same from build to build (FNV-1a).
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
