//! The sync scorer: which sound goes with these lips, and when.
//!
//! Each sample is a window of lips with the sound around it, the sound shifted by a random number of frames. One loss asks
//! for the shift among all, another for the own sound among the batch's, a third for the same with each sound at its best
//! offset. Recordings are seldom exact: a clip's own offset
//! is looked up with the weights of an earlier run (`sync.align`) and taken out.

mod augment;
mod validate;

use std::collections::BTreeMap;

use candle_core::{D, Device, Tensor};
use models::ModelFile;
use models::sync_scorer::{MELS, SyncScorer, agreement, windows};

use super::{Losses, Round, Stage, Validation};
use crate::data::Faces;
use crate::error::{Result, TrainError};
use crate::params::Parameters;
use crate::random::{Draw, Purpose};
use crate::recipe::Recipe;
use crate::stage::sound::at_25;

/// Mel bands.
pub(crate) const BANDS: usize = 80;

/// The mel encoder's value of silence.
pub(crate) const SILENCE: f32 = -0.75;

/// A frame is voiced when its mean level is this close to the clip's loud frames (95th percentile): 0.35 are 28 dB.
const VOICED: f32 = 0.35;

/// Target shares of the frames beside the true one: landmarks and tracks are not exact to the frame.
const BESIDE: f32 = 0.15;

/// Frames between the windows of a clip whose own offset is looked up.
const HOP: usize = 10;

/// A clip as this stage sees it, at 25 Hz.
#[derive(Debug, Clone)]
pub struct SyncClip {
    /// Its name.
    pub id: String,
    /// Who is seen.
    pub identity: String,
    /// How often it is drawn.
    pub weight: f64,
    /// Lips and jaw, tenths of the crop.
    shapes: Vec<Vec<f32>>,
    /// Four mel frames a frame.
    mel: Vec<f32>,
    /// Whether somebody speaks.
    voiced: Vec<bool>,
    /// By how many frames its sound is late.
    late: i64,
}

impl SyncClip {
    /// Lips and sound of a clip's face.
    ///
    /// # Errors
    /// When its sound ends before its picture.
    pub fn new(id: &str, identity: &str, weight: f64, faces: &Faces) -> Result<Self> {
        let course = at_25(id, faces)?;
        let levels: Vec<f32> = course
            .mel
            .chunks_exact(MELS * BANDS)
            .map(|frame| frame.iter().sum::<f32>() / frame.len() as f32)
            .collect();
        let mut sorted = levels.clone();
        sorted.sort_by(f32::total_cmp);
        let loud = sorted.get(sorted.len() * 95 / 100).copied();
        let least = loud.unwrap_or(0.0) - VOICED;
        Ok(Self {
            id: id.to_owned(),
            identity: identity.to_owned(),
            weight,
            shapes: course.shapes,
            mel: course.mel,
            voiced: levels.iter().map(|level| *level > least).collect(),
            late: 0,
        })
    }

    fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Points of `window` frames from `start` on.
    fn points(&self, start: usize, window: usize) -> Vec<f32> {
        self.shapes
            .iter()
            .skip(start)
            .take(window)
            .flatten()
            .copied()
            .collect()
    }

    /// Mel frames of `count` frames from `start` on, silence beyond the ends.
    fn sound(&self, start: i64, count: usize) -> Vec<f32> {
        let each = MELS * BANDS;
        (start..start + count as i64)
            .flat_map(|frame| {
                let own = usize::try_from(frame)
                    .ok()
                    .and_then(|frame| self.mel.get(frame * each..(frame + 1) * each));
                own.map_or_else(|| vec![SILENCE; each], <[f32]>::to_vec)
            })
            .collect()
    }

    /// Share of voiced frames of a window.
    fn speech(&self, start: usize, window: usize) -> f64 {
        let voiced = self.voiced.iter().skip(start).take(window);
        voiced.filter(|v| **v).count() as f64 / window.max(1) as f64
    }

    /// Agreement of the window from `start` on with sound that is late by `-reach..=reach` frames more than `late`.
    fn curve(&self, scorer: &SyncScorer, start: usize, late: i64) -> Result<Vec<f32>> {
        let config = scorer.config();
        let (window, reach) = (config.window, config.reach);
        let from = start as i64 - reach as i64 + late;
        let count = window + 2 * reach;
        let points = self.points(start, window);
        Ok(scorer.curve(&points, &self.sound(from, count))?)
    }

    /// By how many frames the sound is late, from all windows together; none when no window is long enough.
    fn own_offset(&self, scorer: &SyncScorer) -> Result<Option<i64>> {
        let window = scorer.config().window;
        let mut sum: Vec<f32> = Vec::new();
        for start in (0..(self.len() + 1).saturating_sub(window)).step_by(HOP) {
            let curve = self.curve(scorer, start, 0)?;
            sum.resize(curve.len(), 0.0);
            for (sum, value) in sum.iter_mut().zip(curve) {
                *sum += value;
            }
        }
        Ok(peak(&sum).map(|at| at as i64 - scorer.config().reach as i64))
    }
}

/// The place of the largest value.
pub(crate) fn peak(curve: &[f32]) -> Option<usize> {
    let all = curve.iter().enumerate();
    all.max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| at)
}

/// The stage `sync-scorer`.
#[derive(Debug)]
pub struct SyncStage {
    recipe: Recipe,
    parameters: Parameters,
    scorer: SyncScorer,
    train: Vec<SyncClip>,
    held_out: Vec<SyncClip>,
    /// Clips that were left out because their own offset is too large.
    pub dropped: usize,
}

impl SyncStage {
    /// `parameters` hold a sync scorer; `align` is one of an earlier run.
    ///
    /// # Errors
    /// When the network can't be built, or no clip is long enough.
    pub fn new(
        recipe: Recipe,
        parameters: Parameters,
        mut train: Vec<SyncClip>,
        mut held_out: Vec<SyncClip>,
        align: Option<&ModelFile>,
    ) -> Result<Self> {
        let file = parameters.file("the run", &parameters.tracked());
        let scorer = SyncScorer::load(&file, &Device::Cpu)?;
        let window = scorer.config().window;
        train.retain(|clip| clip.len() >= window && clip.weight > 0.0);
        held_out.retain(|clip| clip.len() >= window);
        let before = train.len();
        if let Some(align) = align {
            let aligner = SyncScorer::load(align, &Device::Cpu)?;
            let most = recipe.sync.most_offset as i64;
            let mut kept = Vec::new();
            for mut clip in train {
                match clip.own_offset(&aligner)? {
                    Some(late) if late.abs() <= most => {
                        clip.late = late;
                        kept.push(clip);
                    }
                    _ => {}
                }
            }
            train = kept;
        }
        if train.len() < 2 {
            return Err(TrainError::Data(format!(
                "{} clips have a window of {window} frames; at least two are needed",
                train.len()
            )));
        }
        Ok(Self {
            dropped: before - train.len(),
            recipe,
            parameters,
            scorer,
            train,
            held_out,
        })
    }

    /// Points, mel frames, and the frames by which the sound is shifted, of one sample.
    fn sample(&self, step: u64, index: u64) -> Result<(Vec<f32>, Vec<f32>, i64)> {
        let config = self.scorer.config();
        let (window, reach) = (config.window, config.reach as i64);
        let draw = |purpose| Draw::new(self.recipe.seed, purpose, step, index);
        let weights: Vec<f64> = self.train.iter().map(|clip| clip.weight).collect();
        let mut order = draw(Purpose::Order);
        let clip = self
            .train
            .get(order.weighted(&weights))
            .ok_or_else(|| TrainError::Data("there are no clips to train on".to_owned()))?;
        let mut place = draw(Purpose::Window);
        let start = place.below(clip.len() + 1 - window);
        let shift = place.below(2 * reach as usize + 1) as i64 - reach;
        let mut points = clip.points(start, window);
        let from = start as i64 - reach + clip.late - shift;
        let mut mel = clip.sound(from, window + 2 * reach as usize);
        let other = self.train.get(order.below(self.train.len()));
        let options = &self.recipe.sync;
        let mut augment = draw(Purpose::Augment);
        augment::points(&mut points, options, &mut augment);
        augment::sound(&mut mel, other, options, &mut augment);
        Ok((points, mel, shift))
    }
}

/// Logarithm of the sum of exponentials along the last axis, which goes.
fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let most = x.max_keepdim(D::Minus1)?.detach();
    let sum = x.broadcast_sub(&most)?.exp()?.sum(D::Minus1)?.log()?;
    Ok((sum + most.squeeze(D::Minus1)?)?)
}

/// Logarithm of the softmax along the last axis.
fn log_softmax(x: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_sub(&log_sum_exp(x)?.unsqueeze(D::Minus1)?)?)
}

/// Mean cross entropy of rows of `logits` against rows of `targets`, which sum to one.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let each = (log_softmax(logits)? * targets)?.sum(D::Minus1)?;
    Ok(each.mean_all()?.neg()?)
}

impl Stage for SyncStage {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn losses(&mut self, round: &Round) -> Result<Losses> {
        let config = self.scorer.config().clone();
        let options = &self.recipe.sync;
        let (window, reach) = (config.window, config.reach);
        let (frames, offsets) = (window + 2 * reach, 2 * reach + 1);
        let batch = round.samples;
        let (mut points, mut mel, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..batch as u64 {
            let (own, heard, shift) = self.sample(round.step, round.first + n)?;
            points.extend(own);
            mel.extend(heard);
            shifts.push((shift + reach as i64) as usize);
        }
        let device = Device::Cpu;
        let points = Tensor::from_vec(points, (batch, window, 2 * config.points), &device)?;
        let mel = Tensor::from_vec(mel, (batch, frames * MELS, BANDS), &device)?;
        let mut draw = Draw::new(self.recipe.seed, Purpose::Loss, round.step, round.first);
        let share = options.dropout;
        let mut drop = |shape: &[usize]| {
            if share <= 0.0 {
                return Ok(None);
            }
            let kept = (1.0 / (1.0 - share)) as f32;
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| if draw.chance(share) { 0.0 } else { kept })
                .collect();
            Ok(Some(Tensor::from_vec(values, shape, &Device::Cpu)?))
        };
        let shown = self.scorer.picture(&points, &mut drop)?;
        let heard = self.scorer.sound(&mel, &mut drop)?;
        let (shown, heard) = (windows(&shown, window)?, windows(&heard, window)?);
        let shown = shown.squeeze(1)?;
        let width = shown.dim(1)?;
        // Every picture against every sound at every offset.
        let all = agreement(&shown, &heard.reshape((batch * offsets, width))?)?;
        let all = (all * options.scale)?;
        let diagonal: Vec<u32> = (0..batch).map(|n| (n * batch + n) as u32).collect();
        let own = all
            .reshape((batch * batch, offsets))?
            .index_select(&Tensor::new(diagonal, &device)?, 0)?;
        let mut targets = vec![0.0_f32; batch * offsets];
        for (row, shift) in targets.chunks_exact_mut(offsets).zip(&shifts) {
            let sides = [shift.checked_sub(1), Some(*shift), Some(shift + 1)];
            for (place, weight) in sides.into_iter().zip([BESIDE, 1.0 - 2.0 * BESIDE, BESIDE]) {
                // At the ends the share of the place that is not there goes to the true one.
                let place = place.filter(|place| *place < offsets).unwrap_or(*shift);
                if let Some(slot) = row.get_mut(place) {
                    *slot += weight;
                }
            }
        }
        let targets = Tensor::from_vec(targets, (batch, offsets), &device)?;
        let when = cross_entropy(&own, &targets)?;
        let columns: Vec<u32> = shifts
            .iter()
            .enumerate()
            .map(|(n, shift)| (n * offsets + shift) as u32)
            .collect();
        let pairs = all.index_select(&Tensor::new(columns, &device)?, 1)?;
        let same = Tensor::eye(batch, candle_core::DType::F32, &device)?;
        let whose = ((cross_entropy(&pairs, &same)?
            + cross_entropy(&pairs.t()?.contiguous()?, &same)?)?
            * 0.5)?;
        let mut total = (&when + (&whose * options.others)?)?;
        let anywhere = if options.anywhere > 0.0 {
            let best = log_sum_exp(&all.reshape((batch, batch, offsets))?)?;
            let loss = ((cross_entropy(&best, &same)?
                + cross_entropy(&best.t()?.contiguous()?, &same)?)?
                * 0.5)?;
            total = (total + (&loss * options.anywhere)?)?;
            Some(loss)
        } else {
            None
        };
        let mut losses = Losses::new(total);
        losses.note("when", &when)?;
        losses.note("whose", &whose)?;
        if let Some(loss) = &anywhere {
            losses.note("anywhere", loss)?;
        }
        let found = own.detach().to_vec2::<f32>()?;
        let right = found
            .iter()
            .zip(&shifts)
            .filter(|(row, shift)| peak(row).is_some_and(|at| at.abs_diff(**shift) <= 1))
            .count();
        let share = right as f64 / batch.max(1) as f64;
        losses.parts.insert("within_one".to_owned(), share);
        Ok(losses)
    }

    fn validate(&mut self, average: &BTreeMap<String, Tensor>, _step: u64) -> Result<Validation> {
        self.validation(average)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_entropy_is_that_of_the_textbook() {
        let logits = Tensor::new(&[[1.0_f32, 2.0, 4.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let targets = Tensor::new(&[[0.0_f32, 0.0, 1.0], [0.5, 0.5, 0.0]], &Device::Cpu).unwrap();
        let found = cross_entropy(&logits, &targets).unwrap();
        let first = ((-3.0_f64).exp() + (-2.0_f64).exp() + 1.0).ln();
        let wanted = f64::midpoint(first, 3.0_f64.ln());
        assert!((f64::from(found.to_scalar::<f32>().unwrap()) - wanted).abs() < 1e-6);
        let found = log_sum_exp(&logits).unwrap().to_vec1::<f32>().unwrap();
        assert!((f64::from(found[0]) - (4.0 + first - 0.0)).abs() < 1e-6);
        assert!((f64::from(found[1]) - 3.0_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn sound_beyond_the_ends_is_silence() {
        let clip = SyncClip {
            id: "a".to_owned(),
            identity: "a".to_owned(),
            weight: 1.0,
            shapes: vec![vec![1.0; 98]; 3],
            mel: vec![0.5; 3 * MELS * BANDS],
            voiced: vec![true, false, true],
            late: 0,
        };
        let sound = clip.sound(-1, 5);
        let levels: Vec<f32> = sound.chunks_exact(MELS * BANDS).map(|f| f[7]).collect();
        assert_eq!(levels, [SILENCE, 0.5, 0.5, 0.5, SILENCE]);
        assert!((clip.speech(1, 2) - 0.5).abs() < 1e-12);
        assert_eq!(clip.points(2, 4).len(), 98);
        assert_eq!(peak(&[0.1, 0.7, 0.3]), Some(1));
    }

    #[test]
    fn shapes_are_of_the_points_that_the_scorer_names() {
        let own: Vec<usize> = crate::data::LIPS
            .iter()
            .chain(&crate::data::JAW)
            .copied()
            .collect();
        assert_eq!(own, models::sync_scorer::POINTS);
    }
}
