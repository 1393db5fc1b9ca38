//! Where a stretch is, and how that is kept between runs.

use candle_core::Tensor;
use diffusion::State;

use super::model::EditYourself;
use super::plan::Stretch;
use super::run::{Cursor, Run, WARM_UP};
use super::store::Store;
use crate::error::Result;

impl Run<'_> {
    /// Starts a stretch, or goes on within it.
    pub(super) fn cursor<'m>(
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

    /// The state after a block; after the last one of a range, that of the next range.
    pub(super) fn save(&self, range: usize, cursor: &Cursor<'_>, last: bool) -> Result<State> {
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
