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
    #[serde(default)]
    down_block_types: Option<Vec<String>>,
    decoder_block_out_channels: Vec<usize>,
    layers_per_block: Vec<usize>,
    decoder_layers_per_block: Vec<usize>,
    spatio_temporal_scaling: Vec<bool>,
    decoder_spatio_temporal_scaling: Vec<bool>,
    #[serde(default)]
    downsample_type: Option<Vec<String>>,
    #[serde(default)]
    upsample_residual: Option<Vec<bool>>,
    #[serde(default)]
    upsample_factor: Option<Vec<usize>>,
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
        if d.patch_size_t != 1 || !d.encoder_causal {
            return bad("patch_size_t must be 1 and encoder_causal true");
        }
        let encoder_blocks = encoder(&d)?;
        let (decoder_blocks, decoder_base_channels) = decoder(&d)?;
        Ok(Self {
            in_channels: d.in_channels,
            out_channels: d.out_channels,
            latent_channels: d.latent_channels,
            patch_size: d.patch_size,
            encoder_base_channels: d.block_out_channels.first().copied().unwrap_or(0),
            decoder_base_channels,
            encoder_blocks,
            decoder_blocks,
            causal_decoder: d.decoder_causal,
            timestep_conditioning: d.timestep_conditioning,
        })
    }
}

/// Each block is residual blocks and, where it scales, a change of resolution. Those of
/// 0.9.0 keep the width there and change it in a residual block of its own behind.
fn encoder(d: &Diffusers) -> Result<Vec<Stage>> {
    let kind = |index: usize| -> Result<bool> {
        let Some(kinds) = &d.down_block_types else {
            return Ok(false);
        };
        match at(kinds, index, "down_block_types")?.as_str() {
            "LTXVideoDownBlock3D" => Ok(false),
            "LTXVideo095DownBlock3D" => Ok(true),
            other => bad(format!("down_block_types: '{other}' can't be built")),
        }
    };
    let widths = &d.block_out_channels;
    let last_kind = d.down_block_types.as_ref().and_then(|kinds| kinds.last());
    let newer = last_kind.is_some_and(|kind| kind == "LTXVideo095DownBlock3D");
    let count = widths.len().saturating_sub(usize::from(newer));
    let mut width = at(widths, 0, "block_out_channels")?;
    let mut stages = Vec::new();
    for index in 0..count {
        let from = width;
        let to = widths.get(index + 1).copied().unwrap_or(from);
        stages.push(Stage::Residual {
            layers: at(&d.layers_per_block, index, "layers_per_block")?,
        });
        let scaled = at(&d.spatio_temporal_scaling, index, "spatio_temporal_scaling")?;
        let how = match (&d.downsample_type, kind(index)?) {
            (Some(list), true) => at(list, index, "downsample_type")?,
            _ => "conv".to_owned(),
        };
        let factors = match how.as_str() {
            "conv" | "spatiotemporal" => [2, 2, 2],
            "spatial" => [1, 2, 2],
            "temporal" => [2, 1, 1],
            other => return bad(format!("downsample_type '{other}' can't be built")),
        };
        if scaled && how == "conv" {
            stages.push(Stage::Strided { factors });
        } else if scaled {
            stages.push(Stage::Compress {
                factors,
                from,
                to,
                residual: true,
            });
        }
        if from != to && !kind(index)? {
            stages.push(Stage::Channels { from, to });
        } else if from != to && (!scaled || how == "conv") {
            return bad(format!(
                "block_out_channels {from} then {to} without a change of resolution"
            ));
        }
        width = to;
    }
    let layers = d.layers_per_block.last().copied().unwrap_or(0);
    stages.push(Stage::Residual { layers });
    Ok(stages)
}

/// Listed from pixels to latents; gives the stages the other way round, and the last width.
fn decoder(d: &Diffusers) -> Result<(Vec<Stage>, usize)> {
    let count = d.decoder_block_out_channels.len();
    let reversed = |list: &[usize]| list.iter().rev().copied().collect::<Vec<_>>();
    let layers = reversed(&d.decoder_layers_per_block);
    let widths = reversed(&d.decoder_block_out_channels);
    let mut width = at(&widths, 0, "decoder_block_out_channels")?;
    let mut stages = vec![Stage::Residual {
        layers: at(&layers, 0, "decoder_layers_per_block")?,
    }];
    for (index, listed) in widths.iter().enumerate() {
        let from_end = count - 1 - index;
        let scaled = at(
            &d.decoder_spatio_temporal_scaling,
            from_end,
            "decoder_spatio_temporal_scaling",
        )?;
        let factor = match &d.upsample_factor {
            Some(list) => at(list, from_end, "upsample_factor")?,
            None => 1,
        };
        let residual = match &d.upsample_residual {
            Some(list) => at(list, from_end, "upsample_residual")?,
            None => false,
        };
        let fits = factor == 1 || (scaled && *listed == width && width.is_multiple_of(factor));
        if factor == 0 || !fits {
            return bad(format!(
                "decoder_block_out_channels {:?} with upsample_factor {factor}: a block of {listed} follows one of {width}",
                d.decoder_block_out_channels
            ));
        }
        let to = listed / factor;
        if factor == 1 && width != to {
            stages.push(Stage::Channels { from: width, to });
            width = to;
        }
        if scaled {
            stages.push(Stage::Compress {
                factors: [2, 2, 2],
                from: width,
                to,
                residual,
            });
        }
        stages.push(Stage::Residual {
            layers: at(&layers, index + 1, "decoder_layers_per_block")?,
        });
        width = to;
    }
    Ok((stages, width))
}

fn at<T: Clone>(list: &[T], index: usize, name: &str) -> Result<T> {
    list.get(index).cloned().ok_or_else(|| {
        ModelError::config(
            PART,
            format!("{name} has {} entries, one more is needed", list.len()),
        )
    })
}
