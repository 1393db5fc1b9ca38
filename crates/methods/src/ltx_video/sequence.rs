//! Denoising more latents than a block holds: every step evaluates every window once, and
//! the windows may move between steps (time-aware position shift, EditYourself 3.4).
//!
//! With windows that stand still and hold everything, this is [`Denoise::run`], to the bit.

use std::collections::BTreeMap;

use candle_core::Tensor;
use diffusion::{CacheConfig, Pass, ShiftedWindows, State, Walk, Window, WindowVelocity};
use models::ltx::rope::{Position, grid_positions, latent_seconds};
use models::ltx::{AudioMemory, AudioQueries, Caption, Rope, Transformer};

use super::beside::{Beside, Faces, Source};
use super::mask::LatentMask;
use super::{BranchCaches, Denoise, Known, Sound};
use crate::error::{MethodError, Result};

/// Where the tokens of latents lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Cells of a latent.
    pub rows: usize,
    pub columns: usize,
    /// Pixels a cell, a side.
    pub spatial_stride: usize,
    /// Frames a latent; the first of a video has one.
    pub temporal_stride: usize,
    /// The place of latent 0 in a video: 0, or 1 for latents from the middle of one.
    pub first: usize,
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
        let place = |latent: &usize| (latent + self.first) as i64;
        let seconds: Vec<f64> = latents
            .iter()
            .map(|n| latent_seconds(place(n), self.temporal_stride, self.rate, causal))
            .collect();
        grid_positions(&seconds, self.rows, self.columns, self.spatial_stride)
    }

    /// Places of some cells, in row-major order, of a latent at a time.
    pub(super) fn cells_at(&self, second: f64, cells: &[u32]) -> Vec<Position> {
        let place = |cell: usize| (cell * self.spatial_stride) as f64;
        cells
            .iter()
            .map(|cell| *cell as usize)
            .map(|cell| {
                [
                    second,
                    place(cell / self.columns),
                    place(cell % self.columns),
                ]
            })
            .collect()
    }
}

/// The sound of a sequence.
#[derive(Debug, Clone, Copy)]
pub struct SequenceSound<'a> {
    /// Audio tokens `[n, tokens, D_a]`, those of each latent.
    pub tokens: &'a Tensor,
    /// Weight of the sound over no sound; 1 is the sound's own velocity.
    pub guidance: f64,
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
    /// For each latent, which of its tokens are made; the others stay as they are in `clean`.
    pub masks: &'a [LatentMask],
    /// What a window without a known token sees.
    pub beside: Beside,
    /// The speaker's face at other moments, for models that take it.
    pub faces: Option<&'a Faces>,
    /// What made tokens follow (eq. 6), for models that hear.
    pub sound: Option<SequenceSound<'a>>,
    /// How steps are spared while windows stand still.
    pub cache: Option<&'a CacheConfig>,
}

/// Steps after which caches are empty even where windows stand still. A walk can be taken up
/// at these steps, and where the windows move: what a cache holds is as large as the network's
/// own activations, too large to be written after each step.
const CACHE_STEPS: usize = 6;

impl Sequence<'_> {
    /// From `noise` `[n, cells, C]`, `f32`, to clean latents, in all steps or those that are
    /// left after `state`. `between` gets the walk after each step, and whether a state saved
    /// there goes on to the same result; its failure ends the run.
    ///
    /// # Errors
    /// When shapes do not fit, or the state belongs to another schedule.
    pub fn run(
        &self,
        noise: &Tensor,
        state: Option<&State>,
        mut between: impl FnMut(&Walk, bool) -> Result<()>,
    ) -> Result<Tensor> {
        let (latents, _, _) = noise.dims3()?;
        if self.masks.len() != latents || self.clean.dims() != noise.dims() {
            return Err(MethodError::Job(format!(
                "noise is {:?}, the clean latents {:?}, with {} masks",
                noise.dims(),
                self.clean.dims(),
                self.masks.len()
            )));
        }
        if let Some(sound) = self.sound
            && sound.tokens.dim(0)? != latents
        {
            return Err(MethodError::Job(format!(
                "sound of {:?} for {latents} latents",
                sound.tokens.dims()
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
            prepared: None,
            caches: BTreeMap::new(),
            step: walk.step(),
            failure: None,
        };
        loop {
            method.begin(walk.step());
            match walk.advance(&mut method) {
                Ok(true) => between(&walk, self.starts_afresh(walk.step(), steps))?,
                Ok(false) => return Ok(walk.latents().clone()),
                Err(error) => return Err(method.failure.take().unwrap_or_else(|| error.into())),
            }
        }
    }

    /// Whether caches are empty before a step.
    fn starts_afresh(&self, step: usize, steps: usize) -> bool {
        let offset = |step| self.windows.offset(step, steps);
        self.cache.is_none()
            || step == 0
            || step.is_multiple_of(CACHE_STEPS)
            || step >= steps
            || offset(step) != offset(step - 1)
    }

    /// Known tokens in their places.
    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        let shape = noise.dims3()?;
        let tokens = (1, shape.0 * shape.1, shape.2);
        let strengths = self.masks.iter().map(|mask| mask.strengths(shape.1));
        let known = Known {
            latents: self.clean.reshape(tokens)?,
            strength: strengths.flatten().collect(),
        };
        let mixed = known.mixed(&noise.reshape(tokens)?)?;
        Ok(mixed.reshape(shape)?)
    }

    /// What a window takes besides its own tokens, the same at every step.
    fn prepare(&self, window: &Window, cells: usize) -> Result<Prepared> {
        let causal = self.transformer.config().causal_temporal_positioning;
        let front = Source {
            clean: self.clean,
            masks: self.masks,
            faces: self.faces,
            beside: self.beside,
            grid: self.grid,
            causal,
        }
        .front(&window.latents)?;
        let ahead = front.positions.len();
        let masks: Vec<&LatentMask> = window
            .latents
            .iter()
            .map(|latent| self.masks.get(*latent).unwrap_or(&LatentMask::Known))
            .collect();
        let mut strength = vec![1.0; ahead];
        strength.extend(masks.iter().flat_map(|mask| mask.strengths(cells)));
        let mut positions = front.positions;
        positions.extend(self.grid.positions(&window.latents, causal));
        let sound = match self.sound {
            None => None,
            Some(sound) => {
                let latents: Vec<u32> = window.latents.iter().map(|n| *n as u32).collect();
                let latents = Tensor::new(latents, sound.tokens.device())?;
                let tokens = sound.tokens.index_select(&latents, 0)?.unsqueeze(0)?;
                let hearing = (0..).zip(&masks).map(|(place, mask)| {
                    let start = (ahead + place * cells) as u32;
                    mask.made(cells).iter().map(|cell| start + cell).collect()
                });
                Some((
                    self.transformer.audio(&tokens)?,
                    AudioQueries::Masked(hearing.collect()),
                ))
            }
        };
        Ok(Prepared {
            window: window.clone(),
            rope: self.transformer.rope(&positions)?,
            ahead: front.tokens,
            strength,
            sound,
        })
    }
}

/// A window with what conditions it.
struct Prepared {
    window: Window,
    /// Tokens in front of the window's own, `[1, F, C]`.
    ahead: Option<Tensor>,
    rope: Rope,
    /// One value a token, those in front included.
    strength: Vec<f64>,
    sound: Option<(AudioMemory, AudioQueries)>,
}

/// A sequence while it is walked.
struct Method<'a> {
    sequence: &'a Sequence<'a>,
    steps: usize,
    /// The last window: most often the next one is the same.
    prepared: Option<Prepared>,
    caches: BTreeMap<Vec<usize>, BranchCaches>,
    step: usize,
    /// What went wrong within the walk, which knows tensors only.
    failure: Option<MethodError>,
}

impl Method<'_> {
    /// Caches belong to windows that stand still.
    fn begin(&mut self, step: usize) {
        if self.sequence.starts_afresh(step, self.steps) {
            self.caches.clear();
        }
        self.step = step;
    }

    fn guided(&mut self, x: &Tensor, window: &Window, time: f64) -> Result<Tensor> {
        let sequence = self.sequence;
        let (count, cells, channels) = x.dims3()?;
        let prepared = match self.prepared.take() {
            Some(prepared) if prepared.window == *window => prepared,
            _ => sequence.prepare(window, cells)?,
        };
        let prepared = self.prepared.insert(prepared);
        let own = x.reshape((1, count * cells, channels))?;
        let tokens = match &prepared.ahead {
            Some(ahead) => Tensor::cat(&[ahead, &own], 1)?,
            None => own,
        };
        let known = prepared.strength.iter().any(|s| *s > 0.0).then(|| Known {
            latents: tokens.clone(),
            strength: prepared.strength.clone(),
        });
        let denoise = Denoise {
            transformer: sequence.transformer,
            rope: &prepared.rope,
            positive: sequence.positive,
            negative: sequence.negative,
            pass: sequence.pass,
            known: known.as_ref(),
            sound: prepared.sound.as_ref().map(|(memory, queries)| Sound {
                memory,
                queries,
                guidance: sequence.sound.map_or(1.0, |sound| sound.guidance),
            }),
        };
        let left = self.steps - self.step;
        let caches = sequence.cache.map(|config| {
            self.caches
                .entry(window.latents.clone())
                .or_insert_with(|| BranchCaches::new(config, left))
        });
        let mut velocity = denoise.velocity(&tokens, time, caches)?;
        if let Some(known) = &known {
            // Known tokens stay where they are.
            let moves: Vec<f32> = known.strength.iter().map(|s| 1.0 - *s as f32).collect();
            let moves = Tensor::from_vec(moves, (1, known.strength.len(), 1), x.device())?;
            velocity = velocity.broadcast_mul(&moves)?;
        }
        let ahead = velocity.dim(1)? - count * cells;
        Ok(velocity
            .narrow(1, ahead, count * cells)?
            .contiguous()?
            .reshape((count, cells, channels))?)
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
