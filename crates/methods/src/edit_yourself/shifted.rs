//! A stretch denoised as a whole, by blocks that move between steps, instead of block after
//! block with carried latents (EditYourself 3.4, time-aware position shift).
//!
//! Every step evaluates every block once, so neighbours meet at all noise levels. A stretch is
//! held in memory, and a run that is stopped begins its stretch again.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::Tensor;
use diffusion::{Ends, NoiseKey, Purpose, ShiftedWindows, Walk, Window, WindowVelocity, euler};

use super::denoise::{BlockInput, Prepared};
use super::plan::Stretch;
use super::run::{Cursor, Run};
use crate::error::{MethodError, Result};

/// What does not hold together in the `windows` of a config.
pub(super) fn fault(windows: &ShiftedWindows) -> Option<String> {
    if windows.width == 0 {
        return Some("windows of 0 latents".to_owned());
    }
    if windows.ends == Ends::Circular {
        return Some(
            "windows with circular ends join the first frames with the last, which a block's context cannot"
                .to_owned(),
        );
    }
    None
}

impl Run<'_> {
    /// Makes one range; gives the number of blocks that its partition has.
    pub(super) fn shifted(
        &mut self,
        index: usize,
        stretch: &Stretch,
        windows: ShiftedWindows,
        blocks: usize,
    ) -> Result<usize> {
        let mut cursor = self.cursor(self.model, stretch, None)?;
        let latents = stretch.made.start - stretch.lead..stretch.latents();
        self.encode_to(stretch, &mut cursor, latents.end)?;
        let (inside, channels) = (
            self.model.cells.inside.len(),
            self.model.vae.config().latent_channels,
        );
        let noise = latents
            .clone()
            .map(|n| {
                let key = NoiseKey {
                    purpose: Purpose::Start,
                    index: stretch.frames_of(n).end - 1,
                };
                self.noise.normal(key, &[inside, channels], self.device())
            })
            .collect::<diffusion::Result<Vec<Tensor>>>()?;
        let times = self.times.clone();
        let mut walk = Walk::new(times.clone(), windows, Tensor::stack(&noise, 0)?);
        let mut method = Shifted {
            run: &mut *self,
            stretch,
            cursor: &cursor,
            latents: latents.clone(),
            noise,
            prepared: BTreeMap::new(),
            offset: None,
            failure: None,
        };
        loop {
            let offset = Some(windows.offset(walk.step(), times.len()));
            if method.offset != offset {
                method.prepared.clear();
            }
            method.offset = offset;
            match walk.advance(&mut method) {
                Ok(true) => method.run.observer.step((walk.step(), times.len())),
                Ok(false) => break,
                Err(error) => return Err(method.failure.take().unwrap_or_else(|| error.into())),
            }
        }
        let own = stretch.made.start - latents.start;
        let made = walk.latents().narrow(0, own, stretch.made.len())?;
        cursor.store.put_inside(stretch.made.start, &made)?;
        // In parts, as block after block: a decoder holds few latents at once.
        let step = windows.width.max(1);
        let mut done = stretch.made.start;
        while done < stretch.made.end {
            done = (done + step).min(stretch.made.end);
            self.decode(stretch, &mut cursor, done, done == stretch.made.end)?;
        }
        self.progress.blocks.0 += blocks;
        let state = self.save(index, &cursor, true)?;
        let progress = self.progress;
        self.observer
            .block(progress, &state)
            .map_err(MethodError::Sink)?;
        Ok(blocks)
    }
}

/// A stretch while it is walked.
struct Shifted<'r, 'a> {
    run: &'r mut Run<'a>,
    stretch: &'r Stretch,
    cursor: &'r Cursor<'r>,
    /// Those of the walk, counted as the stretch counts them.
    latents: Range<usize>,
    noise: Vec<Tensor>,
    /// By the window's first latent, while the windows stand still.
    prepared: BTreeMap<usize, Prepared>,
    offset: Option<usize>,
    failure: Option<MethodError>,
}

impl Shifted<'_, '_> {
    fn guided(&mut self, x: &Tensor, window: &Window, t: f64) -> Result<Tensor> {
        let first = window.latents.first().copied().unwrap_or(0);
        let latents = self.latents.start + first..self.latents.start + first + window.len();
        if !self.prepared.contains_key(&first) {
            let prepared = self.prepare(latents.clone())?;
            self.prepared.insert(first, prepared);
        }
        let Some(prepared) = self.prepared.get(&first) else {
            return Err(MethodError::Job("a window went missing".to_owned()));
        };
        let store = &self.cursor.store;
        let mut rows = Vec::with_capacity(prepared.latents.len());
        for n in &prepared.latents {
            // Carried latents that are not context follow their own noised path.
            let noise = self.noise.get(first + n);
            rows.push(match (store.inside_of(latents.start + n), noise) {
                (Some(known), Some(noise)) => euler::noised(known, noise, t)?,
                _ => x.get(*n)?,
            });
        }
        let (count, (inside, channels)) = (rows.len(), (x.dim(1)?, x.dim(2)?));
        let tokens = Tensor::stack(&rows, 0)?.reshape((1, count * inside, channels))?;
        let model = self.run.model;
        let velocity = model
            .guided_velocity(&tokens, t, prepared, self.run.guidance)?
            .reshape((count, inside, channels))?;
        // What is known does not move; its rows of the walk are never read.
        let still = Tensor::zeros((inside, channels), velocity.dtype(), velocity.device())?;
        let mut whole = vec![still; window.len()];
        for (row, n) in prepared.latents.iter().enumerate() {
            if store.inside_of(latents.start + n).is_none()
                && let Some(place) = whole.get_mut(*n)
            {
                *place = velocity.get(row)?;
            }
        }
        Ok(Tensor::stack(&whole, 0)?)
    }

    fn prepare(&mut self, latents: Range<usize>) -> Result<Prepared> {
        let (run, stretch) = (&mut *self.run, self.stretch);
        let sound = run.sound(stretch, latents.clone())?;
        let frames = stretch.frames_of(latents.start).start..stretch.frames_of(latents.end - 1).end;
        run.show_references(&frames)?;
        let store = &self.cursor.store;
        let input = BlockInput {
            first: latents.start,
            outside: store.outside(latents.clone())?,
            shown: if run.model.config.recorded_context {
                Some(store.shown(latents.clone())?)
            } else {
                None
            },
            known: latents
                .clone()
                .map(|n| store.inside_of(n).cloned())
                .collect(),
            references: run.references.1.as_ref(),
            sound,
            noise: latents.map(|n| stretch.frames_of(n).end - 1).collect(),
            rate: run.job.rate.per_second(),
        };
        run.model.prepare(&input)
    }
}

impl WindowVelocity for Shifted<'_, '_> {
    fn velocity(&mut self, x: &Tensor, window: &Window, time: f64) -> diffusion::Result<Tensor> {
        self.guided(x, window, time).map_err(|error| {
            let told = candle_core::Error::Msg(error.to_string());
            self.failure = Some(error);
            told.into()
        })
    }
}
