//! Tensors under a prefix, from a checkpoint or from memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Shape, Tensor};

use super::checkpoint::nearest;
use super::{Checkpoint, WeightsError};

enum Source {
    File(Checkpoint),
    Memory(BTreeMap<String, Tensor>),
}

/// Tensors whose names start with a prefix, read as one dtype onto one device.
/// Cloning is cheap.
#[derive(Clone)]
pub struct View {
    source: Arc<Source>,
    prefix: String,
    dtype: DType,
    device: Device,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("prefix", &self.prefix)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn of_checkpoint(checkpoint: Checkpoint, dtype: DType, device: &Device) -> Self {
        Self {
            source: Arc::new(Source::File(checkpoint)),
            prefix: String::new(),
            dtype,
            device: device.clone(),
        }
    }

    /// A view of tensors in memory. Trainable ones stay trainable where no
    /// conversion of dtype or device cuts them off.
    pub fn of_tensors(tensors: BTreeMap<String, Tensor>, dtype: DType, device: &Device) -> Self {
        Self {
            source: Arc::new(Source::Memory(tensors)),
            prefix: String::new(),
            dtype,
            device: device.clone(),
        }
    }

    /// The view one level down: `prefix.part.`
    #[must_use]
    pub fn at(&self, part: impl std::fmt::Display) -> Self {
        Self {
            prefix: format!("{}{part}.", self.prefix),
            ..self.clone()
        }
    }

    /// The same names read as another dtype.
    #[must_use]
    pub fn with_dtype(&self, dtype: DType) -> Self {
        Self {
            dtype,
            ..self.clone()
        }
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The prefix with its dot.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether `prefix.name` exists.
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// Shape of `prefix.name` without reading it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let full = format!("{}{name}", self.prefix);
        match self.source.as_ref() {
            Source::File(checkpoint) => checkpoint.info(&full).map(|info| info.shape),
            Source::Memory(tensors) => tensors.get(&full).map(|t| t.dims().to_vec()),
        }
    }

    /// Names under the prefix, without it, sorted.
    pub fn names(&self) -> Vec<String> {
        let strip = |name: &str| name.strip_prefix(self.prefix.as_str()).map(str::to_owned);
        match self.source.as_ref() {
            Source::File(checkpoint) => checkpoint.names().filter_map(strip).collect(),
            Source::Memory(tensors) => tensors.keys().filter_map(|name| strip(name)).collect(),
        }
    }

    /// The tensor `prefix.name` of any shape.
    ///
    /// # Errors
    /// When it is missing or cannot be converted.
    pub fn get_any(&self, name: &str) -> Result<Tensor, WeightsError> {
        let full = format!("{}{name}", self.prefix);
        match self.source.as_ref() {
            Source::File(checkpoint) => checkpoint.tensor(&full, self.dtype, &self.device),
            Source::Memory(tensors) => {
                let tensor = tensors.get(&full).ok_or_else(|| WeightsError::Missing {
                    origin: self.origin(),
                    name: full.clone(),
                    near: nearest(&full, tensors.keys()),
                })?;
                crate::ops::cast(tensor, self.dtype)
                    .and_then(|t| t.to_device(&self.device))
                    .map_err(|e| WeightsError::tensor(&full, e))
            }
        }
    }

    /// The tensor `prefix.name`, which must have this shape.
    ///
    /// # Errors
    /// When it is missing, has another shape or cannot be converted.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor, WeightsError> {
        let wanted = shape.into();
        if let Some(found) = self.shape(name)
            && found != wanted.dims()
        {
            return Err(WeightsError::Shape {
                origin: self.origin(),
                name: format!("{}{name}", self.prefix),
                found,
                wanted: wanted.into_dims(),
            });
        }
        self.get_any(name)
    }

    fn origin(&self) -> String {
        match self.source.as_ref() {
            Source::File(checkpoint) => checkpoint.path().display().to_string(),
            Source::Memory(_) => "tensors in memory".to_owned(),
        }
    }
}
