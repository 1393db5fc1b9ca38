//! The decoder, on the region that is asked for.
//!
//! Regions are found from the output back to the latents, then computed forwards, so
//! that every stage works on what the later ones read and on nothing else.

use candle_core::{DType, Tensor};
use nn::layers::TimestepEmbedding;
use nn::ops;
use nn::weights::View;

use super::config::{Stage, VaeConfig};
use super::conv::{CausalConv3d, PIXEL_EPS, ResnetBlock3d};
use super::patches::unpatchify;
use super::region::{Part, Region, Span};
use crate::error::{ModelError, Result};

/// Latents to pixels.
#[derive(Debug, Clone)]
pub struct Decoder {
    conv_in: CausalConv3d,
    up_blocks: Vec<Up>,
    conv_out: CausalConv3d,
    last: Option<(TimestepEmbedding, Tensor)>,
    timestep_scale_multiplier: f64,
    patch_size: usize,
    causal: bool,
    dtype: DType,
}

#[derive(Debug, Clone)]
enum Up {
    Residual {
        time_embedder: Option<TimestepEmbedding>,
        blocks: Vec<ResnetBlock3d>,
    },
    Compress(DepthToSpaceUpsample),
}

/// LTX-Video `causal_video_autoencoder.py`, `DepthToSpaceUpsample`.
#[derive(Debug, Clone)]
struct DepthToSpaceUpsample {
    conv: CausalConv3d,
    factors: [usize; 3],
    residual: bool,
    /// How often the residual's channels are repeated.
    tiles: usize,
    causal: bool,
}

impl DepthToSpaceUpsample {
    /// The region at the input's resolution that `wanted` is made of.
    fn source(&self, wanted: Region) -> Region {
        let [time, height, width] = self.factors;
        Region {
            // With a factor of two in time the first frame is dropped.
            frames: wanted.frames.source(time, time - 1),
            rows: wanted.rows.source(height, 0),
            columns: wanted.columns.source(width, 0),
        }
    }

    fn reads(&self, wanted: Region) -> Region {
        self.source(wanted).read_by_conv(self.causal)
    }

    fn on_region(&self, x: &Part, wanted: Region) -> Result<Part> {
        let source = self.source(wanted);
        let mut data = ops::depth_to_space(&self.conv.on_region(x, source)?.data, self.factors)?;
        if self.residual {
            let own = ops::depth_to_space(&x.cut(source)?.data.contiguous()?, self.factors)?;
            data = (data + own.repeat((1, self.tiles, 1, 1, 1))?)?;
        }
        let mut made = [Span::whole(0); 3];
        for (axis, ((span, from), factor)) in wanted
            .axes()
            .into_iter()
            .zip(source.axes())
            .zip(self.factors)
            .enumerate()
        {
            let dropped = if axis == 0 { factor - 1 } else { 0 };
            // In coordinates before the drop, so that nothing is negative.
            let start = span.start + dropped - from.start * factor;
            data = data.narrow(axis + 2, start, span.len())?;
            if let Some(made) = made.get_mut(axis) {
                *made = span;
            }
        }
        Ok(Part {
            data: data.contiguous()?,
            at: Region::of_axes(made),
        })
    }
}

impl Up {
    fn reads(&self, wanted: Region) -> Region {
        match self {
            Self::Residual { blocks, .. } => blocks
                .iter()
                .fold(wanted, |region, block| block.reads(region)),
            Self::Compress(upsample) => upsample.reads(wanted),
        }
    }

    fn on_region(&self, x: &Part, wanted: Region, timestep: &Tensor) -> Result<Part> {
        match self {
            Self::Residual {
                time_embedder,
                blocks,
            } => {
                let embedding = match time_embedder {
                    Some(embedder) => {
                        let rows = embedder.forward(timestep)?;
                        let (batch, width) = rows.dims2()?;
                        Some(rows.reshape((batch, 4, width / 4))?)
                    }
                    None => None,
                };
                // What each block must give for the ones behind it.
                let mut regions = vec![wanted];
                for block in blocks.iter().skip(1).rev() {
                    let next = regions.last().copied().unwrap_or(wanted);
                    regions.push(block.reads(next));
                }
                let mut part = x.clone();
                for (block, region) in blocks.iter().zip(regions.into_iter().rev()) {
                    part = block.on_region(&part, region, embedding.as_ref())?;
                }
                if blocks.is_empty() {
                    part = part.cut(wanted)?;
                }
                Ok(part)
            }
            Self::Compress(upsample) => upsample.on_region(x, wanted),
        }
    }
}

/// For the few numbers that are computed once and scale every pixel: what 16 bit loses of them
/// would show everywhere, and their time does not.
fn in_f32(view: &View) -> View {
    view.with_dtype(DType::F32)
}

impl Decoder {
    pub(super) fn load(view: &View, config: &VaeConfig) -> Result<Self> {
        let causal = config.causal_decoder;
        let timed = config.timestep_conditioning;
        let widths = config.decoder_widths();
        let first = widths
            .first()
            .map_or(config.decoder_base_channels, |(_, from, _)| *from);
        let mut up_blocks = Vec::new();
        for (index, (stage, from, to)) in widths.into_iter().enumerate() {
            let view = view.at("up_blocks").at(index);
            up_blocks.push(match stage {
                Stage::Residual { layers } => {
                    let mut blocks = Vec::with_capacity(layers);
                    for layer in 0..layers {
                        let view = view.at("res_blocks").at(layer);
                        blocks.push(ResnetBlock3d::load(&view, from, causal, timed)?);
                    }
                    let embedder = in_f32(&view).at("time_embedder.timestep_embedder");
                    let time_embedder = if timed {
                        Some(TimestepEmbedding::load(&embedder, 256, 4 * from, 4 * from)?)
                    } else {
                        None
                    };
                    Up::Residual {
                        time_embedder,
                        blocks,
                    }
                }
                Stage::Channels { .. } => Up::Residual {
                    time_embedder: None,
                    blocks: vec![ResnetBlock3d::load_between(&view, from, to, causal)?],
                },
                Stage::Strided { .. } => {
                    return Err(ModelError::config(
                        "ltx vae",
                        "a convolution with strides in the decoder",
                    ));
                }
                Stage::Compress {
                    factors, residual, ..
                } => {
                    let product: usize = factors.iter().product();
                    Up::Compress(DepthToSpaceUpsample {
                        conv: CausalConv3d::load(&view.at("conv"), from, to * product, causal)?,
                        factors,
                        residual,
                        tiles: to * product / from,
                        causal,
                    })
                }
            });
        }
        let base = config.decoder_base_channels;
        let last = if timed {
            let embedder = in_f32(view).at("last_time_embedder.timestep_embedder");
            let table = view
                .with_dtype(DType::F32)
                .get((2, base), "last_scale_shift_table")?;
            Some((
                TimestepEmbedding::load(&embedder, 256, 2 * base, 2 * base)?,
                table,
            ))
        } else {
            None
        };
        let timestep_scale_multiplier = if timed {
            let scalar = view
                .with_dtype(DType::F32)
                .get_any("timestep_scale_multiplier")?;
            f64::from(scalar.to_scalar::<f32>()?)
        } else {
            1.0
        };
        Ok(Self {
            conv_in: CausalConv3d::load(
                &view.at("conv_in"),
                config.latent_channels,
                first,
                causal,
            )?,
            up_blocks,
            conv_out: CausalConv3d::load(
                &view.at("conv_out"),
                base,
                config.out_channels * config.patch_size * config.patch_size,
                causal,
            )?,
            last,
            timestep_scale_multiplier,
            patch_size: config.patch_size,
            causal,
            dtype: view.dtype(),
        })
    }

    /// The region in pixels that latents `[B, C, f, h, w]` decode to.
    ///
    /// # Errors
    /// When `latents` has another rank.
    pub fn whole(&self, latents: &Tensor) -> Result<Region> {
        let (_, _, mut frames, mut rows, mut columns) = latents.dims5()?;
        for block in &self.up_blocks {
            if let Up::Compress(upsample) = block {
                let [time, height, width] = upsample.factors;
                frames = (frames * time + 1).saturating_sub(time);
                rows *= height;
                columns *= width;
            }
        }
        Ok(Region::whole(
            frames,
            rows * self.patch_size,
            columns * self.patch_size,
        ))
    }

    /// The latents that are read to compute a region in pixels.
    pub fn reads(&self, wanted: Region) -> Region {
        self.regions(wanted).first().copied().unwrap_or(wanted)
    }

    /// For each layer from the first convolution on, what it reads; last, what the last
    /// convolution gives.
    fn regions(&self, wanted: Region) -> Vec<Region> {
        let patch = |span: Span| span.source(self.patch_size, 0);
        let cells = Region {
            frames: wanted.frames,
            rows: patch(wanted.rows),
            columns: patch(wanted.columns),
        };
        let mut regions = vec![cells, cells.read_by_conv(self.causal)];
        for block in self.up_blocks.iter().rev() {
            let next = regions.last().copied().unwrap_or(cells);
            regions.push(block.reads(next));
        }
        let next = regions.last().copied().unwrap_or(cells);
        regions.push(next.read_by_conv(self.causal));
        regions.reverse();
        regions
    }

    pub(super) fn forward(
        &self,
        latents: &Tensor,
        timestep: &Tensor,
        wanted: Region,
    ) -> Result<Tensor> {
        let (_, _, frames, rows, columns) = latents.dims5()?;
        let whole = self.whole(latents)?;
        for (name, span, all) in [
            ("frames", wanted.frames, whole.frames),
            ("rows", wanted.rows, whole.rows),
            ("columns", wanted.columns, whole.columns),
        ] {
            let grid = if name == "frames" { 1 } else { self.patch_size };
            if span.is_empty()
                || span.total != all.total
                || span.end > all.end
                || !span.start.is_multiple_of(grid)
                || !span.end.is_multiple_of(grid)
            {
                return Err(ModelError::input(
                    "region",
                    format!(
                        "{name} {}..{} of {}, wanted a part of 0..{} on multiples of {grid}",
                        span.start, span.end, span.total, all.total
                    ),
                ));
            }
        }
        let mut regions = self.regions(wanted).into_iter();
        let mut next = || {
            regions
                .next()
                .ok_or_else(|| ModelError::input("region", "no layers"))
        };
        let tau = timestep
            .to_dtype(DType::F32)?
            .affine(self.timestep_scale_multiplier, 0.0)?;
        let input = Part {
            data: latents.to_dtype(self.dtype)?,
            at: Region::whole(frames, rows, columns),
        };
        let mut part = input.cut(next()?)?;
        part = self.conv_in.on_region(&part, next()?)?;
        for block in &self.up_blocks {
            part = block.on_region(&part, next()?, &tau)?;
        }
        let data = match &self.last {
            Some((embedder, table)) => {
                let rows = embedder.forward(&tau)?.to_dtype(DType::F32)?;
                let (batch, width) = rows.dims2()?;
                let rows = rows.reshape((batch, 2, width / 2))?.broadcast_add(table)?;
                let row =
                    |i| -> Result<Tensor> { Ok(rows.narrow(1, i, 1)?.squeeze(1)?.contiguous()?) };
                ops::pixel_norm_modulate_silu(&part.data, &row(1)?, &row(0)?, PIXEL_EPS)?
            }
            None => ops::pixel_norm_silu(&part.data, PIXEL_EPS)?,
        };
        part = Part { data, at: part.at };
        let part = self.conv_out.on_region(&part, next()?)?;
        Ok(unpatchify(&part.data, self.patch_size)?.to_dtype(DType::F32)?)
    }
}
