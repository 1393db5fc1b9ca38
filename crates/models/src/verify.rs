//! Whether a weight file is what it should be: keys, shapes and dtypes, from its header
//! alone, however large it is.

use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::ltx::keys;
use crate::ltx::{TransformerConfig, Upsampler, UpsamplerConfig, Vae, VaeConfig};
use crate::t5::{T5Config, T5Encoder};
use crate::whisper::{WhisperConfig, WhisperEncoder};

/// What a weight file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Transformer and autoencoder in one file.
    LtxVideo,
    /// The transformer alone.
    LtxTransformer,
    /// The autoencoder alone.
    LtxVae,
    Upsampler,
    T5,
    Whisper,
}

impl Network {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LtxVideo => "LTX-Video transformer and autoencoder",
            Self::LtxTransformer => "LTX-Video transformer",
            Self::LtxVae => "LTX-Video autoencoder",
            Self::Upsampler => "LTX-Video latent upsampler",
            Self::T5 => "T5 encoder",
            Self::Whisper => "Whisper encoder",
        }
    }

    /// Whether there is such a preset.
    pub fn has_preset(self, name: &str) -> bool {
        match self {
            Self::LtxVideo | Self::LtxTransformer => TransformerConfig::preset(name).is_some(),
            Self::LtxVae => VaeConfig::preset(name).is_some(),
            Self::Upsampler => UpsamplerConfig::preset(name).is_some(),
            Self::T5 => T5Config::preset(name).is_some(),
            Self::Whisper => WhisperConfig::preset(name).is_some(),
        }
    }

    /// What the names in a file say.
    pub fn detect(file: &ModelFile) -> Option<Self> {
        let shapes = file.shapes();
        let any = |part: &str| shapes.keys().any(|name| name.contains(part));
        let transformer = any("transformer_blocks.0.attn1.");
        let vae = any("encoder.conv_in.conv.weight");
        if any("post_upsample_res_blocks.") || any("upsampler.0.weight") {
            Some(Self::Upsampler)
        } else if transformer && vae {
            Some(Self::LtxVideo)
        } else if transformer {
            Some(Self::LtxTransformer)
        } else if vae {
            Some(Self::LtxVae)
        } else if any("SelfAttention.q.weight") || any("attn_rel_b") {
            Some(Self::T5)
        } else if any("conv1.weight")
            && (any("encoder_attn") || any("self_attn.q_proj") || any("attn.query"))
        {
            Some(Self::Whisper)
        } else {
            None
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub network: Network,
    /// How many tensors and parameters the file has.
    pub tensors: usize,
    pub parameters: u64,
    /// Each way in which it differs from what was asked for; none when all is well.
    pub differences: Vec<String>,
}

/// How weights may be stored.
const FLOATS: [&str; 3] = ["F32", "BF16", "F16"];

/// Compares a file with a preset, or with its own config where none is named.
///
/// # Errors
/// When the file holds no network that is known, or its config cannot be read.
pub fn verify(file: &ModelFile, preset: Option<(Network, &str)>) -> Result<Verdict> {
    let network = match preset {
        Some((network, _)) => network,
        None => Network::detect(file).ok_or_else(|| {
            ModelError::config(
                "verify",
                format!("{} holds no network that is known", file.origin()),
            )
        })?,
    };
    let name = preset.map(|(_, name)| name);
    let mut differences = Vec::new();
    let mut note = |result: Result<()>| match result {
        Ok(()) => Ok(()),
        Err(ModelError::Differences {
            differences: found, ..
        }) => {
            differences.extend(found);
            Ok(())
        }
        Err(other) => Err(other),
    };
    match network {
        Network::LtxVideo => {
            note(transformer(file, name))?;
            note(vae(file, name))?;
        }
        Network::LtxTransformer => note(transformer(file, name))?,
        Network::LtxVae => note(vae(file, name))?,
        Network::Upsampler => {
            let config = config(
                file,
                name,
                UpsamplerConfig::preset,
                UpsamplerConfig::from_json,
                || UpsamplerConfig::of_shapes(&file.shapes()),
            )?;
            note(Upsampler::check(file, &config))?;
        }
        Network::T5 => {
            let config = config(file, name, T5Config::preset, T5Config::from_json, || {
                T5Encoder::detect(file)
            })?;
            note(T5Encoder::check(file, &config))?;
        }
        Network::Whisper => {
            let config = config(
                file,
                name,
                WhisperConfig::preset,
                WhisperConfig::from_json,
                || WhisperEncoder::detect(file),
            )?;
            note(WhisperEncoder::check(file, &config))?;
        }
    }
    let shapes = file.shapes();
    let mut parameters = 0_u64;
    for (name, shape) in &shapes {
        parameters += shape.iter().product::<usize>() as u64;
        let stored = file.stored(name).unwrap_or_default();
        let quantised = network == Network::T5 && stored.starts_with('Q');
        if !FLOATS.contains(&stored.as_str()) && !quantised {
            differences.push(format!(
                "'{name}' is stored as {stored}, wanted {}",
                FLOATS.join(", ")
            ));
        }
    }
    Ok(Verdict {
        network,
        tensors: shapes.len(),
        parameters,
        differences,
    })
}

fn transformer(file: &ModelFile, preset: Option<&str>) -> Result<()> {
    let config = config(
        file,
        preset,
        TransformerConfig::preset,
        TransformerConfig::from_json,
        || None,
    )?;
    let file = file.renamed(&keys::transformer_keys(file))?;
    file.check(&config.shapes(), |name| {
        ["audio_projection.", "vae.", "audio_encoder."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || name == "empty_caption"
    })
}

fn vae(file: &ModelFile, preset: Option<&str>) -> Result<()> {
    let config = config(
        file,
        preset,
        VaeConfig::preset,
        VaeConfig::from_json,
        || None,
    )?;
    Vae::check(file, &config)
}

fn config<C>(
    file: &ModelFile,
    preset: Option<&str>,
    named: impl Fn(&str) -> Option<C>,
    read: impl Fn(&serde_json::Value) -> Result<C>,
    detect: impl FnOnce() -> Option<C>,
) -> Result<C> {
    if let Some(name) = preset {
        return named(name)
            .ok_or_else(|| ModelError::config("verify", format!("there is no preset '{name}'")));
    }
    match file.config_if_any()? {
        Some(config) => read(&config),
        None => match detect() {
            Some(config) => Ok(config),
            None => read(&file.config()?),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fixture is as its own header says, in whatever dtype it is stored.
    #[test]
    fn files_that_are_right_have_no_differences() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let file = ModelFile::open(format!("{folder}/lora.safetensors")).unwrap();
        assert_eq!(file.stored("proj_in.weight").as_deref(), Some("BF16"));
        let keys = file
            .shapes()
            .into_keys()
            .filter(|name| {
                !["in.", "out.", "a.", "b."]
                    .iter()
                    .any(|p| name.starts_with(p))
            })
            .fold(nn::weights::KeyMap::new(), |keys, name| {
                keys.prefix(&name, &name)
            });
        let verdict = verify(&file.renamed(&keys).unwrap(), None).unwrap();
        assert_eq!(verdict.network, Network::LtxTransformer);
        assert!(verdict.differences.is_empty(), "{:?}", verdict.differences);
    }
}
