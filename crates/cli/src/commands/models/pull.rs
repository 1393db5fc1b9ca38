//! `reword models pull`: what will be fetched, whether it fits, then the files.

use std::path::Path;

use comfy_table::Table;
use hf_hub::Repo;
use hf_hub::api::Progress;
use hf_hub::api::sync::Api;
use indicatif::ProgressBar;
use models::registry::{PublishedModel, RemoteFile, find};
use serde_json::json;

use super::hub::{Hub, checksum, expected_checksum, human};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(name: &str, dry_run: bool, terminal: &Terminal) -> Result<(), Failure> {
    let Some(model) = find(name) else {
        return Err(
            Failure::usage(format!("there is no published model `{name}`"))
                .with_hint("`reword models list` shows the known ones"),
        );
    };
    let hub = Hub::from_env();
    let missing: Vec<&RemoteFile> = model
        .files()
        .filter(|file| hub.cached(file).is_none())
        .collect();
    if missing.is_empty() {
        terminal.note(&format!("{name} is here already"));
        places(model, &hub, terminal);
        return Ok(());
    }
    if dry_run {
        let sizes: Vec<u64> = missing.iter().map(|file| file.bytes).collect();
        announce(&missing, &sizes, &hub, terminal);
        return Ok(());
    }
    let api = hub.connect()?;
    let sizes = missing
        .iter()
        .map(|file| size(&api, file))
        .collect::<Result<Vec<u64>, Failure>>()?;
    announce(&missing, &sizes, &hub, terminal);
    check_space(&sizes, &hub)?;
    for (file, bytes) in missing.iter().zip(sizes) {
        fetch(&api, file, bytes, terminal)?;
    }
    places(model, &hub, terminal);
    Ok(())
}

/// How many bytes the server has.
fn size(api: &Api, file: &RemoteFile) -> Result<u64, Failure> {
    let repository = api.repo(Repo::model(file.repository.to_owned()));
    let metadata = api
        .metadata(&repository.url(file.path))
        .map_err(|error| refused(file, &error))?;
    Ok(metadata.size() as u64)
}

fn announce(files: &[&RemoteFile], sizes: &[u64], hub: &Hub, terminal: &Terminal) {
    let total: u64 = sizes.iter().sum();
    if terminal.json() {
        let list: Vec<_> = files
            .iter()
            .zip(sizes)
            .map(|(file, bytes)| {
                json!({"repository": file.repository, "path": file.path, "bytes": bytes, "licence": file.licence})
            })
            .collect();
        terminal.event(&json!({
            "event": "files", "files": list, "bytes": total, "folder": hub.folder(),
            "free_bytes": free(hub.folder()),
        }));
        return;
    }
    let mut table = Table::new();
    table.set_header(["file", "size", "from", "licence"]);
    for (file, bytes) in files.iter().zip(sizes) {
        table.add_row([file.path, &human(*bytes), file.repository, file.licence]);
    }
    terminal.note(&table.to_string());
    let free =
        free(hub.folder()).map_or_else(String::new, |free| format!(", {} free", human(free)));
    terminal.note(&format!(
        "{} to {}{free}",
        human(total),
        hub.folder().display()
    ));
}

fn check_space(sizes: &[u64], hub: &Hub) -> Result<(), Failure> {
    let needed: u64 = sizes.iter().sum();
    match free(hub.folder()) {
        Some(free) if free < needed => Err(Failure::missing(format!(
            "{} has {} free, but {} are needed",
            hub.folder().display(),
            human(free),
            human(needed)
        ))
        .with_hint("make room, or set HF_HOME to a folder on a larger disk")),
        _ => Ok(()),
    }
}

/// Free bytes where a folder is or will be.
fn free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|path| path.is_dir())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

fn fetch(api: &Api, file: &RemoteFile, bytes: u64, terminal: &Terminal) -> Result<(), Failure> {
    let template = "{msg:30} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let progress = Bar(terminal.bar(bytes, template));
    let repository = api.repo(Repo::model(file.repository.to_owned()));
    let path = repository
        .download_with_progress(file.path, progress)
        .map_err(|error| refused(file, &error))?;
    let Some(wanted) = expected_checksum(&path) else {
        // Small files are kept under a Git hash, which is none of their bytes alone.
        return Ok(());
    };
    let found = checksum(&path)
        .map_err(|error| Failure::fault(format!("can't read {}: {error}", path.display())))?;
    if found == wanted {
        return Ok(());
    }
    let blob = path.canonicalize().unwrap_or_else(|_| path.clone());
    // A broken file must not be found by the next run; that it can't be removed changes
    // nothing about the message.
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::remove_file(blob);
    Err(Failure::input(format!(
        "{} arrived with SHA-256 {found}, wanted {wanted}",
        file.path
    ))
    .with_hint("run the command again; the broken file is removed"))
}

fn refused(file: &RemoteFile, error: &hf_hub::api::sync::ApiError) -> Failure {
    let text = error.to_string();
    let hint = if text.contains("401") || text.contains("403") {
        "accept the licence on the model's page and set HF_TOKEN to a token that may read it"
    } else {
        "check the connection; HF_ENDPOINT names a mirror; what has arrived is kept, so the command goes on from there"
    };
    Failure::missing(format!(
        "can't fetch {} from {}: {text}",
        file.path, file.repository
    ))
    .with_hint(hint)
}

fn places(model: &PublishedModel, hub: &Hub, terminal: &Terminal) {
    let paths: Vec<String> = model
        .files()
        .filter_map(|file| hub.cached(file))
        .map(|path| path.display().to_string())
        .collect();
    if terminal.json() {
        terminal.result(&json!({"name": model.name, "files": paths}).to_string());
    } else {
        terminal.result(&paths.join("\n"));
    }
}

/// A bar that moves as bytes arrive.
struct Bar(Option<ProgressBar>);

impl Progress for Bar {
    fn init(&mut self, size: usize, filename: &str) {
        if let Some(bar) = &self.0 {
            bar.set_length(size as u64);
            bar.set_message(filename.to_owned());
        }
    }

    fn update(&mut self, size: usize) {
        if let Some(bar) = &self.0 {
            bar.inc(size as u64);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
