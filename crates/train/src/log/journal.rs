//! The log of a run: one JSON object a line, cut back when a run resumes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// A line: the averages of the steps since the last one, or a validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps that are done.
    pub step: u64,
    /// `train` or `validation`.
    pub kind: String,
    /// Numbers by name.
    pub values: BTreeMap<String, f64>,
}

/// An open log.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens `path` for a run that stands at `step`: lines of later steps, and a line that was cut off, go.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let kept: Vec<String> = Self::read(path)?
            .into_iter()
            .filter(|line| line.step <= step)
            .filter_map(|line| serde_json::to_string(&line).ok())
            .collect();
        let mut text = kept.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, text).map_err(TrainError::io(&temporary))?;
        std::fs::rename(&temporary, path).map_err(TrainError::io(path))?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(TrainError::io(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// All whole lines of a log; none when there is no file.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(path: &Path) -> Result<Vec<Line>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(TrainError::io(path)(error)),
        }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)
            .map_err(|error| TrainError::file(&self.path, error.to_string()))?;
        // One write, so that a killed run leaves whole lines.
        self.file
            .write_all(format!("{text}\n").as_bytes())
            .map_err(TrainError::io(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_forgets_later_and_cut_off_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let line = |step| Line {
            step,
            kind: "train".to_owned(),
            values: BTreeMap::from([("loss".to_owned(), 0.1 * step as f64)]),
        };
        let mut journal = Journal::open(&path, 0).unwrap();
        for step in 1..=3 {
            journal.write(&line(step)).unwrap();
        }
        journal.file.write_all(b"{\"step\": 4, \"ki").unwrap();
        let mut journal = Journal::open(&path, 2).unwrap();
        journal.write(&line(3)).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), [line(1), line(2), line(3)]);
    }
}
