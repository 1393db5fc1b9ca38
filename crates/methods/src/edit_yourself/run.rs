//! A job from crops and sound to made crops, block by block, in bounded memory.

use std::ops::Range;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use diffusion::{ChaChaNoise, DiffusionError, NoiseKey, NoiseSource, Purpose, State};
use models::audio_projection::{needed_features, windows};
use models::ltx::vae::{EncodeStream, Region, Span, decode_frames};
use units::FrameIndex;

use super::denoise::BlockInput;
use super::job::{
    CropSource, LipJob, LipObserver, LipReport, MadeCrop, MelSource, Progress, Timings,
};
use super::model::EditYourself;
use super::plan::{Block, Stretch};
use super::store::Store;
use crate::error::{MethodError, Result};

/// Latents that are encoded in front of a range, for the encoder's past.
const WARM_UP: usize = 8;
/// Frames that are encoded at once.
const ENCODE_LATENTS: usize = 8;

/// Everything that a job's parts share.
struct Run<'a> {
    model: &'a EditYourself,
    job: &'a LipJob,
    crops: &'a mut dyn CropSource,
    mel: &'a dyn MelSource,
    observer: &'a mut dyn LipObserver,
    noise: ChaChaNoise,
    times: Vec<f64>,
    guidance: f64,
    references: Option<Tensor>,
    timings: Timings,
    progress: Progress,
    fingerprint: String,
}

/// A stretch in progress: what a state keeps.
struct Cursor<'a> {
    encoder: EncodeStream<'a>,
    /// Latents whose outside is encoded.
    encoded: usize,
    /// Blocks of the stretch that are done.
    block: usize,
    /// The next frame to hand over.
    next_frame: u64,
    store: Store,
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work();
    *spent += start.elapsed();
    result
}

impl EditYourself {
    /// Makes new lips for all ranges of a job.
    ///
    /// With `resume`, the bytes of a state that an earlier run of the same job handed to
    /// [`LipObserver::block`], it goes on there, with the same results.
    ///
    /// # Errors
    /// When the job makes no sense, its source or observer fails, or the state belongs to
    /// another job.
    pub fn run(
        &self,
        job: &LipJob,
        crops: &mut dyn CropSource,
        mel: &dyn MelSource,
        observer: &mut dyn LipObserver,
        resume: Option<&[u8]>,
    ) -> Result<LipReport> {
        job.check(mel.frames())?;
        let config = self.config();
        let schedule = job.schedule.as_ref().unwrap_or_else(|| self.schedule());
        let guidance = job.audio_guidance.unwrap_or(config.audio_guidance);
        let stretches: Vec<Stretch> = job
            .ranges
            .iter()
            .map(|range| {
                let plain = |r: &Range<FrameIndex>| r.start.0..r.end.0;
                Stretch::new(
                    plain(&range.frames),
                    plain(&range.available),
                    config.temporal_stride,
                    config.carry_latents,
                    WARM_UP,
                )
            })
            .collect();
        let blocks: Vec<Vec<Block>> = stretches
            .iter()
            .map(|s| s.blocks(config.block_latents, config.carry_latents))
            .collect();
        let mut run = Run {
            model: self,
            job,
            crops,
            mel,
            observer,
            noise: ChaChaNoise::new(job.seed),
            times: schedule.times()?,
            guidance,
            references: None,
            timings: Timings::default(),
            progress: Progress {
                blocks: (0, blocks.iter().map(Vec::len).sum()),
                frames: (0, job.frames()),
            },
            fingerprint: format!(
                "{job:?} {schedule:?} {guidance} {} {config:?}",
                mel.frames()
            ),
        };
        let state = resume.map(State::from_bytes).transpose()?;
        let first = match &state {
            Some(state) => run.resume(state)?,
            None => 0,
        };
        if !stretches.is_empty() {
            run.references = run.encode_references()?;
        }
        let mut state = state;
        let mut done = 0;
        for (index, (stretch, blocks)) in stretches.iter().zip(&blocks).enumerate().skip(first) {
            done += run.stretch(index, stretch, blocks, state.take().as_ref())?;
        }
        Ok(LipReport {
            frames: run.progress.frames.0,
            blocks: done,
            timings: run.timings,
        })
    }
}

impl Run<'_> {
    /// Reads what a state says about the job, and gives its range.
    fn resume(&mut self, state: &State) -> Result<usize> {
        if state.text("job")? != self.fingerprint {
            return Err(DiffusionError::State("it belongs to another job".to_owned()).into());
        }
        self.progress.blocks.0 = state.number("blocks_done")? as usize;
        self.progress.frames.0 = state.number("frames_done")?;
        Ok(state.number("range")? as usize)
    }

    fn device(&self) -> &Device {
        self.model.transformer.device()
    }

    /// One frame as planar values in -1..1.
    fn crop(&mut self, frame: u64) -> Result<Vec<f32>> {
        let side = self.model.config.crop;
        let crops = &mut *self.crops;
        let mut crop = timed(&mut self.timings.read, || {
            crops
                .crop(FrameIndex(frame))
                .map_err(|source| MethodError::Source {
                    frame: FrameIndex(frame),
                    source,
                })
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

    /// Frames as `[1, 3, F, H, W]`, filled in the masked box where `fill` says so.
    fn video(&mut self, frames: Range<u64>, available: &Range<u64>, fill: bool) -> Result<Tensor> {
        let side = self.model.config.crop;
        let count = (frames.end - frames.start) as usize;
        let plane = side * side;
        let mut video = vec![0.0_f32; 3 * count * plane];
        let (rows, columns) = self.model.config.mask_box();
        let value = self.model.config.context_fill as f32;
        for (index, frame) in frames.enumerate() {
            let last = available.end.saturating_sub(1);
            let mut crop = self.crop(frame.min(last))?;
            if fill {
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

    /// Masked cells `[R, inside, C]` of the reference frames, each encoded alone.
    fn encode_references(&mut self) -> Result<Option<Tensor>> {
        let wanted = self.model.config.references;
        let frames: Vec<u64> = self
            .job
            .references
            .iter()
            .take(wanted)
            .map(|f| f.0)
            .collect();
        let mut tokens = Vec::with_capacity(frames.len());
        for frame in frames {
            let video = self.video(frame..frame + 1, &(frame..frame + 1), false)?;
            let model = self.model;
            tokens.push(timed(&mut self.timings.encode, || {
                let latent = model.vae.normalise(&model.vae.encode(&video)?)?;
                Ok(model.cells.split(&latent)?.1)
            })?);
        }
        if tokens.is_empty() {
            return Ok(None);
        }
        Ok(Some(Tensor::cat(&tokens, 0)?))
    }

    /// Masked cells of recorded latents `wanted`, encoded from `start` on.
    fn recorded(
        &mut self,
        stretch: &Stretch,
        start: usize,
        wanted: Range<usize>,
    ) -> Result<Tensor> {
        // A latent in the middle stands for one frame here: the last of its own.
        let first = stretch.frames_of(start).end - 1;
        let end = stretch.frames_of(wanted.end - 1).end;
        let video = self.video(first..end, &stretch.available, false)?;
        let model = self.model;
        timed(&mut self.timings.encode, || {
            let latents = model.vae.normalise(&model.vae.encode(&video)?)?;
            let inside = model.cells.split(&latents)?.1;
            Ok(inside.narrow(0, wanted.start - start, wanted.len())?)
        })
    }

    /// Starts a stretch, or goes on within it.
    fn cursor<'m>(
        &mut self,
        model: &'m EditYourself,
        stretch: &Stretch,
        state: Option<&State>,
    ) -> Result<Cursor<'m>> {
        if let Some(state) = state.filter(|state| !state.has_text("fresh")) {
            let count = state.number("encoder_slots")?;
            let slots = (0..count)
                .map(|slot| {
                    let slot = state.tensor(&format!("encoder.{slot:03}"))?;
                    Ok(slot.to_device(self.device())?)
                })
                .collect::<Result<Vec<Tensor>>>()?;
            return Ok(Cursor {
                encoder: model.vae.encoder().stream_from(slots),
                encoded: state.number("encoded")? as usize,
                block: state.number("block")? as usize,
                next_frame: state.number("next_frame")?,
                store: Store::restore(state, self.device())?,
            });
        }
        let mut store = Store::default();
        let made = stretch.made.clone();
        if stretch.lead > 0 {
            let lead = made.start - stretch.lead..made.start;
            store.put_inside(lead.start, &self.recorded(stretch, 0, lead)?)?;
        }
        if stretch.trail > 0 {
            let trail = made.end..stretch.latents();
            let start = made.end.saturating_sub(WARM_UP);
            store.put_inside(trail.start, &self.recorded(stretch, start, trail)?)?;
        }
        Ok(Cursor {
            encoder: model.vae.encoder().stream(),
            encoded: 0,
            block: 0,
            next_frame: stretch.frames.start,
            store,
        })
    }

    /// Makes one range; gives the number of blocks done.
    fn stretch(
        &mut self,
        index: usize,
        stretch: &Stretch,
        blocks: &[Block],
        state: Option<&State>,
    ) -> Result<usize> {
        let mut cursor = self.cursor(self.model, stretch, state)?;
        let mut done = 0;
        while let Some(block) = blocks.get(cursor.block) {
            self.encode_to(stretch, &mut cursor, block.latents.end)?;
            self.block(stretch, &mut cursor, block)?;
            cursor.block += 1;
            done += 1;
            let last = cursor.block == blocks.len();
            self.decode(stretch, &mut cursor, block.make.end, last)?;
            if let Some(next) = blocks.get(cursor.block) {
                let undecoded = stretch.latent_of(cursor.next_frame);
                let before = undecoded.saturating_sub(self.model.config.decode_before.max(1));
                cursor.store.forget_before(before.min(next.latents.start));
            }
            self.progress.blocks.0 += 1;
            let state = self.save(index, &cursor, last)?;
            let progress = self.progress;
            self.observer
                .block(progress, &state)
                .map_err(MethodError::Sink)?;
        }
        Ok(done)
    }

    /// Encodes the filled crops up to latent `end`.
    fn encode_to(&mut self, stretch: &Stretch, cursor: &mut Cursor<'_>, end: usize) -> Result<()> {
        while cursor.encoded < end {
            let latents = cursor.encoded..(cursor.encoded + ENCODE_LATENTS).min(end);
            let frames =
                stretch.frames_of(latents.start).start..stretch.frames_of(latents.end - 1).end;
            let video = self.video(frames, &stretch.available, true)?;
            let model = self.model;
            let outside = timed(&mut self.timings.encode, || {
                let latents = model.vae.normalise(&cursor.encoder.push(&video)?)?;
                Ok(model.cells.split(&latents)?.0)
            })?;
            cursor.store.put_outside(latents.start, &outside)?;
            cursor.encoded = latents.end;
        }
        Ok(())
    }

    /// Audio tokens `[W, s * tokens, D_a]` of latents.
    fn sound(&mut self, stretch: &Stretch, latents: Range<usize>) -> Result<Tensor> {
        let model = self.model;
        let (job, mel) = (self.job, self.mel);
        timed(&mut self.timings.sound, || {
            let audio = model.audio_projection.config();
            let rate = job.rate.per_second();
            let total = mel.frames() / 2;
            let frames: Vec<u64> = latents
                .clone()
                .flat_map(|latent| stretch.sound_frames(latent))
                .collect();
            let ends = (
                frames.first().copied().unwrap_or(0),
                frames.last().copied().unwrap_or(0),
            );
            let wanted = needed_features(ends, audio, rate, total)?;
            let range = model.mel_encoder.mel_range(mel.frames(), &wanted)?;
            let data = mel.read(range).map_err(MethodError::Sink)?;
            let features = model.mel_encoder.features(mel.frames(), &wanted, data)?;
            let features = features.unsqueeze(1)?;
            let windows = windows(&features, (wanted.start, total), &frames, audio, rate)?;
            let tokens = model.audio_projection.forward(&windows)?;
            let (_, each, width) = tokens.dims3()?;
            let stride = model.config.temporal_stride;
            Ok(tokens.reshape((latents.len(), stride * each, width))?)
        })
    }

    fn block(&mut self, stretch: &Stretch, cursor: &mut Cursor<'_>, block: &Block) -> Result<()> {
        let latents = block.latents.clone();
        let sound = self.sound(stretch, latents.clone())?;
        let model = self.model;
        let input = BlockInput {
            first: latents.start,
            outside: cursor.store.outside(latents.clone())?,
            known: latents
                .clone()
                .map(|n| cursor.store.inside_of(n).cloned())
                .collect(),
            references: self.references.as_ref(),
            sound,
            // Noise belongs to a place in the clip, however ranges and blocks lie.
            noise: latents
                .clone()
                .map(|n| stretch.frames_of(n).end - 1)
                .collect(),
            rate: self.job.rate.per_second(),
        };
        let prepared = timed(&mut self.timings.context, || model.prepare(&input))?;
        let (times, guidance, noise) = (&self.times, self.guidance, &self.noise);
        let observer = &mut *self.observer;
        let mut steps = 0;
        let made = timed(&mut self.timings.denoise, || {
            model.denoise(&input, &prepared, times, guidance, noise, |count| {
                steps += count;
                observer.step((steps, times.len()));
            })
        })?;
        let own = made.narrow(0, block.make.start - latents.start, block.make.len())?;
        cursor.store.put_inside(block.make.start, &own)
    }

    /// Decodes and hands over all frames whose surroundings are finished.
    fn decode(
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
        let noise = &self.noise;
        let video = timed(&mut self.timings.decode, || {
            let outside = store.outside(held.clone())?;
            let inside = store.inside(held.clone())?;
            let mut latents = model.cells.join(&outside, &inside)?;
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
                &model.vae, &latents, held, wanted, part, &timestep,
            )?)
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
        let video = video.squeeze(0)?.to_dtype(DType::F32)?.affine(0.5, 0.5)?;
        let video = video.clamp(0.0, 1.0)?;
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

    /// The state after a block; after the last one of a range, that of the next range.
    fn save(&self, range: usize, cursor: &Cursor<'_>, last: bool) -> Result<State> {
        let mut state = State::default();
        state.set_text("job", self.fingerprint.clone());
        state.set_number("blocks_done", self.progress.blocks.0 as u64);
        state.set_number("frames_done", self.progress.frames.0);
        let range = if last { range + 1 } else { range };
        state.set_number("range", range as u64);
        if last {
            state.set_text("fresh", "yes");
            return Ok(state);
        }
        state.set_number("encoded", cursor.encoded as u64);
        state.set_number("block", cursor.block as u64);
        state.set_number("next_frame", cursor.next_frame);
        let slots = cursor.encoder.state();
        state.set_number("encoder_slots", slots.len() as u64);
        for (slot, tensor) in slots.iter().enumerate() {
            state.set_tensor(&format!("encoder.{slot:03}"), tensor.clone());
        }
        cursor.store.save(&mut state)?;
        Ok(state)
    }
}

/// `(1 - s) z + s noise`, in normalised space (fact sheet 2.7).
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
