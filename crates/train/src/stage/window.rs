//! A stretch of latents with all that conditions it: one sample of the stage `edit-yourself`.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use methods::edit_yourself::EditYourselfConfig;
use models::ltx::rope::{Position, latent_seconds};

use crate::error::{Result, TrainError};

/// Masked and other cells of the crop's grid, row by row.
#[derive(Debug, Clone)]
pub struct Cells {
    /// Cells that are made anew.
    pub inside: Vec<u32>,
    /// The others.
    pub outside: Vec<u32>,
    /// Cells a row.
    pub columns: usize,
    /// Pixels a cell, a side.
    pub stride: usize,
    /// Frames a latent.
    pub frames: usize,
}

impl Cells {
    /// The head crop's.
    pub fn of_crop(config: &EditYourselfConfig) -> Self {
        let grid = config.grid();
        let [top, bottom] = config.mask_cells.rows;
        let [left, right] = config.mask_cells.columns;
        let masked = |cell: &u32| {
            let (row, column) = (*cell as usize / grid, *cell as usize % grid);
            (top..bottom).contains(&row) && (left..right).contains(&column)
        };
        let (inside, outside) = (0..(grid * grid) as u32).partition(masked);
        Self {
            inside,
            outside,
            columns: grid,
            stride: config.spatial_stride,
            frames: config.temporal_stride,
        }
    }

    /// All cells.
    pub fn all(&self) -> Vec<u32> {
        (0..(self.inside.len() + self.outside.len()) as u32).collect()
    }

    /// Masked cells where the template puts the lips: the upper half of the box, without its outer columns.
    pub fn lips(&self) -> Vec<u32> {
        let places = |f: &dyn Fn(usize) -> usize| {
            self.inside
                .iter()
                .map(|c| f(*c as usize))
                .collect::<Vec<_>>()
        };
        let (rows, columns) = (places(&|c| c / self.columns), places(&|c| c % self.columns));
        let ends = |list: &[usize]| {
            let least = list.iter().min().copied().unwrap_or(0);
            (least, list.iter().max().copied().unwrap_or(0))
        };
        let ((top, bottom), (left, right)) = (ends(&rows), ends(&columns));
        let lips = |cell: &&u32| {
            let (row, column) = (
                **cell as usize / self.columns,
                **cell as usize % self.columns,
            );
            row <= usize::midpoint(top, bottom) && column > left && column < right
        };
        self.inside.iter().filter(lips).copied().collect()
    }

    /// Places of `cells` at each of `seconds`, latent by latent.
    pub fn positions(&self, cells: &[u32], seconds: &[f64]) -> Vec<Position> {
        let mut positions = Vec::with_capacity(cells.len() * seconds.len());
        for second in seconds {
            for cell in cells {
                let (row, column) = (*cell as usize / self.columns, *cell as usize % self.columns);
                positions.push([
                    *second,
                    (row * self.stride) as f64,
                    (column * self.stride) as f64,
                ]);
            }
        }
        positions
    }

    /// Seconds of latents `first..first + count`, from the first of them on.
    pub fn seconds(&self, first: usize, count: usize, rate: f64) -> Vec<f64> {
        let second = |n: usize| latent_seconds(n as i64, self.frames, rate, true);
        (first..first + count)
            .map(|n| second(n) - second(first))
            .collect()
    }

    /// Seconds of `count` references: latents -1, -2, ...
    pub fn reference_seconds(&self, count: usize, rate: f64) -> Vec<f64> {
        (1..=count as i64)
            .map(|n| latent_seconds(-n, self.frames, rate, true))
            .collect()
    }

    /// Frames whose sound a latent hears; latent 0 has one frame, `frames` times.
    pub fn sound_frames(&self, latent: usize) -> Vec<u64> {
        let s = self.frames as u64;
        match latent as u64 {
            0 => vec![0; self.frames],
            n => (s * (n - 1) + 1..=s * n).collect(),
        }
    }
}

/// One sample.
#[derive(Debug, Clone)]
pub struct Window {
    /// Latents of the filled video, all cells `[L, G, C]`.
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
