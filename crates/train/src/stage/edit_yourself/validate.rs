//! Validation: made mouths against recorded ones, with their own sound and with another's.
//!
//! The loss does not show whether the sound is heard (first-experiments.md); this does, from the first hundred steps on.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::EditYourselfStage;
use crate::conditions::Conditions;
use crate::data::ClipLatents;
use crate::error::Result;
use crate::gradients::values;
use crate::random::{Draw, Purpose};
use crate::recipe::References;
use crate::stage::{Heard, Network, Noised, Validation, Window};

/// Euler steps of a validation.
const STEPS: usize = 4;

/// X-Dub's shift, so that more of the few steps lie where the shape is decided.
const SHIFT: f64 = 3.0;

/// With every condition.
const ALL: Conditions = Conditions {
    audio: true,
    first_frame: false,
    video: true,
    identity: true,
    text: true,
};

impl EditYourselfStage {
    /// See [`crate::stage::Stage::validate`]: the same clips, windows and noise each time.
    pub(super) fn validation(
        &self,
        average: &BTreeMap<String, Tensor>,
        _step: u64,
    ) -> Result<Validation> {
        let network = Network::of_parameters(
            &self.parameters,
            average,
            self.recipe.model.lora.as_ref(),
            candle_core::DType::F32,
        )?;
        let latents = self.recipe.batch.latents.iter().max().copied().unwrap_or(9);
        let fit = |clip: &&ClipLatents| clip.latents() > latents;
        let mut clips: Vec<&ClipLatents> = self.library.held_out.iter().filter(fit).collect();
        let name = if clips.is_empty() {
            "training"
        } else {
            "held_out"
        };
        if clips.is_empty() {
            clips = self.library.train.iter().filter(fit).collect();
        }
        clips.truncate(self.recipe.log.validate);
        let mut result = Validation::default();
        if clips.is_empty() {
            return Ok(result);
        }
        let mut windows = Vec::new();
        for (index, clip) in clips.iter().enumerate() {
            let mut draw = Draw::new(self.recipe.seed, Purpose::Validation, 0, index as u64);
            let first = (clip.latents() - latents).min(3);
            let kind = match self.recipe.objective.references {
                References::Random => References::Opening,
                kind => kind,
            };
            windows.push(self.library.cut(
                clip,
                first,
                latents,
                network.config.references,
                kind,
                &mut draw,
            )?);
        }
        self.measure(&network, &windows, name, &mut result)?;
        // What training shows is another mouth; in use it is the recorded one, which may show through.
        if network.config.recorded_context {
            for window in &mut windows {
                window.context = window.clean.clone();
            }
            let name = format!("{name}/recorded");
            self.measure(&network, &windows, &name, &mut result)?;
        }
        if let Some(teacher) = &self.teacher {
            let mut taught = network.clone();
            taught.teacher = Some(Arc::clone(teacher));
            for (window, clip) in windows.iter_mut().zip(&clips) {
                window.taught = Some(teacher.truth(clip, None)?);
            }
            let name = format!("{name}/taught");
            self.measure(&taught, &windows, &name, &mut result)?;
        }
        Ok(result)
    }

    /// Measures of `windows` under `name`.
    fn measure(
        &self,
        network: &Network,
        windows: &[Window],
        name: &str,
        result: &mut Validation,
    ) -> Result<()> {
        let latents = windows.first().map_or(Ok(0), Window::latents)?;
        let heard = windows
            .iter()
            .map(|window| Ok(detached(&network.hear(window)?)))
            .collect::<Result<Vec<_>>>()?;
        let mut others = heard.clone();
        others.rotate_left(1);
        let own = self.sample(network, windows, &heard)?;
        let error = (&own - Self::recorded(network, windows)?)?
            .sqr()?
            .mean_all()?;
        result.measures.insert(
            format!("{name}/latent_error"),
            f64::from(error.to_scalar::<f32>()?),
        );
        let Some(readout) = &self.readout else {
            return Ok(());
        };
        let other = self.sample(network, windows, &others)?;
        let openings = |x: &Tensor| -> Result<Vec<Vec<f32>>> {
            let (count, _, channels) = x.dims3()?;
            let width = network.cells.inside.len() * channels;
            let read = readout.read(&x.reshape((count, latents, width))?)?;
            let read = read.narrow(2, 0, readout.openings)?.contiguous()?;
            (0..count).map(|n| values(&read.get(n)?)).collect()
        };
        let (own, other) = (openings(&own)?, openings(&other)?);
        let truth: Vec<Vec<f32>> = windows
            .iter()
            .map(|window| {
                let known = window.readings.as_ref().map(|r| readout.normalise(r));
                let known = known.transpose()?.map(|r| r.narrow(1, 0, readout.openings));
                values(
                    &known
                        .transpose()?
                        .unwrap_or(Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu)?)
                        .contiguous()?,
                )
            })
            .collect::<Result<_>>()?;
        let mut turned = truth.clone();
        turned.rotate_left(1);
        let mean = |a: &[Vec<f32>], b: &[Vec<f32>]| {
            let sum: f64 = a.iter().zip(b).map(|(a, b)| correlation(a, b)).sum();
            sum / a.len().max(1) as f64
        };
        // Own sound; what leaks from the picture under another's sound; and whether that other sound is followed.
        for (key, value) in [
            ("own", mean(&own, &truth)),
            ("leak", mean(&other, &truth)),
            ("follow", mean(&other, &turned)),
        ] {
            result.measures.insert(format!("{name}/{key}"), value);
        }
        Ok(())
    }

    /// Masked latents of the windows as recorded, `[B, N, C]`.
    fn recorded(network: &Network, windows: &[Window]) -> Result<Tensor> {
        let clean = windows
            .iter()
            .map(|window| network.clean(window, ALL))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&clean, 0)?)
    }

    /// Made mouths `[B, N, C]` from noise that is the same each time.
    fn sample(&self, network: &Network, windows: &[Window], heard: &[Heard]) -> Result<Tensor> {
        let shape = Self::recorded(network, windows)?;
        let (count, tokens, channels) = shape.dims3()?;
        let mut rows = Vec::with_capacity(count);
        for index in 0..count as u64 {
            let mut draw = Draw::new(self.recipe.seed, Purpose::Validation, 1, index);
            rows.push(draw.normals(&[1, tokens, channels])?);
        }
        let mut x = Tensor::cat(&rows, 0)?;
        let grid = |n: usize| crate::timesteps::shifted((STEPS - n) as f64 / STEPS as f64, SHIFT);
        for n in 0..STEPS {
            let (t, next) = (grid(n), if n + 1 < STEPS { grid(n + 1) } else { 0.0 });
            let noised = Noised {
                window: (0..count as u32).collect(),
                tokens: x.clone(),
                times: vec![t; count],
                sound: vec![true; count],
            };
            let velocity = network.velocities(windows, heard, ALL, &noised)?.detach();
            x = (x - (velocity * (t - next))?)?;
        }
        Ok(x)
    }
}

fn detached(heard: &Heard) -> Heard {
    Heard {
        tokens: heard.tokens.detach(),
        mouth: None,
    }
}

/// Correlation of two series of one length.
pub(crate) fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |x: &[f32]| x.iter().map(|v| f64::from(*v)).sum::<f64>() / x.len().max(1) as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x) - ma, f64::from(*y) - mb);
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa <= 0.0 || bb <= 0.0 {
        return 0.0;
    }
    dot / (aa * bb).sqrt()
}
