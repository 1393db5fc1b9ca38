//! Latents between encoding and decoding: a sliding part of a stretch.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::Tensor;
use diffusion::{DiffusionError, State};

use crate::error::Result;

/// Tokens of latents that are still needed, normalised, `f32`.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    /// Cells outside of the mask, `[outside, C]`, by latent.
    outside: BTreeMap<usize, Tensor>,
    /// Masked cells as recorded, `[inside, C]`, by latent, for models that see them.
    shown: BTreeMap<usize, Tensor>,
    /// Masked cells of finished latents, `[inside, C]`, by latent.
    inside: BTreeMap<usize, Tensor>,
}

impl Store {
    /// Keeps the outside of latents from `first` on, `[L, outside, C]`.
    pub(super) fn put_outside(&mut self, first: usize, tokens: &Tensor) -> Result<()> {
        put(&mut self.outside, first, tokens)
    }

    /// Keeps the recorded masked cells of latents from `first` on, `[L, inside, C]`.
    pub(super) fn put_shown(&mut self, first: usize, tokens: &Tensor) -> Result<()> {
        put(&mut self.shown, first, tokens)
    }

    /// Keeps the masked cells of latents from `first` on, `[L, inside, C]`.
    pub(super) fn put_inside(&mut self, first: usize, tokens: &Tensor) -> Result<()> {
        put(&mut self.inside, first, tokens)
    }

    /// `[L, outside, C]`.
    pub(super) fn outside(&self, latents: Range<usize>) -> Result<Tensor> {
        let tokens: Vec<&Tensor> = latents
            .clone()
            .filter_map(|n| self.outside.get(&n))
            .collect();
        complete(&tokens, &latents, "context")?;
        Ok(Tensor::stack(&tokens, 0)?)
    }

    /// The recorded masked cells, `[L, inside, C]`.
    pub(super) fn shown(&self, latents: Range<usize>) -> Result<Tensor> {
        let tokens: Vec<&Tensor> = latents.clone().filter_map(|n| self.shown.get(&n)).collect();
        complete(&tokens, &latents, "recorded mouth")?;
        Ok(Tensor::stack(&tokens, 0)?)
    }

    /// Masked cells of a finished latent.
    pub(super) fn inside_of(&self, latent: usize) -> Option<&Tensor> {
        self.inside.get(&latent)
    }

    /// `[L, inside, C]`.
    pub(super) fn inside(&self, latents: Range<usize>) -> Result<Tensor> {
        let tokens: Vec<&Tensor> = latents
            .clone()
            .filter_map(|n| self.inside.get(&n))
            .collect();
        complete(&tokens, &latents, "mouth")?;
        Ok(Tensor::stack(&tokens, 0)?)
    }

    /// Finished latents around `latents` without a gap, at most `before` and `after` more.
    pub(super) fn around(
        &self,
        latents: Range<usize>,
        before: usize,
        after: usize,
    ) -> Range<usize> {
        let has = |n: &usize| self.inside.contains_key(n) && self.outside.contains_key(n);
        let front = (latents.start.saturating_sub(before)..latents.start)
            .rev()
            .take_while(has)
            .count();
        let behind = (latents.end..latents.end + after).take_while(has).count();
        latents.start - front..latents.end + behind
    }

    /// Forgets latents before `first`.
    pub(super) fn forget_before(&mut self, first: usize) {
        self.outside = self.outside.split_off(&first);
        self.inside = self.inside.split_off(&first);
        self.shown = self.shown.split_off(&first);
    }

    pub(super) fn save(&self, state: &mut State) -> Result<()> {
        for (name, map) in [
            ("outside", &self.outside),
            ("inside", &self.inside),
            ("shown", &self.shown),
        ] {
            let latents: Vec<u32> = map.keys().map(|n| *n as u32).collect();
            if latents.is_empty() {
                continue;
            }
            let tokens: Vec<&Tensor> = map.values().collect();
            let tokens = Tensor::stack(&tokens, 0)?;
            let latents = Tensor::new(latents, tokens.device())?;
            state.set_tensor(&format!("{name}.latents"), latents);
            state.set_tensor(&format!("{name}.tokens"), tokens);
        }
        Ok(())
    }

    pub(super) fn restore(state: &State, device: &candle_core::Device) -> Result<Self> {
        let mut store = Self::default();
        for (name, map) in [
            ("outside", &mut store.outside),
            ("inside", &mut store.inside),
            ("shown", &mut store.shown),
        ] {
            let key = format!("{name}.latents");
            if !state.has_tensor(&key) {
                continue;
            }
            let latents = state.tensor(&key)?.to_vec1::<u32>()?;
            let tokens = state.tensor(&format!("{name}.tokens"))?.to_device(device)?;
            for (index, latent) in latents.into_iter().enumerate() {
                map.insert(latent as usize, tokens.get(index)?);
            }
        }
        Ok(store)
    }
}

fn put(map: &mut BTreeMap<usize, Tensor>, first: usize, tokens: &Tensor) -> Result<()> {
    for index in 0..tokens.dim(0)? {
        // A copy of its own, so that dropping the others frees their memory.
        map.insert(first + index, tokens.get(index)?.force_contiguous()?);
    }
    Ok(())
}

fn complete(found: &[&Tensor], wanted: &Range<usize>, name: &str) -> Result<()> {
    if found.len() == wanted.len() && !found.is_empty() {
        return Ok(());
    }
    Err(DiffusionError::State(format!(
        "{} of the {name} latents {}..{} are there",
        found.len(),
        wanted.start,
        wanted.end
    ))
    .into())
}
