//! One sequence on several ranks.
//!
//! Every rank holds a part of the tokens and the whole weights; all that is not
//! attention needs nothing from the others. Attention does it in one of two ways, or
//! both at once on a grid of ranks:
//!
//! * [`ulysses`]: tokens are exchanged for heads, attention runs on whole sequences of
//!   a part of the heads, and the results are exchanged back (Jacobs et al. 2023);
//! * [`ring`]: keys and values go around, and each rank adds up what its queries find in
//!   each part, weighted by the parts' sums (Liu, Zaharia and Abbeel 2023).
//!
//! Inference only: the exchanges have no gradient.

mod channels;
#[cfg(feature = "nccl")]
mod nccl;
mod ring;
mod ulysses;

use candle_core::{Result, Tensor};

pub use channels::{Channels, channels};
#[cfg(feature = "nccl")]
pub use nccl::{Nccl, group_name};
pub use ring::ring;
pub use ulysses::{grid, ulysses};

/// What a rank's tokens are, and how they are read.
#[derive(Debug, Clone)]
pub struct Local {
    /// `[B, n, heads * D]`; ranks may hold different numbers of tokens.
    pub queries: Tensor,
    /// `[B, m, heads * D]`.
    pub keys: Tensor,
    /// `[B, m, heads * D]`.
    pub values: Tensor,
    /// Added to the scores of this rank's keys, `[B, m]` in `f32`; on all ranks or on none.
    pub key_bias: Option<Tensor>,
    /// The number of heads.
    pub heads: usize,
    /// Factor on the scores; `1 / sqrt(D)` when not given.
    pub scale: Option<f32>,
}

/// A rank's connections to the others of its group.
pub trait Exchange {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Sends `parts[r]` to rank `r` and gives what each rank sent to this one, in order
    /// of ranks. All ranks must call it together.
    ///
    /// # Errors
    /// When the number of parts is not that of the ranks, or a rank is gone.
    fn all_to_all(&mut self, parts: Vec<Tensor>) -> Result<Vec<Tensor>>;

    /// Sends to the next rank and gives what the one before sent. All ranks must call it together.
    ///
    /// # Errors
    /// When a rank is gone.
    fn shift(&mut self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>>;
}

#[cfg(test)]
mod tests;
