//! Which clips there are, and who is seen in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::shards::{Entry, indices, read_folder};
use crate::error::{Result, TrainError};
use crate::random::{Draw, Purpose};
use crate::recipe::Source;

/// File endings that are taken for videos.
const ENDINGS: [&str; 8] = ["mp4", "m4v", "mov", "mkv", "webm", "mpg", "mpeg", "avi"];

/// A clip of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct FootageClip {
    /// Path below its source's folder, `/` between parts.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Who is seen; the clip's own id where nobody says.
    pub identity: String,
    /// How often it is drawn.
    pub weight: f64,
    /// Whether it is validated on and never trained on.
    pub held_out: bool,
    /// Where it lies in a shard; `path` is then the shard's until [`Self::unpacked`].
    pub packed: Option<Entry>,
}

impl FootageClip {
    /// The clip as a file of its own, in `folder` where it comes from a shard.
    ///
    /// # Errors
    /// When the shard can't be read.
    pub fn unpacked(&self, folder: &Path) -> Result<Self> {
        let Some(entry) = &self.packed else {
            return Ok(self.clone());
        };
        let shards = self.path.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self {
            path: entry.extract(shards, folder)?,
            packed: None,
            ..self.clone()
        })
    }
}

/// All clips of a recipe's sources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footage {
    /// In the order of sources and ids.
    pub clips: Vec<FootageClip>,
}

impl Footage {
    /// Every clip of a folder, of its table where it has one (`index.tsv`), or of its shards.
    ///
    /// # Errors
    /// When the folder can't be read, or has no clip.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let table = "index.tsv";
        let source = Source {
            path: String::new(),
            index: folder.join(table).exists().then(|| table.to_owned()),
            weight: 1.0,
            weights: BTreeMap::new(),
            held_out: Vec::new(),
            held_out_share: 0.0,
            most: BTreeMap::new(),
        };
        Self::of_sources(&[source], folder, 0)
    }

    /// Lists the clips of `sources`; paths are relative to `base`.
    ///
    /// # Errors
    /// When a folder or table can't be read, or has no clip.
    pub fn of_sources(sources: &[Source], base: &Path, seed: u64) -> Result<Self> {
        let mut clips = Vec::new();
        for source in sources {
            let folder = base.join(&source.path);
            let mut found = match &source.index {
                Some(index) => of_table(&folder, &folder.join(index))?,
                None if !indices(&folder)?.is_empty() => of_shards(&folder)?,
                None => of_folder(&folder)?,
            };
            found.sort_by(|a, b| a.id.cmp(&b.id));
            thin_out(&mut found, &source.most, seed);
            for clip in &mut found {
                let group = group(&clip.id);
                clip.weight = source.weight * source.weights.get(group).copied().unwrap_or(1.0);
                let named = |name: &String| *name == clip.identity || name == group;
                clip.held_out = source.held_out.iter().any(named)
                    || share_of(&clip.identity) < source.held_out_share;
            }
            if found.is_empty() {
                return Err(TrainError::Data(format!(
                    "{} holds no clip",
                    folder.display()
                )));
            }
            clips.append(&mut found);
        }
        Ok(Self { clips })
    }
}

/// The first part of an id.
fn group(id: &str) -> &str {
    id.split_once('/').map_or("", |(first, _)| first)
}

/// Every name has its own place in 0..1, the same on every machine.
fn share_of(name: &str) -> f64 {
    let hash = Sha256::digest(name.as_bytes());
    let first = hash
        .iter()
        .take(8)
        .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    (first >> 11) as f64 / (1_u64 << 53) as f64
}

/// Keeps at most so many clips of a group, chosen by the seed.
fn thin_out(clips: &mut Vec<FootageClip>, most: &BTreeMap<String, usize>, seed: u64) {
    for (name, most) in most {
        let places: Vec<usize> = (0..clips.len())
            .filter(|n| clips.get(*n).is_some_and(|clip| group(&clip.id) == name))
            .collect();
        let mut draw = Draw::new(seed, Purpose::Order, u64::MAX, places.len() as u64);
        let mut kept: Vec<usize> = draw
            .choose(places.len(), *most)
            .iter()
            .filter_map(|n| places.get(*n).copied())
            .collect();
        kept.sort_unstable();
        let mut index = 0;
        clips.retain(|clip| {
            let keep = group(&clip.id) != name || kept.binary_search(&index).is_ok();
            index += 1;
            keep
        });
    }
}

fn clip(folder: &Path, id: &str, identity: Option<&str>) -> FootageClip {
    FootageClip {
        id: id.to_owned(),
        path: folder.join(id),
        identity: identity.filter(|i| !i.is_empty()).unwrap_or(id).to_owned(),
        weight: 1.0,
        held_out: false,
        packed: None,
    }
}

/// A tab-separated table with a header; the column `file` is a must.
fn of_table(folder: &Path, table: &Path) -> Result<Vec<FootageClip>> {
    let text = std::fs::read_to_string(table).map_err(TrainError::io(table))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let Some(file) = column("file") else {
        return Err(TrainError::file(table, "the table has no column 'file'"));
    };
    let identity = column("identity");
    let mut clips = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split('\t').collect();
        let Some(id) = cells.get(file) else {
            continue;
        };
        // A table is an input: its names must stay below the folder.
        let plain = |part: &str| !part.is_empty() && part != ".." && part != ".";
        if id.starts_with('/') || !id.split('/').all(plain) {
            return Err(TrainError::file(
                table,
                format!("'{id}' is no path below the folder"),
            ));
        }
        let identity = identity.and_then(|n| cells.get(n).copied());
        clips.push(clip(folder, id, identity));
    }
    Ok(clips)
}

/// Samples of shards; each is taken out when it is first needed.
fn of_shards(folder: &Path) -> Result<Vec<FootageClip>> {
    let entries = read_folder(folder)?;
    Ok(entries
        .into_iter()
        .map(|entry| FootageClip {
            id: entry.source.clone(),
            path: folder.join(&entry.shard),
            identity: entry.identity.clone(),
            weight: 1.0,
            held_out: false,
            packed: Some(entry),
        })
        .collect())
}

/// Every video below a folder.
fn of_folder(folder: &Path) -> Result<Vec<FootageClip>> {
    let mut clips = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).map_err(TrainError::io(&next))? {
            let path = entry.map_err(TrainError::io(&next))?.path();
            let kind = path.symlink_metadata().map_err(TrainError::io(&path))?;
            if kind.is_dir() {
                left.push(path);
                continue;
            }
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            let video = ENDINGS.contains(&ending.to_lowercase().as_str());
            let id = path.strip_prefix(folder).ok().and_then(Path::to_str);
            if let (true, Some(id)) = (video, id) {
                clips.push(clip(folder, &id.replace('\\', "/"), None));
            }
        }
    }
    Ok(clips)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn folders_and_tables_are_listed_weighted_and_thinned() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/1.mp4", "a/2.mp4", "a/3.mp4", "b/4.MOV", "b/note.txt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let table = "file\tkind\tidentity\na/1.mp4\treal\tann\nb/4.MOV\treal\t\n";
        std::fs::write(folder.path().join("index.tsv"), table).unwrap();
        let list = |text: &str| Footage::of_sources(&[source(text)], folder.path(), 1);
        let all =
            list("path = '.'\nweights = { a = 0.5 }\nmost = { a = 2 }\nheld_out = ['b']").unwrap();
        assert_eq!(all.clips.len(), 3);
        assert!(
            all.clips[..2]
                .iter()
                .all(|c| c.id.starts_with("a/") && (c.weight - 0.5).abs() < 1e-12 && !c.held_out)
        );
        assert!(all.clips[2].held_out);
        let some = list("path = '.'\nindex = 'index.tsv'\nheld_out = ['ann']").unwrap();
        assert_eq!(some.clips.len(), 2);
        assert!(some.clips[0].held_out && some.clips[0].identity == "ann");
        assert_eq!(some.clips[1].identity, "b/4.MOV");
        std::fs::write(folder.path().join("index.tsv"), "file\n../../etc/passwd\n").unwrap();
        let error = list("path = '.'\nindex = 'index.tsv'")
            .unwrap_err()
            .to_string();
        assert!(error.contains("no path below the folder"), "{error}");
    }

    #[test]
    fn shares_hold_out_identities() {
        let held = (0..1000)
            .filter(|n| share_of(&format!("person {n}")) < 0.1)
            .count();
        assert!((70..130).contains(&held), "{held}");
    }
}
