//! LTX-Video by itself: denoising with text, guidance and clean tokens, in one pass or two.
//!
//! LTX-Video `ltx_video/pipelines/pipeline_ltx_video.py` (`LTXVideoPipeline`,
//! `prepare_conditioning`, `LTXMultiScalePipeline`). Noise comes from outside. Clean tokens are
//! the temporal inpainting of the base model: what an edit fills without any adapter.

mod beside;
mod cached;
mod decode;
mod encode;
mod job;
mod mask;
mod model;
mod parts;
mod sequence;
mod span;
mod two_pass;

use candle_core::{DType, Tensor};
use diffusion::schedule::next_time;
use diffusion::{Branches, Pass, StgMode, euler};
use models::lora::LoraStack;
use models::ltx::{
    AudioMemory, AudioQueries, Caption, Inputs, Perturbation, Rope, SkipMode, Transformer,
};

pub use beside::{Beside, Faces};
pub use cached::{BranchCaches, Pairs};
pub use job::{MadePicture, Order, PictureSource, SpanJob, SpanObserver, SpanProgress, SpanRange};
pub use mask::{Area, LatentMask, Made};
pub use model::LtxVideo;
pub use parts::{Parts, PartsConfig};
pub use sequence::{Grid, Sequence, SequenceSound};
pub use span::{Captions, SpanInputs};
pub use two_pass::{SecondPass, second_pass};

use crate::error::Result;

/// Which guidance branch a forward pass belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    Negative,
    Positive,
    Perturbed,
    /// Without sound.
    Silent,
}

/// Sound that a denoise follows.
#[derive(Debug, Clone, Copy)]
pub struct Sound<'a> {
    pub memory: &'a AudioMemory,
    /// The tokens that hear it: the mask of EditYourself eq. 6.
    pub queries: &'a AudioQueries,
    /// Weight of the sound over no sound; 1 is the sound's own velocity.
    pub guidance: f64,
}

/// Tokens that are known, with how firmly: 1 stays as it is, 0 is made anew, between them a
/// token joins the denoise below that noise level.
#[derive(Debug, Clone)]
pub struct Known {
    /// Normalised latents `[B, N, C]`.
    pub latents: Tensor,
    /// One value a token.
    pub strength: Vec<f64>,
}

impl Known {
    /// `start` `[B, N, C]` with these tokens in their places.
    fn mixed(&self, start: &Tensor) -> Result<Tensor> {
        let strength: Vec<f32> = self.strength.iter().map(|s| *s as f32).collect();
        let strength = Tensor::from_vec(strength, (1, self.strength.len(), 1), start.device())?;
        // In this form a strength of 1 gives the token to the last bit.
        let rest = strength.affine(-1.0, 1.0)?;
        Ok((self.latents.broadcast_mul(&strength)? + start.broadcast_mul(&rest)?)?)
    }
}

/// One denoise of one set of tokens.
#[derive(Debug, Clone, Copy)]
pub struct Denoise<'a> {
    pub transformer: &'a Transformer,
    pub rope: &'a Rope,
    pub positive: &'a Caption,
    /// For steps with guidance; without it they run unguided.
    pub negative: Option<&'a Caption>,
    pub pass: &'a Pass,
    pub known: Option<&'a Known>,
    pub sound: Option<Sound<'a>>,
}

impl Denoise<'_> {
    /// From `start` `[B, N, C]`, `f32`: noise, or latents noised to the pass's first
    /// timestep, to clean latents. Known tokens are put in by this.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn run(&self, start: &Tensor, caches: Option<&mut BranchCaches>) -> Result<Tensor> {
        let times = self.pass.times()?;
        let mut x = self.with_known(start)?;
        let mut caches = caches;
        for t in &times {
            x = self.step(&x, *t, &times, caches.as_deref_mut())?;
        }
        Ok(x)
    }

    /// Known tokens in their places, mixed by their strength.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn with_known(&self, start: &Tensor) -> Result<Tensor> {
        match self.known {
            Some(known) => known.mixed(start),
            None => Ok(start.clone()),
        }
    }

    /// One step from `t` to the next lower timestep.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn step(
        &self,
        x: &Tensor,
        t: f64,
        times: &[f64],
        caches: Option<&mut BranchCaches>,
    ) -> Result<Tensor> {
        let velocity = self.velocity(x, t, caches)?;
        let Some(known) = self.known else {
            return Ok(euler::step(x, &velocity, t, next_time(times, t))?);
        };
        // A token above the noise level that its strength allows waits there.
        let moves: Vec<f64> = known
            .strength
            .iter()
            .map(|strength| {
                if t - 1e-6 < 1.0 - strength {
                    euler::token_time(t, *strength)
                } else {
                    0.0
                }
            })
            .collect();
        Ok(euler::step_tokens(x, &velocity, &moves, times)?)
    }

    /// The guided velocity at `t`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn velocity(
        &self,
        x: &Tensor,
        t: f64,
        caches: Option<&mut BranchCaches>,
    ) -> Result<Tensor> {
        let step = self.pass.at(t);
        let guided = (step.guidance.scale - 1.0).abs() > f64::EPSILON;
        let perturbed = step.guidance.perturbed.abs() > f64::EPSILON;
        let timestep = self.timestep(x, t)?;
        let mut caches = caches;
        let mut run = |branch: Branch, caption: &Caption, skip: Option<&Perturbation>| {
            let inputs = Inputs {
                latents: x,
                timestep: &timestep,
                rope: self.rope,
                caption,
                audio: self
                    .sound
                    .filter(|_| branch != Branch::Silent)
                    .map(|sound| (sound.memory, sound.queries)),
                context: None,
                perturbation: skip,
                self_bias: None,
            };
            match caches.as_deref_mut() {
                Some(caches) => caches.forward(branch, self.transformer, &inputs),
                None => Ok(self.transformer.forward(&inputs)?),
            }
        };
        let negative = match self.negative {
            Some(caption) if guided => Some(run(Branch::Negative, caption, None)?),
            _ => None,
        };
        let positive = run(Branch::Positive, self.positive, None)?;
        let perturbed = if perturbed {
            let skip = Perturbation {
                mode: mode(self.pass.mode),
                layers: step.blocks,
            };
            Some(run(Branch::Perturbed, self.positive, Some(&skip))?)
        } else {
            None
        };
        let silent = match self.sound {
            Some(sound) if (sound.guidance - 1.0).abs() > f64::EPSILON => {
                let silent = run(Branch::Silent, self.positive, None)?;
                Some((silent, sound.guidance - 1.0))
            }
            _ => None,
        };
        let noised = self.noised(x)?;
        let velocity = step.guidance.combine(&Branches {
            positive: &positive,
            negative: negative.as_ref(),
            perturbed: perturbed.as_ref(),
            noised: noised.as_ref(),
        })?;
        Ok(match silent {
            Some((silent, weight)) => (velocity + ((positive - silent)? * weight)?)?,
            None => velocity,
        })
    }

    /// `[B]`, or `[B, N]` where tokens differ.
    fn timestep(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        let (batch, tokens, _) = x.dims3()?;
        Ok(match self.known {
            None => Tensor::full(t as f32, batch, x.device())?,
            Some(known) => {
                let own = known.strength.iter();
                let times: Vec<f32> = own.map(|s| euler::token_time(t, *s) as f32).collect();
                Tensor::from_vec(times, (1, tokens), x.device())?
                    .broadcast_as((batch, tokens))?
                    .contiguous()?
            }
        })
    }

    /// Indices of the tokens over which guidance takes statistics; none for all.
    fn noised(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let Some(known) = self.known else {
            return Ok(None);
        };
        let indices: Vec<u32> = (0_u32..)
            .zip(&known.strength)
            .filter(|(_, strength)| **strength < 1.0)
            .map(|(index, _)| index)
            .collect();
        if indices.is_empty() || indices.len() == known.strength.len() {
            return Ok(None);
        }
        Ok(Some(Tensor::new(indices, x.device())?))
    }
}

impl Denoise<'_> {
    /// [`Self::run`] with adapters that act in a part of the schedule. They are switched
    /// between the steps, on a copy that shares the weights.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn run_with_loras(&self, start: &Tensor, stack: &mut LoraStack) -> Result<Tensor> {
        let mut transformer = self.transformer.clone();
        let times = self.pass.times()?;
        let mut x = self.with_known(start)?;
        for t in &times {
            stack.set_time(&mut transformer, *t)?;
            let step = Denoise {
                transformer: &transformer,
                ..*self
            };
            x = step.step(&x, *t, &times, None)?;
        }
        Ok(x)
    }
}

/// Latents noised to the timestep at which a pass starts: an `SDEdit` start, or a second pass.
///
/// # Errors
/// When shapes differ.
pub fn noised_start(latents: &Tensor, noise: &Tensor, pass: &Pass) -> Result<Tensor> {
    let first = pass.times()?.first().copied().unwrap_or(1.0);
    Ok(euler::noised(&latents.to_dtype(DType::F32)?, noise, first)?)
}

const fn mode(mode: StgMode) -> SkipMode {
    match mode {
        StgMode::AttentionValues => SkipMode::AttentionValues,
        StgMode::AttentionSkip => SkipMode::AttentionSkip,
        StgMode::Residual => SkipMode::Residual,
        StgMode::TransformerBlock => SkipMode::TransformerBlock,
    }
}
