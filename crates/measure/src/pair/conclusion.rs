//! From what was gathered to a report: scores, notes, and whether the clip is a copy.

use super::Gathered;
use super::copies::Verdict;
use super::identity::by_minute;
use super::report::{ClipSummary, FrameCurve, PairReport};
use super::sets::FeatureSets;
use crate::metric::{Needs, Score};
use face::geometry::Point;
use media::VideoInfo;
use std::path::Path;

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
        let copy = match self.copy {
            Verdict::Copy(copy) => Some(copy),
            Verdict::None | Verdict::Untold => None,
        };
        notes.extend(copy.map(|copy| copy.to_string()));
        if self.copy == Verdict::Untold {
            notes.push("the mouth hardly moves: whether this is a copy can't be told".to_owned());
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
        if !sets.gather_over_clips() {
            notes.extend(sets.counts(&self.options.metrics));
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
            version: 2,
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
                partners: self.alignment.reference.clone(),
                made_opening: openings.0,
                reference_opening: openings.1,
            },
        }
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
