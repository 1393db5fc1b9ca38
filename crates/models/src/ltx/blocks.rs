//! The transformer's blocks, in memory or read from the file one at a time.
//!
//! Read one at a time, a forward pass needs the memory of one block, however large the model
//! is; the file is mapped, so that what the system has room for is not read twice.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use nn::layers::Linear;
use nn::ops::Lora;

use super::TransformerConfig;
use super::block::Block;
use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// Where weights are between two forward passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Residence {
    /// In memory, in the type that is computed in.
    #[default]
    Memory,
    /// In the file; a block is read when its turn comes.
    File,
}

/// All blocks of a transformer.
#[derive(Debug, Clone)]
pub(super) enum Blocks {
    Memory(Vec<Block>),
    File(Box<Streamed>),
}

/// Blocks in a file, with the adapters that belong to their linears.
#[derive(Debug, Clone)]
pub(super) struct Streamed {
    file: ModelFile,
    config: TransformerConfig,
    dtype: DType,
    device: Device,
    /// By block and the linear's name in it.
    loras: BTreeMap<(usize, String), Vec<Lora>>,
}

impl Blocks {
    /// `file` has the official names.
    pub(super) fn load(
        file: &ModelFile,
        config: &TransformerConfig,
        dtype: DType,
        device: &Device,
        residence: Residence,
    ) -> Result<Self> {
        let streamed = Streamed {
            file: file.clone(),
            config: config.clone(),
            dtype,
            device: device.clone(),
            loras: BTreeMap::new(),
        };
        if residence == Residence::File {
            return Ok(Self::File(Box::new(streamed)));
        }
        let view = file.view(dtype, device)?.at("transformer_blocks");
        let blocks = (0..config.num_layers)
            .map(|index| Block::load(&view.at(index), config))
            .collect::<Result<_>>()?;
        Ok(Self::Memory(blocks))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(blocks) => blocks.len(),
            Self::File(streamed) => streamed.config.num_layers,
        }
    }

    /// Does something with a block.
    pub(super) fn with<T>(&self, index: usize, f: impl FnOnce(&Block) -> Result<T>) -> Result<T> {
        match self {
            Self::Memory(blocks) => {
                let block = blocks.get(index).ok_or_else(|| {
                    ModelError::config("ltx transformer", format!("there is no block {index}"))
                })?;
                f(block)
            }
            Self::File(streamed) => f(&streamed.read(index)?),
        }
    }

    /// See [`crate::lora::HasLinears`]; names are those within the transformer. Linears that
    /// lie in the file are given with a weight of the right shape and type but no values.
    pub(super) fn each_linear(
        &mut self,
        f: &mut dyn FnMut(&str, &mut Linear) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Memory(blocks) => {
                let mut result = Ok(());
                for (index, block) in blocks.iter_mut().enumerate() {
                    block.each_linear(|name, linear| {
                        if result.is_ok() {
                            result = f(&format!("transformer_blocks.{index}.{name}"), linear);
                        }
                    });
                }
                result
            }
            Self::File(streamed) => streamed.each_linear(f),
        }
    }
}

impl Streamed {
    fn read(&self, index: usize) -> Result<Block> {
        let prefix = format!("transformer_blocks.{index}.");
        let view = self.file.part(&prefix, self.dtype, &self.device)?;
        let mut block = Block::load(&view, &self.config)?;
        block.each_linear(|name, linear| {
            for lora in self
                .loras
                .get(&(index, name.to_owned()))
                .into_iter()
                .flatten()
            {
                linear.push_lora(lora.clone());
            }
        });
        Ok(block)
    }

    fn each_linear(&mut self, f: &mut dyn FnMut(&str, &mut Linear) -> Result<()>) -> Result<()> {
        let linears = linears(&self.config);
        for index in 0..self.config.num_layers {
            for (name, [outputs, inputs]) in &linears {
                let empty = Tensor::zeros((1, 1), self.dtype, &self.device)?;
                let empty = empty.broadcast_as((*outputs, *inputs))?;
                let mut linear = Linear::new(empty, None);
                let key = (index, (*name).to_owned());
                for lora in self.loras.remove(&key).into_iter().flatten() {
                    linear.push_lora(lora);
                }
                f(&format!("transformer_blocks.{index}.{name}"), &mut linear)?;
                if linear.weight().is_contiguous() {
                    return Err(ModelError::config(
                        "ltx transformer",
                        "weights that stay in the file can't be changed; adapters act beside them",
                    ));
                }
                if !linear.loras().is_empty() {
                    self.loras.insert(key, linear.loras().to_vec());
                }
            }
        }
        Ok(())
    }
}

/// The linears of a block, in the order of [`Block::each_linear`], with outputs and inputs.
fn linears(config: &TransformerConfig) -> Vec<(&'static str, [usize; 2])> {
    let width = config.width();
    let mut linears = vec![
        ("attn1.to_q", [width, width]),
        ("attn1.to_k", [width, width]),
        ("attn1.to_v", [width, width]),
        ("attn1.to_out.0", [width, width]),
        ("attn2.to_q", [width, width]),
        ("attn2.to_k", [width, width]),
        ("attn2.to_v", [width, width]),
        ("attn2.to_out.0", [width, width]),
    ];
    if let Some(audio) = &config.audio {
        linears.extend([
            ("audio_attn.to_q", [width, width]),
            ("audio_attn.to_k", [width, audio.dim]),
            ("audio_attn.to_v", [width, audio.dim]),
            ("audio_attn.to_out.0", [width, width]),
        ]);
    }
    linears.extend([
        ("ff.net.0.proj", [4 * width, width]),
        ("ff.net.2", [width, 4 * width]),
    ]);
    linears
}
