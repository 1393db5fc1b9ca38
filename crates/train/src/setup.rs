//! From a recipe to a stage that is ready to run.

use std::path::{Path, PathBuf};

use media::Sandbox;
use models::ModelFile;
use models::ltx::{Vae, VaeConfig};
use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::data::prepare::hex;
use crate::data::{
    ClipLatents, Encoder, Faces, Footage, FootageClip, Library, PrepareOptions, faces_of,
};
use crate::error::{Result, TrainError};
use crate::init;
use crate::params::Parameters;
use crate::pattern::Patterns;
use crate::recipe::{Recipe, StageName};
use crate::stage::{
    Cells, EditYourselfStage, PictureClip, SoundClip, SoundStage, Stage, SyncClip, SyncStage,
    VaeStage, object,
};

/// What a recipe's names mean here.
pub struct Surroundings<'a> {
    /// The recipe's folder: its paths are relative to it.
    pub base: PathBuf,
    /// Where decoding runs.
    pub sandbox: Sandbox,
    /// The embedded model of a name, `tiny`.
    pub embedded: &'a dyn Fn(&str) -> Option<ModelFile>,
    /// Told what is done and what is left out: (clips looked at, of how many, a sentence or nothing).
    pub progress: &'a (dyn Fn(usize, usize, Option<&str>) + Sync),
}

/// Loads weights and footage, and builds the stage.
///
/// # Errors
/// When weights or footage are missing or do not fit the recipe.
pub fn stage(recipe: &Recipe, around: &Surroundings<'_>) -> Result<Box<dyn Stage>> {
    let file = weights(recipe, around)?;
    let parameters = parameters(recipe, &file)?;
    let footage = Footage::of_sources(&recipe.data.sources, &around.base, recipe.seed)?;
    let options = PrepareOptions {
        seconds: recipe.data.seconds,
        least_frames: recipe.data.least_frames,
        cache: recipe
            .data
            .cache
            .as_ref()
            .map(|cache| around.base.join(cache)),
        sandbox: around.sandbox,
        side: 256,
    };
    let json = file.config()?;
    let options = if recipe.stage == StageName::SyncScorer {
        options
    } else {
        let config: methods::edit_yourself::EditYourselfConfig = object(&json, "edit_yourself")?;
        PrepareOptions {
            side: config.crop,
            ..options
        }
    };
    let clips = look(&footage, &options, around)?;
    let clips = as_heard(clips, &json)?;
    Ok(match recipe.stage {
        StageName::AudioEncoder => {
            let (mut train, mut held_out) = (Vec::new(), Vec::new());
            for (clip, faces) in &clips {
                // Its sound ends early: the others are enough.
                if let Ok(sound) = SoundClip::new(&clip.id, clip.weight, faces) {
                    let list = if clip.held_out {
                        &mut held_out
                    } else {
                        &mut train
                    };
                    list.push(sound);
                }
            }
            Box::new(SoundStage::new(
                recipe.clone(),
                parameters,
                train,
                held_out,
            )?)
        }
        StageName::SyncScorer => {
            let (mut train, mut held_out) = (Vec::new(), Vec::new());
            for (clip, faces) in &clips {
                if let Ok(sync) = SyncClip::new(&clip.id, &clip.identity, clip.weight, faces) {
                    let list = if clip.held_out {
                        &mut held_out
                    } else {
                        &mut train
                    };
                    list.push(sync);
                }
            }
            let align = match &recipe.sync.align {
                Some(path) => Some(ModelFile::open(around.base.join(path))?),
                None => None,
            };
            Box::new(SyncStage::new(
                recipe.clone(),
                parameters,
                train,
                held_out,
                align.as_ref(),
            )?)
        }
        StageName::Vae => {
            let (held_out, train): (Vec<_>, Vec<_>) = clips
                .into_iter()
                .map(|(clip, faces)| PictureClip { clip, faces })
                .partition(|clip| clip.clip.held_out);
            Box::new(VaeStage::new(
                recipe.clone(),
                parameters,
                train,
                held_out,
                around.sandbox,
            )?)
        }
        StageName::EditYourself => {
            let library = library(recipe, &file, &json, &clips, &options, around)?;
            Box::new(EditYourselfStage::new(recipe.clone(), parameters, library)?)
        }
    })
}

/// The weights that a run starts at.
///
/// # Errors
/// When they can't be read or do not hold together.
pub fn weights(recipe: &Recipe, around: &Surroundings<'_>) -> Result<ModelFile> {
    let model = &recipe.model;
    if let Some(config) = &model.config {
        let path = around.base.join(config);
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let config: Value = serde_json::from_str(&text)
            .map_err(|error| TrainError::file(&path, format!("it is no JSON: {error}")))?;
        return init::fresh(&config, 1 + recipe.sound.components, recipe.seed);
    }
    let open = |name: &str| match (around.embedded)(name) {
        Some(file) => Ok(file),
        None => ModelFile::open(around.base.join(name)),
    };
    let mut file = open(model.weights.as_deref().unwrap_or("tiny"))?;
    for part in &model.parts {
        file = init::with_part(&file, &open(&part.from)?, &part.names)?;
    }
    if let Some(add) = &model.add {
        let path = around.base.join(add);
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let add: Value = serde_json::from_str(&text)
            .map_err(|error| TrainError::file(&path, format!("it is no JSON: {error}")))?;
        file = init::completed(&file, &add, 1 + recipe.sound.components, recipe.seed)?;
    }
    if model.fresh.0.is_empty() {
        return Ok(file);
    }
    init::renewed(&file, &model.fresh, recipe.seed)
}

/// `recipe` with the weights of a file, for measuring them.
///
/// # Errors
/// When the file is not there.
pub fn of_weights(mut recipe: Recipe, weights: &Path) -> Result<Recipe> {
    let path = std::fs::canonicalize(weights).map_err(TrainError::io(weights))?;
    recipe.model.config = None;
    recipe.model.parts.clear();
    recipe.model.add = None;
    recipe.model.fresh = Patterns::default();
    recipe.model.weights = Some(path.display().to_string());
    Ok(recipe)
}

/// What a stage says of the weights that it was made with.
///
/// # Errors
/// When a sample can't be read or shapes do not fit.
pub fn validated(stage: &mut dyn Stage) -> Result<crate::stage::Validation> {
    let values = stage.parameters().tracked();
    stage.validate(&values, 0)
}

/// What moves and what stays, with low-rank additions where the recipe wants them.
///
/// # Errors
/// When a pattern fits nothing.
pub fn parameters(recipe: &Recipe, file: &ModelFile) -> Result<Parameters> {
    let mut parameters = Parameters::of_file(file, &recipe.model.train, &recipe.model.freeze)?;
    // Statistics and constants never move, whatever a pattern says.
    let constants = Patterns::of(["*per_channel_statistics*", "*timestep_scale_multiplier"]);
    let trained: Vec<String> = parameters.trained().keys().cloned().collect();
    for name in trained.iter().filter(|name| constants.fit(name)) {
        if let Some(var) = parameters.trained().get(name) {
            let values = var.as_detached_tensor();
            parameters.insert_frozen(name, &values)?;
        }
    }
    if let Some(lora) = &recipe.model.lora {
        lora.add(&mut parameters, recipe.seed)?;
    }
    Ok(parameters)
}

/// Faces and sound of all clips; a clip that can't be used is told and left out.
fn look(
    footage: &Footage,
    options: &PrepareOptions,
    around: &Surroundings<'_>,
) -> Result<Vec<(FootageClip, Faces)>> {
    let total = footage.clips.len();
    let (folder, progress) = (clips_folder(options, around), around.progress);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let found: Vec<Option<(FootageClip, Faces)>> = footage
        .clips
        .par_iter()
        .map(|clip| {
            let unpacked = clip.unpacked(&folder);
            let faces = match &unpacked {
                Ok(clip) => faces_of(&clip.path, options),
                Err(error) => Err(TrainError::clip(&clip.path, error.to_string())),
            };
            let count = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let told = faces.as_ref().err().map(ToString::to_string);
            progress(count, total, told.as_deref());
            Some((unpacked.ok()?, faces.ok()?))
        })
        .collect();
    let found: Vec<(FootageClip, Faces)> = found.into_iter().flatten().collect();
    if found.iter().all(|(clip, _)| clip.held_out) {
        return Err(TrainError::Data(format!(
            "none of {total} clips can be trained on"
        )));
    }
    Ok(found)
}

/// Where clips of shards are taken out to.
fn clips_folder(options: &PrepareOptions, around: &Surroundings<'_>) -> PathBuf {
    let cache = options.cache.clone();
    cache
        .unwrap_or_else(|| around.base.join("cache"))
        .join("clips")
}

/// Clips as latents, face and sound looked up first.
///
/// # Errors
/// When no clip can be used; one clip's own reason is the error.
pub(crate) fn library_of(
    recipe: &Recipe,
    file: &ModelFile,
    clips: &[FootageClip],
    around: &Surroundings<'_>,
) -> Result<Library> {
    let json = file.config()?;
    let config: methods::edit_yourself::EditYourselfConfig = object(&json, "edit_yourself")?;
    let options = PrepareOptions {
        seconds: recipe.data.seconds,
        least_frames: 9,
        cache: recipe
            .data
            .cache
            .as_ref()
            .map(|cache| around.base.join(cache)),
        sandbox: around.sandbox,
        side: config.crop,
    };
    let found = clips
        .iter()
        .map(|clip| Ok((clip.clone(), faces_of(&clip.path, &options)?)))
        .collect::<Result<Vec<_>>>()?;
    let found = as_heard(found, &json)?;
    library(recipe, file, &json, &found, &options, around)
}

/// Clips with their sound as the model's encoder wants it.
fn as_heard(clips: Vec<(FootageClip, Faces)>, json: &Value) -> Result<Vec<(FootageClip, Faces)>> {
    let encoder = json.get("audio_encoder");
    let norm = encoder.and_then(|encoder| encoder.get("mean_norm"));
    if norm.and_then(Value::as_bool) != Some(true) {
        return Ok(clips);
    }
    clips
        .into_iter()
        .map(|(clip, faces)| Ok((clip, faces.without_colour()?)))
        .collect()
}

/// Clips as latents.
fn library(
    recipe: &Recipe,
    file: &ModelFile,
    json: &Value,
    clips: &[(FootageClip, Faces)],
    options: &PrepareOptions,
    around: &Surroundings<'_>,
) -> Result<Library> {
    let device = candle_core::Device::Cpu;
    let vae = Vae::load(
        file,
        &VaeConfig::from_json(json)?,
        candle_core::DType::F32,
        &device,
    )?;
    let config: methods::edit_yourself::EditYourselfConfig = object(json, "edit_yourself")?;
    if config.recorded_context && recipe.data.counterparts == 0 {
        return Err(TrainError::Recipe(
            "the model sees the recorded mouth, which would tell it the answer: data.counterparts must be at least 1"
                .to_owned(),
        ));
    }
    let cells = Cells::of_crop(&config)?;
    let encoder = Encoder {
        vae: &vae,
        digest: vae_digest(file)?,
        config: &config,
        cells: &cells,
        references: recipe.data.reference_frames,
        counterparts: recipe.data.counterparts,
        space: mouth_space(file, json)?,
    };
    let agreement = Agreement::new(recipe, file, json)?;
    let (total, progress) = (clips.len(), around.progress);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let made: Vec<Option<(bool, ClipLatents)>> = clips
        .par_iter()
        .map(|(clip, faces)| {
            let latents = agreement
                .check(clip, faces)
                .and_then(|()| encoder.latents(clip, faces, options));
            let count = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let told = latents.as_ref().err().map(ToString::to_string);
            progress(count, total, told.as_deref());
            latents.ok().map(|latents| (clip.held_out, latents))
        })
        .collect();
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (held, latents) in made.into_iter().flatten() {
        if held {
            held_out.push(latents);
        } else {
            train.push(latents);
        }
    }
    Ok(Library {
        cells,
        train,
        held_out,
    })
}

/// In which numbers the model's own encoder tells mouths, if it says.
fn mouth_space(file: &ModelFile, json: &Value) -> Result<Option<models::mel_encoder::MouthSpace>> {
    let config = object(json, "audio_encoder")?;
    let device = candle_core::Device::Cpu;
    let encoder = models::mel_encoder::MelEncoder::load(file, &config, &device)?;
    let space = encoder
        .mouth_head()
        .and_then(models::mel_encoder::MouthHead::space);
    Ok(space.cloned())
}

/// Whether a clip's mouth goes with its sound, by the model's own encoder.
struct Agreement {
    encoder: Option<models::mel_encoder::MelEncoder>,
    least: f64,
}

impl Agreement {
    fn new(recipe: &Recipe, file: &ModelFile, json: &Value) -> Result<Self> {
        let least = recipe.data.least_agreement;
        let encoder = if least > -1.0 {
            let config = object(json, "audio_encoder")?;
            let device = candle_core::Device::Cpu;
            Some(models::mel_encoder::MelEncoder::load(
                file, &config, &device,
            )?)
        } else {
            None
        };
        Ok(Self { encoder, least })
    }

    fn check(&self, clip: &FootageClip, faces: &Faces) -> Result<()> {
        let Some(encoder) = &self.encoder else {
            return Ok(());
        };
        let found = SoundClip::new(&clip.id, 1.0, faces)?.agreement(encoder)?;
        if clip.held_out || found >= self.least {
            return Ok(());
        }
        Err(TrainError::clip(
            &clip.path,
            format!(
                "mouth and sound correlate {found:.2}, less than {}",
                self.least
            ),
        ))
    }
}

/// Digest of the autoencoder's weights.
fn vae_digest(file: &ModelFile) -> Result<String> {
    let view = file.view(candle_core::DType::F32, &candle_core::Device::Cpu)?;
    let mut hash = Sha256::new();
    for name in view.names().iter().filter(|name| name.starts_with("vae.")) {
        hash.update(name.as_bytes());
        for value in view.get_any(name)?.flatten_all()?.to_vec1::<f32>()? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hex(&hash.finalize(), 6))
}

/// Where a run's folder lies beside its recipe: `runs/NAME` for `NAME.toml`.
pub fn run_folder(recipe: &Path) -> PathBuf {
    let name = recipe
        .file_stem()
        .map_or_else(|| "run".into(), std::borrow::ToOwned::to_owned);
    recipe
        .parent()
        .unwrap_or_else(|| Path::new("."))
        .join("runs")
        .join(name)
}
