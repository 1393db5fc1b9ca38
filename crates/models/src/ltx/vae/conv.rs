//! 3x3x3 convolutions: on regions (decoder) and on streams (encoder).
//!
//! LTX-Video `ltx_video/models/autoencoders/causal_conv3d.py`: zeros in space, repeated frames in
//! time.

use candle_core::{DType, Tensor};
use nn::layers::Conv3d;
use nn::ops::{self, Conv3dOptions, TimePadding};
use nn::weights::View;

use super::region::{Part, Region};
use crate::error::Result;

/// Epsilon of the pixel norm, which no config changes.
pub(super) const PIXEL_EPS: f64 = 1e-8;

/// Epsilon of the layer norm in a shortcut.
const SHORTCUT_EPS: f64 = 1e-6;

/// A convolution whose keys carry an extra `.conv.`.
#[derive(Debug, Clone)]
pub(super) struct CausalConv3d {
    conv: Conv3d,
    stride: [usize; 3],
    causal: bool,
}

impl CausalConv3d {
    pub(super) fn load(view: &View, inputs: usize, outputs: usize, causal: bool) -> Result<Self> {
        let options = if causal {
            Conv3dOptions::causal()
        } else {
            Conv3dOptions::symmetric()
        };
        Self::with_options(view, inputs, outputs, options, causal)
    }

    /// A causal one that moves by `stride` (time, height, width) cells.
    pub(super) fn load_strided(
        view: &View,
        inputs: usize,
        outputs: usize,
        stride: [usize; 3],
    ) -> Result<Self> {
        let options = Conv3dOptions {
            stride,
            ..Conv3dOptions::causal()
        };
        Self::with_options(view, inputs, outputs, options, true)
    }

    fn with_options(
        view: &View,
        inputs: usize,
        outputs: usize,
        options: Conv3dOptions,
        causal: bool,
    ) -> Result<Self> {
        let shape = [outputs, inputs, 3, 3, 3];
        Ok(Self {
            conv: Conv3d::load(&view.at("conv"), &shape, options)?,
            stride: options.stride,
            causal,
        })
    }

    /// The result on `wanted`, from a part that holds all that it reads.
    pub(super) fn on_region(&self, x: &Part, wanted: Region) -> Result<Part> {
        let read = wanted.read_by_conv(self.causal);
        let mut data = x.cut(read)?.data;
        let missing = |span: super::Span, read: super::Span, before: usize, after: usize| {
            (
                before - (span.start - read.start),
                after - (read.end - span.end),
            )
        };
        let (before, after) = if self.causal { (2, 0) } else { (1, 1) };
        let frames = missing(wanted.frames, read.frames, before, after);
        let time = if frames == (before, after) {
            if self.causal {
                TimePadding::Causal
            } else {
                TimePadding::Symmetric
            }
        } else {
            if frames != (0, 0) {
                data = data.pad_with_same(2, frames.0, frames.1)?;
            }
            TimePadding::Zeros(0, 0)
        };
        let options = Conv3dOptions {
            time,
            height: missing(wanted.rows, read.rows, 1, 1),
            width: missing(wanted.columns, read.columns, 1, 1),
            ..Conv3dOptions::symmetric()
        };
        Ok(Part {
            data: self.conv.forward_with(&data.contiguous()?, &options)?,
            at: wanted,
        })
    }

    /// The result on the next frames of a stream.
    pub(super) fn on_stream(&self, x: &Tensor, carry: &mut Carry) -> Result<Tensor> {
        let frames = x.dim(2)?;
        let Some(held) = carry.take() else {
            // The first piece: two copies of its first frame stand in front.
            let tail = if frames >= 2 {
                x.narrow(2, frames - 2, 2)?.contiguous()?
            } else {
                x.repeat((1, 1, 2, 1, 1))?
            };
            carry.put(tail);
            return Ok(self.conv.forward(x)?);
        };
        let joined = Tensor::cat(&[&held, x], 2)?;
        carry.put(joined.narrow(2, frames, 2)?.contiguous()?);
        let options = Conv3dOptions {
            time: TimePadding::Zeros(0, 0),
            stride: self.stride,
            ..Conv3dOptions::causal()
        };
        // With a stride of two the next result starts a frame later than the last one ended.
        let [step, _, _] = self.stride;
        let skipped = step.saturating_sub(1).min(2);
        let joined = joined
            .narrow(2, skipped, frames + 2 - skipped)?
            .contiguous()?;
        Ok(self.conv.forward_with(&joined, &options)?)
    }
}

/// The last two input frames of every convolution of a stream, in the order in which
/// the convolutions run.
#[derive(Debug, Clone, Default)]
pub(super) struct Carry {
    pub(super) slots: Vec<Tensor>,
    next: Vec<Tensor>,
    pub(super) started: bool,
}

impl Carry {
    pub(super) fn of_slots(slots: Vec<Tensor>) -> Self {
        let started = !slots.is_empty();
        Self {
            slots,
            next: Vec::new(),
            started,
        }
    }

    fn take(&self) -> Option<Tensor> {
        self.slots.get(self.next.len()).cloned()
    }

    fn put(&mut self, tail: Tensor) {
        self.next.push(tail);
    }

    /// Ends a piece.
    pub(super) fn turn(&mut self) {
        self.slots = std::mem::take(&mut self.next);
        self.started = true;
    }
}

/// Scale and shift of the residual blocks, two pairs, each `[B, C]`.
pub(super) type Modulation = [Tensor; 4];

/// LTX-Video `causal_video_autoencoder.py`, `ResnetBlock3D`.
#[derive(Debug, Clone)]
pub(super) struct ResnetBlock3d {
    conv1: CausalConv3d,
    conv2: CausalConv3d,
    scale_shift_table: Option<Tensor>,
    shortcut: Option<Shortcut>,
}

/// What the input passes where a block changes the width: a layer norm over the channels and
/// a convolution of one cell.
#[derive(Debug, Clone)]
struct Shortcut {
    weight: Tensor,
    bias: Tensor,
    conv: Conv3d,
}

impl Shortcut {
    fn load(view: &View, from: usize, to: usize) -> Result<Self> {
        let norm = view.at("norm3.norm");
        let options = Conv3dOptions::same(TimePadding::Zeros(0, 0), 0);
        Ok(Self {
            weight: norm.get(from, "weight")?,
            bias: norm.get(from, "bias")?,
            conv: Conv3d::load(&view.at("conv_shortcut"), &[to, from, 1, 1, 1], options)?,
        })
    }

    /// `x` `[B, C, T, H, W]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let channels_last = x.permute((0, 2, 3, 4, 1))?.contiguous()?;
        let normed = ops::layer_norm(
            &channels_last,
            Some(&self.weight),
            Some(&self.bias),
            SHORTCUT_EPS,
        )?;
        let normed = normed.permute((0, 4, 1, 2, 3))?.contiguous()?;
        Ok(self.conv.forward(&normed)?)
    }
}

impl ResnetBlock3d {
    pub(super) fn load(view: &View, width: usize, causal: bool, timed: bool) -> Result<Self> {
        let conv = |name: &str| CausalConv3d::load(&view.at(name), width, width, causal);
        let table = |view: &View| {
            view.with_dtype(DType::F32)
                .get((4, width), "scale_shift_table")
        };
        Ok(Self {
            conv1: conv("conv1")?,
            conv2: conv("conv2")?,
            scale_shift_table: if timed { Some(table(view)?) } else { None },
            shortcut: None,
        })
    }

    /// A block that changes the width (`res_x_y`); it never knows the timestep.
    pub(super) fn load_between(view: &View, from: usize, to: usize, causal: bool) -> Result<Self> {
        Ok(Self {
            conv1: CausalConv3d::load(&view.at("conv1"), from, to, causal)?,
            conv2: CausalConv3d::load(&view.at("conv2"), to, to, causal)?,
            scale_shift_table: None,
            shortcut: Some(Shortcut::load(view, from, to)?),
        })
    }

    /// The input as it is added to the result.
    fn beside(&self, x: &Tensor) -> Result<Tensor> {
        match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => Ok(x.clone()),
        }
    }

    /// What this block reads to compute `wanted`.
    pub(super) fn reads(&self, wanted: Region) -> Region {
        let causal = self.conv1.causal;
        wanted.read_by_conv(causal).read_by_conv(causal)
    }

    /// `embedding` `[B, 4, C]` is the stage's.
    pub(super) fn on_region(
        &self,
        x: &Part,
        wanted: Region,
        embedding: Option<&Tensor>,
    ) -> Result<Part> {
        let modulation = match (&self.scale_shift_table, embedding) {
            (Some(table), Some(embedding)) => Some(rows(&embedding.broadcast_add(table)?)?),
            _ => None,
        };
        let middle = wanted.read_by_conv(self.conv1.causal);
        let active = |part: &Part, pair: usize| -> Result<Part> {
            let data = match &modulation {
                Some([shift1, scale1, shift2, scale2]) => {
                    let (scale, shift) = if pair == 0 {
                        (scale1, shift1)
                    } else {
                        (scale2, shift2)
                    };
                    ops::pixel_norm_modulate_silu(&part.data, scale, shift, PIXEL_EPS)?
                }
                None => ops::pixel_norm_silu(&part.data, PIXEL_EPS)?,
            };
            Ok(Part { data, at: part.at })
        };
        let input = x.cut(self.reads(wanted))?;
        let input = Part {
            data: input.data.contiguous()?,
            at: input.at,
        };
        let inner = self.conv1.on_region(&active(&input, 0)?, middle)?;
        let result = self.conv2.on_region(&active(&inner, 1)?, wanted)?;
        Ok(Part {
            data: (self.beside(&input.cut(wanted)?.data)? + result.data)?,
            at: wanted,
        })
    }

    pub(super) fn on_stream(&self, x: &Tensor, carry: &mut Carry) -> Result<Tensor> {
        let inner = self
            .conv1
            .on_stream(&ops::pixel_norm_silu(x, PIXEL_EPS)?, carry)?;
        let result = self
            .conv2
            .on_stream(&ops::pixel_norm_silu(&inner, PIXEL_EPS)?, carry)?;
        Ok((self.beside(x)? + result)?)
    }
}

/// The four rows of `[B, 4, C]`.
fn rows(table: &Tensor) -> Result<Modulation> {
    let row = |i| -> Result<Tensor> { Ok(table.narrow(1, i, 1)?.squeeze(1)?.contiguous()?) };
    Ok([row(0)?, row(1)?, row(2)?, row(3)?])
}
