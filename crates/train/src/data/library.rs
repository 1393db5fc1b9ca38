//! Clips as latents, and windows drawn from them.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use methods::edit_yourself::OPENINGS;

use super::counterpart::Pose;
use super::shape::ShapeBasis;
use crate::error::{Result, TrainError};
use crate::loss::Readout;
use crate::random::Draw;
use crate::recipe::{ReadoutRecipe, References};
use crate::stage::{Cells, Window};

/// Probability that a window may start at a clip's first latent, which is unlike the others.
const FROM_START: f64 = 0.15;

/// Fewest frames that are alike enough in pose.
const NEAR: usize = 12;

/// By how much of all openings a reference may miss the one that the method names.
const OFF: f64 = 0.06;

/// What training needs of a clip.
#[derive(Debug, Clone)]
pub struct ClipLatents {
    /// Its name in messages and sheets.
    pub id: String,
    /// Who is seen.
    pub identity: String,
    /// How often it is drawn.
    pub weight: f64,
    /// Frames a second.
    pub rate: f64,
    /// Latents of what the model may be shown in place of the video, all cells, normalised `[n, G, C]`: the filled
    /// video, or counterparts; none when it is shown the video itself.
    pub shown: Vec<Tensor>,
    /// Latents of the video `[n, G, C]`.
    pub clean: Tensor,
    /// Masked cells of single frames, each encoded alone `[R, inside, C]`.
    pub references: Tensor,
    /// Which frames those are, counted from the first latent's.
    pub reference_frames: Vec<u64>,
    /// Mel frames of the clip's sound, 80 values each.
    pub mel: Arc<Vec<f32>>,
    /// The first latent's frame in the clip, from which the sound counts.
    pub offset: u64,
    /// Mouth opening of every frame from the first latent's on.
    pub openings: Vec<f32>,
    /// Lips and jaw of every frame, see [`super::shape_of`].
    pub shapes: Vec<Vec<f32>>,
    /// How the head is held in every frame.
    pub poses: Vec<Pose>,
    /// What the mouth reader should read `[n, K]`, once there is a reader.
    pub readings: Option<Tensor>,
}

impl ClipLatents {
    /// Latents.
    pub fn latents(&self) -> usize {
        self.clean.dims().first().copied().unwrap_or(0)
    }
}

/// All clips of a run.
#[derive(Debug, Clone)]
pub struct Library {
    /// Cells of the crop.
    pub cells: Cells,
    /// Clips to train on.
    pub train: Vec<ClipLatents>,
    /// Clips of people who are never trained on.
    pub held_out: Vec<ClipLatents>,
}

impl Library {
    /// Index of a training clip with at least `latents` latents, as often as its weight.
    ///
    /// # Errors
    /// When there is none.
    pub fn draw(&self, draw: &mut Draw, latents: usize) -> Result<usize> {
        let weights: Vec<f64> = self
            .train
            .iter()
            .map(|clip| {
                if clip.latents() >= latents {
                    clip.weight
                } else {
                    0.0
                }
            })
            .collect();
        if weights.iter().all(|w| *w <= 0.0) {
            return Err(TrainError::Data(format!(
                "no training clip has {latents} latents; batch.latents must be shorter"
            )));
        }
        Ok(draw.weighted(&weights))
    }

    /// A window of `latents` latents of training clip `clip`, with `references` references.
    ///
    /// # Errors
    /// When the clip is too short.
    pub fn window(
        &self,
        clip: usize,
        latents: usize,
        references: usize,
        kind: References,
        draw: &mut Draw,
    ) -> Result<Window> {
        let clip = self
            .train
            .get(clip)
            .ok_or_else(|| TrainError::Data(format!("there is no training clip {clip}")))?;
        let last = clip.latents().saturating_sub(latents);
        let low = usize::from(!draw.chance(FROM_START)).min(last);
        let first = low + draw.below(last - low + 1);
        self.cut(clip, first, latents, references, kind, draw)
    }

    /// A window at a place.
    ///
    /// # Errors
    /// When the clip is too short.
    pub fn cut(
        &self,
        clip: &ClipLatents,
        first: usize,
        latents: usize,
        references: usize,
        kind: References,
        draw: &mut Draw,
    ) -> Result<Window> {
        if first + latents > clip.latents() {
            return Err(TrainError::Data(format!(
                "{} has {} latents, latents {first}..{} were wanted",
                clip.id,
                clip.latents(),
                first + latents
            )));
        }
        let part = |tensor: &Tensor| -> Result<Tensor> {
            Ok(tensor.narrow(0, first, latents)?.to_dtype(DType::F32)?)
        };
        let sound: Vec<Vec<u64>> = (first..first + latents)
            .map(|n| {
                let frames = self.cells.sound_frames(n);
                frames.into_iter().map(|f| f + clip.offset).collect()
            })
            .collect();
        let openings = sound
            .iter()
            .flatten()
            .map(|frame| clip.openings.get((frame - clip.offset) as usize).copied())
            .collect::<Option<Vec<f32>>>();
        let which = if clip.shown.len() > 1 {
            draw.below(clip.shown.len())
        } else {
            0
        };
        let shown = match clip.shown.get(which) {
            Some(shown) => part(shown)?,
            None => part(&clip.clean)?,
        };
        let chosen = self.references(clip, first, latents, references, kind, draw);
        let index: Vec<u32> = chosen.iter().map(|n| *n as u32).collect();
        let references = if index.is_empty() {
            clip.references.narrow(0, 0, 0)?.to_dtype(DType::F32)?
        } else {
            let index = Tensor::new(index, &Device::Cpu)?;
            clip.references
                .index_select(&index, 0)?
                .to_dtype(DType::F32)?
        };
        Ok(Window {
            context: shown,
            clean: part(&clip.clean)?,
            references,
            first,
            rate: clip.rate,
            mel: Arc::clone(&clip.mel),
            sound,
            readings: clip.readings.as_ref().map(part).transpose()?,
            openings,
            taught: None,
        })
    }

    /// Which of the clip's reference frames; outside of the window where there are enough.
    fn references(
        &self,
        clip: &ClipLatents,
        first: usize,
        latents: usize,
        count: usize,
        kind: References,
        draw: &mut Draw,
    ) -> Vec<usize> {
        let own = self.cells.frames_of(first, latents);
        let all = 0..clip.reference_frames.len();
        let outside: Vec<usize> = all
            .clone()
            .filter(|n| {
                let frame = clip.reference_frames.get(*n).copied().unwrap_or(0);
                !own.contains(&frame)
            })
            .collect();
        let mut pool: Vec<usize> = if outside.len() >= count {
            outside
        } else {
            all.collect()
        };
        match kind {
            References::Random => {
                let chosen = draw.choose(pool.len(), count);
                chosen
                    .iter()
                    .filter_map(|n| pool.get(*n).copied())
                    .collect()
            }
            References::Opening => {
                let opening = |n: &usize| {
                    let frame = clip.reference_frames.get(*n).copied().unwrap_or(0);
                    clip.openings.get(frame as usize).copied().unwrap_or(0.0)
                };
                pool.sort_by(|a, b| opening(a).total_cmp(&opening(b)));
                // One out of each of `count` groups of rising opening.
                let size = pool.len();
                (0..count.min(size))
                    .filter_map(|group| {
                        let (low, high) = (group * size / count, (group + 1) * size / count);
                        pool.get(low + draw.below((high - low).max(1))).copied()
                    })
                    .collect()
            }
            References::Alike => alike(clip, &pool, &own, count, draw),
        }
    }

    /// Fits the mouth reader to the training clips, and writes down what it should read of every clip.
    ///
    /// # Errors
    /// When there are too few latents with a face.
    pub fn fit_readout(&mut self, recipe: &ReadoutRecipe) -> Result<Readout> {
        let s = self.cells.frames;
        let shapes: Vec<&[f32]> = self
            .train
            .iter()
            .flat_map(|clip| clip.shapes.iter().map(Vec::as_slice))
            .collect();
        // Every so many-th frame is plenty for a basis.
        let thin = (shapes.len() / 6000).max(1);
        let thinned: Vec<&[f32]> = shapes.into_iter().step_by(thin).collect();
        let basis = ShapeBasis::fit(&thinned, recipe.shape)?;
        let count = s * (1 + recipe.shape);
        for clip in self.train.iter_mut().chain(&mut self.held_out) {
            let latents = clip.latents();
            let mut rows = vec![0.0_f32; count];
            for n in 1..latents {
                let frames = s * (n - 1) + 1..s * n + 1;
                let opening = |f: usize| clip.openings.get(f).copied().unwrap_or(0.0);
                rows.extend(frames.clone().map(opening));
                for frame in frames {
                    let shape = clip.shapes.get(frame).map_or(&[][..], Vec::as_slice);
                    rows.extend(basis.project(shape));
                }
            }
            clip.readings = Some(Tensor::from_vec(rows, (latents, count), &Device::Cpu)?);
        }
        let (mut features, mut targets) = (Vec::new(), Vec::new());
        for clip in &self.train {
            let latents = clip.latents();
            if latents < 2 {
                continue;
            }
            let inside = Window::pick(&clip.clean.to_dtype(DType::F32)?, 1, &self.cells.inside)?;
            features.push(inside.reshape((latents - 1, ()))?);
            if let Some(readings) = &clip.readings {
                targets.push(readings.narrow(0, 1, latents - 1)?);
            }
        }
        if features.is_empty() {
            return Err(TrainError::Data("no clip has two latents".to_owned()));
        }
        let features = Tensor::cat(&features, 0)?;
        let mut readout = Readout::fit(&features, &Tensor::cat(&targets, 0)?, recipe.ridge, s)?;
        let mut importance = vec![recipe.opening as f32; s];
        for _ in 0..s {
            // Later components are smaller and noisier.
            importance.extend((0..recipe.shape).map(|k| if k < 4 { 1.0 } else { 0.4 }));
        }
        readout.importance = Tensor::new(importance, &Device::Cpu)?;
        Ok(readout)
    }
}

/// Of the frames in `pool` those whose head is held as in `own`, and of these the ones with the openings that the method
/// names, a little off: the crop follows eyes and bridge, so the tip of the nose tells how the head is turned.
fn alike(
    clip: &ClipLatents,
    pool: &[usize],
    own: &std::ops::Range<u64>,
    count: usize,
    draw: &mut Draw,
) -> Vec<usize> {
    let tip = |frame: u64| {
        let pose = clip.poses.get(frame as usize);
        pose.map_or([0.5; 2], |pose| {
            let [tip, ..] = pose.nose;
            tip
        })
    };
    let (mut x, mut y) = (0.0, 0.0);
    for frame in own.clone() {
        let [a, b] = tip(frame);
        x += a / (own.end - own.start).max(1) as f32;
        y += b / (own.end - own.start).max(1) as f32;
    }
    let frame = |n: &usize| clip.reference_frames.get(*n).copied().unwrap_or(0);
    let distance = |n: &usize| {
        let [a, b] = tip(frame(n));
        (a - x).powi(2) + (b - y).powi(2)
    };
    let mut near = pool.to_vec();
    near.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.cmp(b)));
    near.truncate((near.len() / 3).max(NEAR));
    let opening = |n: &usize| {
        let opening = clip.openings.get(frame(n) as usize);
        opening.copied().unwrap_or(0.0)
    };
    near.sort_by(|a, b| opening(a).total_cmp(&opening(b)).then(a.cmp(b)));
    OPENINGS
        .into_iter()
        .take(count)
        .filter_map(|share| {
            let share = (share + draw.between(-OFF, OFF)).clamp(0.0, 1.0);
            let place = (share * near.len().saturating_sub(1) as f64).round() as usize;
            near.get(place).copied()
        })
        .collect()
}
