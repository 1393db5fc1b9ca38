//! The `vae` object of an official header.

use serde::Deserialize;
use serde_json::Value;

use super::{PART, Stage, VaeConfig, bad, one, parse, three};
use crate::error::{ModelError, Result};

#[derive(Deserialize)]
struct Official {
    #[serde(default = "three")]
    in_channels: usize,
    #[serde(default = "three")]
    out_channels: usize,
    latent_channels: usize,
    #[serde(default = "one")]
    patch_size: usize,
    #[serde(default = "default_width")]
    encoder_base_channels: usize,
    #[serde(default = "default_width")]
    decoder_base_channels: usize,
    /// 0.9.0 has one list for both.
    #[serde(default)]
    blocks: Option<Vec<(String, Value)>>,
    #[serde(default)]
    encoder_blocks: Option<Vec<(String, Value)>>,
    #[serde(default)]
    decoder_blocks: Option<Vec<(String, Value)>>,
    #[serde(default)]
    causal_decoder: bool,
    #[serde(default)]
    timestep_conditioning: bool,
    #[serde(default)]
    latent_log_var: Option<String>,
    #[serde(default)]
    norm_layer: Option<String>,
    #[serde(default)]
    dims: Option<Value>,
    #[serde(default)]
    spatial_padding_mode: Option<String>,
    #[serde(default)]
    use_quant_conv: bool,
}

const fn default_width() -> usize {
    128
}

impl VaeConfig {
    pub(super) fn from_official(json: &Value) -> Result<Self> {
        let official: Official = parse(json)?;
        if official.dims.as_ref().is_some_and(|dims| *dims != 3) {
            return bad(format!(
                "dims is {:?}, but only 3 can be built",
                official.dims
            ));
        }
        if official.use_quant_conv {
            return bad("use_quant_conv is true, but only false can be built");
        }
        for (key, value, wanted) in [
            ("norm_layer", &official.norm_layer, "pixel_norm"),
            ("latent_log_var", &official.latent_log_var, "uniform"),
            (
                "spatial_padding_mode",
                &official.spatial_padding_mode,
                "zeros",
            ),
        ] {
            if value.as_deref().is_some_and(|value| value != wanted) {
                return bad(format!(
                    "{key} is {value:?}, but only '{wanted}' can be built"
                ));
            }
        }
        let list = |own: &Option<Vec<(String, Value)>>, name: &str| {
            own.clone()
                .or_else(|| official.blocks.clone())
                .ok_or_else(|| ModelError::config(PART, format!("no {name} and no blocks")))
        };
        let encoder_blocks = encoder(
            &list(&official.encoder_blocks, "encoder_blocks")?,
            official.encoder_base_channels,
        )?;
        let decoder_blocks = decoder(
            &list(&official.decoder_blocks, "decoder_blocks")?,
            official.decoder_base_channels,
        )?;
        Ok(Self {
            in_channels: official.in_channels,
            out_channels: official.out_channels,
            latent_channels: official.latent_channels,
            patch_size: official.patch_size,
            encoder_base_channels: official.encoder_base_channels,
            decoder_base_channels: official.decoder_base_channels,
            encoder_blocks,
            decoder_blocks,
            causal_decoder: official.causal_decoder,
            timestep_conditioning: official.timestep_conditioning,
        })
    }
}

/// An entry of a list: its name without what tells the sides apart, and its options.
struct Entry<'a> {
    name: &'a str,
    options: &'a Value,
}

impl Entry<'_> {
    fn multiplier(&self, default: usize) -> Result<usize> {
        let number = self.options.get("multiplier").and_then(Value::as_u64);
        match number.map_or(default, |n| n as usize) {
            0 => bad(format!("{}: multiplier is 0", self.name)),
            n => Ok(n),
        }
    }

    /// Both forms occur: `{"num_layers": 4}` and a bare 4.
    fn layers(&self) -> usize {
        let number = self.options.as_u64();
        let number = number.or_else(|| self.options.get("num_layers").and_then(Value::as_u64));
        number.map_or(1, |n| n as usize)
    }

    fn factors(&self, suffix: &str) -> Option<[usize; 3]> {
        match self.name.strip_suffix(suffix)? {
            "compress_space" => Some([1, 2, 2]),
            "compress_time" => Some([2, 1, 1]),
            "compress_all" => Some([2, 2, 2]),
            _ => None,
        }
    }

    fn unknown<T>(&self) -> Result<T> {
        bad(format!("block '{}' can't be built", self.name))
    }
}

fn entries(list: &[(String, Value)]) -> impl DoubleEndedIterator<Item = Entry<'_>> {
    list.iter().map(|(name, options)| Entry { name, options })
}

fn encoder(list: &[(String, Value)], base: usize) -> Result<Vec<Stage>> {
    let mut width = base;
    let mut stages = Vec::new();
    for entry in entries(list) {
        let from = width;
        stages.push(if entry.name == "res_x" {
            Stage::Residual {
                layers: entry.layers(),
            }
        } else if entry.name == "res_x_y" {
            width *= entry.multiplier(2)?;
            Stage::Channels { from, to: width }
        } else if let Some(factors) = entry.factors("_res") {
            width *= entry.multiplier(2)?;
            Stage::Compress {
                factors,
                from,
                to: width,
                residual: true,
            }
        } else if let Some(factors) = entry.factors("") {
            Stage::Strided { factors }
        } else {
            return entry.unknown();
        });
    }
    Ok(stages)
}

/// Listed from pixels to latents, given the other way round.
fn decoder(list: &[(String, Value)], base: usize) -> Result<Vec<Stage>> {
    let mut width = base;
    let mut stages = Vec::new();
    for entry in entries(list) {
        let to = width;
        stages.push(if entry.name == "res_x" {
            Stage::Residual {
                layers: entry.layers(),
            }
        } else if entry.name == "res_x_y" {
            width *= entry.multiplier(2)?;
            Stage::Channels { from: width, to }
        } else if let Some(factors) = entry.factors("") {
            width *= entry.multiplier(1)?;
            Stage::Compress {
                factors,
                from: width,
                to,
                residual: entry
                    .options
                    .get("residual")
                    .and_then(Value::as_bool)
                    .unwrap_or(false),
            }
        } else {
            return entry.unknown();
        });
    }
    stages.reverse();
    Ok(stages)
}
