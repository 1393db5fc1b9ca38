//! The TOML file of a suite.

use super::benchmark::{self, Benchmark, Gone};
use crate::MeasureError;
use crate::metric::{Metric, find};
use crate::pair::PairOptions;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A suite as written in its file. Paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Suite {
    /// The table's title.
    pub title: String,
    /// The seed of the bootstrap.
    #[serde(default)]
    pub seed: u64,
    /// Metrics by name; all but `ssim-rgb` when the list is missing.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Folders with weight files.
    #[serde(default)]
    pub weights: Vec<PathBuf>,
    /// The network behind LPIPS: `alex`, `vgg`, `squeeze`.
    #[serde(default)]
    pub lpips: Option<String>,
    /// Bring made clips of another size to the truth's.
    #[serde(default)]
    pub fit: bool,
    /// Whether the input with a mouth that stands still is a system too.
    #[serde(default = "yes")]
    pub still: bool,
    /// The shortest face track for `SyncNet`, frames of 40 ms.
    #[serde(default)]
    pub sync_track: Option<usize>,
    /// The clips.
    #[serde(default)]
    pub clip: Vec<SuiteClip>,
    /// Public benchmarks whose clips are added.
    #[serde(default)]
    pub benchmark: Vec<Benchmark>,
    /// The systems.
    #[serde(default)]
    pub system: Vec<SuiteSystem>,
}

fn yes() -> bool {
    true
}

/// One clip.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SuiteClip {
    /// Its name in tables and in the systems' file patterns.
    pub name: String,
    /// What systems get to see.
    pub input: PathBuf,
    /// The sound that drives the mouth; the input's own when missing.
    #[serde(default)]
    pub speech: Option<PathBuf>,
    /// What the result is measured against; the input when missing.
    #[serde(default)]
    pub truth: Option<PathBuf>,
    /// Boxes that may differ: x, y, width, height in pixels.
    #[serde(default)]
    pub mask: Vec<[u32; 4]>,
    /// First frames after cuts of the results.
    #[serde(default)]
    pub seams: Vec<u64>,
    /// Words whose sync is wanted: start and end in seconds.
    #[serde(default)]
    pub words: Vec<[f64; 2]>,
}

impl SuiteClip {
    /// What the result is measured against.
    pub fn truth(&self) -> &Path {
        self.truth.as_deref().unwrap_or(&self.input)
    }
}

/// Where a system's clips come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemKind {
    /// Files that somebody else made.
    Files,
    /// This program makes them.
    Reword,
    /// The input as it is, with the new sound.
    Copy,
    /// The recorded truth.
    Truth,
    /// The input with a mouth that stands still.
    Still,
}

/// One system.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SuiteSystem {
    /// Its name in tables.
    pub name: String,
    /// Where its clips come from.
    pub kind: SystemKind,
    /// For files: where each clip's result lies, with `{clip}` for the clip's name.
    #[serde(default)]
    pub files: Option<String>,
    /// For files: where the report of each clip's job lies, in the same way.
    #[serde(default)]
    pub reports: Option<String>,
    /// For this program: the model.
    #[serde(default)]
    pub model: Option<String>,
    /// For this program: denoising steps.
    #[serde(default)]
    pub steps: Option<u32>,
    /// For this program: the seed.
    #[serde(default)]
    pub seed: u64,
}

impl SuiteSystem {
    pub(super) fn fixed(name: &str, kind: SystemKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            files: None,
            reports: None,
            model: None,
            steps: None,
            seed: 0,
        }
    }
}

/// A suite that can run: clips of benchmarks found, baselines added, paths resolved.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The suite.
    pub suite: Suite,
    /// Metrics in order.
    pub metrics: Vec<&'static Metric>,
    /// Clips of benchmarks that are not here.
    pub gone: Vec<Gone>,
    /// The program behind motion smoothness: a line for the shell. A suite's file can't name it: files that were got from
    /// others run nothing.
    pub interpolator: Option<String>,
}

impl Suite {
    /// Reads a suite.
    ///
    /// # Errors
    /// When the file can't be read, does not parse, or does not make sense: names twice, no clips, a pattern without
    /// `{clip}`.
    pub fn load(path: &Path) -> Result<Loaded, MeasureError> {
        let text = std::fs::read_to_string(path).map_err(MeasureError::files("read", path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let bad = |reason: String| MeasureError::text(path, &reason);
        let mut loaded = Self::parse(&text, folder).map_err(bad)??;
        loaded.leave_out_missing().map_err(bad)?;
        Ok(loaded)
    }

    fn parse(text: &str, folder: &Path) -> Result<Result<Loaded, MeasureError>, String> {
        let mut suite: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for weights in &mut suite.weights {
            *weights = folder.join(&weights);
        }
        for clip in &mut suite.clip {
            clip.input = folder.join(&clip.input);
            for path in [&mut clip.speech, &mut clip.truth].into_iter().flatten() {
                *path = folder.join(&path);
            }
        }
        for system in &mut suite.system {
            for pattern in [&mut system.files, &mut system.reports]
                .into_iter()
                .flatten()
            {
                if !pattern.contains("{clip}") {
                    return Err(format!(
                        "system {}: '{pattern}' has no {{clip}} in it",
                        system.name
                    ));
                }
                *pattern = folder.join(&pattern).display().to_string();
            }
            if system.kind == SystemKind::Files && system.files.is_none() {
                return Err(format!(
                    "system {}: `files` says where its clips lie",
                    system.name
                ));
            }
        }
        let mut gone = Vec::new();
        for benchmark in &suite.benchmark {
            match benchmark::load(benchmark, folder) {
                Ok(listing) => {
                    suite.clip.extend(listing.clips);
                    gone.extend(listing.gone);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        let fixed = [
            ("copy of the input", SystemKind::Copy, true),
            ("still mouth", SystemKind::Still, suite.still),
            ("truth", SystemKind::Truth, true),
        ];
        for (name, kind, wanted) in fixed {
            if wanted && !suite.system.iter().any(|system| system.kind == kind) {
                suite.system.push(SuiteSystem::fixed(name, kind));
            }
        }
        unique("clip", suite.clip.iter().map(|clip| clip.name.as_str()))?;
        unique(
            "system",
            suite.system.iter().map(|system| system.name.as_str()),
        )?;
        if suite.clip.is_empty() {
            return Err(format!(
                "there are no clips{}",
                if gone.is_empty() {
                    ""
                } else {
                    "; all of the benchmark's are gone"
                }
            ));
        }
        let metrics = if suite.metrics.is_empty() {
            Ok(PairOptions::usual_metrics())
        } else {
            suite.metrics.iter().map(|name| find(name)).collect()
        };
        Ok(metrics.map(|metrics| Loaded {
            suite,
            metrics,
            gone,
            interpolator: None,
        }))
    }
}

impl Loaded {
    /// Clips that may not be shared stay at home: the others are measured, and the table says which are missing.
    fn leave_out_missing(&mut self) -> Result<(), String> {
        let gone = &mut self.gone;
        self.suite.clip.retain(|clip| {
            let files = [Some(&clip.input), clip.truth.as_ref(), clip.speech.as_ref()];
            let missing = files.into_iter().flatten().find(|path| !path.is_file());
            gone.extend(missing.map(|path| Gone {
                name: clip.name.clone(),
                source: path.display().to_string(),
            }));
            missing.is_none()
        });
        match (self.suite.clip.is_empty(), gone.first()) {
            (true, Some(gone)) => Err(format!("no clip is here, {} for example", gone.source)),
            _ => Ok(()),
        }
    }
}

/// Names become file names: no name twice, and nothing in them that means something in a path.
fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(format!("'{name}' can't be the name of a {what}"));
        }
        if !seen.insert(name) {
            return Err(format!("there are two {what}s '{name}'"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
