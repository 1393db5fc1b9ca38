//! The autoencoder's stages, from the official block lists or diffusers' `config.json`.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{ModelError, Result};
use crate::file::{TensorShapes, conv_shapes, linear_shapes};

const PART: &str = "ltx vae";

/// One entry of a block list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `res_x`: residual blocks.
    Residual { layers: usize },
    /// `compress_*_res` in the encoder, `compress_*` in the decoder: a change of
    /// resolution by `factors` (time, height, width) and of width by `multiplier`.
    Compress {
        factors: [usize; 3],
        multiplier: usize,
        residual: bool,
    },
}

/// Sizes of the autoencoder. Block lists run in the order in which data passes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaeConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    /// Pixels a side of a spatial patch.
    pub patch_size: usize,
    pub encoder_base_channels: usize,
    pub decoder_base_channels: usize,
    pub encoder_blocks: Vec<Stage>,
    /// From latents to pixels; the official header lists them the other way round.
    pub decoder_blocks: Vec<Stage>,
    pub causal_decoder: bool,
    pub timestep_conditioning: bool,
}

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

const fn one() -> usize {
    1
}

const fn three() -> usize {
    3
}

const fn default_width() -> usize {
    128
}

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

fn bad<T>(reason: impl Into<String>) -> Result<T> {
    Err(ModelError::config(PART, reason))
}

impl VaeConfig {
    /// The autoencoder of LTX-Video 0.9.5 to 0.9.8.
    pub fn ltx() -> Self {
        let residual = |layers| Stage::Residual { layers };
        let down = |factors| Stage::Compress {
            factors,
            multiplier: 2,
            residual: true,
        };
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 128,
            patch_size: 4,
            encoder_base_channels: 128,
            decoder_base_channels: 128,
            encoder_blocks: vec![
                residual(4),
                down([1, 2, 2]),
                residual(6),
                down([2, 1, 1]),
                residual(6),
                down([2, 2, 2]),
                residual(2),
                down([2, 2, 2]),
                residual(2),
            ],
            decoder_blocks: vec![
                residual(5),
                down([2, 2, 2]),
                residual(5),
                down([2, 2, 2]),
                residual(5),
                down([2, 2, 2]),
                residual(5),
            ],
            causal_decoder: false,
            timestep_conditioning: true,
        }
    }

    /// Reads the `vae` object of an official header, or diffusers' `config.json`.
    ///
    /// # Errors
    /// When it does not parse, or asks for something that 0.9.5 and later do not have.
    pub fn from_json(json: &Value) -> Result<Self> {
        let json = json.get("vae").unwrap_or(json);
        let config = if json.get("block_out_channels").is_some() {
            Self::from_diffusers(json)?
        } else {
            Self::from_official(json)?
        };
        config.check()?;
        Ok(config)
    }

    fn from_official(json: &Value) -> Result<Self> {
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

    /// diffusers gives the widths of stages and leaves the block lists implicit
    /// (`autoencoder_kl_ltx.py` `LTXVideoEncoder3d`, `LTXVideoDecoder3d`).
    fn from_diffusers(json: &Value) -> Result<Self> {
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

    fn check(&self) -> Result<()> {
        if [
            self.in_channels,
            self.out_channels,
            self.latent_channels,
            self.patch_size,
        ]
        .contains(&0)
            || [self.encoder_base_channels, self.decoder_base_channels].contains(&0)
        {
            return bad("channels and patch size must be above zero");
        }
        for (name, list) in [
            ("encoder", self.encoder_widths()),
            ("decoder", self.decoder_widths()),
        ] {
            for (stage, from, to) in list {
                let Stage::Compress { factors, .. } = stage else {
                    continue;
                };
                let product: usize = factors.iter().product();
                let fits = if name == "encoder" {
                    to.is_multiple_of(product) && (from * product).is_multiple_of(to)
                } else {
                    from.is_multiple_of(to)
                        && from.is_multiple_of(product)
                        && (to * product).is_multiple_of(from)
                };
                if !fits {
                    return bad(format!(
                        "{name}: {from} to {to} channels by {factors:?} does not divide"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Every encoder stage with its width before and after.
    pub(super) fn encoder_widths(&self) -> Vec<(Stage, usize, usize)> {
        let mut width = self.encoder_base_channels;
        let mut list = Vec::new();
        for stage in &self.encoder_blocks {
            let from = width;
            if let Stage::Compress { multiplier, .. } = stage {
                width *= multiplier;
            }
            list.push((*stage, from, width));
        }
        list
    }

    /// Every decoder stage with its width before and after.
    pub(super) fn decoder_widths(&self) -> Vec<(Stage, usize, usize)> {
        let mut width = self.decoder_base_channels;
        for stage in &self.decoder_blocks {
            if let Stage::Compress { multiplier, .. } = stage {
                width *= multiplier;
            }
        }
        let mut list = Vec::new();
        for stage in &self.decoder_blocks {
            let from = width;
            if let Stage::Compress { multiplier, .. } = stage {
                width /= (*multiplier).max(1);
            }
            list.push((*stage, from, width));
        }
        list
    }

    /// Whether the decoder grows by what the encoder shrinks by.
    pub fn strides_agree(&self) -> bool {
        let product = |list: &[Stage]| {
            list.iter().fold([1; 3], |mut sum: [usize; 3], stage| {
                if let Stage::Compress { factors, .. } = stage {
                    for (s, f) in sum.iter_mut().zip(factors) {
                        *s *= f;
                    }
                }
                sum
            })
        };
        product(&self.encoder_blocks) == product(&self.decoder_blocks)
    }

    /// Frames a latent.
    pub fn temporal_stride(&self) -> usize {
        self.stride(0)
    }

    /// Pixels a latent cell, a side.
    pub fn spatial_stride(&self) -> usize {
        self.patch_size * self.stride(1)
    }

    fn stride(&self, axis: usize) -> usize {
        self.encoder_blocks
            .iter()
            .filter_map(|stage| match stage {
                Stage::Compress { factors, .. } => factors.get(axis).copied(),
                Stage::Residual { .. } => None,
            })
            .product()
    }

    /// Names and shapes of all tensors, without the statistics.
    pub fn shapes(&self) -> TensorShapes {
        let mut shapes = TensorShapes::new();
        let patch = self.patch_size * self.patch_size;
        let mut conv = |name: String, from: usize, to: usize| {
            conv_shapes(&mut shapes, &format!("{name}.conv"), &[to, from, 3, 3, 3]);
        };
        conv(
            "encoder.conv_in".to_owned(),
            self.in_channels * patch,
            self.encoder_base_channels,
        );
        let encoder = self.encoder_widths();
        let last = encoder
            .last()
            .map_or(self.encoder_base_channels, |(_, _, to)| *to);
        conv(
            "encoder.conv_out".to_owned(),
            last,
            self.latent_channels + 1,
        );
        let decoder = self.decoder_widths();
        let first = decoder
            .first()
            .map_or(self.decoder_base_channels, |(_, from, _)| *from);
        conv("decoder.conv_in".to_owned(), self.latent_channels, first);
        conv(
            "decoder.conv_out".to_owned(),
            self.decoder_base_channels,
            self.out_channels * patch,
        );
        for (side, list) in [
            ("encoder.down_blocks", &encoder),
            ("decoder.up_blocks", &decoder),
        ] {
            for (index, (stage, from, to)) in list.iter().enumerate() {
                match stage {
                    Stage::Residual { layers } => {
                        for layer in 0..*layers {
                            let block = format!("{side}.{index}.res_blocks.{layer}");
                            conv(format!("{block}.conv1"), *from, *from);
                            conv(format!("{block}.conv2"), *from, *from);
                        }
                    }
                    Stage::Compress { factors, .. } => {
                        let product: usize = factors.iter().product();
                        let wide = if side.starts_with("encoder") {
                            to / product
                        } else {
                            to * product
                        };
                        conv(format!("{side}.{index}.conv"), *from, wide);
                    }
                }
            }
        }
        if self.timestep_conditioning {
            self.timestep_shapes(&decoder, &mut shapes);
        }
        shapes
    }

    fn timestep_shapes(&self, decoder: &[(Stage, usize, usize)], shapes: &mut TensorShapes) {
        let mut embedder = |name: String, width: usize| {
            let name = format!("{name}.timestep_embedder");
            linear_shapes(shapes, &format!("{name}.linear_1"), 256, width);
            linear_shapes(shapes, &format!("{name}.linear_2"), width, width);
        };
        embedder(
            "decoder.last_time_embedder".to_owned(),
            2 * self.decoder_base_channels,
        );
        for (index, (stage, width, _)) in decoder.iter().enumerate() {
            if matches!(stage, Stage::Residual { .. }) {
                embedder(
                    format!("decoder.up_blocks.{index}.time_embedder"),
                    4 * width,
                );
            }
        }
        for (index, (stage, width, _)) in decoder.iter().enumerate() {
            if let Stage::Residual { layers } = stage {
                for layer in 0..*layers {
                    let name =
                        format!("decoder.up_blocks.{index}.res_blocks.{layer}.scale_shift_table");
                    shapes.insert(name, vec![4, *width]);
                }
            }
        }
        shapes.insert(
            "decoder.last_scale_shift_table".to_owned(),
            vec![2, self.decoder_base_channels],
        );
        shapes.insert("decoder.timestep_scale_multiplier".to_owned(), vec![]);
    }
}

fn parse<T: serde::de::DeserializeOwned>(json: &Value) -> Result<T> {
    let mut json = json.clone();
    if let Some(object) = json.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    serde_json::from_value(json).map_err(|source| ModelError::ConfigText { part: PART, source })
}

fn at<T: Clone>(list: &[T], index: usize, name: &str) -> Result<T> {
    list.get(index).cloned().ok_or_else(|| {
        ModelError::config(
            PART,
            format!("{name} has {} entries, one more is needed", list.len()),
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 2.1 of the fact sheet: 224 tensors, 1,246,913,522 parameters.
    #[test]
    fn the_released_autoencoder_has_the_known_size() {
        let shapes = VaeConfig::ltx().shapes();
        let parameters: usize = shapes.values().map(|s| s.iter().product::<usize>()).sum();
        assert_eq!((shapes.len(), parameters), (224, 1_246_913_522));
        let config = VaeConfig::ltx();
        assert_eq!((config.temporal_stride(), config.spatial_stride()), (8, 32));
    }

    #[test]
    fn older_block_lists_are_refused_by_name() {
        let json = serde_json::json!({
            "latent_channels": 128,
            "encoder_blocks": [["res_x_y", 1]],
            "decoder_blocks": [["res_x", 4]],
        });
        let error = VaeConfig::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("res_x_y"), "{error}");
    }
}
