//! Low-rank adapters: files in the key forms of PEFT, diffusers, `ComfyUI` and kohya, on any
//! linear of the transformer, several at once.
//!
//! Hu et al. 2021, eq. 3; keys: diffusers `loaders/lora_conversion_utils.py`. An adapter adds `alpha / rank * strength * B A` to a
//! weight. It may act in a range of timesteps only (X-Dub's experts), and may be added to
//! the weights for good where it acts everywhere.

mod keys;
mod scale;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use nn::layers::Linear;
use nn::ops::Lora;

use self::keys::{Form, Part};
use self::scale::Scales;
use crate::error::{ModelError, Result};
use crate::file::ModelFile;

const PART: &str = "lora";

/// The two factors for one linear, and alpha over rank.
#[derive(Debug, Clone)]
struct Factors {
    /// `[rank, inputs]`.
    down: Tensor,
    /// `[outputs, rank]`.
    up: Tensor,
    scale: f64,
}

/// Whether a stored name is a part of an adapter.
pub(crate) fn is_part(name: &str) -> bool {
    keys::split(name).is_some()
}

/// What has been found of one module.
#[derive(Debug, Default)]
struct Parts {
    down: Option<Tensor>,
    up: Option<Tensor>,
    alpha: Option<f64>,
}

/// Where in the schedule an adapter acts: timesteps above `from` up to and with `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeRange {
    pub from: f64,
    pub to: f64,
}

impl TimeRange {
    /// From noise to the clean sample.
    pub const ALL: Self = Self { from: 0.0, to: 1.0 };

    /// Whether a step at `t` lies within.
    pub fn contains(&self, t: f64) -> bool {
        (t > self.from && t <= self.to) || (t <= 0.0 && self.from <= 0.0)
    }

    const fn is_all(&self) -> bool {
        self.from <= 0.0 && self.to >= 1.0
    }
}

/// How one adapter is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraUse {
    pub strength: f64,
    pub range: TimeRange,
}

impl Default for LoraUse {
    fn default() -> Self {
        Self {
            strength: 1.0,
            range: TimeRange::ALL,
        }
    }
}

/// An adapter as its file has it, by module.
#[derive(Debug, Clone)]
pub struct LoraFile {
    origin: String,
    modules: BTreeMap<String, Factors>,
}

impl LoraFile {
    /// Reads a safetensors file, or a folder with `adapter_model.safetensors`; alpha comes
    /// from the file, its header, or an `adapter_config.json` beside it.
    ///
    /// # Errors
    /// When a tensor is no part of a low-rank adapter, or a pair is not complete.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_file(&ModelFile::open(path)?)
    }

    /// The same from tensors that are open already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_file(file: &ModelFile) -> Result<Self> {
        let origin = file.origin().to_owned();
        let view = file.view(DType::F32, &Device::Cpu)?;
        let mut parts: BTreeMap<String, Parts> = BTreeMap::new();
        for name in file.shapes().keys() {
            let Some((module, part)) = keys::split(name) else {
                return Err(ModelError::config(
                    PART,
                    format!("{origin}: '{name}' is no part of a low-rank adapter that can be used"),
                ));
            };
            let tensor = view.get_any(name)?;
            let entry = parts.entry(module).or_default();
            match part {
                Part::Down => entry.down = Some(tensor),
                Part::Up => entry.up = Some(tensor),
                Part::Alpha => {
                    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
                    entry.alpha = values.first().map(|value| f64::from(*value));
                }
            }
        }
        let scales = Scales::of(file)?;
        let mut modules = BTreeMap::new();
        for (module, Parts { down, up, alpha }) in parts {
            let (Some(down), Some(up)) = (down, up) else {
                return Err(ModelError::config(
                    PART,
                    format!("{origin}: '{module}' has one of its two factors only"),
                ));
            };
            let ((rank, _), (_, other)) = (down.dims2()?, up.dims2()?);
            if rank != other || rank == 0 {
                return Err(ModelError::config(
                    PART,
                    format!(
                        "{origin}: the factors of '{module}' are {:?} and {:?}",
                        down.dims(),
                        up.dims()
                    ),
                ));
            }
            let scale = match alpha {
                Some(alpha) => alpha / rank as f64,
                None => scales.of_module(&module, rank),
            };
            modules.insert(module, Factors { down, up, scale });
        }
        if modules.is_empty() {
            return Err(ModelError::config(PART, format!("{origin} is empty")));
        }
        Ok(Self { origin, modules })
    }

    /// The file's name for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many linears it changes.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether it changes nothing; never true for one that was read.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

/// Adapters in use, on the linears of one model.
#[derive(Debug, Clone, Default)]
pub struct LoraStack {
    adapters: Vec<(LoraUse, BTreeMap<String, Factors>)>,
    active: Option<Vec<bool>>,
}

/// Something with named linears, such as a transformer.
pub trait HasLinears {
    /// Calls `f` with every linear and its name, in a fixed order.
    ///
    /// # Errors
    /// The first of `f`'s.
    fn each_linear(&mut self, f: &mut dyn FnMut(&str, &mut Linear) -> Result<()>) -> Result<()>;
}

impl LoraStack {
    /// Adds an adapter for `model`, resolving its names against the model's.
    ///
    /// # Errors
    /// When a module is not in the model, or has other sizes there.
    pub fn push(
        &mut self,
        model: &mut impl HasLinears,
        file: &LoraFile,
        how: LoraUse,
    ) -> Result<()> {
        let mut wanted: BTreeMap<String, Factors> = BTreeMap::new();
        let mut known = BTreeMap::new();
        model.each_linear(&mut |name, linear| {
            known.insert(name.to_owned(), linear.weight().dims().to_vec());
            Ok(())
        })?;
        let mut differences = Vec::new();
        let form = Form::of(known.keys());
        for (module, factors) in &file.modules {
            let Some(name) = form.resolve(module) else {
                differences.push(format!("'{module}' is not in the model"));
                continue;
            };
            let shape = vec![factors.up.dim(0)?, factors.down.dim(1)?];
            match known.get(&name) {
                Some(own) if *own == shape => {
                    wanted.insert(name, factors.clone());
                }
                own => differences.push(format!(
                    "'{module}' is for {shape:?}, the model's is {own:?}"
                )),
            }
        }
        if wanted.is_empty()
            && differences
                .iter()
                .all(|told| told.ends_with("is not in the model"))
        {
            let first = file.modules.keys().next().cloned().unwrap_or_default();
            return Err(ModelError::config(
                PART,
                format!(
                    "none of the {} modules of {} is in the model, such as '{first}': it is for another one",
                    file.modules.len(),
                    file.origin
                ),
            ));
        }
        if !differences.is_empty() {
            return Err(ModelError::Differences {
                origin: file.origin.clone(),
                differences,
            });
        }
        self.adapters.push((how, wanted));
        self.active = None;
        Ok(())
    }

    /// Switches on what acts at timestep `t` and off what does not. Cheap where nothing
    /// changes.
    ///
    /// # Errors
    /// When a factor cannot be converted to the model's dtype.
    pub fn set_time(&mut self, model: &mut impl HasLinears, t: f64) -> Result<()> {
        let active: Vec<bool> = self
            .adapters
            .iter()
            .map(|(how, _)| how.range.contains(t))
            .collect();
        if self.active.as_ref() == Some(&active) {
            return Ok(());
        }
        model.each_linear(&mut |name, linear| {
            linear.clear_loras();
            for ((how, modules), on) in self.adapters.iter().zip(&active) {
                if let (true, Some(factors)) = (*on, modules.get(name)) {
                    let like = linear.weight();
                    let own = |t: &Tensor| t.to_dtype(like.dtype())?.to_device(like.device());
                    linear.push_lora(Lora {
                        down: own(&factors.down)?,
                        up: own(&factors.up)?,
                        scale: factors.scale * how.strength,
                    });
                }
            }
            Ok(())
        })?;
        self.active = Some(active);
        Ok(())
    }

    /// Adds all adapters to the model's weights for good and forgets them; steps then cost
    /// nothing more. Sums are `f32`.
    ///
    /// # Errors
    /// When an adapter acts in a part of the schedule only.
    pub fn merge(&mut self, model: &mut impl HasLinears) -> Result<()> {
        if let Some((how, _)) = self.adapters.iter().find(|(how, _)| !how.range.is_all()) {
            return Err(ModelError::config(
                PART,
                format!(
                    "an adapter that acts from {} to {} only can't be merged",
                    how.range.from, how.range.to
                ),
            ));
        }
        model.each_linear(&mut |name, linear| {
            linear.clear_loras();
            let mut sum: Option<Tensor> = None;
            for (how, modules) in &self.adapters {
                let Some(factors) = modules.get(name) else {
                    continue;
                };
                let added = (factors.up.matmul(&factors.down)? * (factors.scale * how.strength))?;
                sum = Some(match sum {
                    Some(sum) => (sum + added)?,
                    None => added,
                });
            }
            if let Some(sum) = sum {
                let weight = linear.weight();
                let merged = (weight.to_dtype(DType::F32)? + sum.to_device(weight.device())?)?
                    .to_dtype(weight.dtype())?;
                *linear = Linear::new(merged, linear.bias().cloned());
            }
            Ok(())
        })?;
        self.adapters.clear();
        self.active = None;
        Ok(())
    }
}
