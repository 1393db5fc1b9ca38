//! From finished latents to crops that are handed over.

use std::ops::Range;

use candle_core::{DType, Tensor};
use diffusion::{NoiseKey, NoiseSource, Purpose};
use models::ltx::vae::{Region, Span, decode_frames};
use units::FrameIndex;

use super::job::MadeCrop;
use super::plan::Stretch;
use super::run::{Cursor, Run, timed};
use super::store::Store;
use crate::error::{MethodError, Result};

impl Run<'_> {
    /// Decodes and hands over all frames whose surroundings are finished.
    pub(super) fn decode(
        &mut self,
        stretch: &Stretch,
        cursor: &mut Cursor<'_>,
        done: usize,
        last: bool,
    ) -> Result<()> {
        let config = &self.model.config;
        let ready = if last {
            stretch.frames.end
        } else {
            let latent = done.saturating_sub(config.decode_after);
            if latent == 0 {
                return Ok(());
            }
            stretch.frames_of(latent - 1).end.min(stretch.frames.end)
        };
        if ready <= cursor.next_frame {
            return Ok(());
        }
        let frames = cursor.next_frame..ready;
        let own = stretch.latent_of(frames.start)..stretch.latent_of(frames.end - 1) + 1;
        if last {
            // The latents behind the range are decoded with it.
            let behind = stretch.latents();
            let start = cursor.encoded;
            if behind > start {
                self.encode_to(stretch, cursor, behind)?;
            }
        }
        // The first held latent gives its last frame only, so one more is needed.
        let before = config.decode_before.max(1);
        let held = cursor.store.around(own, before, config.decode_after);
        let (area, video) = self.decode_part(stretch, &cursor.store, held, frames.clone())?;
        self.hand_over(frames.clone(), &area, &video)?;
        cursor.next_frame = frames.end;
        self.progress.frames.0 += frames.end - frames.start;
        Ok(())
    }

    fn decode_part(
        &mut self,
        stretch: &Stretch,
        store: &Store,
        held: Range<usize>,
        frames: Range<u64>,
    ) -> Result<(Region, Tensor)> {
        let model = self.model;
        let config = &model.config;
        let area = self.area();
        let noise = self.noise;
        let outside = store.outside(held.clone())?;
        let decoded = |inside: &Tensor| -> Result<Tensor> {
            let mut latents = model.cells.join(&outside, inside)?;
            if config.decode_noise_scale > 0.0 {
                latents = with_noise(
                    &latents,
                    stretch,
                    held.clone(),
                    noise,
                    config.decode_noise_scale,
                )?;
            }
            let latents = model.vae.unnormalise(&latents)?;
            let timestep = Tensor::new(&[config.decode_timestep as f32], latents.device())?;
            let local = |frame: u64| (frame - stretch.first) as usize;
            let wanted = local(frames.start)..local(frames.end);
            let part = (area.rows, area.columns);
            Ok(decode_frames(
                &model.vae,
                &latents,
                held.clone(),
                wanted,
                part,
                &timestep,
            )?)
        };
        let video = timed(&mut self.timings.decode, || {
            let made = decoded(&store.inside(held.clone())?)?;
            if config.counterparts {
                // What the autoencoder loses, it loses in both.
                return Ok((made - decoded(&store.shown(held.clone())?)?)?);
            }
            Ok(made)
        })?;
        Ok((area, video))
    }

    /// The masked box with its margin, on the patch grid.
    fn area(&self) -> Region {
        let config = &self.model.config;
        let patch = self.model.vae.config().patch_size;
        let (rows, columns) = config.mask_box();
        let span = |part: Range<usize>| Span {
            start: part.start.saturating_sub(self.job.margin) / patch * patch,
            end: (part.end + self.job.margin)
                .next_multiple_of(patch)
                .min(config.crop),
            total: config.crop,
        };
        Region {
            frames: Span::whole(0),
            rows: span(rows),
            columns: span(columns),
        }
    }

    fn hand_over(&mut self, frames: Range<u64>, area: &Region, video: &Tensor) -> Result<()> {
        let video = video.squeeze(0)?.to_dtype(DType::F32)?;
        let video = if self.model.config.counterparts {
            (video * (0.5 * self.model.config.change_share))?.clamp(-1.0, 1.0)?
        } else {
            video.affine(0.5, 0.5)?.clamp(0.0, 1.0)?
        };
        let observer = &mut *self.observer;
        timed(&mut self.timings.sink, || {
            for (index, frame) in frames.enumerate() {
                let pixels = video.narrow(1, index, 1)?.flatten_all()?.to_vec1::<f32>()?;
                observer
                    .crop(MadeCrop {
                        frame: FrameIndex(frame),
                        x: area.columns.start,
                        y: area.rows.start,
                        width: area.columns.len(),
                        height: area.rows.len(),
                        pixels,
                    })
                    .map_err(MethodError::Sink)?;
            }
            Ok(())
        })
    }
}

/// `(1 - s) z + s noise`, before the latents are un-normalised (LTX-Video
/// `pipeline_ltx_video.py`).
fn with_noise(
    latents: &Tensor,
    stretch: &Stretch,
    held: Range<usize>,
    source: &dyn NoiseSource,
    scale: f64,
) -> Result<Tensor> {
    let (_, channels, _, rows, columns) = latents.dims5()?;
    let mut noise = Vec::with_capacity(held.len());
    for latent in held {
        let key = NoiseKey {
            purpose: Purpose::Decode,
            index: stretch.frames_of(latent).end - 1,
        };
        noise.push(source.normal(key, &[1, channels, rows, columns], latents.device())?);
    }
    let noise = Tensor::stack(&noise, 2)?;
    Ok(((latents * (1.0 - scale))? + (noise * scale)?)?)
}
