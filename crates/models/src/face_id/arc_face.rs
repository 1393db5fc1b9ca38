//! `ArcFace`'s residual networks (Deng et al. 2019), crops of 112x112 to 512 numbers.
//!
//! Names as in deepinsight/insightface, `recognition/arcface_torch/backbones/iresnet.py`; the depth is the file's.

use candle_core::Tensor;
use nn::layers::Linear;
use nn::ops::Conv2dOptions;
use nn::weights::View;

use crate::error::Result;
use crate::vision::norm::Affine;
use crate::vision::{ConvNorm2d, prelu};

const EPS: f64 = 1e-5;

#[derive(Debug, Clone)]
struct Block {
    bn1: Affine,
    conv1: ConvNorm2d,
    slope: Tensor,
    conv2: ConvNorm2d,
    downsample: Option<ConvNorm2d>,
}

fn conv(view: &View, conv: &str, norm: &str, stride: usize, padding: usize) -> Result<ConvNorm2d> {
    let options = Conv2dOptions::new(stride, padding);
    let norm = view.at(norm);
    ConvNorm2d::load(&view.at(conv), Some((&norm, EPS)), options, false)
}

impl Block {
    fn load(view: &View, stride: usize) -> Result<Self> {
        let inputs = view
            .shape("conv1.weight")
            .and_then(|shape| shape.get(1).copied());
        let conv1 = conv(view, "conv1", "bn2", 1, 1)?;
        let down = view.at("downsample");
        Ok(Self {
            bn1: Affine::load(&view.at("bn1"), inputs.unwrap_or(0), EPS)?,
            slope: view.at("prelu").get(conv1.outputs(), "weight")?,
            conv1,
            conv2: conv(view, "conv2", "bn3", stride, 1)?,
            downsample: if down.contains("0.weight") {
                Some(conv(&down, "0", "1", stride, 0)?)
            } else {
                None
            },
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.conv1.forward(&self.bn1.forward(x)?)?;
        let y = self.conv2.forward(&prelu(&y, &self.slope)?)?;
        Ok(match &self.downsample {
            Some(down) => (y + down.forward(x)?)?,
            None => (y + x)?,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct ArcFace {
    conv1: ConvNorm2d,
    slope: Tensor,
    blocks: Vec<Block>,
    bn2: Affine,
    fc: Linear,
    features: Affine,
}

impl ArcFace {
    pub(super) fn load(view: &View) -> Result<Self> {
        let conv1 = conv(view, "conv1", "bn1", 1, 1)?;
        let slope = view.at("prelu").get(conv1.outputs(), "weight")?;
        let mut blocks = Vec::new();
        for stage in 1..=4 {
            let layer = view.at(format!("layer{stage}"));
            // Every stage halves the size in its first block.
            for index in 0.. {
                if !layer.contains(&format!("{index}.conv1.weight")) {
                    break;
                }
                blocks.push(Block::load(
                    &layer.at(index),
                    if index == 0 { 2 } else { 1 },
                )?);
            }
        }
        let fc = Linear::new(
            view.at("fc").get_any("weight")?,
            Some(view.at("fc").get_any("bias")?),
        );
        let outputs = fc.weight().dim(0)?;
        let width = view
            .shape("bn2.weight")
            .and_then(|shape| shape.first().copied());
        Ok(Self {
            conv1,
            slope,
            blocks,
            bn2: Affine::load(&view.at("bn2"), width.unwrap_or(0), EPS)?,
            fc,
            features: Affine::load(&view.at("features"), outputs, EPS)?,
        })
    }

    /// Residual blocks.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = prelu(&self.conv1.forward(x)?, &self.slope)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let x = self.fc.forward(&self.bn2.forward(&x)?.flatten_from(1)?)?;
        self.features.forward(&x)
    }
}
