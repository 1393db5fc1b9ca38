//! diffusers' `config.json` of `AutoencoderKLLTXVideo`.

use serde::Deserialize;
use serde_json::Value;

use super::{PART, Stage, VaeConfig, bad, one, parse, three};
use crate::error::{ModelError, Result};

#[derive(Deserialize)]
struct Diffusers {
    #[serde(default = "three")]
    in_channels: usize,
    #[serde(default = "three")]
    out_channels: usize,
    latent_channels: usize,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    decoder_block_out_channels: Vec<usize>,
    layers_per_block: Vec<usize>,
    decoder_layers_per_block: Vec<usize>,
    spatio_temporal_scaling: Vec<bool>,
    decoder_spatio_temporal_scaling: Vec<bool>,
    downsample_type: Vec<String>,
    upsample_residual: Vec<bool>,
    upsample_factor: Vec<usize>,
    #[serde(default)]
    decoder_inject_noise: Vec<bool>,
    #[serde(default)]
    timestep_conditioning: bool,
    #[serde(default = "one")]
    patch_size: usize,
    #[serde(default = "one")]
    patch_size_t: usize,
    #[serde(default = "yes")]
    encoder_causal: bool,
    #[serde(default)]
    decoder_causal: bool,
}

const fn yes() -> bool {
    true
}

impl VaeConfig {
    /// diffusers gives the widths of stages and leaves the block lists implicit
    /// (`autoencoder_kl_ltx.py` `LTXVideoEncoder3d`, `LTXVideoDecoder3d`).
    pub(super) fn from_diffusers(json: &Value) -> Result<Self> {
        let d: Diffusers = parse(json)?;
        if d.patch_size_t != 1 || !d.encoder_causal || d.decoder_inject_noise.contains(&true) {
            return bad("patch_size_t must be 1, encoder_causal true, decoder_inject_noise false");
        }
        if d.down_block_types
            .iter()
            .any(|t| t != "LTXVideo095DownBlock3D")
        {
            return bad(format!(
                "down_block_types {:?}; only LTXVideo095DownBlock3D (0.9.5 and later) can be built",
                d.down_block_types
            ));
        }
        let mut encoder_blocks = Vec::new();
        for (index, pair) in d.block_out_channels.windows(2).enumerate() {
            let &[from, to] = pair else { continue };
            encoder_blocks.push(Stage::Residual {
                layers: at(&d.layers_per_block, index, "layers_per_block")?,
            });
            if !at(&d.spatio_temporal_scaling, index, "spatio_temporal_scaling")? {
                if from != to {
                    return bad(format!(
                        "block_out_channels {from} then {to} without a change of resolution"
                    ));
                }
                continue;
            }
            let kind = at(&d.downsample_type, index, "downsample_type")?;
            let factors = match kind.as_str() {
                "spatial" => [1, 2, 2],
                "temporal" => [2, 1, 1],
                "spatiotemporal" => [2, 2, 2],
                other => return bad(format!("downsample_type '{other}' can't be built")),
            };
            if from == 0 || to % from != 0 {
                return bad(format!("block_out_channels {from} then {to}: no multiple"));
            }
            encoder_blocks.push(Stage::Compress {
                factors,
                multiplier: to / from,
                residual: true,
            });
        }
        let layers = d.layers_per_block.last().copied().unwrap_or(0);
        encoder_blocks.push(Stage::Residual { layers });

        let count = d.decoder_block_out_channels.len();
        let mut widths = d.decoder_block_out_channels.clone();
        widths.reverse();
        let mut decoder_layers = d.decoder_layers_per_block.clone();
        decoder_layers.reverse();
        let mut decoder_blocks = vec![Stage::Residual {
            layers: at(&decoder_layers, 0, "decoder_layers_per_block")?,
        }];
        let mut width = at(&widths, 0, "decoder_block_out_channels")?;
        for (index, wanted) in widths.iter().enumerate() {
            let from_end = count - 1 - index;
            let scaled = at(
                &d.decoder_spatio_temporal_scaling,
                from_end,
                "decoder_spatio_temporal_scaling",
            )?;
            let multiplier = at(&d.upsample_factor, from_end, "upsample_factor")?;
            if multiplier == 0 || *wanted != width {
                return bad(format!(
                    "decoder_block_out_channels {:?} with upsample_factor {:?}: a block of {wanted} follows one of {width}",
                    d.decoder_block_out_channels, d.upsample_factor
                ));
            }
            if scaled {
                decoder_blocks.push(Stage::Compress {
                    factors: [2, 2, 2],
                    multiplier,
                    residual: at(&d.upsample_residual, from_end, "upsample_residual")?,
                });
            } else if multiplier != 1 {
                return bad(format!(
                    "upsample_factor {multiplier} without a change of resolution"
                ));
            }
            decoder_blocks.push(Stage::Residual {
                layers: at(&decoder_layers, index + 1, "decoder_layers_per_block")?,
            });
            width /= multiplier;
        }
        Ok(Self {
            in_channels: d.in_channels,
            out_channels: d.out_channels,
            latent_channels: d.latent_channels,
            patch_size: d.patch_size,
            encoder_base_channels: d.block_out_channels.first().copied().unwrap_or(0),
            decoder_base_channels: width,
            encoder_blocks,
            decoder_blocks,
            causal_decoder: d.decoder_causal,
            timestep_conditioning: d.timestep_conditioning,
        })
    }
}

fn at<T: Clone>(list: &[T], index: usize, name: &str) -> Result<T> {
    list.get(index).cloned().ok_or_else(|| {
        ModelError::config(
            PART,
            format!("{name} has {} entries, one more is needed", list.len()),
        )
    })
}
