//! Packing: samples into tar files of a bounded size.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::index::write_index;
use super::{Entry, INDEX};
use crate::data::prepare::hex;
use crate::error::{Result, TrainError};

/// A sample to pack.
#[derive(Debug, Clone)]
pub struct Packed<'a> {
    /// The clip's file.
    pub path: &'a Path,
    /// Its path in the folder, from which the key is made.
    pub source: &'a str,
    /// Who is seen.
    pub identity: &'a str,
    /// Frames.
    pub frames: u64,
    /// Frames a second.
    pub rate: f64,
    /// Correlation of mouth and sound.
    pub agreement: Option<f64>,
    /// The clip's sound as FLAC.
    pub sound: Option<Vec<u8>>,
    /// Everything else that is known: words, caption, boxes, measures.
    pub facts: Value,
}

/// Writes `PREFIX-000000.tar` and so on, then the index.
#[derive(Debug)]
pub struct ShardWriter {
    folder: PathBuf,
    prefix: String,
    most: u64,
    open: Option<Open>,
    number: usize,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Open {
    name: String,
    file: BufWriter<File>,
    written: u64,
}

impl ShardWriter {
    /// Shards of about `most` bytes in `folder`.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn new(folder: &Path, prefix: &str, most: u64) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            prefix: prefix.to_owned(),
            most,
            open: None,
            number: 0,
            entries: Vec::new(),
        })
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// When the clip can't be read or the shard can't be written.
    pub fn add(&mut self, sample: &Packed<'_>) -> Result<()> {
        let clip = std::fs::read(sample.path).map_err(TrainError::io(sample.path))?;
        let ending = sample
            .path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or("mp4")
            .to_lowercase();
        // A WebDataset key has no dot, and ends before the first.
        let stem = sample
            .source
            .rsplit_once('.')
            .map_or(sample.source, |(stem, _)| stem);
        let letter = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '_'
            }
        };
        let key: String = format!(
            "{:06}-{}",
            self.entries.len(),
            stem.chars().map(letter).collect::<String>()
        );
        let size = clip.len() as u64 + sample.sound.as_ref().map_or(0, Vec::len) as u64;
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.written > 0 && open.written + size > self.most)
        {
            self.close()?;
        }
        let offset = self.member(&format!("{key}.{ending}"), &clip)?;
        if let Some(sound) = &sample.sound {
            self.member(&format!("{key}.flac"), sound)?;
        }
        let mut facts = sample.facts.clone();
        if let Some(object) = facts.as_object_mut() {
            object.insert("source".to_owned(), sample.source.into());
            object.insert("identity".to_owned(), sample.identity.into());
        }
        self.member(&format!("{key}.json"), facts.to_string().as_bytes())?;
        self.entries.push(Entry {
            shard: self
                .open
                .as_ref()
                .map(|open| open.name.clone())
                .unwrap_or_default(),
            key,
            ending,
            offset,
            bytes: clip.len() as u64,
            digest: hex(&Sha256::digest(&clip), 16),
            source: sample.source.to_owned(),
            identity: sample.identity.to_owned(),
            frames: sample.frames,
            rate: sample.rate,
            agreement: sample.agreement,
        });
        Ok(())
    }

    /// Writes a member; where its bytes begin.
    fn member(&mut self, name: &str, data: &[u8]) -> Result<u64> {
        if self.open.is_none() {
            let shard = format!("{}-{:06}.tar", self.prefix, self.number);
            let path = self.folder.join(format!("{shard}.part"));
            let file = File::create(&path).map_err(TrainError::io(&path))?;
            self.open = Some(Open {
                name: shard,
                file: BufWriter::new(file),
                written: 0,
            });
            self.number += 1;
        }
        let Some(open) = &mut self.open else {
            return Err(TrainError::file(&self.folder, "no shard is open"));
        };
        let path = self.folder.join(&open.name);
        let mut header = tar::Header::new_ustar();
        header
            .set_path(name)
            .map_err(|error| TrainError::file(&path, format!("{name}: {error}")))?;
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        // No time and no owner: equal input gives equal bytes.
        header.set_mtime(0);
        header.set_cksum();
        let offset = open.written + 512;
        let padding = data.len().next_multiple_of(512) - data.len();
        let mut all = || -> std::io::Result<()> {
            open.file.write_all(header.as_bytes())?;
            open.file.write_all(data)?;
            open.file.write_all(&[0; 512][..padding])
        };
        all().map_err(TrainError::io(&path))?;
        open.written = offset + (data.len() + padding) as u64;
        Ok(offset)
    }

    fn close(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let path = self.folder.join(&open.name);
        let part = self.folder.join(format!("{}.part", open.name));
        let mut end = || -> std::io::Result<()> {
            // Two empty blocks end a tar file.
            open.file.write_all(&[0; 1024])?;
            open.file.flush()?;
            open.file.get_ref().sync_all()
        };
        end().map_err(TrainError::io(&part))?;
        std::fs::rename(&part, &path).map_err(TrainError::io(&path))
    }

    /// Ends the last shard and writes the index; its entries.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn finish(mut self) -> Result<Vec<Entry>> {
        self.close()?;
        let name = format!("{}{}{}", INDEX.0, self.prefix, INDEX.1);
        write_index(&self.folder.join(name), &self.entries)?;
        Ok(self.entries)
    }
}
