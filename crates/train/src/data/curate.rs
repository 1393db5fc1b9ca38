//! Which clips of a folder are good enough: the funnel.
//!
//! Every clip passes the filters in one order and falls at the first that it fails, so that counts add up
//! (`EditYourself` fig. 11). What is measured of a clip is kept in a log, one JSON line a clip, and a run that was
//! stopped goes on behind it. A clip that can't be read is a result, not an error.

mod examine;
mod funnel;
mod thresholds;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use examine::{Examined, examine};
pub use funnel::{Funnel, Step};
pub use thresholds::{Filter, Thresholds};

use super::footage::FootageClip;
use crate::error::{Result, TrainError};

/// What is known of a clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Path below the folder.
    pub id: String,
    /// Bytes of the file, so that a changed file is examined anew.
    pub bytes: u64,
    /// Digest of the file.
    pub digest: String,
    /// The filter that it falls at; none when it passes.
    pub failed: Option<Filter>,
    /// Why, in words.
    pub reason: Option<String>,
    /// What was measured, as far as it got.
    pub examined: Examined,
}

/// Examines all clips that `log` does not know yet, in parallel, and gives the verdicts of all, in the order of
/// `clips`; duplicates are found among them at the end.
///
/// `examine` is told how many are done. `stopped` ends the work after the clips in progress.
///
/// # Errors
/// When the log can't be read or written; [`TrainError::Stopped`] when it was stopped.
pub fn curate(
    clips: &[FootageClip],
    thresholds: &Thresholds,
    log: &Path,
    look: &(dyn Fn(&FootageClip) -> Verdict + Sync),
    progress: &(dyn Fn(usize, usize) + Sync),
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Verdict>> {
    let known = read_log(log)?;
    // Lines of a log that was cut off are written anew, whole.
    let mut text = String::new();
    for verdict in known.values() {
        text.push_str(&line(log, verdict)?);
    }
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
    }
    std::fs::write(log, text).map_err(TrainError::io(log))?;
    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(log)
        .map_err(TrainError::io(log))?;
    let file = Mutex::new(file);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let found: Vec<Option<Verdict>> = clips
        .par_iter()
        .map(|clip| -> Result<Option<Verdict>> {
            let size = std::fs::metadata(&clip.path).map_or(0, |m| m.len());
            let verdict = match known.get(&clip.id).filter(|v| v.bytes == size) {
                // Thresholds may have changed since.
                Some(verdict) => thresholds.judge(verdict.clone()),
                None if stopped() => return Ok(None),
                None => {
                    let verdict = thresholds.judge(look(clip));
                    let text = line(log, &verdict)?;
                    let mut file = file.lock().map_err(|_| {
                        TrainError::file(log, "another thread broke down while writing")
                    })?;
                    file.write_all(text.as_bytes())
                        .map_err(TrainError::io(log))?;
                    verdict
                }
            };
            let count = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(count, clips.len());
            Ok(Some(verdict))
        })
        .collect::<Result<_>>()?;
    let count = found.iter().flatten().count();
    if count < clips.len() {
        return Err(TrainError::Stopped { step: count as u64 });
    }
    let mut verdicts: Vec<Verdict> = found.into_iter().flatten().collect();
    mark_duplicates(&mut verdicts);
    Ok(verdicts)
}

/// The second and later ones of files with the same bytes fall.
fn mark_duplicates(verdicts: &mut [Verdict]) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for verdict in verdicts.iter_mut().filter(|v| !v.digest.is_empty()) {
        match first.get(&verdict.digest) {
            Some(original) => {
                verdict.failed = Some(Filter::Duplicate);
                verdict.reason = Some(format!("it has the bytes of {original}"));
            }
            None => {
                first.insert(verdict.digest.clone(), verdict.id.clone());
            }
        }
    }
}

fn line(log: &Path, verdict: &Verdict) -> Result<String> {
    let text =
        serde_json::to_string(verdict).map_err(|error| TrainError::file(log, error.to_string()))?;
    Ok(format!("{text}\n"))
}

fn read_log(log: &Path) -> Result<BTreeMap<String, Verdict>> {
    match std::fs::read_to_string(log) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str::<Verdict>(line).ok())
            .map(|verdict| (verdict.id.clone(), verdict))
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(TrainError::io(log)(error)),
    }
}

#[cfg(test)]
mod tests;
