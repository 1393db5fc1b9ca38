//! `MobileFaceNet` (Chen, Liu, Gao, Han 2018), crops of 96x112 to 128 numbers.
//!
//! Names as in `Xiaoccer/MobileFaceNet_Pytorch`, `core/model.py`.

use candle_core::Tensor;
use nn::ops::Conv2dOptions;
use nn::weights::View;

use crate::error::Result;
use crate::vision::{ConvNorm2d, prelu};

const EPS: f64 = 1e-5;

/// Stages of the paper's table 1: how many blocks, and the stride of the first.
const STAGES: [(usize, usize); 5] = [(5, 2), (1, 2), (6, 1), (1, 2), (2, 1)];

/// Convolution, batch norm, `PReLU`.
#[derive(Debug, Clone)]
struct Unit {
    conv: ConvNorm2d,
    slope: Option<Tensor>,
}

impl Unit {
    /// `conv`, `bn` and, where there is one, `prelu` under one name.
    fn load(view: &View, stride: usize, padding: usize) -> Result<Self> {
        Self::of(
            &view.at("conv"),
            &view.at("bn"),
            view.contains("prelu.weight").then(|| view.at("prelu")),
            stride,
            padding,
        )
    }

    fn of(
        conv: &View,
        norm: &View,
        slope: Option<View>,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        // A weight with one input channel a filter belongs to a depthwise convolution (the picture has three).
        let shape = conv.shape("weight").unwrap_or_default();
        let (outputs, inputs) = (
            shape.first().copied().unwrap_or(1),
            shape.get(1).copied().unwrap_or(1),
        );
        let options = Conv2dOptions {
            groups: if inputs == 1 { outputs } else { 1 },
            ..Conv2dOptions::new(stride, padding)
        };
        let conv = ConvNorm2d::load(conv, Some((norm, EPS)), options, false)?;
        let slope = match slope {
            Some(view) => Some(view.get(conv.outputs(), "weight")?),
            None => None,
        };
        Ok(Self { conv, slope })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(x)?;
        Ok(match &self.slope {
            Some(slope) => prelu(&x, slope)?,
            None => x,
        })
    }
}

/// Widen, filter each channel, narrow; the input is added where shapes agree.
#[derive(Debug, Clone)]
struct Bottleneck {
    widen: Unit,
    filter: Unit,
    narrow: Unit,
    residual: bool,
}

impl Bottleneck {
    fn load(view: &View, stride: usize) -> Result<Self> {
        let view = view.at("conv");
        let unit = |place: usize, slope: bool, stride, padding| {
            let slope = slope.then(|| view.at(place + 2));
            Unit::of(&view.at(place), &view.at(place + 1), slope, stride, padding)
        };
        let narrow = unit(6, false, 1, 0)?;
        let inputs = view
            .shape("0.weight")
            .and_then(|shape| shape.get(1).copied());
        Ok(Self {
            widen: unit(0, true, 1, 0)?,
            filter: unit(3, true, stride, 1)?,
            residual: stride == 1 && inputs == Some(narrow.conv.outputs()),
            narrow,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self
            .narrow
            .forward(&self.filter.forward(&self.widen.forward(x)?)?)?;
        Ok(if self.residual { (x + y)? } else { y })
    }
}

#[derive(Debug, Clone)]
pub(super) struct MobileFaceNet {
    conv1: Unit,
    dw_conv1: Unit,
    blocks: Vec<Bottleneck>,
    conv2: Unit,
    linear7: Unit,
    linear1: Unit,
}

impl MobileFaceNet {
    pub(super) fn load(view: &View) -> Result<Self> {
        let strides = STAGES
            .iter()
            .flat_map(|(count, stride)| (0..*count).map(|n| if n == 0 { *stride } else { 1 }));
        let blocks = strides
            .enumerate()
            .map(|(index, stride)| Bottleneck::load(&view.at("blocks").at(index), stride))
            .collect::<Result<_>>()?;
        Ok(Self {
            conv1: Unit::load(&view.at("conv1"), 2, 1)?,
            dw_conv1: Unit::load(&view.at("dw_conv1"), 1, 1)?,
            blocks,
            conv2: Unit::load(&view.at("conv2"), 1, 0)?,
            linear7: Unit::load(&view.at("linear7"), 1, 0)?,
            linear1: Unit::load(&view.at("linear1"), 1, 0)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.dw_conv1.forward(&self.conv1.forward(x)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let x = self.linear7.forward(&self.conv2.forward(&x)?)?;
        Ok(self.linear1.forward(&x)?.flatten_from(1)?)
    }
}
