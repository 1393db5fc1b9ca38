//! A small encoder from log-mel frames at 100 Hz to features at 50 Hz.
//!
//! A strided convolution, then residual blocks of a dilated and a pointwise convolution
//! with layer norms. Its receptive field is local, so any stretch of a long sound can be
//! encoded alone, exactly.

mod mouth;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
pub use mouth::{MouthHead, MouthSpace};
use nn::layers::Conv1d;
use nn::ops::{self, Conv1dOptions};
use nn::weights::KeyMap;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::file::{ModelFile, TensorShapes, conv_shapes};
use crate::ltx::keys::AUDIO_ENCODER_PREFIX;

const EPS: f64 = 1e-5;

/// Sizes of the mel encoder, as in the header's `audio_encoder` object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MelEncoderConfig {
    pub channels: usize,
    /// Dilation of each block's first convolution.
    pub dilations: Vec<usize>,
    pub mel_bands: usize,
    /// Whether the mean spectrum of a recording's loud frames is taken out of its mel frames
    /// before they are encoded, so that microphones and rooms differ less.
    #[serde(default)]
    pub mean_norm: bool,
}

impl MelEncoderConfig {
    /// Names and shapes of all tensors, without the mouth head.
    pub fn shapes(&self) -> TensorShapes {
        let c = self.channels;
        let mut shapes = TensorShapes::new();
        let mut norm = |name: String| {
            shapes.insert(format!("{name}.weight"), vec![c]);
            shapes.insert(format!("{name}.bias"), vec![c]);
        };
        norm("norm_out".to_owned());
        for index in 0..self.dilations.len() {
            norm(format!("blocks.{index}.norm"));
        }
        conv_shapes(&mut shapes, "conv_in", &[c, self.mel_bands, 4]);
        for index in 0..self.dilations.len() {
            conv_shapes(&mut shapes, &format!("blocks.{index}.conv1"), &[c, c, 3]);
            conv_shapes(&mut shapes, &format!("blocks.{index}.conv2"), &[c, c, 1]);
        }
        shapes
    }
}

#[derive(Debug, Clone)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

#[derive(Debug, Clone)]
struct Block {
    norm: Norm,
    conv1: Conv1d,
    conv2: Conv1d,
}

/// Mel frames to features.
#[derive(Debug, Clone)]
pub struct MelEncoder {
    config: MelEncoderConfig,
    conv_in: Conv1d,
    blocks: Vec<Block>,
    norm_out: Norm,
    mouth: Option<MouthHead>,
    device: Device,
}

impl Norm {
    fn load(view: &nn::weights::View, width: usize) -> Result<Self> {
        Ok(Self {
            weight: view.get(width, "weight")?,
            bias: view.get(width, "bias")?,
        })
    }

    /// `x` `[B, T, C]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::layer_norm(
            x,
            Some(&self.weight),
            Some(&self.bias),
            EPS,
        )?)
    }
}

const fn options(stride: usize, dilation: usize, padding: (usize, usize)) -> Conv1dOptions {
    Conv1dOptions {
        stride,
        dilation,
        groups: 1,
        padding,
    }
}

impl MelEncoder {
    /// Reads the weights, which are kept in `f32`: the network is small.
    ///
    /// # Errors
    /// When names or shapes differ from what the config asks for.
    pub fn load(file: &ModelFile, config: &MelEncoderConfig, device: &Device) -> Result<Self> {
        let single = file
            .shapes()
            .keys()
            .any(|name| name.starts_with(AUDIO_ENCODER_PREFIX));
        let keys = if single {
            KeyMap::new().prefix(AUDIO_ENCODER_PREFIX, "")
        } else {
            KeyMap::new().keep_others()
        };
        let file = file.renamed(&keys)?;
        file.check(&config.shapes(), |name| name.starts_with("mouth"))?;
        let view = file.view(DType::F32, device)?;
        let c = config.channels;
        let mut blocks = Vec::with_capacity(config.dilations.len());
        for (index, dilation) in config.dilations.iter().enumerate() {
            let view = view.at("blocks").at(index);
            blocks.push(Block {
                norm: Norm::load(&view.at("norm"), c)?,
                conv1: Conv1d::load(
                    &view.at("conv1"),
                    &[c, c, 3],
                    options(1, *dilation, (*dilation, *dilation)),
                )?,
                conv2: Conv1d::load(&view.at("conv2"), &[c, c, 1], options(1, 1, (0, 0)))?,
            });
        }
        Ok(Self {
            conv_in: Conv1d::load(
                &view.at("conv_in"),
                &[c, config.mel_bands, 4],
                options(2, 1, (1, 1)),
            )?,
            blocks,
            norm_out: Norm::load(&view.at("norm_out"), c)?,
            mouth: MouthHead::load(&view, c)?,
            config: config.clone(),
            device: device.clone(),
        })
    }

    pub fn config(&self) -> &MelEncoderConfig {
        &self.config
    }

    /// `mel` `[B, T, bands]` at 100 Hz to `[B, T / 2, C]` at 50 Hz.
    ///
    /// # Errors
    /// When the bands differ or there are fewer than two frames.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let (_, frames, bands) = mel.dims3()?;
        if bands != self.config.mel_bands || frames < 2 {
            return Err(ModelError::input(
                "mel",
                format!(
                    "{frames} frames of {bands} bands, wanted at least 2 of {}",
                    self.config.mel_bands
                ),
            ));
        }
        let mut x = ops::gelu_erf(&self.conv_in.forward(&ops::swap(mel)?)?)?;
        for block in &self.blocks {
            let normed = ops::swap(&block.norm.forward(&ops::swap(&x)?)?)?;
            let inner = ops::gelu_erf(&block.conv1.forward(&normed)?)?;
            x = ops::add(&x, &block.conv2.forward(&inner)?)?;
        }
        self.norm_out.forward(&ops::swap(&x)?)
    }

    /// Features that one feature depends on, on either side.
    pub fn reach(&self) -> usize {
        self.config.dilations.iter().sum()
    }

    /// The mel frames that features `wanted` of a sound of `frames` mel frames are made of.
    ///
    /// # Errors
    /// When the range lies outside of the sound.
    pub fn mel_range(&self, frames: usize, wanted: &Range<usize>) -> Result<Range<usize>> {
        let total = frames / 2;
        if wanted.start >= wanted.end || wanted.end > total {
            return Err(ModelError::input(
                "features",
                format!("{}..{} of {total}", wanted.start, wanted.end),
            ));
        }
        // One more feature on either side keeps the strided convolution's padding away.
        let reach = self.reach() + 1;
        let end = (wanted.end + reach).min(total);
        let last = if end == total { frames } else { 2 * end };
        Ok(2 * wanted.start.saturating_sub(reach)..last)
    }

    /// Features `wanted` `[wanted, C]` of a sound of `frames` mel frames, from those in
    /// [`Self::mel_range`] (flat, `bands` values a frame). Equal to cutting them out of all.
    ///
    /// # Errors
    /// When the range lies outside of the sound, or other frames are given.
    pub fn features(&self, frames: usize, wanted: &Range<usize>, mel: Vec<f32>) -> Result<Tensor> {
        let range = self.mel_range(frames, wanted)?;
        let bands = self.config.mel_bands;
        if mel.len() != range.len() * bands {
            return Err(ModelError::input(
                "mel",
                format!(
                    "{} values for {} frames of {bands} bands",
                    mel.len(),
                    range.len()
                ),
            ));
        }
        let mel = Tensor::from_vec(mel, (1, range.len(), bands), &self.device)?;
        let features = self.forward(&mel)?.squeeze(0)?;
        Ok(features
            .narrow(0, wanted.start - range.start / 2, wanted.len())?
            .contiguous()?)
    }

    /// Mouth-shape targets `[.., K]` of features `[.., C]`, where the file has that head.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn mouth(&self, features: &Tensor) -> Result<Option<Tensor>> {
        self.mouth
            .as_ref()
            .map(|head| head.read(features))
            .transpose()
    }

    /// The head that reads mouth shapes from features, where the file has it.
    pub fn mouth_head(&self) -> Option<&MouthHead> {
        self.mouth.as_ref()
    }
}
