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
    if path.is_dir() {
        return folder(path, preset, terminal);
    }
    if path.exists() {
        return file(path, preset, None, terminal);
    }
    if let Some(model) = find(name) {
        return published(model, checksums, terminal);
    }
    Err(
        Failure::missing(format!("there is no file or published model `{name}`"))
            .with_hint("give a path, or a name that `reword models list` shows"),
    )
}

/// How many folders deep networks are looked for: a hub's cache keeps them under models, snapshots, a revision and a part.
const DEPTH: usize = 5;

/// Every network below a folder, such as diffusers' layout; a preset is for those of its kind.
fn folder(path: &Path, preset: Option<&str>, terminal: &Terminal) -> Result<(), Failure> {
    let mut found = Vec::new();
    weights_below(path, DEPTH, &mut found)?;
    if let [one] = found.as_slice() {
        return file(one, preset, None, terminal);
    }
    let mut networks = Vec::new();
    let mut wrong = Vec::new();
    for path in found {
        match ModelFile::open(&path) {
            Ok(weights) => match Network::detect(&weights) {
                Some(network) => networks.push((path, network)),
                None => terminal.note(&format!(
                    "{} holds no network that is known",
                    path.display()
                )),
            },
            Err(error) => wrong.push(error.to_string()),
        }
    }
    let meant = |network: &Network| preset.is_some_and(|preset| network.has_preset(preset));
    if networks.is_empty() && wrong.is_empty() {
        return Err(Failure::input(format!(
            "{} has no network that is known in it",
            path.display()
        )));
    }
    if let Some(preset) = preset
        && !networks.iter().any(|(_, network)| meant(network))
    {
        return Err(Failure::usage(format!(
            "{} has no network with a preset `{preset}` in it",
            path.display()
        )));
    }
    for (path, network) in &networks {
        let own = preset.filter(|_| meant(network));
        if let Err(failure) = file(path, own, own.map(|_| *network), terminal) {
            wrong.push(failure.message().to_owned());
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::input(wrong.join("; ")))
}

/// Weight files and folders of shards below `folder`, in the order of their names.
fn weights_below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::input(format!("can't read {}: {error}", folder.display()));
    let mut files = Vec::new();
    let mut folders = Vec::new();
    let mut sharded = false;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        if path.is_dir() {
            folders.push(path);
        } else if name.ends_with(".safetensors.index.json") {
            sharded = true;
        } else if path
            .extension()
            .is_some_and(|end| end == "safetensors" || end == "gguf")
        {
            files.push(path);
        }
    }
    if sharded {
        found.push(folder.to_owned());
    } else {
        files.sort();
        found.append(&mut files);
    }
    folders.sort();
    if depth > 0 {
        for folder in folders {
            weights_below(&folder, depth - 1, found)?;
        }
    }
    Ok(())
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
        for difference in &verdict.differences {
            terminal.result(&format!("{}: {difference}", shown.display()));
        }
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
