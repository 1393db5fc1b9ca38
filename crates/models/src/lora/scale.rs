//! Alpha over rank, where the tensors do not say it.
//!
//! PEFT keeps it in `adapter_config.json`, diffusers in the header under
//! `lora_adapter_metadata`; official files have neither, and their scale is 1.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::PART;
use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// What a file says about scales.
#[derive(Debug, Default)]
pub(super) struct Scales {
    alpha: Option<f64>,
    /// Divide by the root of the rank instead of the rank (Kalajdzievski 2023).
    root: bool,
    /// Alphas of modules whose path ends so.
    patterns: BTreeMap<String, f64>,
}

impl Scales {
    pub(super) fn of(file: &ModelFile) -> Result<Self> {
        let bad = |source| ModelError::ConfigText { part: PART, source };
        if let Some(text) = file.metadata("lora_adapter_metadata") {
            let json: Value = serde_json::from_str(text).map_err(bad)?;
            let own = json.as_object().cloned().unwrap_or_default();
            // diffusers puts the component's name in front of every key.
            let own: Map<String, Value> = own
                .into_iter()
                .map(|(key, value)| {
                    let key = key.strip_prefix("transformer.").unwrap_or(&key).to_owned();
                    (key, value)
                })
                .collect();
            return Self::read(&own, file.origin());
        }
        match file.text_beside("adapter_config.json")? {
            Some(text) => {
                let json: Value = serde_json::from_str(&text).map_err(bad)?;
                Self::read(
                    &json.as_object().cloned().unwrap_or_default(),
                    file.origin(),
                )
            }
            None => Ok(Self::default()),
        }
    }

    fn read(json: &Map<String, Value>, origin: &str) -> Result<Self> {
        let yes = |key: &str| json.get(key).and_then(Value::as_bool) == Some(true);
        if yes("use_dora") || yes("lora_bias") {
            return Err(ModelError::config(
                PART,
                format!("{origin} uses use_dora or lora_bias, which can't be built"),
            ));
        }
        let patterns = json.get("alpha_pattern").and_then(Value::as_object);
        Ok(Self {
            alpha: json.get("lora_alpha").and_then(Value::as_f64),
            root: yes("use_rslora"),
            patterns: patterns
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_f64()?)))
                .collect(),
        })
    }

    /// The scale of a module of that rank.
    pub(super) fn of_module(&self, module: &str, rank: usize) -> f64 {
        // kohya's paths have underscores for dots.
        let plain = |path: &str| path.replace('.', "_");
        let own = self.patterns.iter().find(|(end, _)| {
            plain(module)
                .strip_suffix(plain(end).as_str())
                .is_some_and(|front| front.is_empty() || front.ends_with('_'))
        });
        let Some(alpha) = own.map(|(_, alpha)| *alpha).or(self.alpha) else {
            return 1.0;
        };
        let rank = rank as f64;
        alpha / if self.root { rank.sqrt() } else { rank }
    }
}
