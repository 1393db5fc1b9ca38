//! `--memory` for a video model: all weights in memory, its blocks left in the file and read in their turn, or a refusal
//! with the number that it takes.

use crate::{Observer, ProjectError};
use candle_core::DType;
use methods::ltx_video::LtxVideo;
use models::TensorShapes;
use models::ltx::{Residence, TransformerConfig, VaeConfig};
use models::t5::T5Config;
use nn::ops::PACKED_WEIGHTS_BUDGET;

/// The program without a model, and the frames that it keeps, measured and rounded up.
const BASE: u64 = (320 << 20) + super::super::memory::FRAMES as u64;

/// Copies of a block's weights at once while it is read: as stored in the file's pages, as computed with, and packed
/// for the kernels.
const COPIES: u64 = 3;

/// Activations of the inner width that a block holds at once: the sum, normed input, queries, keys, values, the
/// attended, and four for the wide layer.
const ACTIVATIONS: u64 = 12;

/// Those of them that are in `f32` on a CPU whatever the weights are in: the sum, the one before it, the norm's result.
const SUMS: u64 = 3;

/// Bytes that a job with a video model needs, besides pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// All weights of the transformer.
    pub(super) transformer: u64,
    /// Those of its largest block.
    pub(super) block: u64,
    /// What of them is in no block.
    pub(super) around: u64,
    pub(super) vae: u64,
    /// What the text encoder holds while it runs, before the others are read.
    pub(super) text: u64,
    /// The larger of what a denoising step and a decoded window hold.
    pub(super) work: u64,
}

impl Needs {
    /// For pictures of rows and columns `size`, blocks of `latents` latents, weights as `dtype`.
    pub(super) fn of(
        config: &TransformerConfig,
        vae: &VaeConfig,
        dtype: DType,
        size: (usize, usize),
        latents: usize,
    ) -> Self {
        let width = dtype.size_in_bytes() as u64;
        let count = |shapes: &TensorShapes, prefix: &str| -> u64 {
            let own = shapes.iter().filter(|(name, _)| name.starts_with(prefix));
            own.map(|(_, shape)| shape.iter().product::<usize>() as u64)
                .sum()
        };
        let shapes = config.shapes();
        let in_blocks = count(&shapes, "transformer_blocks.");
        let blocks = in_blocks * width;
        // In `f32` on a CPU.
        let around = (count(&shapes, "") - in_blocks) * 4;
        let space = vae.spatial_stride().max(1);
        let cells = size.0.div_ceil(space) * size.1.div_ceil(space);
        // A window may see two latents more than its own.
        let tokens = (cells * (latents + 2)) as u64;
        let inner = config.width() as u64;
        let denoise = tokens * inner * ((ACTIVATIONS - SUMS) * width + (SUMS + 1) * 4);
        // The autoencoder computes in `f32` on a CPU.
        let decode = LtxVideo::decode_values(vae, size) * 4;
        Self {
            transformer: blocks + around,
            block: blocks / config.num_layers.max(1) as u64,
            around,
            vae: count(&vae.shapes(), "") * 4,
            text: 0,
            work: denoise.max(decode),
        }
    }

    /// The same with a text encoder: one block, in `f32` whatever the job computes in, and the rows of its table that
    /// prompts ask for, on the table's own pages of the file.
    pub(super) fn with_text(self, config: &T5Config) -> Self {
        let count = |prefix: &str| -> u64 {
            let shapes = config.shapes();
            let own = shapes.iter().filter(|(name, _)| name.starts_with(prefix));
            own.map(|(_, shape)| shape.iter().product::<usize>() as u64)
                .sum()
        };
        let block = count("encoder.block.") / config.num_layers.max(1) as u64 * 4;
        Self {
            text: COPIES * block + count("shared.") * 4,
            ..self
        }
    }

    fn resident(&self) -> u64 {
        let packed = self.transformer.min(PACKED_WEIGHTS_BUDGET as u64);
        BASE + (self.transformer + packed + self.vae + self.work).max(self.text)
    }

    fn streamed(&self) -> u64 {
        let denoise = COPIES * self.block + self.around + self.vae + self.work;
        BASE + denoise.max(self.text)
    }
}

/// Where the weights are, with `memory` bytes in all, or what the machine has free; `pictures` are the bytes that the
/// clip's pictures take.
pub(super) fn plan(
    needs: &Needs,
    memory: Option<u64>,
    pictures: u64,
    observer: &mut dyn Observer,
) -> Result<Residence, ProjectError> {
    let (resident, streamed) = (needs.resident() + pictures, needs.streamed() + pictures);
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    if let Some(memory) = memory {
        if memory < streamed.min(resident) {
            return Err(ProjectError::usage(format!(
                "this model on this clip needs {} MiB with its weights in memory, {} MiB with them left in the file; --memory allows {} MiB",
                mebibytes(resident),
                mebibytes(streamed),
                mebibytes(memory)
            ))
            .with_hint(format!(
                "give at least --memory {}MiB; --dtype bf16 halves it, --preview needs far less",
                mebibytes(streamed.min(resident))
            )));
        }
        return Ok(if memory < resident {
            Residence::File
        } else {
            Residence::Memory
        });
    }
    match available() {
        Some(free) if free < resident => {
            observer.warn(&format!(
                "all weights in memory would take {} MiB of {} MiB that are free; they are read from the file in each step, which is slower",
                mebibytes(resident),
                mebibytes(free)
            ));
            Ok(Residence::File)
        }
        _ => Ok(Residence::Memory),
    }
}

/// Bytes that the system could give away now; nothing where it does not say.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_decides_where_weights_are() {
        let needs = Needs {
            transformer: 48 << 30,
            block: 1 << 30,
            around: 0,
            vae: 1 << 30,
            text: 0,
            work: 2 << 30,
        };
        let at = |memory: u64| plan(&needs, Some(memory), 0, &mut crate::Silent);
        // 4 GiB of the weights are packed for the kernels, too.
        assert_eq!(at(56 << 30).unwrap(), Residence::Memory);
        assert_eq!(at(52 << 30).unwrap(), Residence::File);
        assert_eq!(at(24 << 30).unwrap(), Residence::File);
        let error = at(4 << 30).unwrap_err();
        assert_eq!(error.class(), crate::FailureClass::Usage);
        // 3 blocks, autoencoder, work and the program: 6 GiB and 704 MiB.
        let hint = error.hint().unwrap();
        assert!(hint.contains("--memory 6848MiB"), "{hint}");
    }

    #[test]
    fn the_13b_model_is_streamed_where_it_does_not_fit() {
        let config = TransformerConfig::ltx_13b();
        let needs = Needs::of(&config, &VaeConfig::ltx(), DType::BF16, (544, 960), 17);
        // 26.09 GB, of which 48 blocks; what is around them takes four bytes a number.
        assert_eq!(needs.transformer, 13_042_569_344 * 2 + needs.around / 2);
        assert!(needs.around < 1 << 30, "{needs:?}");
        assert!(
            needs.block > 500 << 20 && needs.block < 600 << 20,
            "{needs:?}"
        );
        assert!(needs.resident() > 28 << 30, "{needs:?}");
        assert!(needs.streamed() < 16 << 30, "{needs:?}");
        // A block of T5-XXL has 193 million weights, its table 132 million.
        let with_text = needs.with_text(&T5Config::xxl());
        assert!(
            with_text.text > 2700 << 20 && with_text.text < 3 << 30,
            "{with_text:?}"
        );
        assert_eq!(with_text.streamed(), needs.streamed());
        let small = Needs {
            work: 0,
            ..with_text
        };
        assert!(small.streamed() > BASE + small.text - 1, "{small:?}");
    }
}
