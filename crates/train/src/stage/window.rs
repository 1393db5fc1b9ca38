//! A stretch of latents with all that conditions it: one sample of the stage `edit-yourself`.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use methods::edit_yourself::{
    Cells as Places, EditYourselfConfig, block_seconds, reference_seconds,
};
use models::ltx::rope::Position;

use crate::error::{Result, TrainError};

/// The method's own cells, so that a model is trained on the tokens that it meets in use; with what training asks
/// besides.
#[derive(Debug, Clone)]
pub struct Cells {
    places: Places,
    config: EditYourselfConfig,
    /// Cells that are made anew.
    pub inside: Vec<u32>,
    /// The others.
    pub outside: Vec<u32>,
    /// Those of the others that the transformer sees.
    pub context: Vec<u32>,
    /// Frames a latent.
    pub frames: usize,
}

impl Cells {
    /// The head crop's.
    ///
    /// # Errors
    /// When the indices can't be made.
    pub fn of_crop(config: &EditYourselfConfig) -> Result<Self> {
        let places = Places::new(config, &Device::Cpu)?;
        let list = |cells: &[usize]| cells.iter().map(|cell| *cell as u32).collect();
        Ok(Self {
            inside: list(&places.inside),
            outside: list(&places.outside),
            context: list(&places.context),
            frames: config.temporal_stride,
            config: config.clone(),
            places,
        })
    }

    /// All cells.
    pub fn all(&self) -> Vec<u32> {
        (0..(self.inside.len() + self.outside.len()) as u32).collect()
    }

    /// Masked cells where the template puts the lips: the upper half of the box, without its outer columns.
    pub fn lips(&self) -> Vec<u32> {
        let [top, bottom] = self.config.mask_cells.rows;
        let [left, right] = self.config.mask_cells.columns;
        let grid = self.config.grid();
        let lips = |cell: &&u32| {
            let (row, column) = (**cell as usize / grid, **cell as usize % grid);
            row <= usize::midpoint(top, bottom - 1) && column > left && column + 1 < right
        };
        self.inside.iter().filter(lips).copied().collect()
    }

    /// Places of `cells` at each of `seconds`, latent by latent.
    pub fn positions(&self, cells: &[u32], seconds: &[f64]) -> Vec<Position> {
        let cells: Vec<usize> = cells.iter().map(|cell| *cell as usize).collect();
        self.places.positions(&cells, seconds)
    }

    /// Seconds of latents `first..first + count` of a clip.
    pub fn seconds(&self, first: usize, count: usize, rate: f64) -> Vec<f64> {
        block_seconds(&self.config, first, count, rate)
    }

    /// Seconds of `count` references: latents -1, -2, ...
    pub fn reference_seconds(&self, count: usize, rate: f64) -> Vec<f64> {
        reference_seconds(&self.config, count, rate)
    }

    /// Frames of latents `first..first + count`, half-open.
    pub fn frames_of(&self, first: usize, count: usize) -> std::ops::Range<u64> {
        let s = self.frames as u64;
        let start = match first as u64 {
            0 => 0,
            n => s * (n - 1) + 1,
        };
        start..s * (first + count).saturating_sub(1) as u64 + 1
    }

    /// Frames whose sound a latent hears; latent 0 has one frame, `frames` times.
    pub fn sound_frames(&self, latent: usize) -> Vec<u64> {
        match latent {
            0 => vec![0; self.frames],
            n => self.frames_of(n, 1).collect(),
        }
    }
}

/// One sample.
#[derive(Debug, Clone)]
pub struct Window {
    /// Latents of what the model is shown in place of the video, all cells `[L, G, C]`: the filled video, a
    /// counterpart, or the video itself. A model with `recorded_context` sees its masked cells too.
    pub context: Tensor,
    /// Latents of the video, all cells `[L, G, C]`.
    pub clean: Tensor,
    /// Masked cells of reference frames `[R, inside, C]`; R may be 0.
    pub references: Tensor,
    /// The first latent's number in its clip, which decides the times.
    pub first: usize,
    /// Frames a second.
    pub rate: f64,
    /// Mel frames of the whole clip, 80 values each.
    pub mel: Arc<Vec<f32>>,
    /// For every latent, the frames whose sound it hears, counted from the sound's start.
    pub sound: Vec<Vec<u64>>,
    /// What the mouth reader should read `[L, K]`, where it is known.
    pub readings: Option<Tensor>,
    /// Mouth opening of every frame in `sound`, for the sound encoder's own head.
    pub openings: Option<Vec<f32>>,
    /// What the sound ought to tell of the mouth at every feature of the clip `[features, K]`, where features are taught
    /// (see [`super::Teacher`]).
    pub taught: Option<Tensor>,
}

impl Window {
    /// Latents.
    ///
    /// # Errors
    /// When `clean` has another rank.
    pub fn latents(&self) -> Result<usize> {
        Ok(self.clean.dims3()?.0)
    }

    /// `cells` of `latents` `[L, G, C]`, from latent `from` on, in one row `[1, (L - from) * cells, C]`.
    pub(crate) fn pick(latents: &Tensor, from: usize, cells: &[u32]) -> Result<Tensor> {
        let (count, _, channels) = latents.dims3()?;
        let left = count
            .checked_sub(from)
            .filter(|n| *n > 0)
            .ok_or_else(|| TrainError::Data(format!("latents {from}.. of a window of {count}")))?;
        let index = Tensor::new(cells, &Device::Cpu)?;
        Ok(latents
            .narrow(0, from, left)?
            .contiguous()?
            .index_select(&index, 1)?
            .reshape((1, left * cells.len(), channels))?)
    }
}
