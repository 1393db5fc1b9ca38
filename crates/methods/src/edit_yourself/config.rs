//! The `edit_yourself` object of the header.

use std::ops::Range;

use diffusion::ShiftedWindows;
use serde::{Deserialize, Serialize};

/// How finished latents take part in the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Carry {
    /// At the step's noise level, on their own path: for models trained with one noise
    /// level for all masked tokens of a window.
    #[default]
    Noised,
    /// Clean, at timestep 0, as context: for models trained so.
    Clean,
}

/// Cells of the token grid, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskCells {
    /// First row and the one behind the last.
    pub rows: [usize; 2],
    /// First column and the one behind the last.
    pub columns: [usize; 2],
}

/// Sizes and constants of the method, as the model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditYourselfConfig {
    /// Pixels a side of the head crop.
    pub crop: usize,
    /// Cells that are made anew: the region lip.
    pub mask_cells: MaskCells,
    /// The part of the grid whose cells around the mask are context; everything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_cells: Option<MaskCells>,
    /// Whether the model sees the recorded mouth too, as clean tokens beside those that are made
    /// (the way of X-Dub): then nothing is filled before encoding.
    #[serde(default)]
    pub recorded_context: bool,
    /// Whether that mouth is a counterpart's: lips of another moment laid over the same picture
    /// ([`CropSource::counterpart`](super::CropSource::counterpart)). What is handed over then is
    /// what the model changes about it, not the picture itself.
    #[serde(default)]
    pub counterparts: bool,
    /// Share of the model's change of a counterpart that is handed over.
    #[serde(default = "one")]
    pub change_share: f64,
    /// What the masked box is filled with before encoding, in -1..1.
    pub context_fill: f64,
    /// Reference frames at most.
    pub references: usize,
    /// Latents a block.
    pub block_latents: usize,
    /// Whether times count from the block's first latent.
    #[serde(default = "yes")]
    pub block_local_times: bool,
    /// Timestep of the decoder, 0..1.
    pub decode_timestep: f64,
    /// Share of noise in the latents that are decoded.
    pub decode_noise_scale: f64,
    /// Pixels a cell, a side.
    pub spatial_stride: usize,
    /// Frames a latent.
    pub temporal_stride: usize,
    /// Finished latents that take part in the next block.
    #[serde(default = "two")]
    pub carry_latents: usize,
    /// How they do.
    #[serde(default)]
    pub carry: Carry,
    /// Latents before a block that are decoded with it.
    #[serde(default = "two")]
    pub decode_before: usize,
    /// Latents behind a block that are decoded with it.
    #[serde(default = "two")]
    pub decode_after: usize,
    /// Blocks that move between steps over the whole of a range, for models trained without
    /// carried latents; block after block where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<ShiftedWindows>,
    /// Weight of the sound over no sound; 1 is the sound's own velocity.
    #[serde(default = "one")]
    pub audio_guidance: f64,
}

const fn yes() -> bool {
    true
}

const fn two() -> usize {
    2
}

const fn one() -> f64 {
    1.0
}

impl EditYourselfConfig {
    /// Cells a side of the crop.
    pub const fn grid(&self) -> usize {
        self.crop / self.spatial_stride
    }

    /// The masked box in pixels: rows and columns.
    pub fn mask_box(&self) -> (Range<usize>, Range<usize>) {
        let pixels =
            |[start, end]: [usize; 2]| start * self.spatial_stride..end * self.spatial_stride;
        (
            pixels(self.mask_cells.rows),
            pixels(self.mask_cells.columns),
        )
    }

    /// What does not hold together, in one sentence.
    pub(super) fn fault(&self) -> Option<String> {
        if self.spatial_stride == 0 || self.temporal_stride == 0 || self.block_latents == 0 {
            return Some("strides and block_latents must be above zero".to_owned());
        }
        if self.crop == 0 || !self.crop.is_multiple_of(self.spatial_stride) {
            return Some(format!(
                "crop {} is no multiple of the spatial stride {}",
                self.crop, self.spatial_stride
            ));
        }
        let grid = self.grid();
        let named = [
            ("mask", Some(self.mask_cells)),
            ("context", self.context_cells),
        ];
        for (part, cells) in named {
            let Some(MaskCells { rows, columns }) = cells else {
                continue;
            };
            for (name, [start, end]) in [("rows", rows), ("columns", columns)] {
                if start >= end || end > grid {
                    return Some(format!(
                        "{part} {name} {start}..{end} are no part of 0..{grid}"
                    ));
                }
            }
        }
        if !(0.0..=1.0).contains(&self.change_share) {
            return Some(format!(
                "change_share {} must lie in 0..=1",
                self.change_share
            ));
        }
        if self.counterparts && !self.recorded_context {
            return Some("counterparts need recorded_context, which shows them".to_owned());
        }
        if self.carry_latents >= self.block_latents {
            return Some(format!(
                "carry_latents {} leave nothing to make in blocks of {}",
                self.carry_latents, self.block_latents
            ));
        }
        if let Some(fault) = self.windows.as_ref().and_then(super::shifted::fault) {
            return Some(fault);
        }
        if !(0.0..1.0).contains(&self.decode_timestep)
            || !(0.0..1.0).contains(&self.decode_noise_scale)
        {
            return Some(format!(
                "decode_timestep {} and decode_noise_scale {} must lie in 0..1",
                self.decode_timestep, self.decode_noise_scale
            ));
        }
        None
    }
}
