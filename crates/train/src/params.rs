//! The parameters of a run: which are trained, which stay as they are.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use models::ModelFile;
use sha2::{Digest as _, Sha256};

use crate::data::prepare::hex;
use crate::error::{Result, TrainError};
use crate::pattern::Patterns;

/// Frozen tensors with fewer numbers are not worth shortening.
const LARGE: usize = 4096;

/// Named tensors, a part of them trained. Names are those of the weight file.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    trained: BTreeMap<String, Var>,
    frozen: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

impl Parameters {
    /// Takes all tensors of `file`; those that fit `train` and not `freeze` become trained,
    /// in `f32`, whatever they are stored as. The others keep their values.
    ///
    /// # Errors
    /// When a pattern fits no name, or a tensor can't be read.
    pub fn of_file(file: &ModelFile, train: &Patterns, freeze: &Patterns) -> Result<Self> {
        let view = file.view(DType::F32, &Device::Cpu)?;
        let names = view.names();
        let each = || names.iter().map(String::as_str);
        for patterns in [train, freeze] {
            if let Some(idle) = patterns.idle(each()) {
                return Err(TrainError::Recipe(format!(
                    "the pattern '{idle}' fits no tensor of {}",
                    file.origin()
                )));
            }
        }
        let mut all = Self::default();
        for name in &names {
            let tensor = view.get_any(name)?;
            if train.fit(name) && !freeze.fit(name) {
                all.insert_trained(name, &tensor)?;
            } else {
                all.insert_frozen(name, &tensor)?;
            }
        }
        for key in ["config", "format"] {
            if let Some(text) = file.metadata(key) {
                all.metadata.insert(key.to_owned(), text.to_owned());
            }
        }
        Ok(all)
    }

    /// Adds a trained tensor, or replaces what has the name.
    ///
    /// # Errors
    /// When the values can't be copied.
    pub fn insert_trained(&mut self, name: &str, values: &Tensor) -> Result<()> {
        self.frozen.remove(name);
        // A copy of its own: the optimiser writes into it.
        let var = Var::from_tensor(&values.to_dtype(DType::F32)?.copy()?.detach())?;
        self.trained.insert(name.to_owned(), var);
        Ok(())
    }

    /// Adds a tensor that stays as it is, or replaces what has the name. Values that bf16 holds exactly are kept
    /// so, at half the memory.
    ///
    /// # Errors
    /// When the values can't be read.
    pub fn insert_frozen(&mut self, name: &str, values: &Tensor) -> Result<()> {
        let mut values = values.detach();
        if values.dtype() == DType::F32 && values.elem_count() >= LARGE {
            let short = values.to_dtype(DType::BF16)?;
            let lost = (short.to_dtype(DType::F32)? - &values)?;
            if lost.abs()?.max_all()?.to_scalar::<f32>()? == 0.0 {
                values = short;
            }
        }
        self.trained.remove(name);
        self.frozen.insert(name.to_owned(), values);
        Ok(())
    }

    /// Trained tensors by name.
    pub fn trained(&self) -> &BTreeMap<String, Var> {
        &self.trained
    }

    /// Tensors that stay.
    pub fn frozen(&self) -> &BTreeMap<String, Tensor> {
        &self.frozen
    }

    /// How many numbers are trained, and how many there are.
    pub fn count(&self) -> (usize, usize) {
        let trained: usize = self.trained.values().map(|v| v.elem_count()).sum();
        let frozen: usize = self.frozen.values().map(Tensor::elem_count).sum();
        (trained, trained + frozen)
    }

    /// Texts for a file's header.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Sets a text of the header.
    pub fn set_metadata(&mut self, key: &str, text: String) {
        self.metadata.insert(key.to_owned(), text);
    }

    /// Trained tensors with their gradients tracked.
    pub fn tracked(&self) -> BTreeMap<String, Tensor> {
        let tensor = |(name, var): (&String, &Var)| (name.clone(), var.as_tensor().clone());
        self.trained.iter().map(tensor).collect()
    }

    /// All tensors but low-rank additions, as a weight file that networks are built of: `values` (from
    /// [`Self::tracked`], or an average) for the trained ones.
    pub fn file(&self, origin: &str, values: &BTreeMap<String, Tensor>) -> ModelFile {
        let mut tensors = self.frozen.clone();
        for (name, value) in values {
            if !name.contains(".lora_") {
                tensors.insert(name.clone(), value.clone());
            }
        }
        ModelFile::from_tensors(origin, tensors, self.metadata.clone())
    }

    /// SHA-256 over names and bytes of what is not trained, in hexadecimal.
    ///
    /// # Errors
    /// When a tensor can't be read.
    pub fn frozen_digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for (name, tensor) in &self.frozen {
            hash.update(name.as_bytes());
            let flat = tensor.flatten_all()?.to_dtype(DType::F32)?;
            for value in flat.to_vec1::<f32>()? {
                hash.update(value.to_le_bytes());
            }
        }
        Ok(hex(&hash.finalize(), 32))
    }
}
