//! `reword data curate`, `pack`, `inspect`.

use super::train::failure;
use crate::arguments::{CurateArguments, InspectArguments, PackArguments, ShardArguments};
use crate::failure::Failure;
use crate::terminal::Terminal;
use indicatif::ProgressBar;
use media::Sandbox;
use models::ModelFile;
use models::mel_encoder::{MelEncoder, MelEncoderConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use train::data::curate::{self, Funnel, Thresholds, examine};
use train::data::pack::{PackOptions, pack as pack_clips, words_of};
use train::data::shards::read_folder;
use train::data::{Footage, FootageClip, PrepareOptions};
use train::log::write_png;
use train::{Result, TrainError};

impl ShardArguments {
    /// This worker's share of the clips.
    fn share(&self, clips: Vec<FootageClip>) -> std::result::Result<Vec<FootageClip>, Failure> {
        if self.workers == 0 || self.worker >= self.workers {
            return Err(Failure::usage(format!(
                "--worker {} is no number below --workers {}",
                self.worker, self.workers
            )));
        }
        let own = |(n, clip)| (n % self.workers == self.worker).then_some(clip);
        Ok(clips.into_iter().enumerate().filter_map(own).collect())
    }

    fn sandbox(&self) -> Sandbox {
        if self.trusted {
            Sandbox::InProcess
        } else {
            Sandbox::Child
        }
    }

    fn options(&self) -> PackOptions {
        PackOptions {
            most: self.shard_size << 20,
            prefix: format!("clips-{:04}", self.worker),
            sandbox: self.sandbox(),
        }
    }
}

/// Filters a folder into shards.
pub(crate) fn curate(
    arguments: &CurateArguments,
    terminal: &Terminal,
) -> std::result::Result<(), Failure> {
    let clips = Footage::of_folder(&arguments.folder)
        .map_err(failure)?
        .clips;
    let clips = arguments.shards.share(clips)?;
    curated(arguments, &clips, terminal).map_err(failure)
}

fn curated(arguments: &CurateArguments, clips: &[FootageClip], terminal: &Terminal) -> Result<()> {
    let thresholds = match &arguments.thresholds {
        Some(path) => Thresholds::open(path)?,
        None => Thresholds::default(),
    };
    let encoder = encoder()?;
    let options = PrepareOptions {
        seconds: 30.0,
        least_frames: 25,
        cache: Some(arguments.output.join("cache")),
        sandbox: arguments.shards.sandbox(),
        side: 256,
    };
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(terminal.bar(
        clips.len() as u64,
        "curate    {wide_bar} {pos}/{len} {eta:>5} left",
    ));
    let progress = |done: usize, total: usize| {
        if let Ok(bar) = bar.lock()
            && let Some(bar) = bar.as_ref()
        {
            bar.set_position(done as u64);
        }
        terminal.event(&serde_json::json!({"event": "progress", "stage": "curate", "done": done, "total": total}));
    };
    let log = arguments
        .output
        .join(format!("curate-{:04}.jsonl", arguments.shards.worker));
    let verdicts = curate::curate(
        clips,
        &thresholds,
        &log,
        &|clip| examine(clip, &thresholds, &options, Some(&encoder)),
        &progress,
        &|| terminal.stopped(),
    );
    if let Ok(bar) = bar.lock()
        && let Some(bar) = bar.as_ref()
    {
        bar.finish_and_clear();
    }
    let verdicts = verdicts?;
    let funnel = Funnel::of(&verdicts);
    let picture = format!("funnel-{:04}.png", arguments.shards.worker);
    write_png(&arguments.output.join(picture), &funnel.picture())?;
    let passed: BTreeSet<&str> = verdicts
        .iter()
        .filter(|verdict| verdict.failed.is_none())
        .map(|verdict| verdict.id.as_str())
        .collect();
    if !arguments.dry {
        let kept: Vec<FootageClip> = clips
            .iter()
            .filter(|clip| passed.contains(clip.id.as_str()))
            .cloned()
            .collect();
        let known: BTreeMap<_, _> = verdicts.iter().map(|v| (v.id.clone(), v.clone())).collect();
        let words = words_of(&arguments.folder.join("words.tsv"))?;
        let left_out = |clip: &FootageClip, reason: &str| {
            terminal.note(&format!("warning: {} is left out: {reason}", clip.id));
        };
        pack_clips(
            &kept,
            &known,
            &words,
            &arguments.output,
            &arguments.shards.options(),
            left_out,
        )?;
    }
    if terminal.json() {
        terminal.result(&serde_json::json!(funnel).to_string());
    } else {
        terminal.result(&funnel.table());
    }
    Ok(())
}

/// The embedded model's sound encoder, which scores agreement.
fn encoder() -> Result<MelEncoder> {
    let file = ModelFile::from_bytes("tiny", project::embedded_model())?;
    let config = file
        .config()?
        .get("audio_encoder")
        .cloned()
        .unwrap_or_default();
    let config: MelEncoderConfig = serde_json::from_value(config).map_err(|error| {
        TrainError::Recipe(format!("the embedded model has no audio encoder: {error}"))
    })?;
    Ok(MelEncoder::load(&file, &config, &nn::device::cpu())?)
}

/// Packs a folder as it is.
pub(crate) fn pack(
    arguments: &PackArguments,
    terminal: &Terminal,
) -> std::result::Result<(), Failure> {
    let clips = Footage::of_folder(&arguments.folder)
        .map_err(failure)?
        .clips;
    let clips = arguments.shards.share(clips)?;
    let words = words_of(&arguments.folder.join("words.tsv")).map_err(failure)?;
    let left_out = |clip: &FootageClip, reason: &str| {
        terminal.note(&format!("warning: {} is left out: {reason}", clip.id));
    };
    let entries = pack_clips(
        &clips,
        &BTreeMap::new(),
        &words,
        &arguments.output,
        &arguments.shards.options(),
        left_out,
    )
    .map_err(failure)?;
    terminal.result(&format!(
        "{} of {} clips in {}",
        entries.len(),
        clips.len(),
        arguments.output.display()
    ));
    Ok(())
}

/// Says what shards hold.
pub(crate) fn inspect(
    arguments: &InspectArguments,
    terminal: &Terminal,
) -> std::result::Result<(), Failure> {
    let text = inspected(&arguments.folder, terminal.json()).map_err(failure)?;
    terminal.result(&text);
    Ok(())
}

fn inspected(folder: &Path, json: bool) -> Result<String> {
    let entries = read_folder(folder)?;
    if json {
        let lines: Vec<String> = entries
            .iter()
            .filter_map(|entry| serde_json::to_string(entry).ok())
            .collect();
        return Ok(lines.join("\n"));
    }
    let mut shards: BTreeMap<&str, (usize, f64, u64)> = BTreeMap::new();
    let mut people = BTreeSet::new();
    for entry in &entries {
        let seconds = if entry.rate > 0.0 {
            entry.frames as f64 / entry.rate
        } else {
            0.0
        };
        let shard = shards.entry(&entry.shard).or_default();
        *shard = (shard.0 + 1, shard.1 + seconds, shard.2 + entry.bytes);
        people.insert(entry.identity.as_str());
    }
    let mut text = format!(
        "{:28} {:>8} {:>9} {:>9}\n",
        "shard", "clips", "minutes", "MB"
    );
    for (name, (clips, seconds, bytes)) in &shards {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{name:28} {clips:>8} {:>9.1} {:>9.1}",
            seconds / 60.0,
            *bytes as f64 / 1e6
        );
    }
    let _ = write!(text, "{} clips of {} people", entries.len(), people.len());
    Ok(text)
}
