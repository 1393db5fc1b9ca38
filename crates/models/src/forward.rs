//! Networks by name, run on saved tensors: what `reword forward` does.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use crate::audio_projection::{self, AudioProjection};
use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::ltx::vae::{Vae, VaeConfig};
use crate::ltx::{AudioConfig, Inputs, Rope, Transformer, TransformerConfig};
use crate::mel_encoder::{MelEncoder, MelEncoderConfig};

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
    /// `config.json` of diffusers, an official header's JSON, or none to use the header
    /// of the weights.
    pub config: Option<&'a Value>,
    /// Name of a preset (`ltx-2b`, `ltx-13b`), used where `config` is none.
    pub preset: Option<&'a str>,
    pub inputs: &'a Tensors,
    pub dtype: DType,
    pub device: &'a Device,
}

/// All networks.
pub const ENTRIES: [Entry; 5] = [
    Entry {
        name: "ltx-transformer",
        inputs: "latents [B,N,C], timestep [B] or [B,N] in 0..1, caption [B,L,Cc], caption_mask [B,L], coords [B,3,N] (seconds, y px, x px)",
        outputs: "velocity [B,N,C]",
        run: transformer,
    },
    Entry {
        name: "ltx-vae-encode",
        inputs: "video [B,3,F,H,W] in -1..1",
        outputs: "mean [B,C,f,h,w]; latents, normalised, where the file has statistics",
        run: vae_encode,
    },
    Entry {
        name: "ltx-vae-decode",
        inputs: "latents [B,C,f,h,w], un-normalised; timestep [B] in 0..1",
        outputs: "video [B,3,F,H,W]",
        run: vae_decode,
    },
    Entry {
        name: "audio-projection",
        inputs: "features [B,L,Bh,C]; scalars feature_rate, frame_rate, frames",
        outputs: "tokens [B,F,W/4,D]",
        run: projection,
    },
    Entry {
        name: "mel-encoder",
        inputs: "mel [B,T,bands] at 100 Hz",
        outputs: "features [B,T/2,C] at 50 Hz",
        run: mel,
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

fn transformer(call: &Call<'_>) -> Result<Tensors> {
    let preset = call.preset.filter(|_| call.config.is_none());
    let config = match preset {
        Some(name) => TransformerConfig::preset(name).ok_or_else(|| {
            ModelError::config(
                "ltx transformer",
                format!("no preset '{name}'; there are ltx-2b and ltx-13b"),
            )
        })?,
        None => TransformerConfig::from_json(&call.config()?)?,
    };
    let model = Transformer::load(call.weights, &config, call.dtype, call.device)?;
    let coords = call.input("coords")?;
    let latents = call.input("latents")?;
    let mask = call.inputs.get("caption_mask");
    let caption = match call.inputs.get("caption") {
        Some(caption) => model.caption(caption, mask)?,
        None => model.empty_caption()?,
    };
    let velocity = model.forward(&Inputs {
        latents,
        timestep: call.input("timestep")?,
        rope: &Rope::of_coords(&config, coords)?,
        caption: &caption,
        audio: None,
        context: None,
        perturbation: None,
        self_bias: None,
    })?;
    Ok(one("velocity", velocity))
}

fn vae(call: &Call<'_>) -> Result<Vae> {
    let config = if call.config.is_none() && call.preset.is_some() {
        VaeConfig::ltx()
    } else {
        VaeConfig::from_json(&call.config()?)?
    };
    Vae::load(call.weights, &config, call.dtype, call.device)
}

fn vae_encode(call: &Call<'_>) -> Result<Tensors> {
    let vae = vae(call)?;
    let mean = vae.encode(call.input("video")?)?;
    let mut outputs = Tensors::new();
    if vae.has_statistics() {
        outputs.insert("latents".to_owned(), vae.normalise(&mean)?);
    }
    outputs.insert("mean".to_owned(), mean);
    Ok(outputs)
}

fn vae_decode(call: &Call<'_>) -> Result<Tensors> {
    let vae = vae(call)?;
    let latents = call.input("latents")?;
    let timestep = call.input("timestep")?.flatten_all()?;
    let batch = latents.dim(0)?;
    let timestep = if timestep.dim(0)? == batch {
        timestep
    } else {
        timestep.broadcast_as(batch)?.contiguous()?
    };
    Ok(one("video", vae.decode(latents, &timestep)?))
}

fn projection(call: &Call<'_>) -> Result<Tensors> {
    let json = call.config()?;
    let audio = json
        .pointer("/transformer/audio")
        .or_else(|| json.get("audio"))
        .unwrap_or(&json);
    let mut config: AudioConfig =
        serde_json::from_value(audio.clone()).map_err(|source| ModelError::ConfigText {
            part: "audio projection",
            source,
        })?;
    config.feature_rate = call.scalar("feature_rate")?;
    let frame_rate = call.scalar("frame_rate")?;
    let frames = call.scalar("frames")?;
    if !(config.feature_rate > 0.0 && frame_rate > 0.0 && (1.0..1e9).contains(&frames)) {
        return Err(ModelError::input(
            "frames",
            "rates and the number of frames must be above zero",
        ));
    }
    let model = AudioProjection::load(call.weights, &config, call.device)?;
    let features = call.input("features")?.to_dtype(DType::F32)?;
    let (batch, count, _, _) = features.dims4()?;
    let frames: Vec<u64> = (0..frames as u64).collect();
    let mut tokens = Vec::with_capacity(batch);
    for sample in 0..batch {
        let features = features.get(sample)?;
        let windows =
            audio_projection::windows(&features, (0, count), &frames, &config, frame_rate)?;
        tokens.push(model.forward(&windows)?);
    }
    Ok(one("tokens", Tensor::stack(&tokens, 0)?))
}

fn mel(call: &Call<'_>) -> Result<Tensors> {
    let json = call.config()?;
    let own = json.get("audio_encoder").unwrap_or(&json);
    let config: MelEncoderConfig =
        serde_json::from_value(own.clone()).map_err(|source| ModelError::ConfigText {
            part: "mel encoder",
            source,
        })?;
    let model = MelEncoder::load(call.weights, &config, call.device)?;
    Ok(one("features", model.forward(call.input("mel")?)?))
}
