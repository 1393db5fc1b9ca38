//! The sound encoder, on the mouths of recordings.
//!
//! Trained plainly, a transformer ignores the sound for long while its loss falls; the encoder alone learns in
//! minutes what the sound tells. So it comes first, and the transformer's audio path starts from it.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use models::mel_encoder::{MelEncoder, MelEncoderConfig};

use super::{Losses, Round, Stage, Validation, object};
use crate::data::{Faces, ShapeBasis};
use crate::error::{Result, TrainError};
use crate::gradients::values;
use crate::loss;
use crate::params::Parameters;
use crate::random::{Draw, Purpose};
use crate::recipe::Recipe;
use crate::stage::edit_yourself::series_correlation;

/// Mel frames a target: targets are at 25 Hz, whatever the clip's rate.
const MELS: usize = 4;
const BANDS: usize = 80;

/// A clip as this stage sees it.
#[derive(Debug, Clone)]
pub struct SoundClip {
    /// Its name.
    pub id: String,
    /// How often it is drawn.
    pub weight: f64,
    /// Mel frames from the first target on, 80 values each.
    mel: Vec<f32>,
    /// Mouth openings at 25 Hz, without the clip's mean.
    openings: Vec<f32>,
    /// Lips and jaw at 25 Hz, without the clip's mean.
    shapes: Vec<Vec<f32>>,
    /// What is read: opening, then components, each of deviation one.
    targets: Vec<Vec<f32>>,
}

impl SoundClip {
    /// Targets at 25 Hz from a clip's faces.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(id: &str, weight: f64, faces: &Faces) -> Result<Self> {
        let Course {
            mel,
            mut openings,
            mut shapes,
        } = at_25(id, faces)?;
        let count = openings.len();
        centre(&mut openings);
        let width = shapes.first().map_or(0, Vec::len);
        for k in 0..width {
            let of = |shape: &Vec<f32>| shape.get(k).copied().unwrap_or(0.0);
            let mean = shapes.iter().map(of).sum::<f32>() / count as f32;
            for shape in &mut shapes {
                if let Some(value) = shape.get_mut(k) {
                    *value -= mean;
                }
            }
        }
        Ok(Self {
            id: id.to_owned(),
            weight,
            mel,
            openings,
            shapes,
            targets: Vec::new(),
        })
    }

    fn len(&self) -> usize {
        self.openings.len()
    }

    /// Where the mouth goes with what an encoder reads best.
    ///
    /// # Errors
    /// When the encoder has no mouth head.
    pub fn offset(&self, encoder: &MelEncoder) -> Result<BestOffset> {
        Ok(best_offset(&self.reading(encoder)?, &self.openings))
    }

    /// Correlation of what an encoder reads with the mouth.
    ///
    /// # Errors
    /// When the encoder has no mouth head.
    pub fn agreement(&self, encoder: &MelEncoder) -> Result<f64> {
        Ok(series_correlation(&self.reading(encoder)?, &self.openings))
    }

    /// The encoder's reading of the opening.
    fn reading(&self, encoder: &MelEncoder) -> Result<Vec<f32>> {
        let shape = (1, self.len() * MELS, BANDS);
        let mel = Tensor::from_slice(&self.mel, shape, &Device::Cpu)?;
        values(
            &readings(encoder, &mel, None)?
                .narrow(2, 0, 1)?
                .contiguous()?,
        )
    }
}

/// A clip at 25 Hz, whatever its rate.
pub(crate) struct Course {
    /// Mel frames from the first frame on, four a frame, 80 values each.
    pub(crate) mel: Vec<f32>,
    /// Mouth openings.
    pub(crate) openings: Vec<f32>,
    /// Lips and jaw, tenths of the crop.
    pub(crate) shapes: Vec<Vec<f32>>,
}

/// Faces and sound at 25 Hz.
pub(crate) fn at_25(id: &str, faces: &Faces) -> Result<Course> {
    let seconds = faces.len().saturating_sub(1) as f64 / faces.rate;
    let count = (seconds * 25.0) as usize + 1;
    let first = (faces.first as f64 / faces.rate * 100.0).round() as usize;
    let at = |n: usize| {
        let place = (n as f64 / 25.0 * faces.rate).min((faces.len() - 1) as f64);
        let low = place.floor();
        (low as usize, (place - low) as f32)
    };
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let mut openings = Vec::with_capacity(count);
    let mut shapes = Vec::with_capacity(count);
    for n in 0..count {
        let (low, share) = at(n);
        let high = (low + 1).min(faces.len() - 1);
        let opening = |n: usize| faces.openings.get(n).copied().unwrap_or(0.0);
        openings.push(mix(opening(low), opening(high), share));
        let shape = |n: usize| faces.shapes.get(n).map_or(&[][..], Vec::as_slice);
        let pairs = shape(low).iter().zip(shape(high));
        shapes.push(pairs.map(|(a, b)| mix(*a, *b, share)).collect::<Vec<f32>>());
    }
    let mel = faces.mel.get(first * BANDS..).unwrap_or(&[]);
    let length = count * MELS * BANDS;
    if count < 2 || mel.len() < length {
        return Err(TrainError::Data(format!(
            "{id}: its sound ends before its picture"
        )));
    }
    Ok(Course {
        mel: mel.get(..length).unwrap_or(&[]).to_vec(),
        openings,
        shapes,
    })
}

/// Where mouth and sound go together best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestOffset {
    /// Their correlation there.
    pub agreement: f64,
    /// By how much the sound is late, seconds.
    pub seconds: f64,
}

/// The offset, within 0.2 s, at which `read` (from the sound) follows `shown` (from the picture) best, both at 25 Hz; finer
/// than a frame by the parabola through the three best values.
fn best_offset(read: &[f32], shown: &[f32]) -> BestOffset {
    const MOST: i64 = 5;
    let at = |late: i64| {
        let (read_from, shown_from) = (late.max(0) as usize, (-late).max(0) as usize);
        let count = read
            .len()
            .min(shown.len())
            .saturating_sub(late.unsigned_abs() as usize);
        let part = |x: &'_ [f32], from: usize| x.get(from..from + count).unwrap_or(&[]).to_vec();
        series_correlation(&part(read, read_from), &part(shown, shown_from))
    };
    let values: Vec<f64> = (-MOST..=MOST).map(at).collect();
    let best = (0..values.len())
        .max_by(|a, b| {
            let value = |n: &usize| values.get(*n).copied().unwrap_or(-1.0);
            // Of equals the one nearer to zero.
            let near = |n: &usize| std::cmp::Reverse((*n as i64 - MOST).abs());
            value(a).total_cmp(&value(b)).then(near(a).cmp(&near(b)))
        })
        .unwrap_or(MOST as usize);
    let value = |n: usize| values.get(n).copied();
    let peak = value(best).unwrap_or(0.0);
    let fine = match (best.checked_sub(1).and_then(value), value(best + 1)) {
        (Some(before), Some(after)) if before + after < 2.0 * peak => {
            0.5 * (before - after) / (before - 2.0 * peak + after)
        }
        _ => 0.0,
    };
    BestOffset {
        agreement: peak,
        seconds: (best as f64 - MOST as f64 + fine) / 25.0,
    }
}

/// Readings at 25 Hz `[B, T, K]` of mel `[B, 4 T, 80]`; `dropout` multiplies the features.
fn readings(encoder: &MelEncoder, mel: &Tensor, dropout: Option<&Tensor>) -> Result<Tensor> {
    let mut features = encoder.forward(mel)?;
    if let Some(mask) = dropout {
        features = (features * mask)?;
    }
    let readings = encoder
        .mouth(&features)?
        .ok_or_else(|| TrainError::Recipe("the sound encoder has no mouth head".to_owned()))?;
    let (batch, count, width) = readings.dims3()?;
    // Every second feature: 50 Hz to 25 Hz.
    Ok(readings
        .reshape((batch, count / 2, 2, width))?
        .narrow(2, 0, 1)?
        .contiguous()?
        .reshape((batch, count / 2, width))?)
}

fn centre(values: &mut [f32]) {
    let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
    for value in values {
        *value -= mean;
    }
}

/// The stage `audio-encoder`.
#[derive(Debug)]
pub struct SoundStage {
    recipe: Recipe,
    parameters: Parameters,
    encoder: MelEncoder,
    config: MelEncoderConfig,
    train: Vec<SoundClip>,
    held_out: Vec<SoundClip>,
    /// Share of the lips' variance that the components hold.
    pub shape_share: f64,
}

impl SoundStage {
    /// `parameters` hold a sound encoder with a mouth head of `1 + sound.components` readings.
    ///
    /// # Errors
    /// When the head has another width, or there are no clips.
    pub fn new(
        recipe: Recipe,
        parameters: Parameters,
        mut train: Vec<SoundClip>,
        mut held_out: Vec<SoundClip>,
    ) -> Result<Self> {
        let file = parameters.file("the run", &parameters.tracked());
        let config: MelEncoderConfig = object(&file.config()?, "audio_encoder")?;
        let readings = 1 + recipe.sound.components;
        let shapes = file.shapes();
        let head = shapes.get("audio_encoder.mouth.weight");
        if head.map(Vec::as_slice) != Some(&[readings, config.channels]) {
            return Err(TrainError::Recipe(format!(
                "sound.components is {}, so the mouth head must be [{readings}, {}], but it is {head:?}",
                recipe.sound.components, config.channels
            )));
        }
        let all: Vec<&[f32]> = train
            .iter()
            .flat_map(|clip| clip.shapes.iter().map(Vec::as_slice))
            .collect();
        let thin = (all.len() / 8000).max(1);
        let thinned: Vec<&[f32]> = all.into_iter().step_by(thin).collect();
        let basis = ShapeBasis::fit(&thinned, recipe.sound.components)?;
        let openings = || train.iter().flat_map(|clip| &clip.openings);
        let square: f64 = openings().map(|o| f64::from(*o).powi(2)).sum();
        let deviation = (square / openings().count().max(1) as f64).sqrt().max(1e-6) as f32;
        for clip in train.iter_mut().chain(&mut held_out) {
            clip.targets = clip
                .openings
                .iter()
                .zip(&clip.shapes)
                .map(|(opening, shape)| {
                    let components = basis.project(shape);
                    let scaled = components.iter().zip(&basis.deviations).map(|(c, d)| c / d);
                    [opening / deviation].into_iter().chain(scaled).collect()
                })
                .collect();
        }
        Ok(Self {
            encoder: MelEncoder::load(&file, &config, &Device::Cpu)?,
            shape_share: basis.share,
            recipe,
            parameters,
            config,
            train,
            held_out,
        })
    }

    /// Mel `[frames * 4, 80]` and targets `[frames, K]` of a window; beyond its end a clip's last values go on.
    fn window(&self, frames: usize, step: u64, index: u64) -> Result<(Vec<f32>, Vec<f32>)> {
        let seed = self.recipe.seed;
        let weights: Vec<f64> = self.train.iter().map(|clip| clip.weight).collect();
        let place = Draw::new(seed, Purpose::Order, step, index).weighted(&weights);
        let clip = self
            .train
            .get(place)
            .ok_or_else(|| TrainError::Data("there are no clips to train on".to_owned()))?;
        let room = clip.len().saturating_sub(frames);
        let start = Draw::new(seed, Purpose::Window, step, index).below(room + 1);
        let last = clip.len() - 1;
        let mut mel = Vec::with_capacity(frames * MELS * BANDS);
        let mut targets = Vec::new();
        for n in start..start + frames {
            let n = n.min(last);
            mel.extend(
                clip.mel
                    .get(n * MELS * BANDS..(n + 1) * MELS * BANDS)
                    .unwrap_or(&[]),
            );
            targets.extend(clip.targets.get(n).map_or(&[][..], Vec::as_slice));
        }
        self.disturb(
            &mut mel,
            &mut Draw::new(seed, Purpose::Augment, step, index),
        );
        Ok((mel, targets))
    }

    /// Level and tilt, a noise floor, blanked bands: what rooms and microphones do.
    fn disturb(&self, mel: &mut [f32], draw: &mut Draw) {
        let options = &self.recipe.sound;
        let (level, tilt) = (0.1 * draw.normal(), 0.08 * draw.normal());
        if draw.chance(options.level) {
            for frame in mel.chunks_exact_mut(BANDS) {
                for (band, value) in frame.iter_mut().enumerate() {
                    let along = 2.0 * band as f64 / (BANDS - 1) as f64 - 1.0;
                    *value += (level + tilt * along) as f32;
                }
            }
        }
        let floor = draw.between(-0.4, 0.4);
        if draw.chance(options.floor) {
            for value in mel.iter_mut() {
                *value = value.max((floor + 0.05 * draw.normal()) as f32);
            }
        }
        let (first, count) = (draw.below(66), 4 + draw.below(12));
        if draw.chance(options.bands) {
            let mean = mel.iter().sum::<f32>() / mel.len().max(1) as f32;
            for frame in mel.chunks_exact_mut(BANDS) {
                for value in frame.iter_mut().skip(first).take(count) {
                    *value = mean;
                }
            }
        }
    }
}

impl Stage for SoundStage {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn losses(&mut self, round: &Round) -> Result<Losses> {
        let options = &self.recipe.sound;
        let turns = &self.recipe.batch.frames;
        let turn = (round.step % turns.len().max(1) as u64) as usize;
        let frames = turns.get(turn).copied().unwrap_or(64);
        let (mut mel, mut targets) = (Vec::new(), Vec::new());
        for n in 0..round.samples as u64 {
            let (own, wanted) = self.window(frames, round.step, round.first + n)?;
            mel.extend(own);
            targets.extend(wanted);
        }
        let (batch, width) = (round.samples, 1 + options.components);
        let mel = Tensor::from_vec(mel, (batch, frames * MELS, BANDS), &Device::Cpu)?;
        let targets = Tensor::from_vec(targets, (batch, frames, width), &Device::Cpu)?;
        let mask = if options.dropout > 0.0 {
            let mut values = Vec::new();
            for n in 0..batch as u64 {
                let mut draw =
                    Draw::new(self.recipe.seed, Purpose::Loss, round.step, round.first + n);
                values.extend((0..frames * 2 * self.config.channels).map(|_| {
                    if draw.chance(options.dropout) {
                        0.0
                    } else {
                        (1.0 / (1.0 - options.dropout)) as f32
                    }
                }));
            }
            let shape = (batch, frames * 2, self.config.channels);
            Some(Tensor::from_vec(values, shape, &Device::Cpu)?)
        } else {
            None
        };
        let read_all = readings(&self.encoder, &mel, mask.as_ref())?;
        // The ends of a window lack context.
        let margin = options.margin.min((frames - 1) / 2);
        let inner = |x: &Tensor, from: usize, count: usize| -> Result<Tensor> {
            Ok(x.narrow(1, margin, frames - 2 * margin)?
                .narrow(2, from, count)?
                .contiguous()?)
        };
        let opening = |x: &Tensor| -> Result<Tensor> { Ok(inner(x, 0, 1)?.squeeze(2)?) };
        let (read, wanted) = (opening(&read_all)?, opening(&targets)?);
        let follow = loss::correlation_loss(&read, &wanted, None)?;
        let square = loss::squared_error(&read, &wanted)?.mean_all()?;
        let components = width - 1;
        let shape = loss::smooth_l1(
            &inner(&read_all, 1, components)?,
            &inner(&targets, 1, components)?,
        )?;
        let total = (((&follow * options.follow)? + (&square * options.opening)?)?
            + (&shape * options.shape)?)?;
        let mut losses = Losses::new(total);
        losses.note("follow", &follow)?;
        losses.note("opening", &square)?;
        losses.note("shape", &shape)?;
        Ok(losses)
    }

    fn validate(&mut self, average: &BTreeMap<String, Tensor>, _step: u64) -> Result<Validation> {
        let file = self.parameters.file("the average", average);
        let encoder = MelEncoder::load(&file, &self.config, &Device::Cpu)?;
        let mut result = Validation::default();
        for (name, clips) in [("held_out", &self.held_out), ("training", &self.train)] {
            let clips: Vec<&SoundClip> = clips.iter().take(self.recipe.log.validate).collect();
            if clips.is_empty() {
                continue;
            }
            let mut sum = 0.0;
            for clip in &clips {
                sum += clip.agreement(&encoder)?;
            }
            result
                .measures
                .insert(format!("{name}/follow"), sum / clips.len() as f64);
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_found_to_a_part_of_a_frame() {
        let wave = |t: f64| ((0.9 * t).sin() + 0.5 * (0.37 * t).cos()) as f32;
        let shown: Vec<f32> = (0..100).map(|n| wave(f64::from(n))).collect();
        for late in [-3.0, -0.4, 0.0, 1.0, 2.25] {
            let read: Vec<f32> = (0..100)
                .map(|n| 3.0 * wave(f64::from(n) - late) + 1.0)
                .collect();
            let found = best_offset(&read, &shown);
            assert!(
                (found.seconds * 25.0 - late).abs() < 0.12,
                "{late}: {found:?}"
            );
            assert!(found.agreement > 0.9, "{late}: {found:?}");
        }
    }
}
