//! What is trained, one stage a file: each turns the samples of a round into losses.

mod edit_yourself;
mod network;
mod sound;
mod sync_scorer;
mod teacher;
mod vae;
mod window;

use std::collections::BTreeMap;

use candle_core::Tensor;
use media::image::Rgb8;

pub use edit_yourself::EditYourselfStage;
pub(crate) use network::object;
pub use network::{Heard, Network, Noised};
pub use sound::{BestOffset, SoundClip, SoundStage};
pub use sync_scorer::{SyncClip, SyncStage};
pub use teacher::Teacher;
pub use vae::{PictureClip, VaeStage};
pub use window::{Cells, Window};

use crate::error::Result;
use crate::params::Parameters;

/// Where a round stands in its run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// The optimiser step, from 0.
    pub step: u64,
    /// Share of the run that is over.
    pub done: f64,
    /// Which of the accumulated rounds.
    pub part: u64,
    /// Index in the global batch of this rank's first sample.
    pub first: u64,
    /// Samples of this rank.
    pub samples: usize,
}

/// A loss with its parts as numbers.
#[derive(Debug, Clone)]
pub struct Losses {
    /// A scalar with its graph.
    pub total: Tensor,
    /// Parts and measures by name.
    pub parts: BTreeMap<String, f64>,
}

impl Losses {
    pub(crate) fn new(total: Tensor) -> Self {
        Self {
            total,
            parts: BTreeMap::new(),
        }
    }

    pub(crate) fn note(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let value = value.to_dtype(candle_core::DType::F32)?;
        self.parts
            .insert(name.to_owned(), f64::from(value.to_scalar::<f32>()?));
        Ok(())
    }
}

/// What a validation says.
#[derive(Debug, Clone, Default)]
pub struct Validation {
    /// Measures by name.
    pub measures: BTreeMap<String, f64>,
    /// Samples to look at.
    pub sheet: Option<Rgb8>,
}

/// A stage of training.
pub trait Stage {
    /// What moves and what stays.
    fn parameters(&self) -> &Parameters;

    /// Loss of a round.
    ///
    /// # Errors
    /// When a sample can't be read or shapes do not fit.
    fn losses(&mut self, round: &Round) -> Result<Losses>;

    /// Whether a parameter moves in this step: stages hold some of them at first.
    fn moves(&self, _name: &str, _done: f64) -> bool {
        true
    }

    /// What else the average needs before it is shipped, such as statistics of its latents: tensors by name.
    ///
    /// # Errors
    /// When a sample can't be read or shapes do not fit.
    fn complete(
        &mut self,
        _average: &BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    /// Measures held-out samples with `average` in place of the trained parameters.
    ///
    /// # Errors
    /// When a sample can't be read or shapes do not fit.
    fn validate(&mut self, average: &BTreeMap<String, Tensor>, step: u64) -> Result<Validation>;
}
