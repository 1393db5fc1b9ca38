//! The `vae` object of an official header.

use serde::Deserialize;
use serde_json::Value;

use super::{Stage, VaeConfig, bad, one, parse, three};
use crate::error::Result;

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
    encoder_blocks: Vec<(String, Value)>,
    decoder_blocks: Vec<(String, Value)>,
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
        let stages = |list: &[(String, Value)], suffix: &str| -> Result<Vec<Stage>> {
            list.iter()
                .map(|(name, options)| stage(name, options, suffix))
                .collect()
        };
        let mut decoder_blocks = stages(&official.decoder_blocks, "")?;
        decoder_blocks.reverse();
        Ok(Self {
            in_channels: official.in_channels,
            out_channels: official.out_channels,
            latent_channels: official.latent_channels,
            patch_size: official.patch_size,
            encoder_base_channels: official.encoder_base_channels,
            decoder_base_channels: official.decoder_base_channels,
            encoder_blocks: stages(&official.encoder_blocks, "_res")?,
            decoder_blocks,
            causal_decoder: official.causal_decoder,
            timestep_conditioning: official.timestep_conditioning,
        })
    }
}

fn stage(name: &str, options: &Value, suffix: &str) -> Result<Stage> {
    let number = |key: &str, default: usize| {
        options
            .get(key)
            .and_then(Value::as_u64)
            .map_or(default, |n| n as usize)
    };
    if options.get("inject_noise").and_then(Value::as_bool) == Some(true) {
        return bad(format!(
            "{name} with inject_noise (before 0.9.5) can't be built"
        ));
    }
    if name == "res_x" {
        // Both forms occur: {"num_layers": 4} and a bare 4.
        let layers = options
            .as_u64()
            .map_or_else(|| number("num_layers", 1), |n| n as usize);
        return Ok(Stage::Residual { layers });
    }
    let factors = match name.strip_suffix(suffix) {
        Some("compress_space") => [1, 2, 2],
        Some("compress_time") => [2, 1, 1],
        Some("compress_all") => [2, 2, 2],
        _ => return bad(format!("block '{name}' can't be built")),
    };
    let multiplier = number("multiplier", if suffix.is_empty() { 1 } else { 2 });
    if multiplier == 0 {
        return bad(format!("{name}: multiplier is 0"));
    }
    Ok(Stage::Compress {
        factors,
        multiplier,
        residual: !suffix.is_empty()
            || options
                .get("residual")
                .and_then(Value::as_bool)
                .unwrap_or(false),
    })
}
