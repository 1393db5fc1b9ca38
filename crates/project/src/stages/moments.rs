//! Whose lips go where: what the new sound asks for, and which recorded moments come nearest to it.

use super::heads::Heads;
use super::listen::MelFile;
use super::pictures::{Pictures, Shown};
use super::source::Source;
use crate::{Job, ProjectError};
use face::crop::{CROP_SIZE, Placement};
use face::mesh::{MOUTH_SHAPE, NOSE_POSE, mouth_opening};
use face::{FaceFrame, Point};
use methods::MethodError;
use methods::edit_yourself::{
    Calibration, EditYourself, HeardMouths, LipRange, MelSource, Moment, Mouth, Quiet, SaidMouths,
    Wish, at_rest, choose, resting_mouth,
};
use speech::mel::MEL_BANDS;
use std::ops::Range;
use units::FrameIndex;

/// Shape positions are counted in tenths of the crop.
const TENTHS: f32 = 10.0;

/// Mel frames of two tracks differ by less than this, on average, where both are the same sound.
const SAME_SOUND: f64 = 0.06;

/// Which source frame lends its lips to which output frame.
#[derive(Default)]
pub(crate) struct Counterparts {
    lent: Vec<(Range<FrameIndex>, Vec<FrameIndex>)>,
    /// What the sound is to say in and around the made ranges.
    pub(crate) said: Vec<SaidMouths>,
}

impl Counterparts {
    /// The source frame whose lips an output frame gets; `None` where it keeps its own.
    pub(crate) fn at(&self, output: FrameIndex) -> Option<FrameIndex> {
        self.lent.iter().find_map(|(range, frames)| {
            let place = output.0.checked_sub(range.start.0)?;
            frames.get(usize::try_from(place).ok()?).copied()
        })
    }

    /// Listens to the new track and to the clip's own, and plans all ranges. Nothing is lent for a model that is not
    /// shown counterparts, or can't say what it hears.
    #[expect(clippy::too_many_arguments, reason = "a stage sees the whole job")]
    pub(crate) fn plan(
        model: &EditYourself,
        source: &Source,
        pictures: &Pictures,
        heads: &Heads,
        ranges: &[LipRange],
        new: &MelFile,
        keeps_sound: bool,
        job: &Job,
    ) -> Result<Self, ProjectError> {
        if !model.config().counterparts || ranges.is_empty() {
            return Ok(Self::default());
        }
        let Some(heard) = model.hear(new).map_err(fault)? else {
            return Ok(Self::default());
        };
        let (moments, mean) = moments(model, heads);
        heads.check()?;
        let own = match &source.audio {
            Some(_) => Some(MelFile::write(&source.clip, &job.path("mel.own"))?),
            None => None,
        };
        let times = own.as_ref().and_then(|_| sound_times(source, &moments));
        let own = own.as_ref().filter(|_| times.is_some());
        let times = times.unwrap_or_default();
        let rate = source.video.rate.per_second();
        let calibration = calibrate(model, rate, &moments, &times, own, (new, &heard))?;
        // A recording whose picture is ahead of its sound stays so, as long as the sound is its own.
        let lag = match own {
            Some(own) if keeps_sound || alike(own, new)? => calibration.lag,
            _ => 0.0,
        };
        let quiet = Quiet::of(new, MEL_BANDS).map_err(fault)?;
        let own_quiet = own.map(|own| Quiet::of(own, MEL_BANDS)).transpose();
        let rest = resting_mouth(&moments, &times, own_quiet.map_err(fault)?.as_ref());
        let wanted = |output: u64| -> Option<Mouth> {
            let time = output as f64 / rate + lag;
            let mouth = calibration.apply(&heard.at(time)?);
            let resting = rest.as_ref().unwrap_or(&mouth);
            Some(at_rest(&mouth, resting, quiet.at(time)))
        };
        let mut planned = Self::default();
        for range in ranges {
            let mut wishes = Vec::new();
            for output in range.frames.start.0..range.frames.end.0 {
                let mouth = wanted(output);
                let (Some(mouth), Some(head)) = (mouth, seen(pictures, heads, FrameIndex(output)))
                else {
                    break;
                };
                wishes.push(Wish {
                    shown: head.source,
                    scene: head.scene,
                    mouth,
                    pose: head.pose,
                });
            }
            let beside = |output: Option<u64>| {
                let output = FrameIndex(output?);
                match pictures.at(output) {
                    Shown::Frame(frame) if range.available.contains(&output) => Some(frame),
                    _ => None,
                }
            };
            let before = beside(range.frames.start.0.checked_sub(1));
            let after = beside(Some(range.frames.end.0));
            let lent = choose(&wishes, &moments, before, after);
            planned.lent.push((range.frames.clone(), lent));
            // Beside what is made the sound says the recorded mouth.
            let mouths = (range.available.start.0..range.available.end.0)
                .map(|output| {
                    let output = FrameIndex(output);
                    let recorded = || match pictures.at(output) {
                        Shown::Frame(frame) => Some(centred(mouth(model, heads, frame)?, &mean)),
                        Shown::Between { .. } => None,
                    };
                    let own = range.frames.contains(&output);
                    let mouth = if own { None } else { recorded() };
                    mouth.or_else(|| wanted(output.0)).unwrap_or_default()
                })
                .collect();
            planned.said.push(SaidMouths {
                frames: range.available.clone(),
                mouths,
            });
        }
        Ok(planned)
    }
}

fn fault(error: MethodError) -> ProjectError {
    ProjectError::fault("generate", error)
}

/// How this person's mouth follows the sound: learned from the clip, if it has a sound of its own.
fn calibrate(
    model: &EditYourself,
    rate: f64,
    moments: &[Moment],
    times: &[f64],
    own: Option<&MelFile>,
    (new, heard): (&MelFile, &HeardMouths),
) -> Result<Calibration, ProjectError> {
    if let Some(own) = own
        && let Some(own) = model.hear(own).map_err(fault)?
        && let Some(found) = Calibration::of_clip(&own, times, moments)
    {
        return Ok(found);
    }
    let step = 1.0 / rate;
    let count = (new.frames() as f64 / 100.0 / step) as u64;
    let said: Vec<Mouth> = (0..count)
        .filter_map(|frame| heard.at(frame as f64 * step))
        .collect();
    Ok(Calibration::of_new(&said, moments))
}

/// When the moments are in the clip's own sound, seconds from its start.
fn sound_times(source: &Source, moments: &[Moment]) -> Option<Vec<f64>> {
    let clock = source.sound_clock()?;
    let time = |moment: &Moment| (source.clock.start_of(moment.frame) - clock.start).0;
    Some(moments.iter().map(time).collect())
}

/// Whether two tracks are the same sound, perhaps coded anew.
fn alike(a: &MelFile, b: &MelFile) -> Result<bool, ProjectError> {
    let (long, short) = (a.frames().max(b.frames()), a.frames().min(b.frames()));
    if short == 0 || (long - short) * 50 > long {
        return Ok(false);
    }
    let read = |mel: &MelFile, part: Range<usize>| {
        mel.read(part)
            .map_err(|error| ProjectError::fault("generate", error))
    };
    let (mut sum, mut count) = (0.0, 0_u64);
    for start in (0..short).step_by(4096) {
        let part = start..(start + 4096).min(short);
        for (a, b) in read(a, part.clone())?.iter().zip(read(b, part)?) {
            sum += f64::from((a - b).abs());
            count += 1;
        }
    }
    Ok(sum / (count.max(1) as f64) < SAME_SOUND)
}

/// Every followed source frame that shows the mouth well, and the mean of their shapes, which is taken out of them.
fn moments(model: &EditYourself, heads: &Heads) -> (Vec<Moment>, Mouth) {
    let mut moments: Vec<Moment> = heads
        .frames()
        .filter_map(|frame| {
            let face = heads.face(frame).filter(lends)?;
            let placement = heads.placement(frame)?;
            Some(Moment {
                frame,
                scene: heads.scene(frame)?,
                mouth: mouth(model, heads, frame)?,
                pose: pose(&placement, &face.landmarks)?,
            })
        })
        .collect();
    moments.sort_unstable_by_key(|moment| moment.frame);
    moments.dedup_by_key(|moment| moment.frame);
    let mean = mean_shape(&moments);
    for moment in &mut moments {
        moment.mouth = centred(moment.mouth, &mean);
    }
    (moments, mean)
}

fn lends(face: &FaceFrame) -> bool {
    !face.bridged && !face.is_profile()
}

/// The mean of the shape's components, which differ from person to person; openings are absolute.
fn mean_shape(moments: &[Moment]) -> Mouth {
    let count = moments.len().max(1) as f32;
    let mut mean = Mouth::default();
    for moment in moments {
        for (sum, value) in mean.iter_mut().zip(moment.mouth).skip(1) {
            *sum += value / count;
        }
    }
    mean
}

fn centred(mouth: Mouth, mean: &Mouth) -> Mouth {
    std::array::from_fn(|k| mouth[k] - mean[k])
}

/// The mouth that a source frame shows.
fn mouth(model: &EditYourself, heads: &Heads, frame: FrameIndex) -> Option<Mouth> {
    let (face, placement) = (heads.face(frame)?, heads.placement(frame)?);
    let mut positions = Vec::with_capacity(2 * MOUTH_SHAPE.len());
    for index in MOUTH_SHAPE {
        let point = placement.to_unit(*face.landmarks.get(index)?);
        positions.extend(point.map(|value| value * TENTHS));
    }
    model.see(mouth_opening(&face.landmarks), &positions)
}

/// How a head is held: points of the nose in crop pixels.
fn pose(placement: &Placement, landmarks: &[Point]) -> Option<[f32; 6]> {
    let mut pose = [0.0; 6];
    for (place, index) in pose.chunks_exact_mut(2).zip(NOSE_POSE) {
        let point = placement.to_unit(*landmarks.get(index)?);
        place.copy_from_slice(&point.map(|value| value * CROP_SIZE as f32));
    }
    Some(pose)
}

struct Seen {
    source: FrameIndex,
    scene: usize,
    pose: [f32; 6],
}

/// The head that an output frame shows, and the source frame that it is nearest to.
fn seen(pictures: &Pictures, heads: &Heads, output: FrameIndex) -> Option<Seen> {
    let source = match pictures.at(output) {
        Shown::Frame(frame) => frame,
        Shown::Between { a, b, weight } => {
            if weight < 0.5 {
                a
            } else {
                b
            }
        }
    };
    let placement = heads.placement_at(pictures, output)?;
    let landmarks = heads.landmarks_at(pictures, output)?;
    Some(Seen {
        source,
        scene: heads.scene(source)?,
        pose: pose(&placement, &landmarks)?,
    })
}
