//! The causal encoder, whole or in pieces.

use candle_core::{DType, Tensor};
use nn::ops;
use nn::weights::View;

use super::config::{Stage, VaeConfig};
use super::conv::{Carry, CausalConv3d, PIXEL_EPS, ResnetBlock3d};
use super::patches::patchify;
use crate::error::{ModelError, Result};

/// Pixels to means of the latents.
#[derive(Debug, Clone)]
pub struct Encoder {
    conv_in: CausalConv3d,
    down_blocks: Vec<Down>,
    conv_out: CausalConv3d,
    latent_channels: usize,
    patch_size: usize,
    stride: usize,
    dtype: DType,
}

#[derive(Debug, Clone)]
enum Down {
    Residual(Vec<ResnetBlock3d>),
    Strided(CausalConv3d),
    Compress(SpaceToDepthDownsample),
}

/// LTX-Video `causal_video_autoencoder.py`, `SpaceToDepthDownsample`.
#[derive(Debug, Clone)]
struct SpaceToDepthDownsample {
    conv: CausalConv3d,
    factors: [usize; 3],
    outputs: usize,
}

impl SpaceToDepthDownsample {
    fn on_stream(&self, x: &Tensor, carry: &mut Carry) -> Result<Tensor> {
        let x = if self.factors.first() == Some(&2) && !carry.started {
            // So that 2m + 1 frames become m + 1.
            x.pad_with_same(2, 1, 0)?
        } else {
            x.clone()
        };
        let skip = ops::space_to_depth(&x, self.factors)?;
        let (b, c, t, h, w) = skip.dims5()?;
        let skip = skip
            .reshape(vec![b, self.outputs, c / self.outputs, t, h, w])?
            .mean(2)?;
        let main = ops::space_to_depth(&self.conv.on_stream(&x, carry)?, self.factors)?;
        Ok((main + skip)?)
    }
}

impl Encoder {
    pub(super) fn load(view: &View, config: &VaeConfig) -> Result<Self> {
        let patch = config.patch_size * config.patch_size;
        let mut down_blocks = Vec::new();
        let mut width = config.encoder_base_channels;
        for (index, (stage, from, to)) in config.encoder_widths().into_iter().enumerate() {
            let view = view.at("down_blocks").at(index);
            down_blocks.push(match stage {
                Stage::Residual { layers } => {
                    let mut blocks = Vec::with_capacity(layers);
                    for layer in 0..layers {
                        let view = view.at("res_blocks").at(layer);
                        blocks.push(ResnetBlock3d::load(&view, from, true, false)?);
                    }
                    Down::Residual(blocks)
                }
                Stage::Channels { .. } => {
                    Down::Residual(vec![ResnetBlock3d::load_between(&view, from, to, true)?])
                }
                Stage::Strided { factors } => {
                    Down::Strided(CausalConv3d::load_strided(&view, from, to, factors)?)
                }
                Stage::Compress { factors, .. } => {
                    let product: usize = factors.iter().product();
                    Down::Compress(SpaceToDepthDownsample {
                        conv: CausalConv3d::load(&view.at("conv"), from, to / product, true)?,
                        factors,
                        outputs: to,
                    })
                }
            });
            width = to;
        }
        Ok(Self {
            conv_in: CausalConv3d::load(
                &view.at("conv_in"),
                config.in_channels * patch,
                config.encoder_base_channels,
                true,
            )?,
            down_blocks,
            conv_out: CausalConv3d::load(
                &view.at("conv_out"),
                width,
                config.latent_channels + 1,
                true,
            )?,
            latent_channels: config.latent_channels,
            patch_size: config.patch_size,
            stride: config.temporal_stride(),
            dtype: view.dtype(),
        })
    }

    /// Means of a whole video `[B, 3, F, H, W]`: `[B, C, f, h, w]`, `f32`.
    pub(super) fn forward(&self, video: &Tensor) -> Result<Tensor> {
        self.stream().push(video)
    }

    /// An encoder that is fed in pieces; the sum of its results is that of the whole.
    pub fn stream(&self) -> EncodeStream<'_> {
        EncodeStream {
            encoder: self,
            carry: Carry::default(),
        }
    }

    /// A stream that goes on from [`EncodeStream::state`].
    pub fn stream_from(&self, state: Vec<Tensor>) -> EncodeStream<'_> {
        EncodeStream {
            encoder: self,
            carry: Carry::of_slots(state),
        }
    }
}

/// The encoder between two pieces of a video.
#[derive(Debug, Clone)]
pub struct EncodeStream<'a> {
    encoder: &'a Encoder,
    carry: Carry,
}

impl EncodeStream<'_> {
    /// Encodes the next frames `[B, 3, F, H, W]`: first one more than a multiple of the
    /// temporal stride, then multiples of it.
    ///
    /// # Errors
    /// When the sizes do not fit the strides.
    pub fn push(&mut self, frames: &Tensor) -> Result<Tensor> {
        // The last channel is the log variance that all channels share.
        let both = self.push_whole(frames)?;
        Ok(both
            .narrow(1, 0, self.encoder.latent_channels)?
            .contiguous()?)
    }

    /// [`Self::push`] with the log variance as the last channel, `f32`.
    pub(super) fn push_whole(&mut self, frames: &Tensor) -> Result<Tensor> {
        let encoder = self.encoder;
        let count = frames.dim(2)?;
        let first = usize::from(!self.carry.started);
        if count == 0 || count % encoder.stride != first % encoder.stride {
            return Err(ModelError::input(
                "video",
                format!(
                    "{count} frames, wanted a multiple of {} plus {first}",
                    encoder.stride
                ),
            ));
        }
        let carry = &mut self.carry;
        let x = patchify(&frames.to_dtype(encoder.dtype)?, encoder.patch_size)?;
        let mut x = encoder.conv_in.on_stream(&x, carry)?;
        for block in &encoder.down_blocks {
            match block {
                Down::Residual(blocks) => {
                    for block in blocks {
                        x = block.on_stream(&x, carry)?;
                    }
                }
                Down::Strided(conv) => x = conv.on_stream(&x, carry)?,
                Down::Compress(downsample) => x = downsample.on_stream(&x, carry)?,
            }
        }
        let x = ops::pixel_norm_silu(&x, PIXEL_EPS)?;
        let x = encoder.conv_out.on_stream(&x, carry)?;
        carry.turn();
        Ok(x.to_dtype(DType::F32)?)
    }

    /// What the stream remembers: the last two input frames of every convolution.
    pub fn state(&self) -> &[Tensor] {
        &self.carry.slots
    }
}
