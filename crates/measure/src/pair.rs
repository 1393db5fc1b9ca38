//! One made clip against its reference.
//!
//! Two passes, so that memory does not grow with pixels: the first follows the faces and listens, in both clips at
//! once; the second walks through pairs of frames, knowing where the mouth is. A third reads the face crops for
//! `SyncNet`, where its weights are there. What grows with length are landmarks (4 kB a face and frame, while pairs are walked) and a few
//! numbers a frame.

mod align;
mod aligned;
mod compare;
mod conclusion;
mod consistency;
mod course;
mod features;
mod identity;
mod mask;
mod report;
mod verdict;
mod walk;
mod windows;

pub use features::FeatureSets;
pub use mask::Mask;
pub use report::{ClipSummary, CopyKind, FrameCurve, PairReport};

use crate::MeasureError;
use crate::agreement::{Agreement, measure_agreement};
use crate::job::JobReport;
use crate::metric::{METRICS, Metric};
use crate::networks::Networks;
use crate::sync::{SyncOptions, TrackSync, measure_sync};
use crate::watch::Watch;
use align::Alignment;
use compare::FrameWants;
use consistency::Consistency;
use course::{Course, CourseWants, landmarks};
use face::geometry::Point;
use face::track::Chosen;
use features::{FeatureWants, Features};
use media::{Clip, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use units::FrameIndex;

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
    /// Sound that stands for the made clip's own: a copy of the input is judged with the new speech.
    pub sound: Option<PathBuf>,
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
            sound: None,
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

    fn wants(&self, names: &[&str]) -> bool {
        self.metrics
            .iter()
            .any(|metric| names.contains(&metric.name))
    }

    fn course(&self) -> CourseWants {
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

    fn frames(&self) -> FrameWants {
        FrameWants {
            psnr: self.wants(&["psnr"]),
            ssim: self.wants(&["ssim"]),
            ssim_rgb: self.wants(&["ssim-rgb"]),
            mouth: self.wants(&["mouth-psnr"]),
            mouth_ssim: self.wants(&["mouth-ssim"]),
            outside: self.wants(&["outside-max", "outside-psnr"]),
            flicker: self.wants(&["edge-flicker"]),
        }
    }

    fn features(&self, networks: &Networks) -> FeatureWants {
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

/// Everything that was gathered about a pair of clips.
struct Gathered<'a> {
    made: Course,
    reference: Course,
    made_face: Option<Chosen>,
    reference_face: Option<Chosen>,
    alignment: Alignment,
    walked: walk::Walked,
    lpips: Vec<f64>,
    faces: Vec<[Option<Vec<f32>>; 2]>,
    subject: Consistency,
    background: Consistency,
    sync: Option<Result<Vec<TrackSync>, String>>,
    agreement: Option<Result<Agreement, String>>,
    options: &'a PairOptions,
    networks: &'a Networks,
}

impl Gathered<'_> {
    fn made_landmarks(&self) -> Vec<Option<Vec<Point>>> {
        landmarks(self.made_face.as_ref(), self.made.frames)
    }

    fn reference_landmarks(&self) -> Vec<Option<Vec<Point>>> {
        landmarks(self.reference_face.as_ref(), self.reference.frames)
    }
}

/// Measures a made clip against its reference. `sets` gathers the features of a whole suite; for a single pair, give
/// an empty one.
///
/// # Errors
/// When a file can't be read. What a clip lacks is a score with a reason.
pub fn measure_pair(
    made: &Path,
    reference: &Path,
    options: &PairOptions,
    networks: &Networks,
    sets: &mut FeatureSets,
    watch: &mut dyn Watch,
) -> Result<PairReport, MeasureError> {
    let (made_clip, reference_clip) = (
        Clip::open(made, &options.open)?,
        Clip::open(reference, &options.open)?,
    );
    let sound_clip = match &options.sound {
        Some(path) => Clip::open(path, &options.open)?,
        None => made_clip.clone(),
    };
    let clips = [
        (&made_clip, &sound_clip),
        (&reference_clip, &reference_clip),
    ];
    let (made_course, reference_course) = courses(clips, options.course(), watch)?;
    let reference_face = reference_course.speaking()?;
    // The same person in the made clip: the face nearest to the reference's.
    let made_face = match reference_face
        .as_ref()
        .and_then(|face| place_of(face, &reference_course))
    {
        Some(place) => made_course.near(place)?,
        None => made_course.speaking()?,
    };
    let mut alignment = Alignment::new(&made_course.video, &reference_course.video);
    // A broken file may hold fewer frames than it promises.
    alignment.reference.truncate(made_course.frames as usize);
    alignment
        .reference
        .retain(|frame| *frame < reference_course.frames);

    let mut features = Features::new(networks, options.features(networks), sets);
    let job = walk::Job {
        made: &made_clip,
        reference: &reference_clip,
        alignment: &alignment,
        made_landmarks: landmarks(made_face.as_ref(), made_course.frames),
        reference_landmarks: landmarks(reference_face.as_ref(), reference_course.frames),
        reference_face: reference_face.as_ref(),
        mask: &options.mask,
        fit: options.fit,
        wants: options.frames(),
        features: options.features(networks).any(),
        niqe: networks.niqe.as_ref().filter(|_| options.wants(&["niqe"])),
        brisque: networks
            .brisque
            .as_ref()
            .filter(|_| options.wants(&["brisque"])),
    };
    let walked = job.run(&mut features, watch)?;
    let (lpips, faces) = (
        std::mem::take(&mut features.lpips),
        std::mem::take(&mut features.faces),
    );
    let (subject, background) = (
        std::mem::take(&mut features.subject),
        std::mem::take(&mut features.background),
    );
    drop(features);

    let sync = match (&networks.syncnet, &made_face) {
        (Some(net), Some(face))
            if options.wants(&["sync-c", "sync-d", "sync-offset", "sync-words"]) =>
        {
            watch.begin("sync", 0);
            let found = measure_sync(&made_clip, &sound_clip, face, net, &options.sync)?;
            watch.end();
            Some(found)
        }
        (Some(_), None) => Some(Err("no face was found".to_owned())),
        _ => None,
    };
    let agreement = match (&networks.sync_scorer, &made_face) {
        (Some(scorer), Some(face)) if options.wants(&["lip-agreement", "lip-offset"]) => {
            Some(measure_agreement(&made_clip, &sound_clip, face, scorer)?)
        }
        _ => None,
    };
    let gathered = Gathered {
        made: made_course,
        reference: reference_course,
        made_face,
        reference_face,
        alignment,
        walked,
        lpips,
        faces,
        subject,
        background,
        sync,
        agreement,
        options,
        networks,
    };
    Ok(gathered.report(made, reference, sets))
}

/// Where a face is on the whole, in parts of width and height.
fn place_of(face: &Chosen, course: &Course) -> Option<Point> {
    let (mut sum, mut count) = ([0.0_f32; 2], 0.0_f32);
    for frame in 0..course.frames {
        let Some(found) = face.face(FrameIndex(frame)) else {
            continue;
        };
        let area = face::Rect::around(found.landmarks.iter().copied())?;
        let [x, y] = area.centre();
        sum = [sum[0] + x, sum[1] + y];
        count += 1.0;
    }
    let (width, height) = (course.video.width as f32, course.video.height as f32);
    (count > 0.0).then(|| [sum[0] / count / width, sum[1] / count / height])
}

/// Reads both clips at once, each with its sound.
fn courses(
    [made, reference]: [(&Clip, &Clip); 2],
    wants: CourseWants,
    watch: &mut dyn Watch,
) -> Result<(Course, Course), MeasureError> {
    let total = made.0.video()?.frames + reference.0.video()?.frames;
    watch.begin("faces", total);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    let result = std::thread::scope(|scope| {
        let other = sender.clone();
        let stop = &stop;
        let one = scope.spawn(move || Course::read(made, wants, &sender, stop));
        let two = scope.spawn(move || Course::read(reference, wants, &other, stop));
        // Ends when both threads have dropped their senders.
        loop {
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(done) => watch.advance(done),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if watch.stopped() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Course, MeasureError>>| {
            thread.join().unwrap_or_else(|_| {
                Err(MeasureError::Features {
                    reason: "the pass over a clip broke off".to_owned(),
                })
            })
        };
        Ok((join(one)?, join(two)?))
    });
    watch.end();
    result
}
