//! From verdicts to shards: what `reword data pack` and `curate` write.

use std::collections::BTreeMap;
use std::path::Path;

use media::sound::MonoReader;
use media::{Clip, OpenOptions, Sandbox};
use serde_json::{Value, json};
use units::SampleRate;

use super::curate::Verdict;
use super::footage::FootageClip;
use super::shards::{Entry, Packed, ShardWriter, flac_of};
use crate::error::{Result, TrainError};

/// How shards are written.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Bytes of a shard, about.
    pub most: u64,
    /// First part of the shards' names: tells the shards of several workers apart.
    pub prefix: String,
    /// Where decoding runs.
    pub sandbox: Sandbox,
}

/// Packs clips with what is known of them: verdicts by id, and words by id. Clips that can't be read are told
/// to `left_out` and left out.
///
/// # Errors
/// When a shard can't be written.
pub fn pack(
    clips: &[FootageClip],
    verdicts: &BTreeMap<String, Verdict>,
    words: &BTreeMap<String, Value>,
    folder: &Path,
    options: &PackOptions,
    mut left_out: impl FnMut(&FootageClip, &str),
) -> Result<Vec<Entry>> {
    let mut writer = ShardWriter::new(folder, &options.prefix, options.most)?;
    for clip in clips {
        let look = |clip: &FootageClip| -> std::result::Result<(u64, f64, Vec<u8>), String> {
            let opened = Clip::open(
                &clip.path,
                &OpenOptions {
                    sandbox: options.sandbox,
                },
            )
            .map_err(|e| e.to_string())?;
            let video = opened.video().map_err(|e| e.to_string())?;
            let mut reader =
                MonoReader::new(&opened, SampleRate::SPEECH).map_err(|e| e.to_string())?;
            let mut samples = Vec::new();
            while let Some(block) = reader.next_block().map_err(|e| e.to_string())? {
                samples.extend_from_slice(&block);
            }
            Ok((
                video.frames,
                video.rate.per_second(),
                flac_of(&samples, 16_000)?,
            ))
        };
        let (frames, rate, sound) = match look(clip) {
            Ok(found) => found,
            Err(reason) => {
                left_out(clip, &reason);
                continue;
            }
        };
        let verdict = verdicts.get(&clip.id);
        let mut facts = json!({"frames": frames, "rate": rate});
        if let (Some(verdict), Some(object)) = (verdict, facts.as_object_mut()) {
            let measures = serde_json::to_value(&verdict.examined)
                .map_err(|error| TrainError::file(folder, error.to_string()))?;
            object.insert("measures".to_owned(), measures);
        }
        if let (Some(words), Some(object)) = (words.get(&clip.id), facts.as_object_mut()) {
            object.insert("words".to_owned(), words.clone());
        }
        writer.add(&Packed {
            path: &clip.path,
            source: &clip.id,
            identity: &clip.identity,
            frames,
            rate,
            agreement: verdict.and_then(|v| v.examined.agreement),
            sound: Some(sound),
            facts,
        })?;
    }
    writer.finish()
}

/// Words of a table (`file`, `word`, `start`, `end`, tab-separated), by clip; none when there is no table.
///
/// # Errors
/// When the table can't be read.
pub fn words_of(table: &Path) -> Result<BTreeMap<String, Value>> {
    let text = match std::fs::read_to_string(table) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(TrainError::io(table)(error)),
    };
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
    let column = |names: &[&str]| header.iter().position(|h| names.contains(h));
    let columns = (
        column(&["file"]),
        column(&["word", "text"]),
        column(&["start", "start_s"]),
        column(&["end", "end_s"]),
    );
    let (Some(file), Some(word), Some(start), Some(end)) = columns else {
        return Err(TrainError::file(
            table,
            "the table lacks one of file, word, start, end",
        ));
    };
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let number = |n: usize| cells.get(n).and_then(|c| c.trim().parse::<f64>().ok());
        if let (Some(file), Some(word), Some(start), Some(end)) =
            (cells.get(file), cells.get(word), number(start), number(end))
        {
            let word = json!({"text": word, "start": start, "end": end});
            all.entry((*file).to_owned()).or_default().push(word);
        }
    }
    Ok(all
        .into_iter()
        .map(|(file, words)| (file, Value::Array(words)))
        .collect())
}
