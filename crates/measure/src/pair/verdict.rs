//! From what was gathered to scores with reasons.

use super::Gathered;
use super::features::{FeatureSets, cosine};
use super::identity::{by_minute, drift, likeness};
use super::report::{ClipSummary, CopyKind, FrameCurve, PairReport};
use crate::frechet::{Moments, frechet_distance};
use crate::lips::{landmark_distance, lip_leak, opening_correlation};
use crate::metric::{Needs, Score};
use crate::picture::psnr;
use crate::seam::{jump, pose_step};
use crate::statistics::mean;
use face::geometry::Point;
use face::mouth_opening;
use media::VideoInfo;
use std::path::Path;
use units::FrameIndex;

/// A clip is taken for a compressed copy when its mouth is as near to the reference's as compression leaves it, in
/// nearly every frame. Measured with x264 up to CRF 28 on the project's test clips; made mouths lie far below.
const COPY_PSNR: f64 = 33.0;
/// The part of the frames in which it must be.
const COPY_SHARE: f64 = 0.98;

type Value = Result<f64, String>;

impl Gathered<'_> {
    pub(super) fn report(&self, made: &Path, reference: &Path, sets: &FeatureSets) -> PairReport {
        let mut notes = self.alignment.notes.clone();
        if self.walked.pairs > 0 && self.walked.comparable < self.walked.pairs {
            notes.push(format!(
                "the sizes differ ({}x{} and {}x{}): pixels are not compared",
                self.made.video.width,
                self.made.video.height,
                self.reference.video.width,
                self.reference.video.height
            ));
        } else if self.options.fit && size(&self.made.video) != size(&self.reference.video) {
            notes.push(format!(
                "frames of {}x{} were brought to {}x{}",
                self.made.video.width,
                self.made.video.height,
                self.reference.video.width,
                self.reference.video.height
            ));
        }
        let copy = self.copy();
        match copy {
            Some(CopyKind::Exact) => {
                notes.push("every frame equals the reference: this is a copy".to_owned());
            }
            Some(CopyKind::Recompressed) => notes.push(
                "the pictures are the reference's, compressed anew: this is a copy".to_owned(),
            ),
            None => {}
        }
        let mut scores = Vec::new();
        for metric in &self.options.metrics {
            if let Needs::Network(network) = metric.needs
                && let Some(reason) = self.networks.missing(network)
            {
                scores.push(Score::missing(metric.name, reason));
                continue;
            }
            scores.push(Score::of(metric.name, self.score(metric.name, sets)));
        }
        for set in [("fid", &sets.frames), ("fvd", &sets.windows)] {
            if let (name, Some([moments, _])) = set
                && self.options.wants(&[name])
            {
                notes.push(few(name, moments));
            }
        }
        notes.extend(self.networks.advice().iter().cloned());
        let faces = |found: Vec<Option<Vec<Point>>>| {
            self.options
                .course()
                .faces
                .then(|| found.iter().flatten().count() as u64)
        };
        let openings = self.openings();
        PairReport {
            version: 1,
            made: summary(made, &self.made.video, faces(self.made_landmarks())),
            reference: summary(
                reference,
                &self.reference.video,
                faces(self.reference_landmarks()),
            ),
            compared: self.alignment.len() as u64,
            copy,
            scores,
            notes,
            networks: self.networks.used().clone(),
            identity_by_minute: by_minute(&self.likeness()),
            curve: FrameCurve {
                psnr: self.walked.course.clone(),
                made_opening: openings.0,
                reference_opening: openings.1,
            },
        }
    }

    fn copy(&self) -> Option<CopyKind> {
        let walked = &self.walked;
        if walked.pairs < 2 || !self.options.wants(&["psnr"]) {
            return None;
        }
        if walked.equal == walked.pairs {
            return Some(CopyKind::Exact);
        }
        let near = walked
            .course
            .iter()
            .filter(|p| p.is_some_and(|p| p >= COPY_PSNR))
            .count();
        let mouths = walked.mouth_psnr.len() as u64 == walked.pairs;
        // Without mouths to compare, whole frames say little: a changed mouth is a small part of a frame.
        (mouths && near as f64 >= COPY_SHARE * walked.pairs as f64)
            .then_some(CopyKind::Recompressed)
    }

    fn score(&self, name: &'static str, sets: &FeatureSets) -> Value {
        let walked = &self.walked;
        match name {
            "psnr" => self.pixels(&walked.psnr),
            "ssim" => self.window(&walked.ssim),
            "ssim-rgb" => self.window(&walked.ssim_rgb),
            "mouth-psnr" => self.mouth(&walked.mouth_psnr),
            "mouth-ssim" => self.mouth(&walked.mouth_ssim),
            "outside-max" => self.outside().map(|()| f64::from(walked.outside_max)),
            "outside-psnr" => self.outside().and_then(|()| {
                psnr(walked.outside_error, walked.outside_values)
                    .ok_or_else(|| "the mask covers the whole picture".to_owned())
            }),
            "edge-flicker" => self.mouth(&walked.flicker),
            "mouth-correlation" => {
                let (made, reference) = self.openings();
                self.with_faces(opening_correlation(&made, &reference))
            }
            "lmd" => self.lmd(),
            "lip-leak" => self.leak(),
            "face-found" => self.found(),
            "lip-agreement" => self.agreement().map(|found| found.here),
            "lip-offset" => self.agreement().map(|found| found.offset as f64),
            "niqe" => alone(&walked.niqe),
            "brisque" => alone(&walked.brisque),
            "seam-pixels" => self.seam(|step| step.pixels),
            "seam-flow" => self.seam(|step| step.flow),
            "seam-pose" => self.pose(),
            "lpips" => mean(&self.lpips).ok_or_else(|| self.no_pixels()),
            "fid" => distance(sets.frames.as_ref(), "frames"),
            "fvd" => distance(sets.windows.as_ref(), "windows of 16 frames"),
            "csim" => self.csim(),
            "identity-drift" => self.drift(),
            "sync-c" => self.tracks(|track| track.scores.confidence),
            "sync-d" => self.tracks(|track| track.scores.distance),
            "sync-offset" => self.offset(),
            "sync-words" => self.words(),
            "seconds-per-second" => self.job(crate::job::JobReport::seconds_per_second),
            "peak-memory" => self.job(crate::job::JobReport::peak_memory),
            _ => Err("this metric is not known".to_owned()),
        }
    }

    fn no_pixels(&self) -> String {
        if self.walked.pairs == 0 {
            "there are no frames to compare".to_owned()
        } else {
            "the sizes of the pictures differ".to_owned()
        }
    }

    fn pixels(&self, values: &[f64]) -> Value {
        mean(values).ok_or_else(|| self.no_pixels())
    }

    fn window(&self, values: &[f64]) -> Value {
        if self.walked.comparable > 0 && values.is_empty() {
            return Err("the picture is smaller than the window of 11x11".to_owned());
        }
        self.pixels(values)
    }

    fn mouth(&self, values: &[f64]) -> Value {
        if let Some(value) = mean(values) {
            return Ok(value);
        }
        Err(if self.reference_face.is_none() {
            "no face was found in the reference".to_owned()
        } else if self.walked.comparable < 2 && self.walked.pairs > 0 && self.walked.comparable > 0
        {
            "a single frame does not change".to_owned()
        } else {
            self.no_pixels()
        })
    }

    fn outside(&self) -> Result<(), String> {
        if self.walked.outside_values > 0 {
            return Ok(());
        }
        Err(if self.walked.comparable == 0 {
            self.no_pixels()
        } else {
            "the mask follows the reference's face, and none was found".to_owned()
        })
    }

    /// Openings at the pairs: made, reference.
    fn openings(&self) -> (Vec<Option<f32>>, Vec<Option<f32>>) {
        let (made, reference) = (self.made_landmarks(), self.reference_landmarks());
        let opening = |points: &[Option<Vec<Point>>], index: usize| {
            points.get(index)?.as_deref().map(mouth_opening)
        };
        self.alignment
            .reference
            .iter()
            .enumerate()
            .map(|(index, partner)| {
                (
                    opening(&made, index),
                    opening(&reference, *partner as usize),
                )
            })
            .unzip()
    }

    /// Says first that there is no face at all.
    fn with_faces(&self, value: Value) -> Value {
        match (&self.made_face, &self.reference_face) {
            (_, None) => Err("no face was found in the reference".to_owned()),
            (None, _) => Err("no face was found in the made clip".to_owned()),
            _ => value,
        }
    }

    fn lmd(&self) -> Value {
        let (made, reference) = (self.made_landmarks(), self.reference_landmarks());
        let distances: Vec<f64> = self
            .alignment
            .reference
            .iter()
            .enumerate()
            .filter_map(|(index, partner)| {
                let (a, b) = (made.get(index)?, reference.get(*partner as usize)?);
                landmark_distance(a.as_deref()?, b.as_deref()?)
            })
            .collect();
        let value = mean(&distances).ok_or_else(|| "no frame has a face in both clips".to_owned());
        self.with_faces(value)
    }

    fn leak(&self) -> Value {
        let silent = self
            .made
            .loudness
            .silent()
            .map_err(|why| format!("made clip: {why}"))?;
        let voiced = self
            .reference
            .loudness
            .voiced()
            .map_err(|why| format!("reference: {why}"))?;
        let course = |points: Vec<Option<Vec<Point>>>| -> Vec<Option<f32>> {
            points
                .into_iter()
                .map(|points| points.as_deref().map(mouth_opening))
                .collect()
        };
        let (made, reference) = (
            course(self.made_landmarks()),
            course(self.reference_landmarks()),
        );
        self.with_faces(lip_leak(&made, &silent, &reference, &voiced))
    }

    fn found(&self) -> Value {
        let (made, reference) = (self.made_landmarks(), self.reference_landmarks());
        let (mut wanted, mut kept) = (0_u64, 0_u64);
        for (index, partner) in self.alignment.reference.iter().enumerate() {
            if reference
                .get(*partner as usize)
                .is_some_and(Option::is_some)
            {
                wanted += 1;
                kept += u64::from(made.get(index).is_some_and(Option::is_some));
            }
        }
        if wanted == 0 {
            return Err("no face was found in the reference".to_owned());
        }
        Ok(kept as f64 / wanted as f64)
    }

    fn seam(&self, value: fn(&crate::picture::motion::Step) -> f64) -> Value {
        let steps: Vec<Option<f64>> = self
            .made
            .steps
            .iter()
            .map(|step| Some(value(step)))
            .collect();
        jump(&steps, &self.options.seams)
    }

    fn pose(&self) -> Value {
        if self.options.seams.is_empty() {
            return Err("no seams were given".to_owned());
        }
        let points = self.made_landmarks();
        let steps: Vec<Option<f64>> = points
            .iter()
            .zip(points.iter().skip(1))
            .map(|(before, after)| pose_step(before.as_deref()?, after.as_deref()?))
            .collect();
        jump(&steps, &self.options.seams)
    }

    fn csim(&self) -> Value {
        let cosines: Vec<f64> = self
            .faces
            .iter()
            .filter_map(|[made, reference]| Some(cosine(made.as_ref()?, reference.as_ref()?)))
            .collect();
        let value = mean(&cosines).ok_or_else(|| "no frame has a face in both clips".to_owned());
        self.with_faces(value)
    }

    fn likeness(&self) -> Vec<(f64, f64)> {
        likeness(&self.faces, |index| {
            self.made.video.times.start(FrameIndex(index as u64)).0
        })
    }

    fn drift(&self) -> Value {
        self.with_faces(drift(&self.likeness()))
    }

    fn sync(&self) -> Result<&[crate::sync::TrackSync], String> {
        match &self.sync {
            Some(Ok(tracks)) => Ok(tracks),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("it was not measured".to_owned()),
        }
    }

    fn agreement(&self) -> Result<crate::agreement::Agreement, String> {
        match &self.agreement {
            Some(found) => found.clone(),
            None if self.made_face.is_none() => {
                Err("no face was found in the made clip".to_owned())
            }
            None => Err("it was not measured".to_owned()),
        }
    }

    fn tracks(&self, value: fn(&crate::sync::TrackSync) -> f64) -> Value {
        let values: Vec<f64> = self.sync()?.iter().map(value).collect();
        mean(&values).ok_or_else(|| "no face was found".to_owned())
    }

    /// The offset of the longest track.
    fn offset(&self) -> Value {
        self.sync()?
            .iter()
            .max_by_key(|track| (track.scores.frames.len(), std::cmp::Reverse(track.first)))
            .map(|track| track.scores.offset as f64)
            .ok_or_else(|| "no face was found".to_owned())
    }

    fn words(&self) -> Value {
        if self.options.words.is_empty() {
            return Err("no words were given".to_owned());
        }
        let mut distances = Vec::new();
        for track in self.sync()? {
            for (index, distance) in track.scores.frames.iter().enumerate() {
                // The window of five frames that starts here has its middle two frames later.
                let time =
                    (track.first + index) as f64 / crate::sync::RATE + 2.5 / crate::sync::RATE;
                if self
                    .options
                    .words
                    .iter()
                    .any(|[start, end]| (*start..*end).contains(&time))
                {
                    distances.push(f64::from(*distance));
                }
            }
        }
        mean(&distances).ok_or_else(|| "no face track covers the words".to_owned())
    }

    fn job(&self, value: fn(&crate::job::JobReport) -> Option<f64>) -> Value {
        let job = self
            .options
            .job
            .as_ref()
            .ok_or("no report of the job was given")?;
        value(job).ok_or_else(|| "the report does not say".to_owned())
    }
}

/// The mean of what made frames say alone, or the first reason where none has a number.
fn alone(frames: &[Result<f64, String>]) -> Value {
    let found: Vec<f64> = frames.iter().flatten().copied().collect();
    mean(&found).ok_or_else(|| {
        let reason = frames.iter().find_map(|frame| frame.as_ref().err());
        reason.map_or_else(|| "there are no frames".to_owned(), Clone::clone)
    })
}

fn size(video: &VideoInfo) -> (u32, u32) {
    (video.width, video.height)
}

fn summary(path: &Path, video: &VideoInfo, faces: Option<u64>) -> ClipSummary {
    ClipSummary {
        path: path.to_owned(),
        frames: video.frames,
        fps: video.rate.per_second(),
        width: video.width,
        height: video.height,
        faces,
    }
}

fn distance(sets: Option<&[Moments; 2]>, what: &str) -> Value {
    let Some([made, reference]) = sets else {
        return Err(format!("there are no {what}"));
    };
    if made.count() < 2 {
        return Err(format!("{} {what}; two are needed", made.count()));
    }
    frechet_distance(made, reference).map_err(|error| error.to_string())
}

/// What to think of a Fréchet distance of few samples.
fn few(name: &str, moments: &Moments) -> String {
    format!(
        "{name} of {} against as many, in {} dimensions: sets this small are biased upwards, compare only equal counts",
        moments.count(),
        moments.dim()
    )
}
