//! Cells of the token grid: which are masked, and where they lie.

use candle_core::{Device, Tensor};
use models::ltx::rope::{Position, latent_seconds};

use super::config::{EditYourselfConfig, MaskCells};
use crate::error::Result;

/// Masked and other cells of one latent's grid, in row-major order. Training uses the same, so that a model meets
/// the tokens that it was taught with.
#[derive(Debug, Clone)]
pub struct Cells {
    /// Cells that are made anew.
    pub inside: Vec<usize>,
    /// The others.
    pub outside: Vec<usize>,
    /// The cells of `outside` that the transformer sees.
    pub context: Vec<usize>,
    /// Their places in `outside`.
    context_index: Tensor,
    inside_index: Tensor,
    outside_index: Tensor,
    /// Places of the grid's cells in `[outside, inside]`.
    joined_index: Tensor,
    grid: usize,
    stride: usize,
}

impl Cells {
    /// The cells of a model's config, with indices on `device`.
    ///
    /// # Errors
    /// When the indices can't be put on the device.
    pub fn new(config: &EditYourselfConfig, device: &Device) -> Result<Self> {
        let grid = config.grid();
        let [top, bottom] = config.mask_cells.rows;
        let [left, right] = config.mask_cells.columns;
        let masked = |cell: &usize| {
            (top..bottom).contains(&(cell / grid)) && (left..right).contains(&(cell % grid))
        };
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..grid * grid).partition(masked);
        let mut joined = vec![0_u32; grid * grid];
        for (place, cell) in outside.iter().chain(&inside).enumerate() {
            if let Some(slot) = joined.get_mut(*cell) {
                *slot = place as u32;
            }
        }
        let index = |cells: &[usize]| -> Result<Tensor> {
            let list: Vec<u32> = cells.iter().map(|cell| *cell as u32).collect();
            Ok(Tensor::new(list, device)?)
        };
        let seen = config.context_cells.unwrap_or(MaskCells {
            rows: [0, grid],
            columns: [0, grid],
        });
        let within = |cell: &usize| {
            (seen.rows[0]..seen.rows[1]).contains(&(cell / grid))
                && (seen.columns[0]..seen.columns[1]).contains(&(cell % grid))
        };
        let (places, context): (Vec<usize>, Vec<usize>) = outside
            .iter()
            .enumerate()
            .filter(|(_, cell)| within(cell))
            .map(|(place, cell)| (place, *cell))
            .unzip();
        Ok(Self {
            context_index: index(&places)?,
            context,
            inside_index: index(&inside)?,
            outside_index: index(&outside)?,
            joined_index: Tensor::new(joined, device)?,
            inside,
            outside,
            grid,
            stride: config.spatial_stride,
        })
    }

    /// Tokens `[L, cells, C]` of latents `[1, C, L, h, w]`: outside and inside.
    pub(super) fn split(&self, latents: &Tensor) -> Result<(Tensor, Tensor)> {
        let (_, channels, count, rows, columns) = latents.dims5()?;
        let tokens = latents
            .reshape((channels, count, rows * columns))?
            .permute((1, 2, 0))?
            .contiguous()?;
        Ok((
            tokens.index_select(&self.outside_index, 1)?,
            tokens.index_select(&self.inside_index, 1)?,
        ))
    }

    /// Of tokens `[L, outside, C]` those that the transformer sees, `[L, context, C]`.
    pub(super) fn seen(&self, outside: &Tensor) -> Result<Tensor> {
        if self.context.len() == self.outside.len() {
            return Ok(outside.clone());
        }
        Ok(outside.index_select(&self.context_index, 1)?)
    }

    /// The inverse of [`Self::split`].
    pub(super) fn join(&self, outside: &Tensor, inside: &Tensor) -> Result<Tensor> {
        let tokens = Tensor::cat(&[outside, inside], 1)?.index_select(&self.joined_index, 1)?;
        let (count, _, channels) = tokens.dims3()?;
        Ok(tokens
            .permute((2, 0, 1))?
            .contiguous()?
            .reshape((1, channels, count, self.grid, self.grid))?)
    }

    /// Places of `cells` at each of `seconds`, latent by latent.
    pub fn positions(&self, cells: &[usize], seconds: &[f64]) -> Vec<Position> {
        let mut positions = Vec::with_capacity(cells.len() * seconds.len());
        for second in seconds {
            for cell in cells {
                let (row, column) = (cell / self.grid, cell % self.grid);
                positions.push([
                    *second,
                    (row * self.stride) as f64,
                    (column * self.stride) as f64,
                ]);
            }
        }
        positions
    }
}

/// Seconds of latents `first..first + count`, from the first one on where times are local
/// to the block.
pub fn block_seconds(
    config: &EditYourselfConfig,
    first: usize,
    count: usize,
    rate: f64,
) -> Vec<f64> {
    let second = |n: usize| latent_seconds(n as i64, config.temporal_stride, rate, true);
    let start = if config.block_local_times {
        second(first)
    } else {
        0.0
    };
    (first..first + count).map(|n| second(n) - start).collect()
}

/// Seconds of `count` reference frames: latents -1, -2, … without the clamp at 0.
pub fn reference_seconds(config: &EditYourselfConfig, count: usize, rate: f64) -> Vec<f64> {
    (1..=count as i64)
        .map(|n| latent_seconds(-n, config.temporal_stride, rate, true))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit_yourself::model::tests::config;

    #[test]
    fn joining_undoes_splitting() {
        let config = config();
        let cells = Cells::new(&config, &Device::Cpu).unwrap();
        assert_eq!((cells.inside.len(), cells.outside.len()), (24, 40));
        assert_eq!(cells.inside[0], 4 * 8 + 1);
        let latents = Tensor::arange(0_f32, 2.0 * 3.0 * 64.0, &Device::Cpu)
            .unwrap()
            .reshape((1, 2, 3, 8, 8))
            .unwrap();
        let (outside, inside) = cells.split(&latents).unwrap();
        let joined = cells.join(&outside, &inside).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(&joined), flat(&latents));
    }

    #[test]
    fn only_context_cells_are_seen() {
        let mut config = config();
        config.context_cells = Some(MaskCells {
            rows: [3, 8],
            columns: [1, 8],
        });
        let cells = Cells::new(&config, &Device::Cpu).unwrap();
        let wanted: Vec<usize> = (25..32).chain([39, 47, 55, 63]).collect();
        assert_eq!(cells.context, wanted);
        let outside: Vec<f32> = cells.outside.iter().map(|cell| *cell as f32).collect();
        let outside = Tensor::from_vec(outside, (1, 40, 1), &Device::Cpu).unwrap();
        let seen = cells.seen(&outside).unwrap();
        let seen = seen.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let wanted: Vec<f32> = wanted.into_iter().map(|cell| cell as f32).collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn times_are_local_and_references_lie_before() {
        let config = config();
        let seconds = block_seconds(&config, 2, 3, 25.0);
        for (second, wanted) in seconds.iter().zip([0.0, 0.16, 0.32]) {
            assert!((second - wanted).abs() < 1e-12, "{seconds:?}");
        }
        let references = reference_seconds(&config, 2, 25.0);
        assert_eq!(references, vec![-7.0 / 25.0, -11.0 / 25.0]);
    }
}
