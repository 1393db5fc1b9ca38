//! Runs a suite: system by system, clip by clip.

use super::config::{Loaded, SuiteClip, SuiteSystem, SystemKind};
use super::maker::Maker;
use super::report::{ClipResult, SET_METRICS, SuiteReport, SystemReport};
use super::still::still_mouth;
use crate::MeasureError;
use crate::frechet::{Moments, frechet_distance};
use crate::job::JobReport;
use crate::metric::Score;
use crate::networks::Networks;
use crate::pair::{FeatureSets, Mask, PairOptions, measure_pair};
use crate::watch::Watch;
use crate::weights::Weights;
use media::{Clip, OpenOptions};
use models::lpips::LpipsNet;
use std::path::{Path, PathBuf};

/// A made clip counts as failed when it has fewer or more frames than the input by more than this.
const LENGTH_SLACK: u64 = 1;
/// It counts as failed when the face is found in less than this share of the frames in which the reference has one.
const LEAST_FACES: f64 = 0.95;

/// A clip to measure: the file, the sound that stands for its own, its job's report.
struct Made {
    file: PathBuf,
    sound: Option<PathBuf>,
    job: Option<JobReport>,
}

/// Runs a suite; clips that have to be made go to `folder`, where they are found again the next time.
///
/// # Errors
/// When the folder can't be written, the user stops it, or a truth can't be read. What a system fails at is a result.
pub fn run_suite(
    loaded: &Loaded,
    folder: &Path,
    more_weights: &Weights,
    open: OpenOptions,
    maker: &mut dyn Maker,
    watch: &mut dyn Watch,
) -> Result<SuiteReport, MeasureError> {
    let suite = &loaded.suite;
    let lpips = match suite.lpips.as_deref() {
        None | Some("alex") => LpipsNet::Alex,
        Some("vgg") => LpipsNet::Vgg,
        Some("squeeze") => LpipsNet::Squeeze,
        Some(other) => {
            return Err(MeasureError::Option {
                name: "lpips",
                reason: format!("'{other}' is none of alex, vgg, squeeze"),
            });
        }
    };
    let folders = suite.weights.iter().chain(more_weights.folders()).cloned();
    let networks = Networks::load(&Weights::new(folders), &loaded.metrics, lpips);
    let runner = Runner {
        loaded,
        folder,
        open,
        networks: &networks,
    };
    let (mut systems, mut notes) = (Vec::new(), Vec::new());
    for system in &suite.system {
        systems.push(runner.system(system, maker, watch, &mut notes)?);
    }
    let used = networks.used().iter();
    notes.extend(used.map(|(network, file)| format!("{network}: {file}")));
    notes.extend(networks.advice().iter().cloned());
    Ok(SuiteReport {
        version: 1,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        title: suite.title.clone(),
        seed: suite.seed,
        metrics: loaded.metrics.iter().map(|metric| metric.name).collect(),
        systems,
        gone: loaded.gone.clone(),
        notes,
        files: Vec::new(),
    })
}

struct Runner<'a> {
    loaded: &'a Loaded,
    folder: &'a Path,
    open: OpenOptions,
    networks: &'a Networks,
}

impl Runner<'_> {
    fn system(
        &self,
        system: &SuiteSystem,
        maker: &mut dyn Maker,
        watch: &mut dyn Watch,
        notes: &mut Vec<String>,
    ) -> Result<SystemReport, MeasureError> {
        let mut sets = FeatureSets::of_many_clips();
        let mut clips = Vec::new();
        for clip in &self.loaded.suite.clip {
            if watch.stopped() {
                return Err(MeasureError::Stopped);
            }
            clips.push(self.clip(system, clip, &mut sets, maker, watch)?);
        }
        let scores: Vec<Score> = SET_METRICS
            .iter()
            .zip([
                ("inception", &sets.frames),
                ("i3d", &sets.windows),
                ("videomae", &sets.debiased),
            ])
            .map(|(name, (network, moments))| {
                self.networks.missing(network).map_or_else(
                    || Score::of(name, set_distance(moments.as_ref())),
                    |reason| Score::missing(name, reason),
                )
            })
            .collect();
        notes.extend(
            sets.counts(&self.loaded.metrics)
                .map(|note| format!("{}: {note}", system.name)),
        );
        Ok(SystemReport::new(
            system.name.clone(),
            system.kind,
            clips,
            &self.loaded.metrics,
            &scores,
            self.loaded.suite.seed,
        ))
    }

    fn clip(
        &self,
        system: &SuiteSystem,
        clip: &SuiteClip,
        sets: &mut FeatureSets,
        maker: &mut dyn Maker,
        watch: &mut dyn Watch,
    ) -> Result<ClipResult, MeasureError> {
        let failed = |reason: String| ClipResult {
            clip: clip.name.clone(),
            failure: Some(reason),
            report: None,
        };
        let made = match self.made(system, clip, maker, watch) {
            Ok(made) => made,
            Err(MeasureError::Stopped) => return Err(MeasureError::Stopped),
            Err(MeasureError::Made { reason, .. }) => return Ok(failed(reason)),
            Err(error) => return Ok(failed(error.to_string())),
        };
        // A truth that can't be read is the suite's fault, not the system's.
        let truth = Clip::open(clip.truth(), &self.open)?;
        let wanted = truth.video()?.frames;
        let found = match Clip::open(&made.file, &self.open) {
            Ok(found) => match found.video() {
                Ok(video) => video.frames,
                Err(error) => return Ok(failed(error.to_string())),
            },
            Err(error) => return Ok(failed(error.to_string())),
        };
        let mut options = PairOptions::new(self.loaded.metrics.clone());
        options.open = self.open;
        options.fit = self.loaded.suite.fit;
        options.interpolator.clone_from(&self.loaded.interpolator);
        options.words.clone_from(&clip.words);
        options.seams.clone_from(&clip.seams);
        if !clip.mask.is_empty() {
            options.mask = Mask::Boxes(clip.mask.clone());
        }
        if let Some(frames) = self.loaded.suite.sync_track {
            options.sync.least_frames = frames;
        }
        if let Some(job) = &made.job {
            if options.seams.is_empty() {
                options.seams = job.seams();
            }
            options.job = Some(job.clone());
        }
        options.sound.clone_from(&made.sound);
        if matches!(system.kind, SystemKind::Files | SystemKind::Reword) {
            options.input = Some(clip.input.clone());
        }
        let report = match measure_pair(
            &made.file,
            clip.truth(),
            &options,
            self.networks,
            sets,
            watch,
        ) {
            Ok(report) => report,
            Err(MeasureError::Stopped) => return Err(MeasureError::Stopped),
            Err(error) => return Ok(failed(error.to_string())),
        };
        let failure = if found.abs_diff(wanted) > LENGTH_SLACK {
            Some(format!("it has {found} frames instead of {wanted}"))
        } else {
            let (kept, seen) = (report.made.faces, report.reference.faces);
            kept.zip(seen)
                .filter(|(kept, seen)| (*kept as f64) < LEAST_FACES * *seen as f64)
                .map(|(kept, seen)| {
                    format!("the face is found in {kept} frames, in the truth in {seen}")
                })
        };
        Ok(ClipResult {
            clip: clip.name.clone(),
            failure,
            report: Some(report),
        })
    }

    /// Where a system's clip lies; made now where it has to be.
    fn made(
        &self,
        system: &SuiteSystem,
        clip: &SuiteClip,
        maker: &mut dyn Maker,
        watch: &mut dyn Watch,
    ) -> Result<Made, MeasureError> {
        let plain = |file: &Path, sound: Option<&PathBuf>| Made {
            file: file.to_owned(),
            sound: sound.cloned(),
            job: None,
        };
        let nothing = |reason: String| MeasureError::Made {
            system: system.name.clone(),
            clip: clip.name.clone(),
            reason,
        };
        match system.kind {
            SystemKind::Truth => Ok(plain(clip.truth(), None)),
            SystemKind::Copy => Ok(plain(&clip.input, clip.speech.as_ref())),
            SystemKind::Still => {
                let file = self.place(system, clip, "mp4")?;
                if !file.is_file() {
                    still_mouth(&clip.input, &file, self.open, watch)?;
                }
                Ok(plain(
                    &file,
                    Some(clip.speech.as_ref().unwrap_or(&clip.input)),
                ))
            }
            SystemKind::Files => {
                let fill = |pattern: &str| PathBuf::from(pattern.replace("{clip}", &clip.name));
                let file = fill(system.files.as_deref().unwrap_or("{clip}"));
                if !file.is_file() {
                    return Err(nothing(format!("there is no file {}", file.display())));
                }
                let report = system
                    .reports
                    .as_deref()
                    .map(fill)
                    .filter(|path| path.is_file());
                Ok(Made {
                    file,
                    sound: None,
                    job: report.map(|path| JobReport::read(&path)).transpose()?,
                })
            }
            SystemKind::Reword => {
                let file = self.place(system, clip, "mp4")?;
                let report = file.with_extension("json");
                // The report is written last: with it, the clip is whole.
                if !(file.is_file() && report.is_file()) {
                    maker.make(system, clip, &file, &report).map_err(nothing)?;
                }
                Ok(Made {
                    job: Some(JobReport::read(&report)?),
                    file,
                    sound: None,
                })
            }
        }
    }

    fn place(
        &self,
        system: &SuiteSystem,
        clip: &SuiteClip,
        extension: &str,
    ) -> Result<PathBuf, MeasureError> {
        let folder = self.folder.join("clips").join(&system.name);
        std::fs::create_dir_all(&folder).map_err(MeasureError::files("make", &folder))?;
        Ok(folder.join(format!("{}.{extension}", clip.name)))
    }
}

fn set_distance(sets: Option<&[Moments; 2]>) -> Result<f64, String> {
    let [made, truth] = sets.ok_or("there are no samples")?;
    frechet_distance(made, truth).map_err(|error| error.to_string())
}
