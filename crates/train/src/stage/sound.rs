//! The sound encoder, on the mouths of recordings.
//!
//! Trained plainly, a transformer ignores the sound for long while its loss falls; the encoder alone learns in
//! minutes what the sound tells. So it comes first, and the transformer's audio path starts from it.

mod clip;

pub(crate) use clip::at_25;
pub use clip::{BestOffset, SoundClip};

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use models::mel_encoder::{MelEncoder, MelEncoderConfig};

use clip::readings;

use super::{Losses, Round, Stage, Validation, object};
use crate::data::ShapeBasis;
use crate::error::{Result, TrainError};
use crate::loss;
use crate::params::Parameters;
use crate::random::{Draw, Purpose};
use crate::recipe::Recipe;

/// Mel frames a target: targets are at 25 Hz, whatever the clip's rate.
const MELS: usize = 4;
const BANDS: usize = 80;

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
