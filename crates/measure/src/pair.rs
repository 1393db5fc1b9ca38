//! One made clip against its reference.
//!
//! Two passes, so that memory does not grow with pixels: the first follows the faces and listens, in both clips at
//! once; the second walks through pairs of frames, knowing where the mouth is. A third reads the face crops for
//! `SyncNet`, where its weights are there; another one looks for copies whose faces run behind the original's. What
//! grows with length are landmarks (4 kB a face and frame, while pairs are walked) and a few numbers a frame.

mod align;
mod aligned;
mod compare;
mod conclusion;
mod consistency;
mod copies;
mod course;
mod features;
mod identity;
mod mask;
mod options;
mod report;
mod sets;
mod smoothness;
mod verdict;
mod walk;
mod windows;

pub use mask::Mask;
pub use options::PairOptions;
pub use report::{ClipSummary, Copied, CopyKind, FrameCurve, Original, PairReport};
pub use sets::FeatureSets;

use crate::MeasureError;
use crate::agreement::{Agreement, measure_agreement};
use crate::networks::Networks;
use crate::sync::{TrackSync, measure_sync};
use crate::watch::Watch;
use align::Alignment;
use consistency::Consistency;
use copies::Side;
use course::{Course, courses, landmarks, place_of};
use face::geometry::Point;
use face::track::Chosen;
use features::Features;
use media::Clip;
use std::path::Path;

/// Everything that was gathered about a pair of clips.
struct Gathered<'a> {
    made: Course,
    reference: Course,
    made_face: Option<Chosen>,
    reference_face: Option<Chosen>,
    alignment: Alignment,
    walked: walk::Walked,
    copy: copies::Verdict,
    lpips: Vec<f64>,
    faces: Vec<[Option<Vec<f32>>; 2]>,
    subject: Consistency,
    background: Consistency,
    sync: Option<Result<Vec<TrackSync>, String>>,
    agreement: Option<Result<Agreement, String>>,
    smoothness: Option<Result<f64, String>>,
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

    let input = copies::input(options.input.as_deref(), reference, options.open)?;
    let copy = copies::copied(
        &Side {
            clip: &made_clip,
            course: &made_course,
            face: made_face.as_ref(),
        },
        &Side {
            clip: &reference_clip,
            course: &reference_course,
            face: reference_face.as_ref(),
        },
        input.as_ref(),
        &walked,
    )?;
    // Silence goes with no lips.
    let heard = made_course.loudness.voiced().map(|_| ());
    let sync = match (&networks.syncnet, &made_face) {
        (Some(net), Some(face))
            if options.wants(&["sync-c", "sync-d", "sync-offset", "sync-words"]) =>
        {
            watch.begin("sync", 0);
            let found = match &heard {
                Ok(()) => measure_sync(&made_clip, &sound_clip, face, net, &options.sync)?,
                Err(reason) => Err(reason.clone()),
            };
            watch.end();
            Some(found)
        }
        (Some(_), None) => Some(Err("no face was found".to_owned())),
        _ => None,
    };
    let agreement = match (&networks.sync_scorer, &made_face) {
        (Some(scorer), Some(face)) if options.wants(&["lip-agreement", "lip-offset"]) => {
            Some(match &heard {
                Ok(()) => measure_agreement(&made_clip, &sound_clip, face, scorer)?,
                Err(reason) => Err(reason.clone()),
            })
        }
        _ => None,
    };
    let smoothness = match &options.interpolator {
        Some(command) if options.wants(&["motion-smoothness"]) => {
            Some(smoothness::smoothness(&made_clip, command, watch)?)
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
        copy,
        lpips,
        faces,
        subject,
        background,
        sync,
        agreement,
        smoothness,
        options,
        networks,
    };
    Ok(gathered.report(made, reference, sets))
}
