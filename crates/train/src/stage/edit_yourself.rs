//! The transformer, by masked flow matching with what a recipe adds to it.

mod terms;
mod validate;

pub(crate) use validate::correlation as series_correlation;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use terms::{bases, head_loss, likeness};

use super::network::{Network, Noised};
use super::teacher::Teacher;
use super::window::Window;
use super::{Losses, Round, Stage, Validation};
use crate::conditions::Conditions;
use crate::data::Library;
use crate::error::{Result, TrainError};
use crate::loss;
use crate::loss::Readout;
use crate::noise;
use crate::params::Parameters;
use crate::random::{Draw, Purpose};
use crate::recipe::Recipe;

/// Draws of one sample are this far apart, so that its copies have their own.
const COPIES: u64 = 64;

/// The stage `edit-yourself`.
#[derive(Debug)]
pub struct EditYourselfStage {
    recipe: Recipe,
    parameters: Parameters,
    library: Library,
    kept: Kept,
    readout: Option<Readout>,
    teacher: Option<Arc<Teacher>>,
}

/// What of the networks lasts from round to round.
#[derive(Debug)]
enum Kept {
    /// Everything: the variables themselves are in the layers.
    Whole(Network),
    /// The frozen part; low-rank additions are put on each round.
    Base(Network),
    /// Nothing: copies in the working type are made each round.
    None,
}

/// A sample before it joins a group.
struct Sample {
    index: u64,
    window: Window,
    conditions: Conditions,
}

impl EditYourselfStage {
    /// `parameters` hold a whole model; `library` its footage as latents.
    ///
    /// # Errors
    /// When the networks can't be built, or a loss lacks what it needs.
    pub fn new(recipe: Recipe, parameters: Parameters, mut library: Library) -> Result<Self> {
        let dtype = recipe.model.dtype.dtype();
        let lora = recipe.model.lora.as_ref();
        let tracked = parameters.tracked();
        let only_lora = tracked.keys().all(|name| name.contains(".lora_"));
        let kept = if dtype == DType::F32 {
            Kept::Whole(Network::of_parameters(&parameters, &tracked, lora, dtype)?)
        } else if only_lora {
            Kept::Base(Network::of_parameters(&parameters, &tracked, None, dtype)?)
        } else {
            Kept::None
        };
        let objective = &recipe.objective;
        let readout = if objective.readout > 0.0 || objective.follow > 0.0 {
            Some(library.fit_readout(&objective.reader)?)
        } else {
            None
        };
        let teacher = match &objective.teacher {
            Some(options) => {
                let moves = |name: &&String| name.starts_with("audio_encoder.");
                if let Some(name) = tracked.keys().find(moves) {
                    return Err(TrainError::Recipe(format!(
                        "objective.teacher needs a sound encoder that stays as it is, but {name} is trained"
                    )));
                }
                let network = Network::of_parameters(&parameters, &tracked, None, DType::F32)?;
                let teacher = Teacher::fit(&library, &network.encoder, options)?;
                Some(Arc::new(teacher))
            }
            None => None,
        };
        Ok(Self {
            recipe,
            parameters,
            library,
            kept,
            readout,
            teacher,
        })
    }

    fn network(&self) -> Result<Network> {
        let mut network = self.untaught()?;
        network.teacher.clone_from(&self.teacher);
        let checkpointing = self.recipe.model.checkpoint_blocks;
        network.transformer.set_checkpointing(checkpointing);
        Ok(network)
    }

    fn untaught(&self) -> Result<Network> {
        let lora = self.recipe.model.lora.as_ref();
        match &self.kept {
            Kept::Whole(network) => Ok(network.clone()),
            Kept::Base(base) => {
                let mut network = base.clone();
                if let Some(lora) = lora {
                    lora.attach(&mut network.transformer, &self.parameters.tracked())?;
                }
                Ok(network)
            }
            Kept::None => Network::of_parameters(
                &self.parameters,
                &self.parameters.tracked(),
                lora,
                self.recipe.model.dtype.dtype(),
            ),
        }
    }

    /// The round's samples, drawn by their numbers in the global batch.
    fn samples(&self, network: &Network, round: &Round) -> Result<Vec<Sample>> {
        let recipe = &self.recipe;
        let batch = &recipe.batch;
        let turn = (round.step % batch.latents.len().max(1) as u64) as usize;
        let latents = batch.latents.get(turn).copied().unwrap_or(9);
        let inside = network.cells.inside.len();
        let most = match batch.tokens {
            0 => round.samples,
            tokens => (tokens / (latents * inside * batch.copies).max(1)).clamp(1, round.samples),
        };
        let mut shared = Draw::new(
            recipe.seed,
            Purpose::References,
            round.step,
            u64::MAX - round.part,
        );
        let references = if shared.chance(recipe.objective.fewer_references) {
            shared.below(network.config.references)
        } else {
            network.config.references
        };
        (0..most as u64)
            .map(|n| {
                let index = round.first + n;
                let draw = |purpose| Draw::new(recipe.seed, purpose, round.step, index);
                let clip = self.library.draw(&mut draw(Purpose::Order), latents)?;
                let conditions = recipe.conditions.draw(&mut draw(Purpose::Conditions));
                let mut window = self.library.window(
                    clip,
                    latents,
                    references,
                    recipe.objective.references,
                    &mut draw(Purpose::Window),
                )?;
                if let (Some(teacher), Some(options), Some(clip)) = (
                    &self.teacher,
                    &recipe.objective.teacher,
                    self.library.train.get(clip),
                ) {
                    let mut draw = draw(Purpose::Augment);
                    if draw.chance(options.share) {
                        window.taught = Some(teacher.truth(clip, Some(&mut draw))?);
                    }
                }
                Ok(Sample {
                    index,
                    window,
                    conditions,
                })
            })
            .collect()
    }

    /// Noised copies of a group's windows, copy by copy, so that neighbours are of different clips.
    fn noise(
        &self,
        clean: &[Tensor],
        samples: &[&Sample],
        round: &Round,
    ) -> Result<(Noised, Tensor, Tensor, Tensor)> {
        let recipe = &self.recipe;
        let copies = recipe.batch.copies as u64;
        let (mut tokens, mut targets, mut cleans) = (Vec::new(), Vec::new(), Vec::new());
        let mut noised = Noised {
            window: Vec::new(),
            tokens: Tensor::zeros(1, DType::F32, &Device::Cpu)?,
            times: Vec::new(),
            sound: Vec::new(),
        };
        for copy in 0..copies {
            for (place, (clean, sample)) in clean.iter().zip(samples).enumerate() {
                let number = sample.index * COPIES + copy;
                let draw = |purpose| Draw::new(recipe.seed, purpose, round.step, number);
                let t = recipe
                    .timesteps
                    .draw(&mut draw(Purpose::Timestep), round.done);
                let k = recipe.objective.immiscible;
                let noise = noise::immiscible(clean, k, &mut draw(Purpose::Noise))?;
                let time = Tensor::new(t as f32, &Device::Cpu)?;
                tokens.push(noise::noised(clean, &noise, &time)?);
                targets.push(noise::velocity(clean, &noise)?);
                cleans.push(clean.clone());
                noised.window.push(place as u32);
                noised.times.push(t);
                // The first copy follows the sample's own draw, the others draw anew.
                noised.sound.push(if copy == 0 {
                    sample.conditions.audio
                } else {
                    draw(Purpose::Conditions).chance(recipe.conditions.audio)
                });
            }
        }
        noised.tokens = Tensor::cat(&tokens, 0)?;
        let times: Vec<f32> = noised.times.iter().map(|t| *t as f32).collect();
        let count = times.len();
        Ok((
            noised,
            Tensor::cat(&targets, 0)?,
            Tensor::cat(&cleans, 0)?,
            Tensor::from_vec(times, (count, 1, 1), &Device::Cpu)?,
        ))
    }

    /// Losses of samples with one set of conditions.
    fn group(
        &self,
        network: &Network,
        samples: &[&Sample],
        round: &Round,
    ) -> Result<(Losses, usize)> {
        let objective = &self.recipe.objective;
        let Some(first) = samples.first() else {
            return Err(TrainError::Data("a round without samples".to_owned()));
        };
        let conditions = first.conditions;
        let windows: Vec<Window> = samples.iter().map(|s| s.window.clone()).collect();
        let heard = windows
            .iter()
            .map(|window| network.hear(window))
            .collect::<Result<Vec<_>>>()?;
        let clean = windows
            .iter()
            .map(|window| network.clean(window, conditions))
            .collect::<Result<Vec<_>>>()?;
        let bases = match &objective.estimate {
            Some(_) => Some(bases(network, &windows, &clean, conditions)?),
            None => None,
        };
        let (noised, target, clean, times) = self.noise(&clean, samples, round)?;
        let velocity = network.velocities(&windows, &heard, conditions, &noised)?;
        let elements = velocity.elem_count();

        let flow = match objective.estimate.as_ref().zip(bases) {
            Some((weights, base)) => {
                let index = Tensor::new(noised.window.as_slice(), &Device::Cpu)?;
                let (cells, _) = network.noised_cells(conditions);
                loss::estimate_flow(
                    &velocity,
                    &target,
                    &times,
                    &weights.map(cells.len())?,
                    &base.index_select(&index, 0)?,
                    weights.floor,
                )?
            }
            None => self.flow(network, &velocity, &target, conditions, round)?,
        };
        let plain = loss::squared_error(&velocity.detach(), &target)?;
        let mut losses = Losses::new((&flow * objective.flow)?);
        losses.note("flow", &plain.mean_all()?)?;
        if let Some(readout) = &self.readout {
            let most = objective.single_step_most;
            let estimate = loss::single_step(&clean, &target, &velocity, &times, most)?;
            self.read(
                network,
                readout,
                &estimate,
                &windows,
                conditions,
                &noised,
                &mut losses,
            )?;
        }
        if objective.identity > 0.0 && conditions.identity {
            let most = objective.single_step_most;
            let estimate = loss::single_step(&clean, &target, &velocity, &times, most)?;
            let identity = likeness(&estimate, &windows, &noised)?;
            losses.note("identity", &identity)?;
            losses.total = (losses.total + (identity * objective.identity)?)?;
        }
        if objective.head > 0.0
            && let Some(head) = head_loss(&heard, &windows)?
        {
            losses.note("head", &head)?;
            losses.total = (losses.total + (head * objective.head)?)?;
        }
        Ok((losses, elements))
    }
}

impl Stage for EditYourselfStage {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn losses(&mut self, round: &Round) -> Result<Losses> {
        let network = self.network()?;
        let samples = self.samples(&network, round)?;
        // Samples with the same conditions (but for sound) go through the network together.
        let mut groups: BTreeMap<(bool, bool, bool), Vec<&Sample>> = BTreeMap::new();
        for sample in &samples {
            let c = sample.conditions;
            let key = (c.video, c.first_frame, c.identity);
            groups.entry(key).or_default().push(sample);
        }
        let mut parts = Vec::new();
        for group in groups.values() {
            parts.push(self.group(&network, group, round)?);
        }
        let all: usize = parts.iter().map(|(_, elements)| elements).sum();
        let mut total: Option<Tensor> = None;
        let mut numbers: BTreeMap<String, f64> = BTreeMap::new();
        for (losses, elements) in parts {
            let share = elements as f64 / all.max(1) as f64;
            let part = (losses.total * share)?;
            total = Some(match total {
                Some(total) => (total + part)?,
                None => part,
            });
            for (name, value) in losses.parts {
                *numbers.entry(name).or_default() += share * value;
            }
        }
        let total = total.ok_or_else(|| TrainError::Data("a round without samples".to_owned()))?;
        Ok(Losses {
            total,
            parts: numbers,
        })
    }

    fn moves(&self, name: &str, done: f64) -> bool {
        done >= self.recipe.objective.hold_sound || !name.starts_with("audio_encoder.")
    }

    fn validate(&mut self, average: &BTreeMap<String, Tensor>, step: u64) -> Result<Validation> {
        self.validation(average, step)
    }
}
