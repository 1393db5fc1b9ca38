//! From the output's pictures to latents: of a whole stretch, for one size.

use candle_core::{DType, Device, Tensor};
use models::ltx::Vae;
use units::FrameIndex;

use super::job::{Order, PictureSource, SpanRange};
use super::mask::{LatentMask, Made};
use super::sequence::Grid;
use crate::edit_yourself::Stretch;
use crate::error::{MethodError, Result};

/// Latents of recorded past that a latent behind an edit gets in [`Order::Latents`]: with as
/// many the encoder's result no longer depends on what was before.
const PAST: u64 = 6;

/// The latents of a stretch.
pub(super) struct Encoded {
    /// Normalised latents `[n, cells, C]`, zero where nothing is recorded.
    pub(super) clean: Tensor,
    /// The same without anything filled over; none where nothing is.
    pub(super) recorded: Option<Tensor>,
    pub(super) masks: Vec<LatentMask>,
}

/// Encodes pictures for one pass.
pub(super) struct Encoding<'a> {
    pub(super) vae: &'a Vae,
    pub(super) device: &'a Device,
    pub(super) grid: Grid,
    /// Source pixels a side that become one: 2 for the first of two passes.
    pub(super) shrink: usize,
    pub(super) order: Order,
    /// What masks are filled with.
    pub(super) fill: Option<f64>,
}

impl Encoding<'_> {
    /// Rows and columns of the pictures of this pass.
    fn size(&self, source: &dyn PictureSource) -> (usize, usize) {
        let (rows, columns) = source.size();
        (rows / self.shrink, columns / self.shrink)
    }

    pub(super) fn run(
        &self,
        span: &SpanRange,
        stretch: &Stretch,
        source: &mut dyn PictureSource,
    ) -> Result<Encoded> {
        let size = self.size(source);
        let masks: Vec<LatentMask> = (0..stretch.latents())
            .map(|latent| LatentMask::of(made_of(span, stretch, latent), size, &self.grid))
            .collect();
        let clean = self.latents(span, stretch, &masks, source, self.fill)?;
        let has_parts = masks
            .iter()
            .any(|mask| matches!(mask, LatentMask::Cells(_)));
        let recorded = if self.fill.is_some() && has_parts {
            Some(self.latents(span, stretch, &masks, source, None)?)
        } else {
            None
        };
        Ok(Encoded {
            clean,
            recorded,
            masks,
        })
    }

    fn latents(
        &self,
        span: &SpanRange,
        stretch: &Stretch,
        masks: &[LatentMask],
        source: &mut dyn PictureSource,
        fill: Option<f64>,
    ) -> Result<Tensor> {
        let channels = self.vae.config().latent_channels;
        let empty = Tensor::zeros((self.grid.cells(), channels), DType::F32, self.device)?;
        let mut stream = self.vae.encoder().stream();
        // Behind the last latent with something recorded there is nothing to encode.
        let last = masks.iter().rposition(|mask| !mask.is_whole());
        let mut latents = Vec::with_capacity(masks.len());
        let by_latents = self.order == Order::Latents;
        // Whether the recording's past has to be shown to the encoder first.
        let mut apart = by_latents && stretch.place() > 0;
        for (latent, mask) in masks
            .iter()
            .enumerate()
            .take(last.map_or(0, |last| last + 1))
        {
            if by_latents && mask.is_whole() {
                latents.push(empty.clone());
                apart = true;
                continue;
            }
            if apart {
                stream = self.vae.encoder().stream();
                let first = stretch.frames_of(latent).start;
                let past = if let Some(past) = self.past(first, source)? {
                    past
                } else {
                    // Nothing is known of it: as if the picture had stood still.
                    let shown = first.max(stretch.available.start);
                    self.video(&[self.picture(span, shown, source, fill)?])?
                };
                stream.push(&past)?;
            }
            apart = false;
            let mut pictures = Vec::new();
            for frame in stretch.frames_of(latent) {
                let frame = frame.clamp(stretch.available.start, stretch.available.end - 1);
                pictures.push(self.picture(span, frame, source, fill)?);
            }
            let video = self.video(&pictures)?;
            let encoded = self.vae.normalise(&stream.push(&video)?)?;
            latents.push(if mask.is_whole() {
                empty.clone()
            } else {
                encoded
                    .flatten_from(1)?
                    .reshape((channels, self.grid.cells()))?
                    .t()?
                    .contiguous()?
            });
        }
        latents.resize(masks.len(), empty);
        Ok(Tensor::stack(&latents, 0)?)
    }

    /// Recorded pictures before the one at a frame, as the encoder's past: whole latents with one
    /// frame in front, the earliest one repeated where the recording begins later.
    fn past(&self, frame: u64, source: &mut dyn PictureSource) -> Result<Option<Tensor>> {
        let count = PAST * self.grid.temporal_stride as u64 + 1;
        let mut pictures = Vec::new();
        for back in 1..=count {
            let found = source
                .recorded_before(FrameIndex(frame), back)
                .map_err(|source| MethodError::Source {
                    frame: FrameIndex(frame),
                    source,
                })?;
            let Some(pixels) = found else {
                break;
            };
            let size = source.size();
            pictures.push(self.prepared(pixels, size)?);
        }
        let Some(earliest) = pictures.last().cloned() else {
            return Ok(None);
        };
        pictures.resize(count as usize, earliest);
        pictures.reverse();
        Ok(Some(self.video(&pictures)?))
    }

    /// Pictures `[3, H, W]` to a video `[1, 3, F, H, W]` on the device.
    fn video(&self, pictures: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::stack(pictures, 1)?
            .unsqueeze(0)?
            .to_device(self.device)?)
    }

    fn picture(
        &self,
        span: &SpanRange,
        frame: u64,
        source: &mut dyn PictureSource,
        fill: Option<f64>,
    ) -> Result<Tensor> {
        let index = FrameIndex(frame);
        let mut pixels = source
            .picture(index)
            .map_err(|source| MethodError::Source {
                frame: index,
                source,
            })?;
        let (rows, columns) = source.size();
        if let (Some(fill), Made::Part(area)) = (fill, span.made_at(frame)) {
            let value = f32::midpoint(fill as f32, 1.0);
            let (down, across) = area.pixels((rows, columns));
            for plane in pixels.chunks_exact_mut((rows * columns).max(1)) {
                for row in plane
                    .chunks_exact_mut(columns.max(1))
                    .take(down.end)
                    .skip(down.start)
                {
                    if let Some(part) = row.get_mut(across.clone()) {
                        part.fill(value);
                    }
                }
            }
        }
        self.prepared(pixels, (rows, columns))
    }

    /// Pixels of a source picture as `[3, H, W]` in -1..1, in the size of this pass, its last row
    /// and column repeated up to whole cells.
    fn prepared(&self, pixels: Vec<f32>, (rows, columns): (usize, usize)) -> Result<Tensor> {
        let mut picture = Tensor::from_vec(pixels, (3, rows, columns), &Device::Cpu)?;
        if self.shrink > 1 {
            let small = picture.unsqueeze(0)?.avg_pool2d(self.shrink)?;
            picture = small.squeeze(0)?;
        }
        for (axis, wanted) in [
            (1, self.grid.rows * self.grid.spatial_stride),
            (2, self.grid.columns * self.grid.spatial_stride),
        ] {
            let size = picture.dim(axis)?;
            if wanted > size {
                let border = picture.narrow(axis, size - 1, 1)?;
                let border = if axis == 1 {
                    border.repeat((1, wanted - size, 1))?
                } else {
                    border.repeat((1, 1, wanted - size))?
                };
                picture = Tensor::cat(&[&picture, &border], axis)?;
            }
        }
        Ok(picture.affine(2.0, -1.0)?)
    }
}

/// What the frames of a latent have made between them.
pub(super) fn made_of(span: &SpanRange, stretch: &Stretch, latent: usize) -> Made {
    stretch
        .frames_of(latent)
        .map(|frame| span.made_at(frame))
        .fold(Made::Nothing, Made::with)
}

/// The cells of the recorded lower face in each latent; none in latents of which nothing is
/// recorded.
pub(super) fn face_cells(
    span: &SpanRange,
    stretch: &Stretch,
    masks: &[LatentMask],
    size: (usize, usize),
    grid: &Grid,
) -> Vec<Vec<u32>> {
    masks
        .iter()
        .enumerate()
        .map(|(latent, mask)| {
            if mask.is_whole() {
                return Vec::new();
            }
            let areas = stretch
                .frames_of(latent)
                .filter_map(|frame| span.face_at(frame));
            match areas.reduce(super::mask::Area::enclosing) {
                Some(area) => LatentMask::of(Made::Part(area), size, grid).made(grid.cells()),
                None => Vec::new(),
            }
        })
        .collect()
}
