//! Teacher forcing of the sound's features.
//!
//! What a linear reader finds in the features of the mouth (opening and lip shape) is moved to what the picture truly
//! shows. So the transformer learns to draw the mouth that the features name, on every face and from every clip,
//! however badly its sound fits; how much the sound tells is the encoder's matter alone.

use candle_core::{Device, Tensor};
use models::mel_encoder::MelEncoder;
use nn::ops::{Activation, linear};

use crate::data::{ClipLatents, Library, ShapeBasis};
use crate::error::{Result, TrainError};
use crate::gradients::values;
use crate::loss::{Readout, solve};
use crate::random::Draw;
use crate::recipe::TeacherRecipe;

/// Features a second.
const RATE: f64 = 50.0;
/// Mel bands.
const BANDS: usize = 80;
/// Features at most to which the reader is fitted.
const ROWS: usize = 20_000;
/// Features over which the noise of a taught mouth is smoothed.
const SMOOTH: usize = 9;

/// A linear reader of the mouth from features, and the way back.
#[derive(Debug, Clone)]
pub struct Teacher {
    reader: Readout,
    /// Mean of the features `[C]`.
    centre: Tensor,
    /// Pseudo-inverse of the reader, transposed: a step of the readings `[.., K]` times this is the shortest step of the
    /// features `[.., C]` that makes it.
    back: Tensor,
    basis: ShapeBasis,
    noise: f64,
}

impl Teacher {
    /// Fits the reader to the training clips of `library`.
    ///
    /// # Errors
    /// When there are too few frames with a face.
    pub fn fit(library: &Library, encoder: &MelEncoder, recipe: &TeacherRecipe) -> Result<Self> {
        let shapes: Vec<&[f32]> = library
            .train
            .iter()
            .flat_map(|clip| clip.shapes.iter().map(Vec::as_slice))
            .collect();
        let thin = (shapes.len() / 8000).max(1);
        let thinned: Vec<&[f32]> = shapes.into_iter().step_by(thin).collect();
        let basis = ShapeBasis::fit(&thinned, recipe.shape)?;
        let frames: usize = library.train.iter().map(|clip| clip.openings.len()).sum();
        let thin = (2 * frames / ROWS).max(1);
        let (mut features, mut targets) = (Vec::new(), Vec::new());
        for clip in &library.train {
            let mouth = mouths(clip, &basis);
            let own = encode(encoder, &clip.mel)?;
            let count = own.dim(0)?;
            let known: Vec<u32> = (0..count)
                .filter(|n| place(clip, *n).is_some())
                .step_by(thin)
                .map(|n| n as u32)
                .collect();
            if known.is_empty() {
                continue;
            }
            let index = Tensor::new(known, &Device::Cpu)?;
            features.push(own.index_select(&index, 0)?);
            targets.push(spread(clip, &mouth, count)?.index_select(&index, 0)?);
        }
        if features.is_empty() {
            return Err(TrainError::Data(
                "no clip has sound under its face, so features can't be taught".to_owned(),
            ));
        }
        let features = Tensor::cat(&features, 0)?;
        let centre = features.mean(0)?;
        let centred = features.broadcast_sub(&centre)?;
        let reader = Readout::fit(&centred, &Tensor::cat(&targets, 0)?, recipe.ridge, 1)?;
        let weights = reader.weights.to_vec2::<f32>()?;
        let gram = linear(&reader.weights, &reader.weights, None, Activation::None)?;
        let gram = gram.to_vec2::<f32>()?;
        // Two readings that say nearly the same must not be taken apart by a huge step.
        let trace: f32 = gram
            .iter()
            .enumerate()
            .filter_map(|(n, row)| row.get(n))
            .sum();
        let least = f64::from(trace) / gram.len().max(1) as f64 * 1e-3;
        let back = solve(&gram, &weights, least)?;
        Ok(Self {
            reader,
            centre,
            back: Tensor::new(back, &Device::Cpu)?,
            basis,
            noise: recipe.noise,
        })
    }

    /// What the features of a clip ought to tell `[features, K]`, with some noise, so that features that are not quite
    /// right are drawn too.
    ///
    /// # Errors
    /// When the tensor can't be made.
    pub fn truth(&self, clip: &ClipLatents, draw: Option<&mut Draw>) -> Result<Tensor> {
        let count = clip.mel.len() / BANDS / 2;
        let truth = spread(clip, &mouths(clip, &self.basis), count)?;
        let truth = self.reader.normalise(&truth)?;
        let Some(draw) = draw.filter(|_| self.noise > 0.0) else {
            return Ok(truth);
        };
        let width = truth.dim(1)?;
        let steps = draw.normals(&[count + SMOOTH - 1, width])?;
        let mut sum = steps.narrow(0, 0, count)?.contiguous()?;
        for n in 1..SMOOTH {
            sum = (sum + steps.narrow(0, n, count)?)?;
        }
        // A mean of so many has a smaller deviation than each.
        let scale = self.noise / (SMOOTH as f64).sqrt();
        Ok((truth + (sum * scale)?)?)
    }

    /// `features` `[T, C]` moved so that the reader finds `truth` `[T, K]` in them.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn moved(&self, features: &Tensor, truth: &Tensor) -> Result<Tensor> {
        let said = self.reader.read(&features.broadcast_sub(&self.centre)?)?;
        let step = (truth - said)?;
        let step = linear(&step, &self.back.t()?.contiguous()?, None, Activation::None)?;
        Ok((features + step)?)
    }

    /// Normalised readings `[T, K]` of features.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn read(&self, features: &Tensor) -> Result<Vec<f32>> {
        values(&self.reader.read(&features.broadcast_sub(&self.centre)?)?)
    }
}

/// Features of a whole clip `[features, C]`, without their graph.
fn encode(encoder: &MelEncoder, mel: &[f32]) -> Result<Tensor> {
    let frames = mel.len() / BANDS / 2 * 2;
    let mel = mel.get(..frames * BANDS).unwrap_or(&[]).to_vec();
    let mel = Tensor::from_vec(mel, (1, frames, BANDS), &Device::Cpu)?;
    Ok(encoder.forward(&mel)?.squeeze(0)?.detach())
}

/// Opening and components of every frame from the first latent's on.
fn mouths(clip: &ClipLatents, basis: &ShapeBasis) -> Vec<Vec<f32>> {
    clip.openings
        .iter()
        .zip(&clip.shapes)
        .map(|(opening, shape)| [*opening].into_iter().chain(basis.project(shape)).collect())
        .collect()
}

/// Where feature `n` lies among the clip's frames with a face; none outside of them.
fn place(clip: &ClipLatents, n: usize) -> Option<f64> {
    let at = n as f64 / RATE * clip.rate - clip.offset as f64;
    let last = clip.openings.len().checked_sub(1)? as f64;
    (0.0..=last).contains(&at).then_some(at)
}

/// Values of frames at the times of features; the first and the last go on beyond the ends.
fn spread(clip: &ClipLatents, mouths: &[Vec<f32>], count: usize) -> Result<Tensor> {
    let width = mouths.first().map_or(0, Vec::len);
    let last = mouths.len().saturating_sub(1);
    let mut data = Vec::with_capacity(count * width);
    for n in 0..count {
        let at = n as f64 / RATE * clip.rate - clip.offset as f64;
        let at = at.clamp(0.0, last as f64);
        let (low, share) = (at.floor(), (at - at.floor()) as f32);
        let row = |n: usize| mouths.get(n.min(last)).map_or(&[][..], Vec::as_slice);
        let (low, high) = (row(low as usize), row(low as usize + 1));
        data.extend(low.iter().zip(high).map(|(a, b)| a + (b - a) * share));
    }
    Ok(Tensor::from_vec(data, (count, width), &Device::Cpu)?)
}
