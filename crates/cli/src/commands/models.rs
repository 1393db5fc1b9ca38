//! `reword models`: which models there are, and what a weight file holds.

mod fit_cache;
mod hub;
mod pull;
mod verify;

use crate::arguments::{ModelsArguments, ModelsCommand};
use crate::failure::Failure;
use crate::terminal::Terminal;
use comfy_table::Table;
use models::ModelFile;
use models::registry::{PUBLISHED, PublishedModel};
use models::verify::Network;
use project::VideoFiles;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A model that the program knows of.
struct Known {
    name: &'static str,
    what: &'static str,
    licence: &'static str,
}

const KNOWN: [Known; 1] = [Known {
    name: "tiny",
    what: "the embedded default: lips on a 256 px head crop; early research weights",
    licence: "Apache-2.0; data and terms in docs/models.md",
}];

/// Runs the command.
pub(crate) fn run(arguments: &ModelsArguments, terminal: &Terminal) -> Result<(), Failure> {
    match &arguments.command {
        ModelsCommand::Pull { name, dry_run } => pull::run(name, *dry_run, terminal),
        ModelsCommand::Verify {
            name,
            preset,
            checksums,
        } => verify::run(name, preset.as_deref(), *checksums, terminal),
        ModelsCommand::FitCache {
            weights,
            network,
            inputs,
            cache_steps,
            degree,
            output,
        } => fit_cache::run(
            weights,
            inputs,
            (*cache_steps, *degree),
            output,
            network.as_deref(),
            terminal,
        ),
        ModelsCommand::List => {
            list(terminal);
            Ok(())
        }
        ModelsCommand::Info { name } => info(name, terminal),
    }
}

fn list(terminal: &Terminal) {
    let size = project::embedded_model().len();
    let hub = hub::Hub::from_env();
    if terminal.json() {
        let mut models: Vec<_> = KNOWN
            .iter()
            .map(|known| json!({"name": known.name, "what": known.what, "licence": known.licence, "bytes": size, "place": "embedded"}))
            .collect();
        for model in &PUBLISHED {
            models.push(json!({
                "name": model.name, "what": model.what, "licence": licences(model),
                "bytes": model.bytes(), "place": hub.place(model),
            }));
        }
        terminal.result(&json!({ "models": models }).to_string());
        return;
    }
    let mut table = Table::new();
    table.set_header(["name", "size", "place", "licence", "what"]);
    for known in KNOWN {
        table.add_row([
            known.name,
            &mebibytes(size as u64),
            "embedded",
            known.licence,
            known.what,
        ]);
    }
    for model in &PUBLISHED {
        table.add_row([
            model.name,
            &format!("about {}", hub::human(model.bytes())),
            &hub.place(model),
            &licences(model),
            model.what,
        ]);
    }
    terminal.result(&table.to_string());
}

/// The licences of a model's files, each once.
fn licences(model: &PublishedModel) -> String {
    let mut licences: Vec<&str> = Vec::new();
    for file in model.files() {
        if !licences.contains(&file.licence) {
            licences.push(file.licence);
        }
    }
    licences.join("; ")
}

/// What `--model` means: the path of a lip model, or the files of a video model; neither for the embedded one.
pub(crate) fn chosen(name: Option<&str>) -> Result<(Option<PathBuf>, Option<VideoFiles>), Failure> {
    let name = match name {
        None | Some("tiny") => return Ok((None, None)),
        Some(name) => name,
    };
    let path = Path::new(name);
    if path.exists() {
        let files = project::video_files(path)?;
        let model = files.is_none().then(|| path.to_owned());
        return Ok((model, files));
    }
    let Some(model) = models::registry::find(name) else {
        return Err(Failure::missing(format!("there is no model `{name}`")).with_hint(
            "`reword models list` shows the known ones; a path of a weight file or of a model's folder works too",
        ));
    };
    published(model).map(|files| (None, Some(files)))
}

/// Whether `--model` means one that makes whole pictures; it needs not be here.
pub(crate) fn makes_pictures(name: Option<&str>) -> Result<bool, Failure> {
    let published = name
        .filter(|name| !Path::new(name).exists())
        .and_then(models::registry::find);
    if let Some(model) = published {
        return Ok(model.preset.is_some());
    }
    Ok(chosen(name)?.1.is_some())
}

/// The files of a published video model, or what is missing, under which terms, and the command that fetches it.
fn published(model: &PublishedModel) -> Result<VideoFiles, Failure> {
    let Some(preset) = model.preset else {
        return Err(Failure::usage(format!(
            "`{}` is a part of models, none that makes pictures",
            model.name
        ))
        .with_hint("its networks run alone with `reword forward`"));
    };
    let hub = hub::Hub::from_env();
    if let Some(failure) = not_here(model, &hub) {
        return Err(failure);
    }
    let first = |network: Option<Network>| {
        let part = model
            .parts
            .iter()
            .find(|part| part.network.map(|own| own.0) == network)?;
        hub.cached(part.files.first()?)
    };
    let weights = first(Some(Network::LtxVideo))
        .ok_or_else(|| Failure::fault(format!("`{}` has no transformer", model.name)))?;
    Ok(VideoFiles {
        name: model.name.to_owned(),
        transformer: weights.clone(),
        vae: weights,
        // Shards lie in one folder.
        text_encoder: first(Some(Network::T5)).and_then(|file| file.parent().map(Path::to_owned)),
        tokenizer: first(None),
        upsampler: first(Some(Network::Upsampler)),
        sound_encoder: models::registry::find("whisper-small")
            .and_then(|model| model.files().next())
            .and_then(|file| hub.cached(file)),
        preset: Some(preset.to_owned()),
    })
}

/// What is missing of a published model; nothing where all is here.
fn not_here(model: &PublishedModel, hub: &hub::Hub) -> Option<Failure> {
    let missing: Vec<String> = model
        .files()
        .filter(|file| hub.cached(file).is_none())
        .map(|file| {
            format!(
                "  {} from {}, about {}, {}",
                file.path,
                file.repository,
                hub::human(file.bytes),
                file.licence
            )
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(
        Failure::missing(format!(
            "the weights of `{}` are not here; it needs\n{}",
            model.name,
            missing.join("\n")
        ))
        .with_hint(format!(
            "`reword models pull {}` fetches them, about {} in all",
            model.name,
            hub::human(model.bytes())
        )),
    )
}

fn info(name: &str, terminal: &Terminal) -> Result<(), Failure> {
    let file = if name == "tiny" {
        ModelFile::from_bytes("tiny", project::embedded_model())
    } else if Path::new(name).is_file() {
        ModelFile::open(name)
    } else {
        return Err(
            Failure::missing(format!("there is no model `{name}`")).with_hint(
                "`reword models list` shows the known ones; a path of a safetensors file works too",
            ),
        );
    };
    let file = file.map_err(|error| Failure::input(error.to_string()))?;
    let shapes = file.shapes();
    let parameters: usize = shapes
        .values()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let config = file.config().ok();
    let checksum = (name == "tiny").then(project::embedded_checksum);
    if terminal.json() {
        let value = json!({
            "name": name, "tensors": shapes.len(), "parameters": parameters,
            "sha256": checksum, "config": config,
        });
        terminal.result(&value.to_string());
        return Ok(());
    }
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = writeln!(text, "name        {name}");
    let _ = writeln!(text, "tensors     {}", shapes.len());
    let _ = writeln!(text, "parameters  {parameters}");
    if let Some(checksum) = checksum {
        let _ = writeln!(text, "sha256      {checksum}");
    }
    if let Some(config) = config {
        let pretty = serde_json::to_string_pretty(&config)
            .map_err(|error| Failure::fault(error.to_string()))?;
        let _ = writeln!(
            text,
            "config      {}",
            pretty.replace('\n', "\n            ")
        );
    }
    terminal.result(&text);
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
