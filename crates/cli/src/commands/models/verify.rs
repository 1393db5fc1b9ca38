//! `reword models verify`: is a weight file what it should be?

use std::path::{Path, PathBuf};

use models::ModelFile;
use models::registry::{PublishedModel, find};
use models::verify::{Network, verify};
use serde_json::json;

use super::hub::{Hub, checksum, expected_checksum};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(
    name: &str,
    preset: Option<&str>,
    checksums: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let path = Path::new(name);
    if path.exists() {
        return match parts_of(path).as_slice() {
            [] => file(path, preset, None, terminal),
            _ if preset.is_some() => Err(Failure::usage(
                "a folder with several networks has a preset for none of them",
            )
            .with_hint("give the folder of one of them")),
            parts => parts
                .iter()
                .try_for_each(|part| file(part, None, None, terminal)),
        };
    }
    if let Some(model) = find(name) {
        return published(model, checksums, terminal);
    }
    Err(
        Failure::missing(format!("there is no file or published model `{name}`"))
            .with_hint("give a path, or a name that `reword models list` shows"),
    )
}

/// Folders in which diffusers' and our own layout keep networks.
const PARTS: [&str; 5] = [
    "transformer",
    "vae",
    "text_encoder",
    "latent_upsampler",
    "sound_encoder",
];

/// The networks of a folder of folders; none for a file, or a folder with weights of its own.
fn parts_of(path: &Path) -> Vec<PathBuf> {
    let folders = PARTS.map(|part| path.join(part));
    if ModelFile::open(path).is_ok() {
        return Vec::new();
    }
    folders.into_iter().filter(|part| part.is_dir()).collect()
}

fn published(model: &PublishedModel, checksums: bool, terminal: &Terminal) -> Result<(), Failure> {
    let hub = Hub::from_env();
    let mut weights = Vec::new();
    for part in model.parts {
        let mut paths = Vec::new();
        for file in part.files {
            let Some(path) = hub.cached(file) else {
                return Err(super::not_here(model, &hub)
                    .unwrap_or_else(|| Failure::missing(format!("{} is not here", file.path))));
            };
            paths.push(path);
        }
        if checksums {
            for path in &paths {
                compare(path)?;
            }
        }
        if let (Some(network), Some(first)) = (part.network, paths.first()) {
            weights.push((network, first.clone()));
        }
    }
    for ((network, preset), path) in weights {
        file(&path, Some(preset), Some(network), terminal)?;
    }
    Ok(())
}

fn compare(path: &Path) -> Result<(), Failure> {
    let Some(wanted) = expected_checksum(path) else {
        return Ok(());
    };
    let found = checksum(path)
        .map_err(|error| Failure::input(format!("can't read {}: {error}", path.display())))?;
    if found == wanted {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{} has SHA-256 {found}, wanted {wanted}",
        path.display()
    ))
    .with_hint("delete it and fetch it again"))
}

fn file(
    path: &Path,
    preset: Option<&str>,
    network: Option<Network>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let failed = |error: models::ModelError| Failure::input(error.to_string());
    let weights = ModelFile::open(path).map_err(failed)?;
    let wanted = match preset {
        None => None,
        Some(preset) => {
            let network = network
                .or_else(|| Network::detect(&weights))
                .ok_or_else(|| {
                    Failure::input(format!("{} holds no network that is known", path.display()))
                })?;
            if !network.has_preset(preset) {
                return Err(Failure::usage(format!(
                    "there is no preset `{preset}` for a {}",
                    network.name()
                )));
            }
            Some((network, preset))
        }
    };
    let verdict = verify(&weights, wanted).map_err(failed)?;
    let shown = PathBuf::from(path);
    if terminal.json() {
        terminal.result(
            &json!({
                "path": shown, "network": verdict.network.name(), "tensors": verdict.tensors,
                "parameters": verdict.parameters, "differences": verdict.differences,
            })
            .to_string(),
        );
    }
    if verdict.differences.is_empty() {
        if !terminal.json() {
            terminal.result(&format!(
                "{}: {}, {} tensors, {} parameters, as it should be",
                shown.display(),
                verdict.network.name(),
                verdict.tensors,
                verdict.parameters
            ));
        }
        return Ok(());
    }
    if !terminal.json() {
        terminal.result(&verdict.differences.join("\n"));
    }
    let count = verdict.differences.len();
    Err(Failure::input(format!(
        "{} is not the {} that it should be: {count} {}",
        shown.display(),
        verdict.network.name(),
        if count == 1 {
            "difference"
        } else {
            "differences"
        }
    )))
}
