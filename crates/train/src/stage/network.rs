//! The networks of one round: from windows to velocities.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use methods::edit_yourself::EditYourselfConfig;
use models::audio_projection::{AudioProjection, needed_features, windows};
use models::ltx::{
    AudioMemory, AudioQueries, ContextMemory, Inputs, Rope, Transformer, TransformerConfig,
};
use models::mel_encoder::{MelEncoder, MelEncoderConfig};
use models::{ModelError, ModelFile};

use plan::Plan;

use super::teacher::Teacher;
use super::window::{Cells, Window};
use crate::conditions::Conditions;
use crate::error::{Result, TrainError};
use crate::lora::LoraOptions;
use crate::params::Parameters;

/// Mel bands.
const BANDS: usize = 80;

/// Transformer, sound encoder and projection, built of parameters with their gradients tracked.
#[derive(Debug, Clone)]
pub struct Network {
    /// The transformer.
    pub transformer: Transformer,
    /// From mel frames to features.
    pub encoder: MelEncoder,
    /// From features to tokens.
    pub projection: AudioProjection,
    /// The method's constants.
    pub config: EditYourselfConfig,
    /// Cells of the crop.
    pub cells: Cells,
    /// Moves features to what the picture shows, where windows are taught.
    pub teacher: Option<Arc<Teacher>>,
}

/// What the sound encoder makes of a window.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Tokens `[L, s * tokens, D_a]`.
    pub tokens: Tensor,
    /// Readings of the encoder's mouth head at the window's frames `[L * s, K]`, where it has that head.
    pub mouth: Option<Tensor>,
}

/// Noised copies of the windows of a round, all with the same conditions but the sound.
#[derive(Debug, Clone)]
pub struct Noised {
    /// Which window each copy belongs to.
    pub window: Vec<u32>,
    /// Noised tokens `[M, N, C]`.
    pub tokens: Tensor,
    /// Timesteps.
    pub times: Vec<f64>,
    /// Whether a copy hears its sound.
    pub sound: Vec<bool>,
}

impl Network {
    /// Builds the networks of a weight file's tensors.
    ///
    /// # Errors
    /// When parts are missing or do not fit each other.
    pub fn of_file(file: &ModelFile, dtype: DType) -> Result<Self> {
        let json = file.config()?;
        let device = Device::Cpu;
        let transformer_config = TransformerConfig::from_json(&json)?;
        let audio = transformer_config.audio.clone().ok_or_else(|| {
            TrainError::Recipe(format!(
                "{}: the transformer has no audio layers",
                file.origin()
            ))
        })?;
        let encoder: MelEncoderConfig = object(&json, "audio_encoder")?;
        let config: EditYourselfConfig = object(&json, "edit_yourself")?;
        Ok(Self {
            transformer: Transformer::load(file, &transformer_config, dtype, &device)?,
            encoder: MelEncoder::load(file, &encoder, &device)?,
            projection: AudioProjection::load(file, &audio, &device)?,
            cells: Cells::of_crop(&config)?,
            teacher: None,
            config,
        })
    }

    /// The same of a run's parameters, `values` for the trained ones, with their low-rank additions.
    ///
    /// # Errors
    /// As [`Self::of_file`].
    pub fn of_parameters(
        parameters: &Parameters,
        values: &BTreeMap<String, Tensor>,
        lora: Option<&LoraOptions>,
        dtype: DType,
    ) -> Result<Self> {
        let mut network = Self::of_file(&parameters.file("the run", values), dtype)?;
        if let Some(lora) = lora {
            lora.attach(&mut network.transformer, values)?;
        }
        Ok(network)
    }

    /// Sound of a window.
    ///
    /// # Errors
    /// When the window lies outside of its sound.
    pub fn hear(&self, window: &Window) -> Result<Heard> {
        let frames: Vec<u64> = window.sound.iter().flatten().copied().collect();
        let (Some(first), Some(last)) = (frames.iter().min(), frames.iter().max()) else {
            return Err(TrainError::Data("a window without frames".to_owned()));
        };
        let audio = self.projection.config();
        let mel_frames = window.mel.len() / BANDS;
        let total = mel_frames / 2;
        let mut wanted = needed_features((*first, *last), audio, window.rate, total)?;
        // The mouth head reads the feature nearest to a frame.
        let nearest = |frame: u64| {
            let at = (frame as f64 * audio.feature_rate / window.rate).round() as usize;
            at.min(total.saturating_sub(1))
        };
        wanted.start = wanted.start.min(nearest(*first));
        wanted.end = wanted.end.max(nearest(*last) + 1);
        let range = self.encoder.mel_range(mel_frames, &wanted)?;
        let data = window
            .mel
            .get(range.start * BANDS..range.end * BANDS)
            .ok_or_else(|| TrainError::Data("a window lies outside of its sound".to_owned()))?;
        let features = self.encoder.features(mel_frames, &wanted, data.to_vec())?;
        let mouth = match window.openings {
            Some(_) => {
                let index: Vec<u32> = frames
                    .iter()
                    .map(|frame| (nearest(*frame) - wanted.start) as u32)
                    .collect();
                let index = Tensor::new(index, &Device::Cpu)?;
                self.encoder.mouth(&features.index_select(&index, 0)?)?
            }
            None => None,
        };
        let features = match (&self.teacher, &window.taught) {
            (Some(teacher), Some(truth)) => {
                let truth = truth.narrow(0, wanted.start, wanted.len())?;
                teacher.moved(&features, &truth)?
            }
            _ => features,
        };
        let windows = windows(
            &features.unsqueeze(1)?,
            (wanted.start, total),
            &frames,
            audio,
            window.rate,
        )?;
        let tokens = self.projection.forward(&windows)?;
        let (_, each, width) = tokens.dims3()?;
        let latents = window.sound.len();
        Ok(Heard {
            tokens: tokens.reshape((latents, frames.len() / latents.max(1) * each, width))?,
            mouth,
        })
    }

    /// Cells that are noised, and the first latent that is, under these conditions.
    pub fn noised_cells(&self, conditions: Conditions) -> (Vec<u32>, usize) {
        let cells = if conditions.video {
            self.cells.inside.clone()
        } else {
            self.cells.all()
        };
        (cells, usize::from(conditions.first_frame))
    }

    /// Clean tokens of the noised places, `[1, N, C]`.
    ///
    /// # Errors
    /// When the window has too few latents.
    pub fn clean(&self, window: &Window, conditions: Conditions) -> Result<Tensor> {
        let (cells, from) = self.noised_cells(conditions);
        Window::pick(&window.clean, from, &cells)
    }

    /// Velocities `[M, N, C]` of noised copies of `windows`, which have one length and one number of
    /// references. `heard` are the windows' sounds.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn velocities(
        &self,
        windows: &[Window],
        heard: &[Heard],
        conditions: Conditions,
        noised: &Noised,
    ) -> Result<Tensor> {
        let plan = self.plan(windows, conditions)?;
        let sound: Vec<Tensor> = heard
            .iter()
            .map(|h| {
                let from = usize::from(conditions.first_frame);
                h.tokens.narrow(0, from, h.tokens.dim(0)? - from)
            })
            .collect::<candle_core::Result<_>>()?;
        let memory = if noised.sound.iter().any(|s| *s) {
            Some(self.transformer.audio(&Tensor::stack(&sound, 0)?)?)
        } else {
            None
        };
        if self.transformer.config().one_way_attention {
            self.one_way(&plan, memory.as_ref(), noised)
        } else {
            self.dense(&plan, memory.as_ref(), noised)
        }
    }

    /// One-way attention: the context once, then the copies with and those without sound.
    fn one_way(
        &self,
        plan: &Plan,
        memory: Option<&AudioMemory>,
        noised: &Noised,
    ) -> Result<Tensor> {
        let caption = self.transformer.empty_caption()?;
        let context = match &plan.context {
            Some((tokens, positions)) => {
                let rope = self.rope(positions)?;
                Some(
                    self.transformer
                        .context(tokens, &rope, &caption, &plan.groups)?,
                )
            }
            None => None,
        };
        let rows = |with: bool| -> Vec<u32> {
            (0..noised.window.len() as u32)
                .filter(|i| noised.sound.get(*i as usize) == Some(&with))
                .collect()
        };
        let mut parts = Vec::new();
        let mut order = Vec::new();
        for with in [true, false] {
            let rows = rows(with);
            if rows.is_empty() {
                continue;
            }
            let of = |i: &u32| noised.window.get(*i as usize).copied().unwrap_or(0);
            let samples: Vec<u32> = rows.iter().map(of).collect();
            let tokens = noised
                .tokens
                .index_select(&Tensor::new(rows.as_slice(), &Device::Cpu)?, 0)?;
            let chosen = context.as_ref().map(|c| c.select(&samples)).transpose()?;
            let sound = match (with, memory) {
                (true, Some(memory)) => Some(memory.select(&samples, plan.latents)?),
                _ => None,
            };
            let times: Vec<f32> = rows
                .iter()
                .map(|i| noised.times.get(*i as usize).copied().unwrap_or(1.0) as f32)
                .collect();
            let positions = plan.noised_of(&samples);
            parts.push(self.forward(
                &tokens,
                &Tensor::new(times, &Device::Cpu)?,
                &positions,
                sound.as_ref(),
                &AudioQueries::Folded {
                    latents: plan.latents,
                },
                chosen.as_ref(),
            )?);
            order.extend(rows);
        }
        restored(&parts, &order)
    }

    /// Dense attention: context in front of every copy, at timestep 0.
    fn dense(&self, plan: &Plan, memory: Option<&AudioMemory>, noised: &Noised) -> Result<Tensor> {
        let (_, own, _) = noised.tokens.dims3()?;
        let mut parts = Vec::new();
        for (row, window) in noised.window.iter().enumerate() {
            let sample = *window as usize;
            let mut tokens = noised.tokens.narrow(0, row, 1)?;
            let mut positions = plan.noised.get(sample).cloned().unwrap_or_default();
            let mut front = 0;
            if let Some((context, places)) = &plan.context {
                front = context.dim(1)?;
                tokens = Tensor::cat(&[context.narrow(0, sample, 1)?, tokens], 1)?;
                let mut all = places.get(sample).cloned().unwrap_or_default();
                all.append(&mut positions);
                positions = all;
            }
            let t = noised.times.get(row).copied().unwrap_or(1.0) as f32;
            let mut times = vec![0.0_f32; front];
            times.resize(front + own, t);
            let times = Tensor::from_vec(times, (1, front + own), &Device::Cpu)?;
            let each = own / plan.latents.max(1);
            let queries = (0..plan.latents)
                .map(|n| ((front + n * each) as u32..(front + (n + 1) * each) as u32).collect())
                .collect();
            let sound = match (noised.sound.get(row), memory) {
                (Some(true), Some(memory)) => Some(memory.select(&[*window], plan.latents)?),
                _ => None,
            };
            let velocity = self.forward(
                &tokens,
                &times,
                &[positions],
                sound.as_ref(),
                &AudioQueries::Masked(queries),
                None,
            )?;
            parts.push(velocity.narrow(1, front, own)?.contiguous()?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn forward(
        &self,
        tokens: &Tensor,
        times: &Tensor,
        positions: &[Vec<[f64; 3]>],
        sound: Option<&AudioMemory>,
        queries: &AudioQueries,
        context: Option<&ContextMemory>,
    ) -> Result<Tensor> {
        let caption = self.transformer.empty_caption()?;
        let rope = self.rope(positions)?;
        Ok(self.transformer.forward(&Inputs {
            latents: tokens,
            timestep: times,
            rope: &rope,
            caption: &caption,
            audio: sound.map(|memory| (memory, queries)),
            context,
            perturbation: None,
            self_bias: None,
        })?)
    }

    /// Tables of a batch; one for all where all are alike.
    fn rope(&self, positions: &[Vec<[f64; 3]>]) -> Result<Rope> {
        let Some(first) = positions.first() else {
            return Err(TrainError::Data("a round without samples".to_owned()));
        };
        if positions.iter().all(|p| p == first) {
            return Ok(self.transformer.rope(first)?);
        }
        let tokens = first.len();
        let flat: Vec<f64> = positions.iter().flatten().flatten().copied().collect();
        let coords = Tensor::from_vec(flat, (positions.len(), tokens, 3), &Device::Cpu)?;
        Ok(Rope::of_coords(
            self.transformer.config(),
            &coords.transpose(1, 2)?,
        )?)
    }
}

/// Rows of `parts`, which stand in the order of `order`, back in their own order.
fn restored(parts: &[Tensor], order: &[u32]) -> Result<Tensor> {
    let all = Tensor::cat(parts, 0)?;
    let sorted = order.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    if sorted {
        return Ok(all);
    }
    let mut places = vec![0_u32; order.len()];
    for (place, row) in order.iter().enumerate() {
        if let Some(slot) = places.get_mut(*row as usize) {
            *slot = place as u32;
        }
    }
    Ok(all.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?)
}

/// An object of the header's config.
pub(crate) fn object<T: serde::de::DeserializeOwned>(
    json: &serde_json::Value,
    name: &'static str,
) -> Result<T> {
    let value = json.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value)
        .map_err(|source| ModelError::ConfigText { part: name, source }.into())
}
