//! What a forward pass takes: tokens, their places, and what conditions them.

use candle_core::Tensor;
use nn::layers::{Attention, KeysValues};
use nn::ops;

use super::block::Perturbation;
use super::rope::Rope;
use crate::error::Result;

/// A caption projected to the inner width, shared by all blocks.
#[derive(Debug, Clone)]
pub struct Caption {
    /// `[B, L, D]`.
    pub(super) hidden: Tensor,
    /// Added to the scores, `[B, L]`.
    pub(super) bias: Option<Tensor>,
}

impl Caption {
    /// The same for `batch` samples, where it was made for one.
    pub(super) fn for_batch(&self, batch: usize) -> Result<Self> {
        let (own, length, width) = self.hidden.dims3()?;
        if own == batch || own != 1 {
            return Ok(self.clone());
        }
        Ok(Self {
            hidden: self
                .hidden
                .broadcast_as((batch, length, width))?
                .contiguous()?,
            bias: match &self.bias {
                Some(bias) => Some(bias.broadcast_as((batch, length))?.contiguous()?),
                None => None,
            },
        })
    }
}

/// Keys and values of the context in every block.
#[derive(Debug, Clone)]
pub struct ContextMemory {
    pub(super) blocks: Vec<KeysValues>,
}

/// Keys and values of the sound in every block.
#[derive(Debug, Clone)]
pub struct AudioMemory {
    pub(super) blocks: Vec<KeysValues>,
}

/// Samples of folded keys and values `[B * each, ..]`, in the order of `samples`; one may come more than once.
fn selected(blocks: &[KeysValues], samples: &[u32], each: u32) -> Result<Vec<KeysValues>> {
    let rows: Vec<u32> = samples
        .iter()
        .flat_map(|sample| sample * each..(sample + 1) * each)
        .collect();
    let mut chosen = Vec::with_capacity(blocks.len());
    for block in blocks {
        chosen.push(KeysValues {
            keys: ops::select(&block.keys, &rows)?,
            values: ops::select(&block.values, &rows)?,
        });
    }
    Ok(chosen)
}

impl ContextMemory {
    /// The memory of these samples of the batch, in this order, gradients tracked; one may come more than once,
    /// so that several noised copies of a clip share its context.
    ///
    /// # Errors
    /// When there is no such sample.
    pub fn select(&self, samples: &[u32]) -> Result<Self> {
        Ok(Self {
            blocks: selected(&self.blocks, samples, 1)?,
        })
    }
}

impl AudioMemory {
    /// The same for sound of `latents` latents a sample.
    ///
    /// # Errors
    /// When there is no such sample.
    pub fn select(&self, samples: &[u32], latents: usize) -> Result<Self> {
        Ok(Self {
            blocks: selected(&self.blocks, samples, latents as u32)?,
        })
    }
}

/// Neighbouring context tokens that share a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextGroup {
    /// How many tokens.
    pub tokens: usize,
    /// Their latent; none for references, which everybody sees and which see everybody.
    pub latent: Option<i64>,
}

impl ContextGroup {
    /// Whether the other group lies in the window around this one.
    pub(super) fn sees(&self, other: &Self, window: usize) -> bool {
        match (self.latent, other.latent) {
            (Some(own), Some(other)) => own.abs_diff(other) <= (window as u64) / 2,
            _ => true,
        }
    }

    pub(super) fn all_see_all(groups: &[Self], window: usize) -> bool {
        let latents = || groups.iter().filter_map(|group| group.latent);
        match (latents().min(), latents().max()) {
            (Some(first), Some(last)) => last.abs_diff(first) <= (window as u64) / 2,
            _ => true,
        }
    }
}

/// Which tokens hear which latent's sound: the mask M of eq. 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioQueries {
    /// All tokens of the sequence, latent by latent, equally many each.
    Folded {
        /// Latents of the sequence.
        latents: usize,
    },
    /// Positions in the sequence, a list for each latent; other tokens hear nothing.
    Masked(Vec<Vec<u32>>),
}

impl AudioQueries {
    pub(super) fn latents(&self) -> usize {
        match self {
            Self::Folded { latents } => *latents,
            Self::Masked(latents) => latents.len(),
        }
    }

    /// `x + M * attention(x, sound)` in the dtype of `x`; `memory` holds `[B * latents, tokens, D]`.
    pub(super) fn add_attention(
        &self,
        x: &Tensor,
        attention: &Attention,
        memory: &KeysValues,
    ) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        match self {
            Self::Folded { latents } => {
                let each = tokens / (*latents).max(1);
                let folded = ops::cast(x, memory.keys.dtype())?;
                let folded = folded.reshape((batch * latents, each, width))?;
                let queries = attention.queries(&folded, None)?;
                let heard = attention.project(&attention.attend(&queries, memory, None)?)?;
                let heard = heard.reshape((batch, tokens, width))?;
                Ok(ops::add(x, &ops::cast(&heard, x.dtype())?)?)
            }
            Self::Masked(latents) => {
                let count = latents.len();
                let mut sum = x.clone();
                for (latent, positions) in latents.iter().enumerate() {
                    if positions.is_empty() {
                        continue;
                    }
                    let index = Tensor::new(positions.as_slice(), x.device())?;
                    let of_latent = |t: &Tensor| -> Result<Tensor> {
                        let (_, sound, width) = t.dims3()?;
                        Ok(t.reshape((batch, count, sound, width))?
                            .narrow(1, latent, 1)?
                            .squeeze(1)?
                            .contiguous()?)
                    };
                    let own = KeysValues {
                        keys: of_latent(&memory.keys)?,
                        values: of_latent(&memory.values)?,
                    };
                    let asking = ops::cast(&x.index_select(&index, 1)?, own.keys.dtype())?;
                    let queries = attention.queries(&asking, None)?;
                    let heard = attention.project(&attention.attend(&queries, &own, None)?)?;
                    sum = sum.index_add(&index, &ops::cast(&heard, x.dtype())?, 1)?;
                }
                Ok(sum)
            }
        }
    }
}

/// One forward pass.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Tokens `[B, N, in_channels]`: normalised latents, noised or clean.
    pub latents: &'a Tensor,
    /// `[B]` or `[B, N]`, 0 (clean) to 1 (noise).
    pub timestep: &'a Tensor,
    /// Places of the tokens.
    pub rope: &'a Rope,
    /// From [`super::Transformer::caption`] or [`super::Transformer::empty_caption`].
    pub caption: &'a Caption,
    /// Sound, from [`super::Transformer::audio`]; without it the audio layers are left out.
    pub audio: Option<(&'a AudioMemory, &'a AudioQueries)>,
    /// Context that the tokens attend to besides themselves.
    pub context: Option<&'a ContextMemory>,
    /// What a perturbed guidance branch leaves out.
    pub perturbation: Option<&'a Perturbation>,
    /// `[N, N]`, added to the scores of self-attention, which are then held whole:
    /// the slow twin of one-way attention, for checking it.
    pub self_bias: Option<&'a Tensor>,
}
