//! The autoencoder's stages, from the official block lists or diffusers' `config.json`.

use serde_json::Value;

mod diffusers;
mod official;

use crate::error::{ModelError, Result};
use crate::file::{TensorShapes, conv_shapes, linear_shapes};

const PART: &str = "ltx vae";

/// One entry of a block list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `res_x`: residual blocks.
    Residual { layers: usize },
    /// `res_x_y`: one residual block that changes the width (0.9.0 and 0.9.1).
    Channels { from: usize, to: usize },
    /// `compress_*` in the encoder: a convolution with strides (0.9.0 and 0.9.1).
    Strided { factors: [usize; 3] },
    /// `compress_*_res` in the encoder, `compress_*` in the decoder: a change of
    /// resolution by `factors` (time, height, width) between cells and channels.
    Compress {
        factors: [usize; 3],
        from: usize,
        to: usize,
        residual: bool,
    },
}

impl Stage {
    /// Width before and after, where the stage names one.
    const fn widths(&self) -> Option<(usize, usize)> {
        match self {
            Self::Channels { from, to } | Self::Compress { from, to, .. } => Some((*from, *to)),
            Self::Residual { .. } | Self::Strided { .. } => None,
        }
    }

    const fn is_strided(&self) -> bool {
        matches!(self, Self::Strided { .. })
    }

    /// By how much time, height and width change.
    const fn factors(&self) -> [usize; 3] {
        match self {
            Self::Strided { factors } | Self::Compress { factors, .. } => *factors,
            Self::Residual { .. } | Self::Channels { .. } => [1; 3],
        }
    }
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

const fn one() -> usize {
    1
}

const fn three() -> usize {
    3
}

fn bad<T>(reason: impl Into<String>) -> Result<T> {
    Err(ModelError::config(PART, reason))
}

impl VaeConfig {
    /// The autoencoder of LTX-Video 0.9.5 to 0.9.8.
    pub fn ltx() -> Self {
        let residual = |layers| Stage::Residual { layers };
        let change = |factors, from, to| Stage::Compress {
            factors,
            from,
            to,
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
                change([1, 2, 2], 128, 256),
                residual(6),
                change([2, 1, 1], 256, 512),
                residual(6),
                change([2, 2, 2], 512, 1024),
                residual(2),
                change([2, 2, 2], 1024, 2048),
                residual(2),
            ],
            decoder_blocks: vec![
                residual(5),
                change([2, 2, 2], 1024, 512),
                residual(5),
                change([2, 2, 2], 512, 256),
                residual(5),
                change([2, 2, 2], 256, 128),
                residual(5),
            ],
            causal_decoder: false,
            timestep_conditioning: true,
        }
    }

    /// A preset by name: `ltx-2b` or `ltx-13b`, which have one autoencoder.
    pub fn preset(name: &str) -> Option<Self> {
        matches!(name, "ltx-2b" | "ltx-13b" | "ltx-vae").then(Self::ltx)
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
            for (stage, from, to) in &list {
                if *from == 0 || *to == 0 || stage.factors().contains(&0) {
                    return bad(format!("{name}: a stage of {from} to {to} channels"));
                }
                if let Some((wanted, _)) = stage.widths()
                    && wanted != *from
                {
                    return bad(format!(
                        "{name}: a stage of {wanted} channels follows one of {from}"
                    ));
                }
                let Stage::Compress {
                    factors, residual, ..
                } = stage
                else {
                    continue;
                };
                let product: usize = factors.iter().product();
                let fits = if name == "encoder" {
                    to.is_multiple_of(product) && (from * product).is_multiple_of(*to)
                } else {
                    !residual
                        || (from.is_multiple_of(product) && (to * product).is_multiple_of(*from))
                };
                if !fits {
                    return bad(format!(
                        "{name}: {from} to {to} channels by {factors:?} does not divide"
                    ));
                }
            }
        }
        if self.decoder_blocks.iter().any(Stage::is_strided) {
            return bad("decoder: a convolution with strides makes nothing larger");
        }
        match self.decoder_widths().last() {
            Some((_, _, last)) if *last != self.decoder_base_channels => bad(format!(
                "decoder ends with {last} channels, wanted {}",
                self.decoder_base_channels
            )),
            _ => Ok(()),
        }
    }

    /// Every encoder stage with its width before and after.
    pub(super) fn encoder_widths(&self) -> Vec<(Stage, usize, usize)> {
        widths(&self.encoder_blocks, self.encoder_base_channels)
    }

    /// Every decoder stage with its width before and after.
    pub(super) fn decoder_widths(&self) -> Vec<(Stage, usize, usize)> {
        let first = self.decoder_blocks.iter().find_map(Stage::widths);
        widths(
            &self.decoder_blocks,
            first.map_or(self.decoder_base_channels, |(from, _)| from),
        )
    }

    /// Whether the decoder grows by what the encoder shrinks by.
    pub fn strides_agree(&self) -> bool {
        let product = |list: &[Stage]| {
            list.iter().fold([1; 3], |mut sum: [usize; 3], stage| {
                for (s, f) in sum.iter_mut().zip(stage.factors()) {
                    *s *= f;
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

    /// Whether the encoder makes pictures smaller by convolutions with strides, as it did in 0.9.0 and
    /// 0.9.1.
    pub fn has_strides(&self) -> bool {
        self.encoder_blocks.iter().any(Stage::is_strided)
    }

    /// Pixels a latent cell, a side.
    pub fn spatial_stride(&self) -> usize {
        self.patch_size * self.stride(1)
    }

    fn stride(&self, axis: usize) -> usize {
        self.encoder_blocks
            .iter()
            .filter_map(|stage| stage.factors().get(axis).copied())
            .product()
    }

    /// Names and shapes of all tensors, without the statistics.
    pub fn shapes(&self) -> TensorShapes {
        let mut shapes = TensorShapes::new();
        let patch = self.patch_size * self.patch_size;
        let encoder = self.encoder_widths();
        let decoder = self.decoder_widths();
        for (side, list) in [
            ("encoder.down_blocks", &encoder),
            ("decoder.up_blocks", &decoder),
        ] {
            for (index, (stage, from, to)) in list.iter().enumerate() {
                if matches!(stage, Stage::Channels { .. }) {
                    let block = format!("{side}.{index}");
                    let shape = [*to, *from, 1, 1, 1];
                    conv_shapes(&mut shapes, &format!("{block}.conv_shortcut"), &shape);
                    shapes.insert(format!("{block}.norm3.norm.weight"), vec![*from]);
                    shapes.insert(format!("{block}.norm3.norm.bias"), vec![*from]);
                }
            }
        }
        let mut conv = |name: String, from: usize, to: usize| {
            conv_shapes(&mut shapes, &format!("{name}.conv"), &[to, from, 3, 3, 3]);
        };
        conv(
            "encoder.conv_in".to_owned(),
            self.in_channels * patch,
            self.encoder_base_channels,
        );
        let last = encoder
            .last()
            .map_or(self.encoder_base_channels, |(_, _, to)| *to);
        conv(
            "encoder.conv_out".to_owned(),
            last,
            self.latent_channels + 1,
        );
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
                    Stage::Channels { .. } => {
                        conv(format!("{side}.{index}.conv1"), *from, *to);
                        conv(format!("{side}.{index}.conv2"), *to, *to);
                    }
                    // The only convolution whose keys lack an extra `.conv`.
                    Stage::Strided { .. } => conv(format!("{side}.{index}"), *from, *to),
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

/// Every stage with its width before and after, from the width before the first.
fn widths(stages: &[Stage], first: usize) -> Vec<(Stage, usize, usize)> {
    let mut width = first;
    stages
        .iter()
        .map(|stage| {
            let from = width;
            if let Some((_, to)) = stage.widths() {
                width = to;
            }
            (*stage, from, width)
        })
        .collect()
}

fn parse<T: serde::de::DeserializeOwned>(json: &Value) -> Result<T> {
    let mut json = json.clone();
    if let Some(object) = json.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    serde_json::from_value(json).map_err(|source| ModelError::ConfigText { part: PART, source })
}

#[cfg(test)]
mod tests;
