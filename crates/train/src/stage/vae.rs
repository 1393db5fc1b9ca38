//! The video autoencoder, on head crops.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use media::Sandbox;
use methods::edit_yourself::EditYourselfConfig;
use models::ltx::{Vae, VaeConfig};

use super::{Losses, Round, Stage, Validation, object};
use crate::data::encode::{picture_of, video_of};
use crate::data::{Faces, FootageClip};
use crate::error::{Result, TrainError};
use crate::log::Sheet;
use crate::loss::{self, Perceptual};
use crate::params::Parameters;
use crate::random::{Draw, Purpose};
use crate::recipe::Recipe;

/// Standard deviation of the weight around the lips, crop pixels of 256.
const LIPS: f64 = 28.0;

/// Frames of a validation window: three latents at a temporal stride of four.
const SHOWN: usize = 9;

/// Clips that the latents' statistics are taken of.
const STATISTICS: usize = 200;

/// A clip with its face.
#[derive(Debug, Clone)]
pub struct PictureClip {
    /// The file.
    pub clip: FootageClip,
    /// Where the head is.
    pub faces: Faces,
}

/// The stage `vae`.
pub struct VaeStage {
    recipe: Recipe,
    parameters: Parameters,
    config: VaeConfig,
    method: EditYourselfConfig,
    kept: Option<Vae>,
    train: Vec<PictureClip>,
    held_out: Vec<PictureClip>,
    sandbox: Sandbox,
    perceptual: Option<Box<dyn Perceptual>>,
}

impl std::fmt::Debug for VaeStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaeStage")
            .field("train", &self.train.len())
            .finish_non_exhaustive()
    }
}

impl VaeStage {
    /// `parameters` hold an autoencoder; clips are read anew for every sample.
    ///
    /// # Errors
    /// When the networks can't be built, or window sizes do not fit the strides.
    pub fn new(
        recipe: Recipe,
        parameters: Parameters,
        train: Vec<PictureClip>,
        held_out: Vec<PictureClip>,
        sandbox: Sandbox,
    ) -> Result<Self> {
        let file = parameters.file("the run", &parameters.tracked());
        let json = file.config()?;
        let config = VaeConfig::from_json(&json)?;
        let (time, space) = (config.temporal_stride(), config.spatial_stride());
        for frames in &recipe.batch.frames {
            if frames % time != 1 % time {
                return Err(TrainError::Recipe(format!(
                    "batch.frames has {frames}, but the autoencoder wants a multiple of {time} plus 1"
                )));
            }
        }
        let method: EditYourselfConfig = object(&json, "edit_yourself")?;
        for pixels in &recipe.batch.pixels {
            if !pixels.is_multiple_of(space) || *pixels > method.crop {
                return Err(TrainError::Recipe(format!(
                    "batch.pixels has {pixels}, but windows must be multiples of {space} up to {}",
                    method.crop
                )));
            }
        }
        let kept = if recipe.model.dtype.dtype() == DType::F32 {
            Some(Vae::load(&file, &config, DType::F32, &Device::Cpu)?)
        } else {
            None
        };
        Ok(Self {
            recipe,
            parameters,
            config,
            method,
            kept,
            train,
            held_out,
            sandbox,
            perceptual: None,
        })
    }

    /// Puts in a measure of pictures by features.
    pub fn set_perceptual(&mut self, measure: Box<dyn Perceptual>) {
        self.perceptual = Some(measure);
    }

    /// A window `[1, 3, F, s, s]` with its weights `[1, 1, 1, s, s]`.
    fn window(
        &self,
        frames: usize,
        pixels: usize,
        step: u64,
        index: u64,
    ) -> Result<(Tensor, Tensor)> {
        let seed = self.recipe.seed;
        let options = &self.recipe.vae;
        let weight = |clip: &PictureClip| {
            if clip.faces.len() >= frames {
                clip.clip.weight
            } else {
                0.0
            }
        };
        let weights: Vec<f64> = self.train.iter().map(weight).collect();
        let place = Draw::new(seed, Purpose::Order, step, index).weighted(&weights);
        let clip = self
            .train
            .get(place)
            .filter(|clip| clip.faces.len() >= frames)
            .ok_or_else(|| TrainError::Data(format!("no training clip has {frames} frames")))?;
        let mut draw = Draw::new(seed, Purpose::Window, step, index);
        let first = draw.below(clip.faces.len() - frames + 1);
        let side = self.method.crop;
        let cells = (side - pixels) / self.method.spatial_stride;
        let (y, x) = (
            draw.below(cells + 1) * self.method.spatial_stride,
            draw.below(cells + 1) * self.method.spatial_stride,
        );
        let range = first..first + frames;
        let crops = clip
            .faces
            .crops(&clip.clip.path, range.clone(), side, self.sandbox)?;
        let mut draw = Draw::new(seed, Purpose::Augment, step, index);
        let grey = draw.chance(options.grey);
        let fill = (self.method.mask_box(), self.method.context_fill as f32);
        let mut video = video_of(&crops, grey.then_some(&fill))?
            .narrow(3, y, pixels)?
            .narrow(4, x, pixels)?
            .contiguous()?;
        let (gain, shift) = (draw.between(0.8, 1.15), draw.between(-0.12, 0.12));
        let tint: Vec<f32> = (0..3)
            .map(|_| (shift + 0.04 * draw.normal()) as f32)
            .collect();
        if draw.chance(options.light) && !grey {
            let tint = Tensor::from_vec(tint, (1, 3, 1, 1, 1), &Device::Cpu)?;
            video = (video * gain)?.broadcast_add(&tint)?.clamp(-1.0, 1.0)?;
        }
        let mirror = draw.chance(options.mirror);
        if mirror {
            let turned: Vec<u32> = (0..pixels as u32).rev().collect();
            video = video.index_select(&Tensor::new(turned, &Device::Cpu)?, 4)?;
        }
        let (mut lips_x, mut lips_y) = (0.0, 0.0);
        for frame in range {
            let [x, y] = clip.faces.lips_at(frame, side as f32);
            lips_x += f64::from(x) / frames as f64;
            lips_y += f64::from(y) / frames as f64;
        }
        let spread = 2.0 * (LIPS * side as f64 / 256.0).powi(2);
        let mut map = Vec::with_capacity(pixels * pixels);
        for row in 0..pixels {
            for column in 0..pixels {
                let column = if mirror { pixels - 1 - column } else { column };
                let (dx, dy) = ((x + column) as f64 - lips_x, (y + row) as f64 - lips_y);
                let near = (-(dx * dx + dy * dy) / spread).exp();
                map.push(if grey {
                    1.0
                } else {
                    (1.0 + options.lips * near) as f32
                });
            }
        }
        let map = Tensor::from_vec(map, (1, 1, 1, pixels, pixels), &Device::Cpu)?;
        Ok((video, map))
    }

    fn vae(&self) -> Result<Vae> {
        match &self.kept {
            Some(vae) => Ok(vae.clone()),
            None => Ok(Vae::load(
                &self.parameters.file("the run", &self.parameters.tracked()),
                &self.config,
                self.recipe.model.dtype.dtype(),
                &Device::Cpu,
            )?),
        }
    }

    fn timestep(&self, batch: usize) -> Result<Tensor> {
        let t = self.method.decode_timestep as f32;
        Ok(Tensor::from_vec(vec![t; batch], batch, &Device::Cpu)?)
    }
}

/// Peak signal-to-noise ratio of pictures in -1..1, dB.
fn psnr(a: &Tensor, b: &Tensor) -> Result<f64> {
    let error = ((a - b)?.sqr()?.mean_all()? / 4.0)?.to_scalar::<f32>()?;
    Ok(-10.0 * (f64::from(error) + 1e-9).log10())
}

impl Stage for VaeStage {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn losses(&mut self, round: &Round) -> Result<Losses> {
        let options = &self.recipe.vae;
        let batch = &self.recipe.batch;
        let turn = |list: &[usize]| {
            list.get((round.step % list.len().max(1) as u64) as usize)
                .copied()
        };
        let frames = turn(&batch.frames).unwrap_or(5);
        let pixels = turn(&batch.pixels).unwrap_or(128);
        let (mut videos, mut maps) = (Vec::new(), Vec::new());
        for n in 0..round.samples as u64 {
            let (video, map) = self.window(frames, pixels, round.step, round.first + n)?;
            videos.push(video);
            maps.push(map);
        }
        let (video, map) = (Tensor::cat(&videos, 0)?, Tensor::cat(&maps, 0)?);
        let vae = self.vae()?;
        let (mean, log_variance) = vae.posterior(&video)?;
        let mut rows = Vec::new();
        for n in 0..round.samples as u64 {
            let mut draw = Draw::new(
                self.recipe.seed,
                Purpose::Noise,
                round.step,
                round.first + n,
            );
            let mut shape = mean.dims().to_vec();
            if let Some(first) = shape.first_mut() {
                *first = 1;
            }
            rows.push(draw.normals(&shape)?);
        }
        let noise = Tensor::cat(&rows, 0)?;
        let [low, high] = options.log_variance;
        let log_variance = log_variance.clamp(low, high)?;
        let latents = match options.decoder_noise {
            // The transformer's latents are not exact.
            Some(most) => {
                let share = Draw::new(self.recipe.seed, Purpose::Timestep, round.step, round.first)
                    .between(0.0, most);
                let normal = (vae.normalise(&mean.detach())? + (noise * share)?)?;
                vae.unnormalise(&normal)?
            }
            None => loss::posterior_sample(&mean, &log_variance, &noise)?,
        };
        let made = vae.decode(&latents, &self.timestep(round.samples)?)?;
        let mut parts = options.loss;
        if options.detail_from > 0.0 {
            let rise = (round.done - options.detail_from) / 0.3;
            parts.detail *= rise.clamp(0.0, 1.0);
        }
        let measure = self.perceptual.as_deref();
        let reconstruction = parts.loss(&made, &video, &map, measure)?;
        let kl = loss::kl_divergence(&mean, &log_variance)?;
        let total = if options.decoder_noise.is_some() {
            reconstruction.clone()
        } else {
            (&reconstruction + (&kl * parts.kl)?)?
        };
        let mut losses = Losses::new(total);
        losses.note("reconstruction", &reconstruction)?;
        losses.note("kl", &kl)?;
        losses
            .parts
            .insert("psnr".to_owned(), psnr(&made.detach(), &video)?);
        Ok(losses)
    }

    /// Mean and standard deviation of every latent channel, over plain and filled windows of the training clips.
    fn complete(&mut self, average: &BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>> {
        let file = self.parameters.file("the average", average);
        let vae = Vae::load(&file, &self.config, DType::F32, &Device::Cpu)?;
        let channels = self.config.latent_channels;
        let (mut sum, mut square, mut count) =
            (vec![0.0_f64; channels], vec![0.0_f64; channels], 0.0);
        let time = self.config.temporal_stride();
        let frames = 2 * time + 1;
        let fill = (self.method.mask_box(), self.method.context_fill as f32);
        let long: Vec<&PictureClip> = self
            .train
            .iter()
            .filter(|c| c.faces.len() > frames)
            .collect();
        let every = (long.len() / STATISTICS).max(1);
        for (n, clip) in long.iter().step_by(every).enumerate() {
            let range = 0..frames;
            let side = self.method.crop;
            let crops = clip
                .faces
                .crops(&clip.clip.path, range, side, self.sandbox)?;
            let video = video_of(&crops, (n % 2 == 1).then_some(&fill))?;
            let latents = vae.encode(&video)?.transpose(0, 1)?.flatten_from(1)?;
            for ((row, sum), square) in latents
                .to_vec2::<f32>()?
                .iter()
                .zip(&mut sum)
                .zip(&mut square)
            {
                for value in row.iter().map(|v| f64::from(*v)) {
                    *sum += value;
                    *square += value * value;
                }
            }
            count += latents.dim(1)? as f64;
        }
        if count < 2.0 {
            return Ok(BTreeMap::new());
        }
        let mean: Vec<f32> = sum.iter().map(|s| (s / count) as f32).collect();
        let spread = sum.iter().zip(&square).map(|(s, q)| {
            let variance = q / count - (s / count).powi(2);
            variance.max(1e-8).sqrt() as f32
        });
        let spread: Vec<f32> = spread.collect();
        let name = |part: &str| format!("vae.per_channel_statistics.{part}");
        Ok(BTreeMap::from([
            (name("mean-of-means"), Tensor::new(mean, &Device::Cpu)?),
            (name("std-of-means"), Tensor::new(spread, &Device::Cpu)?),
        ]))
    }

    fn validate(&mut self, average: &BTreeMap<String, Tensor>, _step: u64) -> Result<Validation> {
        let file = self.parameters.file("the average", average);
        let vae = Vae::load(&file, &self.config, DType::F32, &Device::Cpu)?;
        let mut result = Validation::default();
        let mut sheet = Sheet::default();
        let shown = SHOWN.next_multiple_of(self.config.temporal_stride()) + 1
            - self.config.temporal_stride();
        for (name, clips) in [("held_out", &self.held_out), ("training", &self.train)] {
            let long = |clip: &&PictureClip| clip.faces.len() > shown + 10;
            let clips: Vec<&PictureClip> = clips
                .iter()
                .filter(long)
                .take(self.recipe.log.validate)
                .collect();
            let (mut whole, mut mouth) = (0.0, 0.0);
            for clip in &clips {
                let side = self.method.crop;
                let range = 10..10 + shown;
                let crops = clip
                    .faces
                    .crops(&clip.clip.path, range, side, self.sandbox)?;
                let video = video_of(&crops, None)?;
                let made = vae
                    .decode(&vae.encode(&video)?, &self.timestep(1)?)?
                    .clamp(-1.0, 1.0)?;
                whole += psnr(&made, &video)?;
                let [x, y] = clip.faces.lips_at(10, side as f32);
                let span = side / 4;
                let from = |c: f32| ((c as usize).saturating_sub(span / 2)).min(side - span);
                let cut = |t: &Tensor| t.narrow(3, from(y), span)?.narrow(4, from(x), span);
                mouth += psnr(&cut(&made)?, &cut(&video)?)?;
                let middle = shown / 2;
                sheet.row(vec![
                    picture_of(&video, middle)?,
                    picture_of(&made, middle)?,
                ]);
            }
            if !clips.is_empty() {
                let count = clips.len() as f64;
                result
                    .measures
                    .insert(format!("{name}/psnr"), whole / count);
                result
                    .measures
                    .insert(format!("{name}/mouth_psnr"), mouth / count);
            }
        }
        result.sheet = sheet.picture();
        Ok(result)
    }
}
