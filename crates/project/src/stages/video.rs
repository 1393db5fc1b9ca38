//! LTX-Video for a job: its files opened, its memory planned, its prompt embedded, its settings chosen.

mod files;
pub(crate) mod fill;
mod memory;
mod prompt;
pub(crate) mod regions;
mod settings;

use crate::request::VideoRequest;
use crate::stages::loras;
use crate::watch::Watch;
use crate::{JobKey, Precision, ProjectError, RegionRequest, RenderRequest};
use candle_core::{DType, Tensor};
use diffusion::{CacheConfig, Preset, ShiftedWindows};
use media::VideoInfo;
use methods::ltx_video::{Captions, LtxVideo, Order, Parts, PartsConfig};
use models::lora::LoraFile;
use models::ltx::{TransformerConfig, VaeConfig};
use models::{ModelError, ModelFile};
use std::path::Path;

use self::files::checksum;
pub(crate) use self::files::fingerprint;
use self::files::of_bytes;

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
    /// Whether a second pass follows, at twice the size of the first.
    pub(crate) two_passes: bool,
    pub(crate) order: Order,
    /// Rows and columns that it works in.
    pub(crate) size: (usize, usize),
}

impl Video {
    /// Whether what it makes follows sound, and then whether it wants Whisper's mel frames.
    pub(crate) fn hears(&self) -> Option<bool> {
        self.network.parts().map(Parts::hears_as_whisper)
    }
}

/// The model of a job that makes pictures, where it uses one: a video model by itself, or one with parts that hear and
/// work on whole pictures.
pub(crate) fn of_pictures(request: &RenderRequest) -> Result<Option<&VideoRequest>, ProjectError> {
    let Some(video) = &request.video else {
        return Ok(None);
    };
    let Some(path) = &video.adapter else {
        return Ok(Some(video));
    };
    Ok(PartsConfig::is_for_pictures(&parts_config(path)?).then_some(video))
}

/// By which share masks grow with the parts that a model hears by; nothing for one that does not hear.
pub(crate) fn mask_margin(video: &VideoRequest) -> Result<Option<f64>, ProjectError> {
    let Some(path) = &video.adapter else {
        return Ok(None);
    };
    let parts = PartsConfig::from_json(&parts_config(path)?)
        .map_err(|error| ProjectError::input(format!("{}: {error}", path.display())))?;
    Ok(Some(parts.mask_margin))
}

/// Refuses a region that a model which does not hear can't make follow new words.
pub(crate) fn check_region(
    video: &VideoRequest,
    region: RegionRequest,
) -> Result<(), ProjectError> {
    if video.adapter.is_some() || matches!(region, RegionRequest::Lip | RegionRequest::Whole) {
        return Ok(());
    }
    Err(ProjectError::usage(format!(
        "{} makes whole pictures, not the region {region}",
        video.files.name
    ))
    .with_hint("leave --region out; EditYourself's parts, given with --adapter, make regions"))
}

/// The config in the header of `EditYourself`'s parts.
fn parts_config(path: &Path) -> Result<serde_json::Value, ProjectError> {
    let file = open(path)?;
    match file.config_if_any().map_err(input)? {
        Some(config) => Ok(config),
        None => Err(ProjectError::input(format!(
            "{} has no config, so it holds no parts to hear by",
            path.display()
        ))
        .with_hint("a LoRA is given with --lora, EditYourself's parts with --adapter")),
    }
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
    let device = request.device.clone();
    let dtype = match request.precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    let Networks {
        transformer,
        parts,
        own,
    } = networks(video)?;
    let vae = open(&files.vae)?;
    let config =
        TransformerConfig::from_json(&transformer.config().map_err(input)?).map_err(input)?;
    let preset = settings::preset(video, &transformer, &config, parts.as_ref(), request)?;
    let vae_config = VaeConfig::from_json(&vae.config().map_err(input)?).map_err(input)?;
    let plain = fill::work_size(clip, request.preview);
    let size = if video.two_passes {
        fill::two_pass_size(plain, preset.downscale, vae_config.spatial_stride())
    } else {
        plain
    };
    let windows = parts
        .as_ref()
        .map_or_else(ShiftedWindows::paper, |parts| parts.windows);
    let windows = ShiftedWindows {
        ends: video.ends.unwrap_or(windows.ends),
        ..windows
    };
    let silent = parts.is_some() && video.prompt.is_none() && files.text_encoder.is_none();
    let needs = memory::Needs::of(&config, &vae_config, dtype, size, windows.width);
    let needs = match prompt::config(files)? {
        Some(text) => needs.with_text(&text),
        None => needs,
    };
    let residence = memory::plan(&needs, request.memory, super::memory::pictures(clip), watch)?;
    let guided = [&preset.first, &preset.second]
        .into_iter()
        .flat_map(|pass| &pass.guidance.entries)
        .any(|entry| (entry.scale - 1.0).abs() > f64::EPSILON);
    let embedded = if silent {
        Vec::new()
    } else {
        let mut prompts = vec![video.prompt.as_deref().unwrap_or(PROMPT)];
        if guided {
            prompts.push(video.negative.as_deref().unwrap_or(NEGATIVE));
        }
        prompt::embed(
            files,
            &prompts,
            config.caption_channels,
            video.prompt_cache.as_deref(),
            dtype,
        )?
    };
    let wrong = |error: methods::MethodError| ProjectError::input(error.to_string());
    let mut network =
        LtxVideo::load(&transformer, &vae, dtype, &device, residence).map_err(wrong)?;
    if video.two_passes {
        network
            .add_upsampler(&open(files::upsampler(files)?)?)
            .map_err(wrong)?;
    }
    if parts.is_some() {
        let sound = files::sound_encoder(files, &transformer)?;
        let sound = sound.as_deref().map(open).transpose()?;
        let mut parts = Parts::load(&transformer, sound.as_ref(), dtype, &device).map_err(wrong)?;
        if let Some(weight) = request.audio_guidance {
            parts.set_audio_guidance(f64::from(weight));
        }
        network.add_parts(parts);
    }
    let mut adapters: Vec<_> = own.into_iter().map(|lora| (lora, 1.0)).collect();
    adapters.extend(loras::read(&request.loras)?);
    network.add_loras(&adapters).map_err(loras::refused)?;
    let captions = captions(&network, &embedded)?;
    Ok(Video {
        name: match &video.adapter {
            Some(path) => format!("{} with {}", files.name, path.display()),
            None => files.name.clone(),
        },
        sha256: checksum(video.adapter.as_ref().unwrap_or(&files.transformer))?,
        captions,
        cache: video.step_cache.as_deref().map(cache).transpose()?,
        network,
        preset,
        windows,
        two_passes: video.two_passes,
        order: video.order,
        size,
    })
}

/// The weights of a job: the transformer with the parts that it hears by, and their own low-rank additions.
struct Networks {
    transformer: ModelFile,
    parts: Option<PartsConfig>,
    own: Option<LoraFile>,
}

fn networks(video: &VideoRequest) -> Result<Networks, ProjectError> {
    let transformer = open(&video.files.transformer)?;
    let Some(path) = &video.adapter else {
        return Ok(Networks {
            transformer,
            parts: None,
            own: None,
        });
    };
    let (file, own) = models::ltx::with_adapter(&transformer, &open(path)?).map_err(input)?;
    let config = file.config().map_err(input)?;
    let parts = PartsConfig::from_json(&config)
        .map_err(|error| ProjectError::input(format!("{}: {error}", path.display())))?;
    Ok(Networks {
        transformer: file,
        parts: Some(parts),
        own,
    })
}

/// The prompts as the transformer takes them; without any, the learned caption that stands for no text.
fn captions(network: &LtxVideo, embedded: &[prompt::Embedding]) -> Result<Captions, ProjectError> {
    let mut captions = Vec::new();
    for (hidden, mask) in embedded {
        captions.push(caption(network, hidden, mask)?);
    }
    let mut captions = captions.into_iter();
    let positive = match captions.next() {
        Some(positive) => positive,
        None => network.transformer().empty_caption().map_err(|error| {
            ProjectError::missing(error.to_string()).with_hint(
                "`reword models pull t5-xxl` fetches a text encoder; put it beside the model as text_encoder, with its tokenizer",
            )
        })?,
    };
    Ok(Captions {
        positive,
        negative: captions.next(),
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
        two_passes,
        ends,
        order,
        guidance,
        stg,
    } = video;
    for (name, path) in [
        ("transformer", Some(&files.transformer)),
        ("vae", Some(&files.vae)),
        ("text encoder", files.text_encoder.as_ref()),
        ("sound encoder", files.sound_encoder.as_ref()),
        (
            "upsampler",
            files.upsampler.as_ref().filter(|_| *two_passes),
        ),
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
    let told = format!(
        "{prompt:?} {negative:?} {:?} {two_passes} {ends:?} {order:?} {guidance:?} {stg:?}",
        files.preset
    );
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
