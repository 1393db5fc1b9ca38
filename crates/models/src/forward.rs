//! Networks by name, run on saved tensors: what `reword forward` does.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

mod picture;
mod sound;
mod text;

use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// Named tensors, as read from and written to a safetensors file.
pub type Tensors = BTreeMap<String, Tensor>;

/// A network that can be run alone.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name on the command line.
    pub name: &'static str,
    /// Inputs with their shapes, for help and errors.
    pub inputs: &'static str,
    /// Outputs with their shapes.
    pub outputs: &'static str,
    run: fn(&Call<'_>) -> Result<Tensors>,
}

/// One call: weights, config, inputs, and where to compute.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub weights: &'a ModelFile,
    /// `config.json` of diffusers or transformers, an official header's JSON, or none to
    /// use the header of the weights or the `config.json` beside them.
    pub config: Option<&'a Value>,
    /// Name of a preset (`ltx-13b`, `t5-xxl`, ...), used where `config` is none.
    pub preset: Option<&'a str>,
    pub inputs: &'a Tensors,
    pub dtype: DType,
    pub device: &'a Device,
}

/// All networks.
pub const ENTRIES: [Entry; 8] = [
    Entry {
        name: "ltx-transformer",
        inputs: "latents [B,N,C], timestep [B] or [B,N] in 0..1, caption [B,L,Cc], caption_mask [B,L], coords [B,3,N] (seconds, y px, x px)",
        outputs: "velocity [B,N,C]",
        run: picture::transformer,
    },
    Entry {
        name: "ltx-vae-encode",
        inputs: "video [B,3,F,H,W] in -1..1",
        outputs: "mean [B,C,f,h,w]; latents, normalised, where the file has statistics",
        run: picture::vae_encode,
    },
    Entry {
        name: "ltx-vae-decode",
        inputs: "latents [B,C,f,h,w], un-normalised; timestep [B] in 0..1",
        outputs: "video [B,3,F,H,W]",
        run: picture::vae_decode,
    },
    Entry {
        name: "ltx-upsampler",
        inputs: "latents [B,C,f,h,w], un-normalised",
        outputs: "latents [B,C,f',h',w']",
        run: picture::upsampler,
    },
    Entry {
        name: "t5-encoder",
        inputs: "input_ids [B,L]; attention_mask [B,L], all ones without it",
        outputs: "hidden [B,L,C]",
        run: text::t5,
    },
    Entry {
        name: "whisper-encoder",
        inputs: "mel [B,bands,T], log-mel of one window (80 bands, 3000 frames)",
        outputs: "hidden_states [B,layers+1,T/2,C], the last after the final norm",
        run: sound::whisper,
    },
    Entry {
        name: "audio-projection",
        inputs: "features [B,L,Bh,C]; scalars feature_rate, frame_rate, frames",
        outputs: "tokens [B,F,W/4,D]",
        run: sound::projection,
    },
    Entry {
        name: "mel-encoder",
        inputs: "mel [B,T,bands] at 100 Hz",
        outputs: "features [B,T/2,C] at 50 Hz",
        run: sound::mel,
    },
];

/// The network of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// Runs the network.
    ///
    /// # Errors
    /// When weights, config or inputs do not fit each other.
    pub fn run(&self, call: &Call<'_>) -> Result<Tensors> {
        (self.run)(call)
    }
}

impl Call<'_> {
    fn config(&self) -> Result<Value> {
        match self.config {
            Some(config) => Ok(config.clone()),
            None => self.weights.config(),
        }
    }

    /// The network's config: given, from a preset, from the weights' header or folder, or
    /// else from the weights' shapes, where `detect` can tell it.
    fn resolve<C>(
        &self,
        part: &'static str,
        presets: &str,
        preset: impl Fn(&str) -> Option<C>,
        read: impl Fn(&Value) -> Result<C>,
        detect: impl FnOnce() -> Option<C>,
    ) -> Result<C> {
        if let Some(config) = self.config {
            return read(config);
        }
        if let Some(name) = self.preset {
            return preset(name).ok_or_else(|| {
                ModelError::config(
                    part,
                    format!("no file or preset '{name}'; there are {presets}"),
                )
            });
        }
        match self.weights.config_if_any()? {
            Some(config) => read(&config),
            None => match detect() {
                Some(config) => Ok(config),
                None => read(&self.weights.config()?),
            },
        }
    }

    fn input(&self, name: &'static str) -> Result<&Tensor> {
        self.inputs
            .get(name)
            .ok_or_else(|| ModelError::input(name, "is missing"))
    }

    fn scalar(&self, name: &'static str) -> Result<f64> {
        let tensor = self.input(name)?;
        if tensor.elem_count() != 1 {
            return Err(ModelError::input(
                name,
                format!("shape {:?}, wanted one number", tensor.dims()),
            ));
        }
        let values = tensor
            .to_dtype(DType::F64)?
            .flatten_all()?
            .to_vec1::<f64>()?;
        Ok(values.first().copied().unwrap_or(0.0))
    }
}

fn one(name: &str, tensor: Tensor) -> Tensors {
    BTreeMap::from([(name.to_owned(), tensor)])
}
