//! Optimisers: who is moved by which rule, at which rate.

mod adamw;
mod muon;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use adamw::{AdamW, AdamWState};
pub use muon::{Muon, MuonScale, MuonState, orthogonalise};

use crate::error::{Result, TrainError};
use crate::gradients::{Gradients, values};
use crate::params::Parameters;
use crate::pattern::Patterns;

/// The rule by which a group of parameters moves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// Adam with decoupled weight decay.
    Adamw(AdamW),
    /// Momentum, made orthogonal; for matrices. Convolutions are matrices `[outputs, rest]`.
    Muon(Muon),
}

/// Parameters that move alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Which names; the first group that fits takes a parameter.
    pub names: Patterns,
    /// Learning rate before the schedule.
    pub rate: f64,
    /// Share of a parameter that is taken away each step, times the rate.
    pub decay: f64,
    /// How it moves. A vector in a Muon group moves by [`AdamW`] with `vector_rate`.
    pub rule: Rule,
    /// Rate of vectors in a Muon group.
    pub vector_rate: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    Adamw(AdamWState),
    Muon(MuonState),
}

/// A parameter's place: its group, whether it counts as a vector, and its state.
#[derive(Debug, Clone, PartialEq)]
struct Member {
    group: usize,
    matrix: Option<(usize, usize)>,
    state: State,
}

/// All parameters with their states.
#[derive(Debug, Clone)]
pub struct Optimiser {
    groups: Vec<Group>,
    members: BTreeMap<String, Member>,
    step: u64,
}

impl Optimiser {
    /// Sorts the trained parameters into groups.
    ///
    /// # Errors
    /// When a trained parameter fits no group, or a group has no member.
    pub fn new(parameters: &Parameters, groups: Vec<Group>) -> Result<Self> {
        let mut members = BTreeMap::new();
        for (name, var) in parameters.trained() {
            let found = groups.iter().position(|group| group.names.fit(name));
            let (Some(index), Some(group)) = (found, found.and_then(|i| groups.get(i))) else {
                return Err(TrainError::Recipe(format!(
                    "no optimiser group fits the trained parameter '{name}'"
                )));
            };
            let count = var.elem_count();
            let rows = var.dims().first().copied().unwrap_or(1);
            let matrix = (var.rank() >= 2 && matches!(group.rule, Rule::Muon(_)))
                .then(|| (rows, count / rows.max(1)));
            let state = if matrix.is_some() {
                State::Muon(MuonState::new(count))
            } else {
                State::Adamw(AdamWState::new(count))
            };
            members.insert(
                name.clone(),
                Member {
                    group: index,
                    matrix,
                    state,
                },
            );
        }
        for (index, group) in groups.iter().enumerate() {
            if !members.values().any(|member| member.group == index) {
                return Err(TrainError::Recipe(format!(
                    "the optimiser group {:?} has no trained parameter",
                    group.names.0
                )));
            }
        }
        Ok(Self {
            groups,
            members,
            step: 0,
        })
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Moves every parameter that has a gradient; rates are multiplied by `factor`.
    ///
    /// # Errors
    /// When a gradient has another size than its parameter.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        factor: f64,
    ) -> Result<()> {
        self.step += 1;
        let groups = &self.groups;
        // Matrices are too small for all threads at once, so they move beside each other; each by itself in one order.
        self.members.par_iter_mut().try_for_each(|(name, member)| {
            let (Some(var), Some(gradient)) =
                (parameters.trained().get(name), gradients.0.get(name))
            else {
                return Ok(());
            };
            let Some(group) = groups.get(member.group) else {
                return Ok(());
            };
            let mut data = values(var.as_tensor())?;
            if data.len() != gradient.len() {
                return Err(TrainError::Recipe(format!(
                    "'{name}' has {} values, its gradient {}",
                    data.len(),
                    gradient.len()
                )));
            }
            match (&mut member.state, member.matrix, group.rule) {
                (State::Muon(state), Some(shape), Rule::Muon(muon)) => {
                    let rate = group.rate * factor;
                    muon.step(&mut data, gradient, state, shape, rate, group.decay)?;
                }
                (State::Adamw(state), _, rule) => {
                    let (adamw, rate) = match rule {
                        Rule::Adamw(adamw) => (adamw, group.rate),
                        Rule::Muon(_) => (AdamW::default(), group.vector_rate),
                    };
                    adamw.step(&mut data, gradient, state, rate * factor, group.decay);
                }
                (State::Muon(_), _, _) => {}
            }
            Ok(var.set(&Tensor::from_vec(data, var.shape(), &Device::Cpu)?)?)
        })
    }

    /// Bytes of all states: 4 a number.
    pub fn state_bytes(&self) -> usize {
        let count = |member: &Member| match &member.state {
            State::Adamw(state) => 2 * state.mean.len(),
            State::Muon(state) => state.momentum.len(),
        };
        4 * self.members.values().map(count).sum::<usize>()
    }

    /// The states as tensors, for a checkpoint; steps of single parameters are one number each.
    ///
    /// # Errors
    /// When a tensor can't be made.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        let flat = |data: &[f32]| Tensor::new(data, &Device::Cpu);
        for (name, member) in &self.members {
            match &member.state {
                State::Adamw(state) => {
                    all.insert(format!("{name}.mean"), flat(&state.mean)?);
                    all.insert(format!("{name}.square"), flat(&state.square)?);
                    all.insert(format!("{name}.step"), flat(&[state.step as f32])?);
                }
                State::Muon(state) => {
                    all.insert(format!("{name}.momentum"), flat(&state.momentum)?);
                }
            }
        }
        Ok(all)
    }

    /// Takes over the states of [`Self::tensors`] after `step` steps.
    ///
    /// # Errors
    /// When a state is missing or has another size.
    pub fn restore(&mut self, tensors: &BTreeMap<String, Tensor>, step: u64) -> Result<()> {
        let read = |key: String, count: usize| -> Result<Vec<f32>> {
            let found = tensors.get(&key).map(values).transpose()?;
            found.filter(|data| data.len() == count).ok_or_else(|| {
                TrainError::Recipe(format!(
                    "the checkpoint has no optimiser state '{key}' of {count} numbers"
                ))
            })
        };
        for (name, member) in &mut self.members {
            match &mut member.state {
                State::Adamw(state) => {
                    state.mean = read(format!("{name}.mean"), state.mean.len())?;
                    state.square = read(format!("{name}.square"), state.square.len())?;
                    let step = read(format!("{name}.step"), 1)?;
                    state.step = step.first().copied().unwrap_or(0.0) as u64;
                }
                State::Muon(state) => {
                    state.momentum = read(format!("{name}.momentum"), state.momentum.len())?;
                }
            }
        }
        self.step = step;
        Ok(())
    }
}
