//! What is asked of a pair of clips.

use super::compare::FrameWants;
use super::course::CourseWants;
use super::features::FeatureWants;
use super::mask::Mask;
use crate::job::JobReport;
use crate::metric::{METRICS, Metric, Needs};
use crate::networks::Networks;
use crate::sync::SyncOptions;
use media::OpenOptions;
use std::path::PathBuf;

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct PairOptions {
    /// The metrics, in the order of the report.
    pub metrics: Vec<&'static Metric>,
    /// Where the made clip may differ.
    pub mask: Mask,
    /// First frames after cuts of the made clip.
    pub seams: Vec<u64>,
    /// Words whose sync is asked for, seconds of the made clip: start and end.
    pub words: Vec<[f64; 2]>,
    /// Bring frames of another size to the reference's instead of leaving them out.
    pub fit: bool,
    /// What `SyncNet`'s procedure asks of a face track.
    pub sync: SyncOptions,
    /// What the system was given, where that is not the reference: a copy of it is told too.
    pub input: Option<PathBuf>,
    /// Sound that stands for the made clip's own: a copy of the input is judged with the new speech.
    pub sound: Option<PathBuf>,
    /// The program behind motion smoothness: a line for the shell.
    pub interpolator: Option<String>,
    /// The report of the job that made the clip.
    pub job: Option<JobReport>,
    /// How files are opened.
    pub open: OpenOptions,
}

impl PairOptions {
    /// The given metrics with the usual settings.
    pub fn new(metrics: Vec<&'static Metric>) -> Self {
        Self {
            metrics,
            mask: Mask::default(),
            seams: Vec::new(),
            words: Vec::new(),
            fit: false,
            sync: SyncOptions::default(),
            input: None,
            sound: None,
            interpolator: None,
            job: None,
            open: OpenOptions::default(),
        }
    }

    /// All metrics except those that repeat another one (`ssim-rgb`).
    pub fn usual_metrics() -> Vec<&'static Metric> {
        METRICS
            .iter()
            .filter(|metric| metric.name != "ssim-rgb")
            .collect()
    }

    pub(super) fn wants(&self, names: &[&str]) -> bool {
        self.metrics
            .iter()
            .any(|metric| names.contains(&metric.name))
    }

    pub(super) fn course(&self) -> CourseWants {
        CourseWants {
            faces: self.wants(&[
                "mouth-psnr",
                "mouth-ssim",
                "outside-max",
                "outside-psnr",
                "edge-flicker",
                "mouth-correlation",
                "lmd",
                "lip-leak",
                "face-found",
                "lip-agreement",
                "lip-offset",
                "seam-pose",
                "csim",
                "identity-drift",
                "sync-c",
                "sync-d",
                "sync-offset",
                "sync-words",
            ]),
            steps: self.wants(&["seam-pixels", "seam-flow"]) && !self.seams.is_empty(),
            sound: true,
        }
    }

    /// Pixels are compared whenever the clip itself is looked at: that is how copies are told.
    pub(super) fn frames(&self) -> FrameWants {
        let looked_at = |metric: &&'static Metric| metric.needs != Needs::Places("report");
        let pixels = self.metrics.iter().any(looked_at);
        FrameWants {
            psnr: pixels,
            ssim: self.wants(&["ssim"]),
            ssim_rgb: self.wants(&["ssim-rgb"]),
            mouth: pixels && self.course().faces,
            mouth_ssim: self.wants(&["mouth-ssim"]),
            outside: self.wants(&["outside-max", "outside-psnr"]),
            flicker: self.wants(&["edge-flicker"]),
        }
    }

    pub(super) fn features(&self, networks: &Networks) -> FeatureWants {
        FeatureWants {
            lpips: self.wants(&["lpips"]) && networks.lpips.is_some(),
            fid: self.wants(&["fid"]) && networks.inception.is_some(),
            fvd: self.wants(&["fvd"]) && networks.i3d.is_some(),
            debiased: self.wants(&["fvd-debiased"]) && networks.videomae.is_some(),
            identity: self.wants(&["csim", "identity-drift"]) && networks.face_id.is_some(),
            subject: self.wants(&["subject-consistency"]) && networks.dino.is_some(),
            background: self.wants(&["background-consistency"]) && networks.clip.is_some(),
        }
    }
}
