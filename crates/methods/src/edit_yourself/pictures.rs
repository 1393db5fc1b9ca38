//! From crops and sound to tokens.

use std::ops::Range;

use candle_core::Tensor;
use models::audio_projection::{needed_features, windows};
use units::FrameIndex;

use super::plan::Stretch;
use super::run::{Cursor, Run, timed};
use crate::error::{MethodError, Result};

/// Latents that are encoded at once.
const ENCODE_LATENTS: usize = 8;

/// What of a frame is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Recorded,
    /// With the masked box filled over.
    Filled,
    /// With other lips.
    Counterpart,
}

impl Run<'_> {
    /// One frame as planar values in -1..1.
    fn crop(&mut self, frame: u64, what: Show) -> Result<Vec<f32>> {
        let side = self.model.config.crop;
        let crops = &mut *self.crops;
        let mut crop = timed(&mut self.timings.read, || {
            let frame = FrameIndex(frame);
            let crop = match what {
                Show::Recorded | Show::Filled => crops.crop(frame),
                Show::Counterpart => crops.counterpart(frame),
            };
            crop.map_err(|source| MethodError::Source { frame, source })
        })?;
        if crop.len() != 3 * side * side {
            return Err(MethodError::Job(format!(
                "the crop of frame {frame} has {} values, wanted 3 x {side} x {side}",
                crop.len()
            )));
        }
        for value in &mut crop {
            *value = *value * 2.0 - 1.0;
        }
        Ok(crop)
    }

    /// Frames as `[1, 3, F, H, W]`.
    fn video(&mut self, frames: Range<u64>, available: &Range<u64>, what: Show) -> Result<Tensor> {
        let side = self.model.config.crop;
        let count = (frames.end - frames.start) as usize;
        let plane = side * side;
        let mut video = vec![0.0_f32; 3 * count * plane];
        let (rows, columns) = self.model.config.mask_box();
        let value = self.model.config.context_fill as f32;
        for (index, frame) in frames.enumerate() {
            let last = available.end.saturating_sub(1);
            let mut crop = self.crop(frame.min(last), what)?;
            if what == Show::Filled {
                for channel in crop.chunks_exact_mut(plane) {
                    for row in channel
                        .chunks_exact_mut(side)
                        .take(rows.end)
                        .skip(rows.start)
                    {
                        if let Some(part) = row.get_mut(columns.clone()) {
                            part.fill(value);
                        }
                    }
                }
            }
            for (channel, values) in crop.chunks_exact(plane).enumerate() {
                let start = (channel * count + index) * plane;
                if let Some(part) = video.get_mut(start..start + plane) {
                    part.copy_from_slice(values);
                }
            }
        }
        Ok(Tensor::from_vec(
            video,
            (1, 3, count, side, side),
            self.device(),
        )?)
    }

    /// Chooses the references of a block over `frames`, and encodes each alone: masked cells
    /// `[R, inside, C]`.
    pub(super) fn show_references(&mut self, frames: &Range<u64>) -> Result<()> {
        let chosen = self
            .job
            .references
            .choose(frames, self.model.config.references);
        if chosen == self.references.0 {
            return Ok(());
        }
        let mut tokens = Vec::with_capacity(chosen.len());
        for frame in chosen.iter().map(|frame| frame.0) {
            let video = self.video(frame..frame + 1, &(frame..frame + 1), Show::Recorded)?;
            let model = self.model;
            tokens.push(timed(&mut self.timings.encode, || {
                let latent = model.vae.normalise(&model.vae.encode(&video)?)?;
                Ok(model.cells.split(&latent)?.1)
            })?);
        }
        let joined = if tokens.is_empty() {
            None
        } else {
            Some(Tensor::cat(&tokens, 0)?)
        };
        self.references = (chosen, joined);
        Ok(())
    }

    /// Masked cells of recorded latents `wanted`, encoded from `start` on.
    pub(super) fn recorded(
        &mut self,
        stretch: &Stretch,
        start: usize,
        wanted: Range<usize>,
    ) -> Result<Tensor> {
        // A latent in the middle stands for one frame here: the last of its own.
        let first = stretch.frames_of(start).end - 1;
        let end = stretch.frames_of(wanted.end - 1).end;
        let video = self.video(first..end, &stretch.available, Show::Recorded)?;
        let model = self.model;
        timed(&mut self.timings.encode, || {
            let latents = model.vae.normalise(&model.vae.encode(&video)?)?;
            let inside = model.cells.split(&latents)?.1;
            Ok(inside.narrow(0, wanted.start - start, wanted.len())?)
        })
    }

    /// Encodes the crops up to latent `end`, filled unless the model sees the recorded mouth.
    pub(super) fn encode_to(
        &mut self,
        stretch: &Stretch,
        cursor: &mut Cursor<'_>,
        end: usize,
    ) -> Result<()> {
        while cursor.encoded < end {
            let latents = cursor.encoded..(cursor.encoded + ENCODE_LATENTS).min(end);
            let frames =
                stretch.frames_of(latents.start).start..stretch.frames_of(latents.end - 1).end;
            let model = self.model;
            let shows = model.config.recorded_context;
            let what = match (shows, model.config.counterparts) {
                (false, _) => Show::Filled,
                (true, false) => Show::Recorded,
                (true, true) => Show::Counterpart,
            };
            let video = self.video(frames, &stretch.available, what)?;
            let (outside, inside) = timed(&mut self.timings.encode, || {
                let latents = model.vae.normalise(&cursor.encoder.push(&video)?)?;
                model.cells.split(&latents)
            })?;
            cursor.store.put_outside(latents.start, &outside)?;
            if shows {
                cursor.store.put_shown(latents.start, &inside)?;
            }
            cursor.encoded = latents.end;
        }
        Ok(())
    }

    /// Audio tokens `[W, s * tokens, D_a]` of latents.
    pub(super) fn sound(&mut self, stretch: &Stretch, latents: Range<usize>) -> Result<Tensor> {
        let model = self.model;
        let (job, heard) = (self.job, &self.mel);
        timed(&mut self.timings.sound, || {
            let audio = model.audio_projection.config();
            let rate = job.rate.per_second();
            let total = heard.features();
            let frames: Vec<u64> = latents
                .clone()
                .flat_map(|latent| stretch.sound_frames(latent))
                .collect();
            let ends = (
                frames.first().copied().unwrap_or(0),
                frames.last().copied().unwrap_or(0),
            );
            let wanted = needed_features(ends, audio, rate, total)?;
            let features = heard.encode(&model.mel_encoder, &wanted)?;
            let features = model.say(&features, wanted.start, &job.said, job.rate)?;
            let features = features.unsqueeze(1)?;
            let windows = windows(&features, (wanted.start, total), &frames, audio, rate)?;
            let tokens = model.audio_projection.forward(&windows)?;
            let (_, each, width) = tokens.dims3()?;
            let stride = model.config.temporal_stride;
            Ok(tokens.reshape((latents.len(), stride * each, width))?)
        })
    }
}
