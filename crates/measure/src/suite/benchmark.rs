//! Public benchmarks: lists of what there should be, folders with what there is.
//!
//! Their videos can't be shipped and disappear one by one from where they were. A loader pairs the list with the
//! folder and says what is gone.

use super::config::SuiteClip;
use crate::MeasureError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A benchmark's list and folder. Paths are relative to the suite's file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Benchmark {
    /// Which one.
    pub kind: BenchmarkKind,
    /// The list; for a plain folder there is none.
    #[serde(default)]
    pub list: Option<PathBuf>,
    /// Where the clips lie, in folders of any depth up to three.
    pub root: PathBuf,
    /// At most so many clips, the first of the list.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchmarkKind {
    /// `FreedomIntelligence/TalkVid`: a JSON array of clips (`id`, `start-time`, `end-time`, `info."Video Link"`);
    /// files `{id}.mp4`, or as its downloader names them, `{video}_{number}_{start}_{end}.mp4`.
    TalkVid,
    /// `MRzzm/HDTF`: `*_annotion_time.txt`, a line `name.mp4 00:05-04:40 …` a video; files `name_0.mp4` and so on, as
    /// its README says, or `RD_name_000.mp4`, as its `download.py` names them.
    Hdtf,
    /// `antgroup/echomimic_v2`, `EMTD_dataset`: CSV of URL, start and end; files `000_{video}.mp4` by row, as its
    /// `slice_video.py` names them.
    Emtd,
    /// `ContextDubBench` (X-Dub), for which no layout was published, and any other set of pairs: CSV lines of
    /// `name,video,sound`, paths relative to the root.
    Pairs,
    /// Every video of a folder.
    Folder,
}

/// A clip that the list has and the folder does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Its name.
    pub name: String,
    /// Where it came from, as the list says.
    pub source: String,
}

/// What a benchmark holds here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Clips that are here.
    pub clips: Vec<SuiteClip>,
    /// Clips that are not.
    pub gone: Vec<Gone>,
}

/// What a list promises.
struct Promised {
    name: String,
    source: String,
    /// File names (or ends of paths) under which it may lie.
    files: Vec<String>,
    sound: Option<String>,
}

/// Pairs a list with its folder.
///
/// # Errors
/// When the list can't be read or does not parse.
pub fn load(benchmark: &Benchmark, folder: &Path) -> Result<Listing, MeasureError> {
    let root = folder.join(&benchmark.root);
    let here = videos(&root)?;
    let mut promised = match (benchmark.kind, &benchmark.list) {
        (BenchmarkKind::Folder, _) => here
            .keys()
            .map(|name| Promised {
                name: stem(name),
                source: root.display().to_string(),
                files: vec![name.clone()],
                sound: None,
            })
            .collect(),
        (_, None) => {
            return Err(MeasureError::Option {
                name: "benchmark",
                reason: "`list` says which clips there should be".to_owned(),
            });
        }
        (kind, Some(list)) => {
            let path = folder.join(list);
            let text =
                std::fs::read_to_string(&path).map_err(MeasureError::files("read", &path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            read(kind, &text, &name).map_err(|reason| MeasureError::text(&path, &reason))?
        }
    };
    promised.truncate(benchmark.limit.unwrap_or(usize::MAX));
    let mut listing = Listing::default();
    for clip in promised {
        let found = clip.files.iter().find_map(|file| {
            here.get(file)
                .cloned()
                .or_else(|| Some(root.join(file)).filter(|path| path.is_file()))
        });
        let sound = clip.sound.as_ref().map(|sound| root.join(sound));
        let silent = sound.as_ref().is_some_and(|sound| !sound.is_file());
        match found {
            Some(input) if !silent => listing.clips.push(SuiteClip {
                name: clip.name,
                input,
                speech: sound,
                truth: None,
                mask: Vec::new(),
                seams: Vec::new(),
                words: Vec::new(),
            }),
            _ => listing.gone.push(Gone {
                name: clip.name,
                source: clip.source,
            }),
        }
    }
    Ok(listing)
}

fn read(kind: BenchmarkKind, text: &str, file: &str) -> Result<Vec<Promised>, String> {
    match kind {
        BenchmarkKind::TalkVid => talk_vid(text),
        BenchmarkKind::Hdtf => hdtf(text, file),
        BenchmarkKind::Emtd => emtd(text),
        BenchmarkKind::Pairs => pairs(text),
        BenchmarkKind::Folder => Ok(Vec::new()),
    }
}

fn stem(file: &str) -> String {
    file.rsplit_once('.')
        .map_or(file, |(stem, _)| stem)
        .to_owned()
}

/// The id in an address of a video.
fn video_id(url: &str) -> &str {
    let tail = ["v=", "youtu.be/", "/shorts/"]
        .iter()
        .find_map(|mark| url.split_once(mark).map(|(_, tail)| tail))
        .unwrap_or_else(|| url.rsplit('/').next().unwrap_or(url));
    tail.split(['&', '?', '#']).next().unwrap_or(tail)
}

#[derive(Deserialize)]
struct TalkVidClip {
    id: String,
    #[serde(rename = "start-time")]
    start: f64,
    #[serde(rename = "end-time")]
    end: f64,
    info: TalkVidInfo,
}

#[derive(Deserialize)]
struct TalkVidInfo {
    #[serde(rename = "Video Link")]
    link: String,
}

fn talk_vid(text: &str) -> Result<Vec<Promised>, String> {
    let clips: Vec<TalkVidClip> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(clips
        .into_iter()
        .map(|clip| {
            let video = video_id(&clip.info.link).to_owned();
            // The downloader numbers the clips of a video; the times tell which one it is.
            // It cuts them down to milliseconds.
            let cut = |time: f64| (time * 1000.0 + 1e-6).floor() / 1000.0;
            let times = format!("{:.3}_{:.3}.mp4", cut(clip.start), cut(clip.end));
            let mut files = vec![format!("{}.mp4", clip.id)];
            files.extend((1..=99).map(|number| format!("{video}_{number:03}_{times}")));
            Promised {
                name: clip.id,
                source: format!("{} {:.3}-{:.3} s", clip.info.link, clip.start, clip.end),
                files,
                sound: None,
            }
        })
        .collect())
}

fn hdtf(text: &str, file: &str) -> Result<Vec<Promised>, String> {
    // `download.py` puts the list's first letters in front: RD, WDA, WRA.
    let part = file.split('_').next().unwrap_or_default();
    let mut promised = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut parts = line.split_whitespace();
        let Some(video) = parts.next() else { continue };
        let name = stem(video);
        for (index, span) in parts.enumerate() {
            if !span.contains(':') || !span.contains('-') {
                return Err(format!("line {}: '{span}' is no time span", number + 1));
            }
            promised.push(Promised {
                name: format!("{name}_{index}"),
                source: format!("{video} {span}"),
                files: vec![
                    format!("{part}_{name}_{index:03}.mp4"),
                    format!("{name}_{index}.mp4"),
                ],
                sound: None,
            });
        }
    }
    Ok(promised)
}

fn emtd(text: &str) -> Result<Vec<Promised>, String> {
    let rows = text.lines().filter(|line| !line.trim().is_empty()).skip(1);
    rows.enumerate()
        .map(|(index, line)| {
            let parts: Vec<&str> = line.split(',').map(str::trim).collect();
            let [url, start, end] = *parts.as_slice() else {
                return Err(format!("line {}: URL, start and end are wanted", index + 2));
            };
            let video = video_id(url);
            let name = format!("{index:03}_{video}");
            // The script takes whatever stands between the first `v=` and the next, times included.
            let tail = url.split("v=").nth(1).unwrap_or(video);
            let mut files = vec![format!("{index:03}_{tail}.mp4")];
            if tail != video {
                files.push(format!("{name}.mp4"));
            }
            Ok(Promised {
                source: format!("{url} {start}-{end}"),
                files,
                name,
                sound: None,
            })
        })
        .collect()
}

fn pairs(text: &str) -> Result<Vec<Promised>, String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let parts: Vec<&str> = line.split(',').map(str::trim).collect();
            let [name, video, sound] = *parts.as_slice() else {
                return Err(format!(
                    "line {}: name, video and sound are wanted",
                    index + 1
                ));
            };
            Ok(Promised {
                name: name.to_owned(),
                source: format!("{video} with {sound}"),
                files: vec![video.to_owned()],
                sound: Some(sound.to_owned()),
            })
        })
        .collect()
}

/// Videos under a folder by file name; of two with one name the first in order counts.
fn videos(root: &Path) -> Result<BTreeMap<String, PathBuf>, MeasureError> {
    const DEPTH: usize = 3;
    let mut found = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(MeasureError::files("read", &folder))?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(MeasureError::files("read", &folder))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let kind = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            if path.is_dir() && depth < DEPTH {
                folders.push((path, depth + 1));
            } else if let (Some(name), Some("mp4" | "mov" | "mkv" | "webm" | "avi" | "mpg")) =
                (name, kind.as_deref())
            {
                found.entry(name).or_insert(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
