//! Checkpoints: a folder that appears whole, from which a run goes on as if it had never stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use nn::weights::{Checkpoint as WeightFile, save};
use serde::{Deserialize, Serialize};

use crate::average::Average;
use crate::error::{Result, TrainError};
use crate::optimiser::Optimiser;
use crate::params::Parameters;

const PREFIX: &str = "step-";

/// What stands beside the tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    version: u32,
    step: u64,
    /// [`crate::recipe::Recipe::key`].
    recipe: String,
    /// SHA-256 of the tensors that do not move, in hexadecimal.
    frozen: String,
    updates: u64,
}

/// Writes the state after `step` steps into `folder`, and removes all but the last `keep`; `frozen` is the digest
/// of what does not move.
///
/// # Errors
/// When a file can't be written.
pub fn write(
    folder: &Path,
    step: u64,
    recipe: &str,
    parameters: &Parameters,
    optimiser: &Optimiser,
    average: &Average,
    (frozen, keep): (&str, usize),
) -> Result<PathBuf> {
    let path = folder.join(format!("{PREFIX}{step:08}"));
    let temporary = folder.join(format!(".{PREFIX}{step:08}.tmp"));
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(TrainError::io(&temporary))?;
    }
    fs::create_dir_all(&temporary).map_err(TrainError::io(&temporary))?;
    let none = BTreeMap::new();
    let trained: BTreeMap<String, Tensor> = parameters
        .trained()
        .iter()
        .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
        .collect();
    save(temporary.join("trained.safetensors"), &trained, &none)?;
    save(
        temporary.join("average.safetensors"),
        &average.tensors(parameters)?,
        &none,
    )?;
    save(
        temporary.join("optimiser.safetensors"),
        &optimiser.tensors()?,
        &none,
    )?;
    let state = State {
        version: 1,
        step,
        recipe: recipe.to_owned(),
        frozen: frozen.to_owned(),
        updates: average.updates(),
    };
    let text = serde_json::to_string_pretty(&state)
        .map_err(|error| TrainError::file(&temporary, error.to_string()))?;
    let file = temporary.join("state.json");
    fs::write(&file, text).map_err(TrainError::io(&file))?;
    for entry in fs::read_dir(&temporary).map_err(TrainError::io(&temporary))? {
        let file = entry.map_err(TrainError::io(&temporary))?.path();
        File::open(&file)
            .and_then(|f| f.sync_all())
            .map_err(TrainError::io(&file))?;
    }
    if path.exists() {
        fs::remove_dir_all(&path).map_err(TrainError::io(&path))?;
    }
    fs::rename(&temporary, &path).map_err(TrainError::io(&path))?;
    for old in list(folder)?.into_iter().rev().skip(keep) {
        fs::remove_dir_all(&old).map_err(TrainError::io(&old))?;
    }
    Ok(path)
}

/// Checkpoints of a folder, oldest first.
///
/// # Errors
/// When the folder can't be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let path = entry.map_err(TrainError::io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PREFIX)) && path.join("state.json").exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Takes a run's state from a checkpoint; the steps that are done.
///
/// # Errors
/// When it is of another run, or a tensor is missing.
pub fn read(
    path: &Path,
    (recipe, frozen): (&str, &str),
    parameters: &Parameters,
    optimiser: &mut Optimiser,
    average: &mut Average,
) -> Result<u64> {
    let file = path.join("state.json");
    let text = fs::read_to_string(&file).map_err(TrainError::io(&file))?;
    let state: State =
        serde_json::from_str(&text).map_err(|error| TrainError::file(&file, error.to_string()))?;
    let other = |reason: &str| TrainError::OtherRun {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if state.recipe != recipe {
        return Err(other("the recipe has changed"));
    }
    if state.frozen != frozen {
        return Err(other("the weights that are not trained are others"));
    }
    let trained = tensors(&path.join("trained.safetensors"))?;
    for (name, var) in parameters.trained() {
        let value = trained
            .get(name)
            .filter(|value| value.dims() == var.dims())
            .ok_or_else(|| other(&format!("it has no '{name}' of {:?}", var.dims())))?;
        var.set(value)?;
    }
    optimiser.restore(&tensors(&path.join("optimiser.safetensors"))?, state.step)?;
    average.restore(&tensors(&path.join("average.safetensors"))?, state.updates)?;
    Ok(state.step)
}

fn tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let file = WeightFile::open(path)?;
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let mut all = BTreeMap::new();
    for name in names {
        let tensor = file.tensor(&name, DType::F32, &Device::Cpu)?;
        all.insert(name, tensor);
    }
    Ok(all)
}
