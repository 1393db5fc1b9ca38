//! Low-rank additions: trained in place of the matrices that they are added to.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use models::lora::HasLinears as _;
use models::ltx::Transformer;
use nn::ops::Lora;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::params::Parameters;
use crate::pattern::Patterns;
use crate::random::{Draw, Purpose};

/// Prefix of the transformer's tensors in a single file.
const TRANSFORMER: &str = "model.diffusion_model.";

/// Which linear layers get an addition, and how large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraOptions {
    /// Rank.
    pub rank: usize,
    /// The addition is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Names of linear layers, without `.weight`.
    pub targets: Patterns,
}

impl LoraOptions {
    /// What the addition is multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank.max(1) as f64
    }

    /// Adds trained `NAME.lora_A.weight` `[rank, inputs]` (uniform, as a linear layer's) and
    /// `NAME.lora_B.weight` `[outputs, rank]` (zero, so that nothing changes at first) for
    /// every linear layer that fits; their names.
    ///
    /// # Errors
    /// When no layer fits.
    pub fn add(&self, parameters: &mut Parameters, seed: u64) -> Result<Vec<String>> {
        let mut found = BTreeMap::new();
        let frozen = parameters.frozen().iter().map(|(name, t)| (name, t.dims()));
        let trained = parameters
            .trained()
            .iter()
            .map(|(name, v)| (name, v.dims()));
        for (name, dims) in frozen.chain(trained) {
            if let (Some(layer), [outputs, inputs]) = (name.strip_suffix(".weight"), dims)
                && self.targets.fit(layer)
            {
                found.insert(layer.to_owned(), (*outputs, *inputs));
            }
        }
        if found.is_empty() {
            return Err(TrainError::Recipe(format!(
                "no linear layer fits the LoRA targets {:?}",
                self.targets.0
            )));
        }
        for (index, (layer, (outputs, inputs))) in found.iter().enumerate() {
            let mut draw = Draw::new(seed, Purpose::Weights, 0, index as u64);
            // Kaiming's uniform bound with a = sqrt 5, as PEFT has it.
            let bound = 1.0 / (*inputs as f64).sqrt();
            let values: Vec<f32> = (0..self.rank * inputs)
                .map(|_| draw.between(-bound, bound) as f32)
                .collect();
            let down = Tensor::from_vec(values, (self.rank, *inputs), &Device::Cpu)?;
            let up = Tensor::zeros((*outputs, self.rank), down.dtype(), &Device::Cpu)?;
            parameters.insert_trained(&format!("{layer}.lora_A.weight"), &down)?;
            parameters.insert_trained(&format!("{layer}.lora_B.weight"), &up)?;
        }
        Ok(found.into_keys().collect())
    }

    /// Gives the transformer's layers the additions among `values`.
    ///
    /// # Errors
    /// When an addition belongs to no layer of the transformer.
    pub fn attach(
        &self,
        transformer: &mut Transformer,
        values: &BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let dtype = transformer.dtype();
        let mut pairs = BTreeMap::new();
        for (name, down) in values {
            let Some(layer) = name.strip_suffix(".lora_A.weight") else {
                continue;
            };
            let Some(up) = values.get(&format!("{layer}.lora_B.weight")) else {
                continue;
            };
            let lora = Lora {
                down: down.to_dtype(dtype)?,
                up: up.to_dtype(dtype)?,
                scale: self.scale(),
            };
            pairs.insert(
                layer.strip_prefix(TRANSFORMER).unwrap_or(layer).to_owned(),
                lora,
            );
        }
        transformer.each_linear(&mut |name, linear| {
            if let Some(lora) = pairs.remove(name) {
                linear.push_lora(lora);
            }
            Ok(())
        })?;
        match pairs.keys().next() {
            Some(name) => Err(TrainError::Recipe(format!(
                "the LoRA of '{name}' belongs to no linear layer of the transformer"
            ))),
            None => Ok(()),
        }
    }
}

/// The trained additions alone, as tensors of a `LoRA` file.
pub fn tensors(parameters: &Parameters) -> BTreeMap<String, Tensor> {
    parameters
        .trained()
        .iter()
        .filter(|(name, _)| name.contains(".lora_"))
        .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
        .collect()
}
