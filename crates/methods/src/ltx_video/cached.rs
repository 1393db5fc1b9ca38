//! One step cache for each guidance branch, and the pairs that a cache is fitted to.

use candle_core::Tensor;
use diffusion::cache::relative_change;
use diffusion::{Cache, CacheConfig};
use models::ModelError;
use models::ltx::{Inputs, StepCache, Transformer};

use super::Branch;
use crate::error::Result;

/// Caches of one window of tokens. Windows that move need new ones.
#[derive(Debug, Clone)]
pub struct BranchCaches {
    negative: Cache,
    positive: Cache,
    perturbed: Cache,
    silent: Cache,
}

impl BranchCaches {
    /// For a schedule of so many steps.
    pub fn new(config: &CacheConfig, steps: usize) -> Self {
        let cache = || Cache::new(config.clone(), steps);
        Self {
            negative: cache(),
            positive: cache(),
            perturbed: cache(),
            silent: cache(),
        }
    }

    /// Forward passes that were spared.
    pub fn reused(&self) -> usize {
        self.negative.reused + self.positive.reused + self.perturbed.reused + self.silent.reused
    }

    pub(super) fn forward(
        &mut self,
        branch: Branch,
        transformer: &Transformer,
        inputs: &Inputs<'_>,
    ) -> Result<Tensor> {
        let cache = match branch {
            Branch::Negative => &mut self.negative,
            Branch::Positive => &mut self.positive,
            Branch::Perturbed => &mut self.perturbed,
            Branch::Silent => &mut self.silent,
        };
        Ok(transformer.forward_cached(inputs, Some(&mut Adapter(cache)))?)
    }
}

struct Adapter<'a>(&'a mut Cache);

impl StepCache for Adapter<'_> {
    fn reuse(&mut self, signal: &Tensor) -> Result<Option<Tensor>, ModelError> {
        self.0.next(signal).map_err(|error| ModelError::Input {
            name: "cache",
            reason: error.to_string(),
        })
    }

    fn keep(&mut self, residual: &Tensor) -> Result<(), ModelError> {
        self.0.keep(residual);
        Ok(())
    }
}

/// Changes of signal and result between the steps of computed denoises, to fit a cache to.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    signal: Option<Tensor>,
    result: Option<Tensor>,
    change: Option<f64>,
    /// Change of the signal, change of the result.
    pub pairs: Vec<(f64, f64)>,
}

impl Pairs {
    /// Starts another denoise.
    pub fn restart(&mut self) {
        self.signal = None;
        self.result = None;
    }
}

impl StepCache for Pairs {
    fn reuse(&mut self, signal: &Tensor) -> Result<Option<Tensor>, ModelError> {
        let before = self.signal.replace(signal.clone());
        self.change = before
            .map(|before| relative_change(signal, &before))
            .transpose()
            .map_err(|error| ModelError::Input {
                name: "cache",
                reason: error.to_string(),
            })?;
        Ok(None)
    }

    fn keep(&mut self, residual: &Tensor) -> Result<(), ModelError> {
        let before = self.result.replace(residual.clone());
        if let (Some(change), Some(before)) = (self.change, before) {
            let result = relative_change(residual, &before).map_err(|error| ModelError::Input {
                name: "cache",
                reason: error.to_string(),
            })?;
            self.pairs.push((change, result));
        }
        Ok(())
    }
}
