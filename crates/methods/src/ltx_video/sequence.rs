//! Denoising more latents than a block holds: every step evaluates every window once, and
//! the windows may move between steps (time-aware position shift, EditYourself 3.4).
//!
//! With windows that stand still and hold everything, this is [`Denoise::run`], to the bit.

use std::collections::BTreeMap;

use candle_core::Tensor;
use diffusion::{CacheConfig, Pass, ShiftedWindows, State, Walk, Window, WindowVelocity};
use models::ltx::rope::{Position, grid_positions, latent_seconds};
use models::ltx::{Caption, Rope, Transformer};

use super::{BranchCaches, Denoise, Known};
use crate::error::{MethodError, Result};

/// Where the tokens of latents lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Cells of a latent.
    pub rows: usize,
    pub columns: usize,
    /// Pixels a cell, a side.
    pub spatial_stride: usize,
    /// Frames a latent; the first has one.
    pub temporal_stride: usize,
    /// Frames a second.
    pub rate: f64,
}

impl Grid {
    /// Tokens a latent.
    pub const fn cells(&self) -> usize {
        self.rows * self.columns
    }

    /// Places of the tokens of some latents, latent by latent.
    pub fn positions(&self, latents: &[usize], causal: bool) -> Vec<Position> {
        let seconds: Vec<f64> = latents
            .iter()
            .map(|n| latent_seconds(*n as i64, self.temporal_stride, self.rate, causal))
            .collect();
        grid_positions(&seconds, self.rows, self.columns, self.spatial_stride)
    }
}

/// Latents to denoise, some of them known.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    pub transformer: &'a Transformer,
    pub positive: &'a Caption,
    /// For steps with guidance; without it they run unguided.
    pub negative: Option<&'a Caption>,
    pub pass: &'a Pass,
    pub windows: ShiftedWindows,
    pub grid: Grid,
    /// Normalised latents `[n, cells, C]`; values of cells that are made do not matter, but
    /// must be finite.
    pub clean: &'a Tensor,
    /// For each latent, whether it stays as it is in `clean`.
    pub known: &'a [bool],
    /// A window without a known latent also sees the nearest ones before and behind it, as
    /// clean tokens at their own times: what the base model knows as keyframes.
    pub keyframes: bool,
    /// How steps are spared while windows stand still.
    pub cache: Option<&'a CacheConfig>,
}

impl Sequence<'_> {
    /// From `noise` `[n, cells, C]`, `f32`, to clean latents, in all steps or those that are
    /// left after `state`. `between` gets the walk after each step; its failure ends it.
    ///
    /// # Errors
    /// When shapes do not fit, or the state belongs to another schedule.
    pub fn run(
        &self,
        noise: &Tensor,
        state: Option<&State>,
        mut between: impl FnMut(&Walk) -> Result<()>,
    ) -> Result<Tensor> {
        let (latents, _, _) = noise.dims3()?;
        if self.known.len() != latents || self.clean.dims() != noise.dims() {
            return Err(MethodError::Job(format!(
                "noise is {:?}, the clean latents {:?}, {} of them are known or not",
                noise.dims(),
                self.clean.dims(),
                self.known.len()
            )));
        }
        let times = self.pass.times()?;
        let steps = times.len();
        let mut walk = match state {
            Some(state) => Walk::resume(times, self.windows, state)?,
            None => Walk::new(times, self.windows, self.start(noise)?),
        };
        let mut method = Method {
            sequence: self,
            steps,
            rope: None,
            caches: BTreeMap::new(),
            offset: None,
            step: walk.step(),
            failure: None,
        };
        loop {
            method.begin(walk.step());
            match walk.advance(&mut method) {
                Ok(true) => between(&walk)?,
                Ok(false) => return Ok(walk.latents().clone()),
                Err(error) => return Err(method.failure.take().unwrap_or_else(|| error.into())),
            }
        }
    }

    /// Known latents in their places.
    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        let shape = noise.dims3()?;
        let tokens = (1, shape.0 * shape.1, shape.2);
        let strength = self
            .known
            .iter()
            .flat_map(|known| std::iter::repeat_n(f64::from(u8::from(*known)), shape.1))
            .collect();
        let known = Known {
            latents: self.clean.reshape(tokens)?,
            strength,
        };
        let mixed = known.mixed(&noise.reshape(tokens)?)?;
        Ok(mixed.reshape(shape)?)
    }

    fn denoise<'a>(&'a self, rope: &'a Rope, known: Option<&'a Known>) -> Denoise<'a> {
        Denoise {
            transformer: self.transformer,
            rope,
            positive: self.positive,
            negative: self.negative,
            pass: self.pass,
            known,
        }
    }

    /// The nearest known latents before and behind a window without any.
    fn keyframes_of(&self, window: &Window) -> Vec<usize> {
        let is_known = |latent: &usize| self.known.get(*latent).copied().unwrap_or(false);
        if !self.keyframes || window.latents.iter().any(is_known) {
            return Vec::new();
        }
        let first = window.latents.iter().copied().min().unwrap_or(0);
        let last = window.latents.iter().copied().max().unwrap_or(0);
        let before = (0..first).rev().find(is_known);
        let behind = (last + 1..self.known.len()).find(is_known);
        before.into_iter().chain(behind).collect()
    }
}

/// A sequence while it is walked.
struct Method<'a> {
    sequence: &'a Sequence<'a>,
    steps: usize,
    /// Tables of the last window: most often the next one is the same.
    rope: Option<(Vec<usize>, Rope)>,
    caches: BTreeMap<Vec<usize>, BranchCaches>,
    offset: Option<usize>,
    step: usize,
    /// What went wrong within the walk, which knows tensors only.
    failure: Option<MethodError>,
}

impl Method<'_> {
    /// Caches belong to windows that stand still.
    fn begin(&mut self, step: usize) {
        let offset = Some(self.sequence.windows.offset(step, self.steps));
        if self.offset != offset {
            self.caches.clear();
        }
        self.offset = offset;
        self.step = step;
    }

    fn guided(&mut self, x: &Tensor, window: &Window, time: f64) -> Result<Tensor> {
        let sequence = self.sequence;
        let (count, cells, channels) = x.dims3()?;
        let keyframes = sequence.keyframes_of(window);
        let front = keyframes.len() * cells;
        let mut tokens = x.reshape((1, count * cells, channels))?;
        let mut strength = Vec::with_capacity(front + count * cells);
        if !keyframes.is_empty() {
            let index: Vec<u32> = keyframes.iter().map(|n| *n as u32).collect();
            let index = Tensor::new(index, x.device())?;
            let clean = sequence.clean.index_select(&index, 0)?;
            tokens = Tensor::cat(&[&clean.reshape((1, front, channels))?, &tokens], 1)?;
            strength.resize(front, 1.0);
        }
        for latent in &window.latents {
            let known = sequence.known.get(*latent).copied().unwrap_or(false);
            strength.resize(strength.len() + cells, f64::from(u8::from(known)));
        }
        let rope = self.rope(keyframes.into_iter().chain(window.latents.iter().copied()))?;
        let known = strength.iter().any(|s| *s > 0.0).then(|| Known {
            latents: tokens.clone(),
            strength,
        });
        let denoise = sequence.denoise(&rope, known.as_ref());
        let caches = sequence.cache.map(|config| {
            self.caches
                .entry(window.latents.clone())
                .or_insert_with(|| BranchCaches::new(config, self.steps))
        });
        let mut velocity = denoise.velocity(&tokens, time, caches)?;
        if let Some(known) = &known {
            // Known tokens stay where they are.
            let moves: Vec<f32> = known.strength.iter().map(|s| 1.0 - *s as f32).collect();
            let moves = Tensor::from_vec(moves, (1, known.strength.len(), 1), x.device())?;
            velocity = velocity.broadcast_mul(&moves)?;
        }
        Ok(velocity
            .narrow(1, front, count * cells)?
            .contiguous()?
            .reshape((count, cells, channels))?)
    }

    fn rope(&mut self, latents: impl Iterator<Item = usize>) -> Result<Rope> {
        let latents: Vec<usize> = latents.collect();
        if let Some((own, rope)) = &self.rope
            && *own == latents
        {
            return Ok(rope.clone());
        }
        let transformer = self.sequence.transformer;
        let causal = transformer.config().causal_temporal_positioning;
        let rope = transformer.rope(&self.sequence.grid.positions(&latents, causal))?;
        self.rope = Some((latents, rope.clone()));
        Ok(rope)
    }
}

impl WindowVelocity for Method<'_> {
    fn velocity(&mut self, x: &Tensor, window: &Window, time: f64) -> diffusion::Result<Tensor> {
        self.guided(x, window, time).map_err(|error| {
            let told = candle_core::Error::Msg(error.to_string());
            self.failure = Some(error);
            told.into()
        })
    }
}
