//! LTX-Video for a job: its files opened, its memory planned, its prompt embedded, its settings chosen.

pub(crate) mod fill;
mod memory;
mod prompt;

use crate::request::VideoRequest;
use crate::stages::loras;
use crate::watch::Watch;
use crate::{JobKey, Precision, ProjectError, RegionRequest, RenderRequest, VideoFiles};
use candle_core::{DType, Tensor};
use diffusion::{CacheConfig, Guidance, GuidanceSchedule, Pass, Preset, Schedule, ShiftedWindows};
use media::VideoInfo;
use methods::ltx_video::{Captions, LtxVideo};
use models::ltx::{TransformerConfig, VaeConfig};
use models::{ModelError, ModelFile};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A caption that fits every clip of a speaking person.
const PROMPT: &str = "a person talks to the camera";

/// LTX-Video's own.
const NEGATIVE: &str = "worst quality, inconsistent motion, blurry, jittery, distorted";

/// A loaded video model with all that a denoise takes besides pictures.
pub(crate) struct Video {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) network: LtxVideo,
    pub(crate) captions: Captions,
    pub(crate) preset: Preset,
    pub(crate) windows: ShiftedWindows,
    pub(crate) cache: Option<CacheConfig>,
    /// Rows and columns that it works in.
    pub(crate) size: (usize, usize),
}

/// Loads the model that is asked for, within the memory that the job may use. The text encoder runs first and is gone
/// before the other weights are read.
pub(crate) fn load(
    video: &VideoRequest,
    request: &RenderRequest,
    clip: &VideoInfo,
    watch: &mut Watch<'_>,
) -> Result<Video, ProjectError> {
    let files = &video.files;
    if request.region != RegionRequest::Lip {
        return Err(ProjectError::usage(format!(
            "{} makes whole pictures, not the region {}",
            files.name,
            request.region.name()
        ))
        .with_hint("leave --region out"));
    }
    let device = request.device.clone();
    let dtype = match request.precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    let transformer = open(&files.transformer)?;
    let vae = open(&files.vae)?;
    let config =
        TransformerConfig::from_json(&transformer.config().map_err(input)?).map_err(input)?;
    let preset = preset(files, &transformer, &config, request)?;
    let size = fill::work_size(clip, request.preview);
    let windows = ShiftedWindows::paper();
    let vae_config = VaeConfig::from_json(&vae.config().map_err(input)?).map_err(input)?;
    let needs = memory::Needs::of(&config, &vae_config, dtype, size, windows.width);
    let residence = memory::plan(&needs, request.memory, super::memory::pictures(clip), watch)?;
    let guided = preset
        .first
        .guidance
        .entries
        .iter()
        .any(|entry| (entry.scale - 1.0).abs() > f64::EPSILON);
    let mut prompts = vec![video.prompt.as_deref().unwrap_or(PROMPT)];
    if guided {
        prompts.push(video.negative.as_deref().unwrap_or(NEGATIVE));
    }
    let embedded = prompt::embed(
        files,
        &prompts,
        config.caption_channels,
        video.prompt_cache.as_deref(),
        dtype,
    )?;
    let mut network = LtxVideo::load(&transformer, &vae, dtype, &device, residence)
        .map_err(|error| ProjectError::input(error.to_string()))?;
    network
        .add_loras(&loras::read(&request.loras)?)
        .map_err(loras::refused)?;
    let mut captions = Vec::new();
    for (hidden, mask) in &embedded {
        captions.push(caption(&network, hidden, mask)?);
    }
    let mut captions = captions.into_iter();
    let positive = captions
        .next()
        .ok_or_else(|| ProjectError::fault("generate", "no prompt was embedded"))?;
    Ok(Video {
        name: files.name.clone(),
        sha256: checksum(&files.transformer)?,
        captions: Captions {
            positive,
            negative: captions.next(),
        },
        cache: video.step_cache.as_deref().map(cache).transpose()?,
        network,
        preset,
        windows,
        size,
    })
}

/// Adds to a job's key what its pictures depend on.
pub(crate) fn add_to_key(key: &mut JobKey, video: &VideoRequest) -> Result<(), ProjectError> {
    let VideoRequest {
        files,
        prompt,
        negative,
        adapter,
        // An embedding is the same from the cache.
        prompt_cache: _,
        step_cache,
    } = video;
    for (name, path) in [
        ("transformer", Some(&files.transformer)),
        ("vae", Some(&files.vae)),
        ("text encoder", files.text_encoder.as_ref()),
    ] {
        if let Some(path) = path {
            key.add(name, fingerprint(path)?.as_bytes());
        }
    }
    if let Some(path) = adapter {
        key.add("adapter", fingerprint(path)?.as_bytes());
    }
    if let Some(path) = step_cache {
        key.add_file("step cache", path)?;
    }
    let told = format!("{prompt:?} {negative:?} {:?}", files.preset);
    key.add("video", told.as_bytes());
    Ok(())
}

fn caption(
    network: &LtxVideo,
    hidden: &Tensor,
    mask: &Tensor,
) -> Result<models::ltx::Caption, ProjectError> {
    let device = network.transformer().device();
    let here = |x: &Tensor| {
        x.to_device(device)
            .map_err(|error| ProjectError::fault("generate", error))
    };
    network
        .transformer()
        .caption(&here(hidden)?, Some(&here(mask)?))
        .map_err(|error| ProjectError::fault("generate", error))
}

/// The released settings that belong to the weights, with the job's number of steps.
fn preset(
    files: &VideoFiles,
    transformer: &ModelFile,
    config: &TransformerConfig,
    request: &RenderRequest,
) -> Result<Preset, ProjectError> {
    let json = transformer.config().map_err(input)?;
    let name = files.preset.as_deref();
    let mut preset = match name.or_else(|| told(files, &json, config)) {
        Some(name) => Preset::named(name)
            .ok_or_else(|| ProjectError::usage(format!("there are no settings `{name}`")))?,
        None => unreleased(&json)?,
    };
    for blocks in &mut preset.first.skip_blocks {
        // A block that the model lacks can't be perturbed.
        blocks.retain(|block| *block < config.num_layers);
    }
    let own = preset.first.schedule.steps();
    let wanted = request.steps_of(own);
    if wanted != own {
        preset.first = preset.first.with_steps(wanted);
    }
    Ok(preset)
}

/// What the header, the size and the file's name say.
fn told(files: &VideoFiles, json: &Value, config: &TransformerConfig) -> Option<&'static str> {
    let path = files.transformer.to_string_lossy();
    let distilled = path.contains("distilled")
        || json
            .get("allowed_inference_steps")
            .is_some_and(|steps| !steps.is_null());
    match config.num_layers {
        48 if distilled => Some("ltx-13b-distilled"),
        48 => Some("ltx-13b-dev"),
        28 => Some("ltx-2b"),
        _ => None,
    }
}

/// Weights of a size that was never released: their own schedule, with guidance by text.
fn unreleased(json: &Value) -> Result<Preset, ProjectError> {
    let scheduler = json.get("scheduler").cloned().unwrap_or(Value::Null);
    let schedule = if scheduler.is_null() {
        Schedule::linear_quadratic(40)
    } else {
        Schedule::from_json(&scheduler, None, 4096)
            .map_err(|error| ProjectError::input(error.to_string()))?
    };
    let entry = Guidance {
        scale: 3.0,
        ..Guidance::default()
    };
    Ok(Preset {
        first: Pass {
            guidance: GuidanceSchedule {
                timesteps: vec![1.0],
                entries: vec![entry],
            },
            ..Pass::plain(schedule)
        },
        ..Preset::ltx_2b()
    })
}

fn cache(path: &Path) -> Result<CacheConfig, ProjectError> {
    let wrong = |error: String| ProjectError::input(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    CacheConfig::from_json(&text).map_err(|error| wrong(error.to_string()))
}

pub(crate) fn open(path: &Path) -> Result<ModelFile, ProjectError> {
    ModelFile::open(path).map_err(input)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn input(error: ModelError) -> ProjectError {
    ProjectError::input(error.to_string())
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
fn checksum(path: &Path) -> Result<String, ProjectError> {
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
            None => super::model::hex(&of_bytes(file)?),
        };
        if files.len() == 1 {
            return Ok(own);
        }
        hash.update(own);
    }
    Ok(super::model::hex(&hash.finalize()))
}

fn of_bytes(path: &Path) -> Result<Vec<u8>, ProjectError> {
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
    Ok(super::model::hex(&hash.finalize()))
}
