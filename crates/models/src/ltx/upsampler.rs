//! The latent upsampler between the two passes: twice the rows and columns, the frames, or
//! both.
//!
//! diffusers `pipelines/ltx/modeling_latent_upsampler.py`, LTX-Video
//! `ltx_video/models/autoencoders/latent_upsampler.py`. It works on
//! un-normalised latents. Both layouts have the same names.

use candle_core::{DType, Device, Tensor};
use nn::layers::{Conv2d, Conv3d};
use nn::ops::{self, Conv2dOptions, Conv3dOptions, TimePadding};
use nn::weights::View;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ModelError, Result};
use crate::file::{ModelFile, TensorShapes, conv_shapes};

const PART: &str = "ltx upsampler";
/// Groups and epsilon of the group norms, which no config changes.
const GROUPS: usize = 32;
const EPS: f64 = 1e-5;

/// Sizes of the upsampler. Names are those of the header and of `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpsamplerConfig {
    pub in_channels: usize,
    pub mid_channels: usize,
    /// Residual blocks before the change of size, and as many after it.
    pub num_blocks_per_stage: usize,
    /// 3, or 2 for frames one by one.
    pub dims: usize,
    pub spatial_upsample: bool,
    pub temporal_upsample: bool,
}

impl Default for UpsamplerConfig {
    /// The spatial upscaler of 0.9.7 and 0.9.8.
    fn default() -> Self {
        Self {
            in_channels: 128,
            mid_channels: 512,
            num_blocks_per_stage: 4,
            dims: 3,
            spatial_upsample: true,
            temporal_upsample: false,
        }
    }
}

impl UpsamplerConfig {
    /// A preset by name: `ltx-spatial-upscaler` or `ltx-temporal-upscaler`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "ltx-spatial-upscaler" => Some(Self::default()),
            "ltx-temporal-upscaler" => Some(Self {
                spatial_upsample: false,
                temporal_upsample: true,
                ..Self::default()
            }),
            _ => None,
        }
    }

    /// Reads the header's or diffusers' JSON.
    ///
    /// # Errors
    /// When it does not parse or asks for something that cannot be built.
    pub fn from_json(json: &Value) -> Result<Self> {
        let mut json = json.get("latent_upsampler").unwrap_or(json).clone();
        if let Some(object) = json.as_object_mut() {
            object.retain(|_, value| !value.is_null());
            for key in ["rational_spatial_scale", "rational_resampler"] {
                if let Some(value) = object.get(key).filter(|value| **value != false) {
                    return Err(ModelError::config(
                        PART,
                        format!("{key} is {value}, which can't be built"),
                    ));
                }
            }
        }
        let config: Self = serde_json::from_value(json)
            .map_err(|source| ModelError::ConfigText { part: PART, source })?;
        config.check()?;
        Ok(config)
    }

    /// What the weights' shapes say.
    pub fn of_shapes(shapes: &TensorShapes) -> Option<Self> {
        let initial = shapes.get("initial_conv.weight")?;
        let &[mid_channels, in_channels, ..] = initial.as_slice() else {
            return None;
        };
        let upsampler = shapes.get("upsampler.0.weight")?;
        let factor = upsampler.first()?.checked_div(mid_channels)?;
        let (spatial_upsample, temporal_upsample) = match (factor, upsampler.len()) {
            (8, 5) => (true, true),
            (4, 4) => (true, false),
            (2, 5) => (false, true),
            _ => return None,
        };
        Some(Self {
            in_channels,
            mid_channels,
            num_blocks_per_stage: (0..shapes.len())
                .take_while(|n| shapes.contains_key(&format!("res_blocks.{n}.conv1.weight")))
                .count(),
            dims: initial.len().checked_sub(2)?,
            spatial_upsample,
            temporal_upsample,
        })
    }

    fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(ModelError::config(PART, reason));
        if self.in_channels == 0 || self.mid_channels == 0 {
            return bad("in_channels and mid_channels must be above zero".to_owned());
        }
        if !self.mid_channels.is_multiple_of(GROUPS) {
            return bad(format!(
                "mid_channels is {}, wanted a multiple of {GROUPS}",
                self.mid_channels
            ));
        }
        if !matches!(self.dims, 2 | 3) {
            return bad(format!("dims is {}, wanted 2 or 3", self.dims));
        }
        if self.dims == 2 && self.temporal_upsample {
            return bad("temporal_upsample needs dims 3".to_owned());
        }
        if !self.spatial_upsample && !self.temporal_upsample {
            return bad("neither spatial_upsample nor temporal_upsample is set".to_owned());
        }
        Ok(())
    }

    /// By how much time, height and width grow.
    pub const fn factors(&self) -> [usize; 3] {
        let time = if self.temporal_upsample { 2 } else { 1 };
        let space = if self.spatial_upsample { 2 } else { 1 };
        [time, space, space]
    }

    /// Kernel axes of the convolution that makes room for more cells.
    const fn upsampler_dims(&self) -> usize {
        if self.temporal_upsample { 3 } else { 2 }
    }

    /// Names and shapes of all tensors.
    pub fn shapes(&self) -> TensorShapes {
        let mut shapes = TensorShapes::new();
        let (inner, mid) = (self.in_channels, self.mid_channels);
        let kernel = |to: usize, from: usize, dims: usize| {
            let mut shape = vec![to, from];
            shape.extend(std::iter::repeat_n(3, dims));
            shape
        };
        conv_shapes(&mut shapes, "initial_conv", &kernel(mid, inner, self.dims));
        conv_shapes(&mut shapes, "final_conv", &kernel(inner, mid, self.dims));
        let grown: usize = self.factors().iter().product();
        conv_shapes(
            &mut shapes,
            "upsampler.0",
            &kernel(grown * mid, mid, self.upsampler_dims()),
        );
        let mut norms = vec!["initial_norm".to_owned()];
        for stage in ["res_blocks", "post_upsample_res_blocks"] {
            for index in 0..self.num_blocks_per_stage {
                for part in ["1", "2"] {
                    let block = format!("{stage}.{index}");
                    conv_shapes(
                        &mut shapes,
                        &format!("{block}.conv{part}"),
                        &kernel(mid, mid, self.dims),
                    );
                    norms.push(format!("{block}.norm{part}"));
                }
            }
        }
        for norm in norms {
            shapes.insert(format!("{norm}.weight"), vec![mid]);
            shapes.insert(format!("{norm}.bias"), vec![mid]);
        }
        shapes
    }
}

/// A 3x3 or 3x3x3 convolution with zeros around.
#[derive(Debug, Clone)]
enum Conv {
    Frames(Conv2d),
    Video(Conv3d),
}

impl Conv {
    fn load(view: &View, from: usize, to: usize, dims: usize) -> Result<Self> {
        Ok(if dims == 2 {
            Self::Frames(Conv2d::load(
                view,
                &[to, from, 3, 3],
                Conv2dOptions::new(1, 1),
            )?)
        } else {
            let options = Conv3dOptions::same(TimePadding::Zeros(1, 1), 1);
            Self::Video(Conv3d::load(view, &[to, from, 3, 3, 3], options)?)
        })
    }

    /// `x` `[B, C, F, H, W]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Frames(conv) => {
                let (batch, _, frames, _, _) = x.dims5()?;
                unfolded(&conv.forward(&folded(x)?)?, batch, frames)
            }
            Self::Video(conv) => Ok(conv.forward(x)?),
        }
    }
}

/// `[B, C, F, H, W]` to `[B * F, C, H, W]`.
fn folded(x: &Tensor) -> Result<Tensor> {
    Ok(x.transpose(1, 2)?.flatten(0, 1)?.contiguous()?)
}

/// The inverse of [`folded`].
fn unfolded(x: &Tensor, batch: usize, frames: usize) -> Result<Tensor> {
    let (_, channels, height, width) = x.dims4()?;
    Ok(x.reshape((batch, frames, channels, height, width))?
        .transpose(1, 2)?
        .contiguous()?)
}

#[derive(Debug, Clone)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
    /// Whether statistics are those of a frame instead of the whole video.
    by_frame: bool,
}

impl Norm {
    fn load(view: &View, config: &UpsamplerConfig) -> Result<Self> {
        Ok(Self {
            weight: view.get(config.mid_channels, "weight")?,
            bias: view.get(config.mid_channels, "bias")?,
            by_frame: config.dims == 2,
        })
    }

    fn forward(&self, x: &Tensor, silu: bool) -> Result<Tensor> {
        let norm = if silu {
            ops::group_norm_silu
        } else {
            ops::group_norm
        };
        let run = |x: &Tensor| norm(x, GROUPS, Some(&self.weight), Some(&self.bias), EPS);
        if !self.by_frame {
            return Ok(run(x)?);
        }
        let (batch, _, frames, _, _) = x.dims5()?;
        unfolded(&run(&folded(x)?)?, batch, frames)
    }
}

#[derive(Debug, Clone)]
struct ResBlock {
    conv1: Conv,
    norm1: Norm,
    conv2: Conv,
    norm2: Norm,
}

impl ResBlock {
    fn load(view: &View, config: &UpsamplerConfig) -> Result<Self> {
        let mid = config.mid_channels;
        Ok(Self {
            conv1: Conv::load(&view.at("conv1"), mid, mid, config.dims)?,
            norm1: Norm::load(&view.at("norm1"), config)?,
            conv2: Conv::load(&view.at("conv2"), mid, mid, config.dims)?,
            norm2: Norm::load(&view.at("norm2"), config)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.norm1.forward(&self.conv1.forward(x)?, true)?;
        let inner = self.norm2.forward(&self.conv2.forward(&inner)?, false)?;
        Ok(ops::silu(&(inner + x)?)?)
    }
}

/// Latents to more latents.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the checkpoint's names")]
pub struct Upsampler {
    config: UpsamplerConfig,
    initial_conv: Conv,
    initial_norm: Norm,
    res_blocks: Vec<ResBlock>,
    upsampler: Conv,
    post_upsample_res_blocks: Vec<ResBlock>,
    final_conv: Conv,
}

impl Upsampler {
    /// Reads the weights, which are kept in `f32`: the network is small and runs once, and its
    /// group norms over few cells make much of a rounded value.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for; all differences are named.
    pub fn load(file: &ModelFile, config: &UpsamplerConfig, device: &Device) -> Result<Self> {
        Self::check(file, config)?;
        let view = file.view(DType::F32, device)?;
        let (inner, mid, dims) = (config.in_channels, config.mid_channels, config.dims);
        let grown: usize = config.factors().iter().product();
        let blocks = |name: &str| -> Result<Vec<ResBlock>> {
            (0..config.num_blocks_per_stage)
                .map(|index| ResBlock::load(&view.at(name).at(index), config))
                .collect()
        };
        Ok(Self {
            initial_conv: Conv::load(&view.at("initial_conv"), inner, mid, dims)?,
            initial_norm: Norm::load(&view.at("initial_norm"), config)?,
            res_blocks: blocks("res_blocks")?,
            upsampler: Conv::load(
                &view.at("upsampler.0"),
                mid,
                grown * mid,
                config.upsampler_dims(),
            )?,
            post_upsample_res_blocks: blocks("post_upsample_res_blocks")?,
            final_conv: Conv::load(&view.at("final_conv"), mid, inner, dims)?,
            config: config.clone(),
        })
    }

    /// Compares a file with a config, without reading the weights.
    ///
    /// # Errors
    /// [`ModelError::Differences`], one sentence for each.
    pub fn check(file: &ModelFile, config: &UpsamplerConfig) -> Result<()> {
        config.check()?;
        file.check(&config.shapes(), |_| false)
    }

    pub fn config(&self) -> &UpsamplerConfig {
        &self.config
    }

    /// Un-normalised latents `[B, C, f, h, w]` to `[B, C, f', h', w']`, `f32`; with a factor
    /// of two in time `f' = 2 f - 1`.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let (_, channels, _, _, _) = latents.dims5()?;
        if channels != self.config.in_channels {
            return Err(ModelError::input(
                "latents",
                format!("{channels} channels, wanted {}", self.config.in_channels),
            ));
        }
        let latents = latents.to_dtype(DType::F32)?.contiguous()?;
        let mut x = self
            .initial_norm
            .forward(&self.initial_conv.forward(&latents)?, true)?;
        for block in &self.res_blocks {
            x = block.forward(&x)?;
        }
        x = ops::depth_to_space(&self.upsampler.forward(&x)?, self.config.factors())?;
        if self.config.temporal_upsample {
            // The first latent is one frame, and its copy would be a frame too many.
            let frames = x.dim(2)?;
            x = x.narrow(2, 1, frames - 1)?.contiguous()?;
        }
        for block in &self.post_upsample_res_blocks {
            x = block.forward(&x)?;
        }
        self.final_conv.forward(&x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As counted in LTX-Video's `LatentUpsampler`: 126,250,624 parameters in 72 tensors; the temporal one 130,968,192.
    #[test]
    fn the_presets_have_the_known_sizes() {
        for (name, wanted) in [
            ("ltx-spatial-upscaler", 126_250_624),
            ("ltx-temporal-upscaler", 130_968_192),
        ] {
            let config = UpsamplerConfig::preset(name).unwrap();
            let shapes = config.shapes();
            let count: usize = shapes.values().map(|s| s.iter().product::<usize>()).sum();
            assert_eq!((shapes.len(), count), (72, wanted));
            assert_eq!(UpsamplerConfig::of_shapes(&shapes), Some(config));
        }
    }
}
