//! Denoising one block.

use candle_core::{DType, Tensor};
use diffusion::schedule::next_time;
use diffusion::{NoiseKey, NoiseSource, Purpose, euler, guidance};
use models::ltx::{AudioMemory, AudioQueries, ContextGroup, ContextMemory, Inputs, Rope};

use super::cells::{block_seconds, reference_seconds};
use super::config::Carry;
use super::model::EditYourself;
use crate::error::Result;

/// A block's latents with all that conditions them.
pub(super) struct BlockInput<'a> {
    /// Index of the first latent in its stretch.
    pub(super) first: usize,
    /// Cells outside of the mask, `[W, outside, C]`.
    pub(super) outside: Tensor,
    /// Masked cells as recorded, `[W, inside, C]`, for models that see them.
    pub(super) shown: Option<Tensor>,
    /// Masked cells `[inside, C]` of the latents that are known.
    pub(super) known: Vec<Option<Tensor>>,
    /// Masked cells of reference frames, `[R, inside, C]`.
    pub(super) references: Option<&'a Tensor>,
    /// Audio tokens, `[W, s * tokens, D_a]`.
    pub(super) sound: Tensor,
    /// Name of each latent's noise.
    pub(super) noise: Vec<u64>,
    /// Frames a second.
    pub(super) rate: f64,
}

/// What does not change from step to step.
pub(super) struct Prepared {
    context: Context,
    rope: Rope,
    sound: AudioMemory,
    queries: AudioQueries,
    /// Latents of the block that are denoised.
    pub(super) latents: Vec<usize>,
}

enum Context {
    /// One-way attention: keys and values, once.
    Memory(ContextMemory),
    /// Models trained without: the tokens themselves, in front of the sequence.
    Tokens(Tensor),
}

impl EditYourself {
    /// Everything that the steps share.
    pub(super) fn prepare(&self, input: &BlockInput<'_>) -> Result<Prepared> {
        let seen = self.cells.seen(&input.outside)?;
        let (count, outside, channels) = seen.dims3()?;
        let inside = self.cells.inside.len();
        let clean = self.config.carry == Carry::Clean;
        let seconds = block_seconds(&self.config, input.first, count, input.rate);
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        let mut groups = Vec::new();
        if let Some(references) = input.references {
            let frames = references.dim(0)?;
            tokens.push(references.reshape((frames * inside, channels))?);
            let times = reference_seconds(&self.config, frames, input.rate);
            positions.extend(self.cells.positions(&self.cells.inside, &times));
            groups.push(ContextGroup {
                tokens: frames * inside,
                latent: None,
            });
        }
        tokens.push(seen.reshape((count * outside, channels))?);
        positions.extend(self.cells.positions(&self.cells.context, &seconds));
        groups.extend((0..count).map(|n| ContextGroup {
            tokens: outside,
            latent: Some(n as i64),
        }));
        if let Some(shown) = &input.shown {
            tokens.push(shown.reshape((count * inside, channels))?);
            positions.extend(self.cells.positions(&self.cells.inside, &seconds));
            groups.extend((0..count).map(|n| ContextGroup {
                tokens: inside,
                latent: Some(n as i64),
            }));
        }
        let mut latents = Vec::new();
        for (n, (known, second)) in input.known.iter().zip(&seconds).enumerate() {
            match known {
                Some(known) if clean => {
                    tokens.push(known.clone());
                    positions.extend(self.cells.positions(&self.cells.inside, &[*second]));
                    groups.push(ContextGroup {
                        tokens: inside,
                        latent: Some(n as i64),
                    });
                }
                _ => latents.push(n),
            }
        }
        let tokens = Tensor::cat(&tokens, 0)?.unsqueeze(0)?;
        let times: Vec<f64> = latents
            .iter()
            .filter_map(|n| seconds.get(*n).copied())
            .collect();
        let own = self.cells.positions(&self.cells.inside, &times);
        let index: Vec<u32> = latents.iter().map(|n| *n as u32).collect();
        let sound = input
            .sound
            .index_select(&Tensor::new(index, input.sound.device())?, 0)?
            .unsqueeze(0)?;
        let sound = self.transformer.audio(&sound)?;
        let (context, rope, queries) = if self.transformer.config().one_way_attention {
            let rope = self.transformer.rope(&positions)?;
            let memory = self
                .transformer
                .context(&tokens, &rope, &self.caption, &groups)?;
            let queries = AudioQueries::Folded {
                latents: latents.len(),
            };
            (
                Context::Memory(memory),
                self.transformer.rope(&own)?,
                queries,
            )
        } else {
            let front = positions.len() as u32;
            positions.extend(own);
            let each = inside as u32;
            let queries = (0..latents.len() as u32)
                .map(|n| (front + n * each..front + (n + 1) * each).collect())
                .collect();
            let rope = self.transformer.rope(&positions)?;
            (Context::Tokens(tokens), rope, AudioQueries::Masked(queries))
        };
        Ok(Prepared {
            context,
            rope,
            sound,
            queries,
            latents,
        })
    }

    /// Denoises a block: masked cells of all its latents, `[W, inside, C]`, the known ones
    /// as they were.
    pub(super) fn denoise(
        &self,
        input: &BlockInput<'_>,
        prepared: &Prepared,
        times: &[f64],
        audio_guidance: f64,
        noise: &dyn NoiseSource,
        mut step_done: impl FnMut(usize),
    ) -> Result<Tensor> {
        let inside = self.cells.inside.len();
        let channels = input.outside.dim(2)?;
        let device = input.outside.device();
        let start = input
            .noise
            .iter()
            .map(|index| {
                let key = NoiseKey {
                    purpose: Purpose::Start,
                    index: *index,
                };
                noise.normal(key, &[inside, channels], device)
            })
            .collect::<diffusion::Result<Vec<Tensor>>>()?;
        // Rows of the latents that are denoised; the known ones among them are replaced
        // by their own path before each step.
        let pick = |list: &[Tensor]| -> Result<Vec<Tensor>> {
            Ok(prepared
                .latents
                .iter()
                .filter_map(|n| list.get(*n).cloned())
                .collect())
        };
        let mut x = pick(&start)?;
        for t in times {
            let next = next_time(times, *t);
            for (row, n) in x.iter_mut().zip(&prepared.latents) {
                if let (Some(Some(known)), Some(noise)) = (input.known.get(*n), start.get(*n)) {
                    *row = euler::noised(known, noise, *t)?;
                }
            }
            let count = x.len();
            let rows = Tensor::stack(&x, 0)?;
            let tokens = rows.reshape((1, count * inside, channels))?;
            let velocity = self.guided_velocity(&tokens, *t, prepared, audio_guidance)?;
            let velocity = velocity.reshape((count, inside, channels))?;
            let moved = euler::step(&rows, &velocity, *t, next)?;
            x = (0..count)
                .map(|n| moved.get(n))
                .collect::<candle_core::Result<_>>()?;
            step_done(1);
        }
        let mut result: Vec<Option<Tensor>> = input.known.clone();
        for (row, n) in x.into_iter().zip(&prepared.latents) {
            if let Some(slot @ None) = result.get_mut(*n) {
                *slot = Some(row);
            }
        }
        let result: Vec<Tensor> = result.into_iter().flatten().collect();
        Ok(Tensor::stack(&result, 0)?)
    }

    /// Velocities `[1, N, C]` of masked tokens at `t`, with the weight of the sound.
    pub(super) fn guided_velocity(
        &self,
        tokens: &Tensor,
        t: f64,
        prepared: &Prepared,
        audio_guidance: f64,
    ) -> Result<Tensor> {
        let velocity = self.velocity(tokens, t, prepared, true)?;
        if (audio_guidance - 1.0).abs() <= f64::EPSILON {
            return Ok(velocity);
        }
        let without = self.velocity(tokens, t, prepared, false)?;
        Ok(guidance::audio(&velocity, &without, audio_guidance)?)
    }

    /// Velocities `[1, N, C]` of masked tokens at `t`, with or without the sound.
    fn velocity(&self, x: &Tensor, t: f64, prepared: &Prepared, sound: bool) -> Result<Tensor> {
        let device = x.device();
        let audio = sound.then_some((&prepared.sound, &prepared.queries));
        let inputs = |latents, timestep, context| Inputs {
            latents,
            timestep,
            rope: &prepared.rope,
            caption: &self.caption,
            audio,
            context,
            perturbation: None,
            self_bias: None,
        };
        Ok(match &prepared.context {
            Context::Memory(memory) => {
                let timestep = Tensor::new(&[t as f32], device)?;
                self.transformer
                    .forward(&inputs(x, &timestep, Some(memory)))?
            }
            Context::Tokens(tokens) => {
                let (front, own) = (tokens.dim(1)?, x.dim(1)?);
                let timestep = Tensor::cat(
                    &[
                        Tensor::zeros((1, front), DType::F32, device)?,
                        Tensor::full(t as f32, (1, own), device)?,
                    ],
                    1,
                )?;
                let all = Tensor::cat(&[tokens, x], 1)?;
                self.transformer
                    .forward(&inputs(&all, &timestep, None))?
                    .narrow(1, front, own)?
                    .contiguous()?
            }
        })
    }
}
