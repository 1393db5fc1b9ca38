//! `reword models`: which models there are, and what a weight file holds.

use crate::arguments::{ModelsArguments, ModelsCommand};
use crate::failure::Failure;
use crate::terminal::Terminal;
use comfy_table::Table;
use models::ModelFile;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

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
        ModelsCommand::List => {
            list(terminal);
            Ok(())
        }
        ModelsCommand::Info { name } => info(name, terminal),
    }
}

fn list(terminal: &Terminal) {
    let size = project::embedded_model().len();
    if terminal.json() {
        let models: Vec<_> = KNOWN
            .iter()
            .map(|known| json!({"name": known.name, "what": known.what, "licence": known.licence, "bytes": size, "place": "embedded"}))
            .collect();
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
    terminal.result(&table.to_string());
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
