//! From what was gathered to a report: scores, notes, and whether the clip is a copy.

use super::Gathered;
use super::features::FeatureSets;
use super::identity::by_minute;
use super::report::{ClipSummary, CopyKind, FrameCurve, PairReport};
use crate::frechet::Moments;
use crate::metric::{Needs, Score};
use face::geometry::Point;
use media::VideoInfo;
use std::path::Path;

/// A clip is taken for a compressed copy when its mouth is as near to the reference's as compression leaves it, in
/// nearly every frame. Measured with x264 up to CRF 28 on the project's test clips; made mouths lie far below.
const COPY_PSNR: f64 = 33.0;
/// The part of the frames in which it must be.
const COPY_SHARE: f64 = 0.98;

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
        for set in [
            ("fid", &sets.frames),
            ("fvd", &sets.windows),
            ("fvd-debiased", &sets.debiased),
        ] {
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

/// What to think of a Fréchet distance of few samples.
fn few(name: &str, moments: &Moments) -> String {
    format!(
        "{name} of {} against as many, in {} dimensions: sets this small are biased upwards, compare only equal counts",
        moments.count(),
        moments.dim()
    )
}
