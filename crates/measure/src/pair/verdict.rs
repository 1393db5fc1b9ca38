//! From what was gathered to numbers, each with a reason where there is none.

mod faces;

use super::Gathered;
use super::sets::FeatureSets;
use crate::lips::opening_correlation;
use crate::picture::psnr;
use crate::seam::{jump, pose_step};
use crate::statistics::mean;

type Value = Result<f64, String>;

impl Gathered<'_> {
    pub(super) fn score(&self, name: &'static str, sets: &FeatureSets) -> Value {
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
            "fid" => sets.of_clip(sets.frames.as_ref(), "frames"),
            "fvd" => sets.of_clip(sets.windows.as_ref(), "windows of 16 frames"),
            "fvd-debiased" => sets.of_clip(sets.debiased.as_ref(), "windows of 16 frames"),
            "subject-consistency" => self.subject.mean(),
            "background-consistency" => self.background.mean(),
            "motion-smoothness" => self.smoothness.clone().unwrap_or_else(|| {
                Err("no interpolator was given, see docs/metrics.md".to_owned())
            }),
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
