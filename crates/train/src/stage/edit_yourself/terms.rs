//! The terms of the loss.

use candle_core::{Device, Tensor};

use super::EditYourselfStage;
use crate::conditions::Conditions;
use crate::error::{Result, TrainError};
use crate::loss::{self, Readout};
use crate::random::{Draw, Purpose};
use crate::stage::network::{Heard, Network, Noised};
use crate::stage::window::Window;
use crate::stage::{Losses, Round};

impl EditYourselfStage {
    /// The flow loss as the recipe weighs it.
    pub(super) fn flow(
        &self,
        network: &Network,
        velocity: &Tensor,
        target: &Tensor,
        conditions: Conditions,
        round: &Round,
    ) -> Result<Tensor> {
        let objective = &self.recipe.objective;
        let maps = |cells: &[u32]| -> Result<Tensor> {
            let (own, _) = network.noised_cells(conditions);
            let share = |cell: &u32| if cells.contains(cell) { 1.0_f32 } else { 0.0 };
            let one: Vec<f32> = own.iter().map(share).collect();
            let latents = velocity.dim(1)? / own.len().max(1);
            let all = one.repeat(latents);
            let count = all.len();
            Ok(Tensor::from_vec(all, (1, count), &Device::Cpu)?)
        };
        let mut gate = Draw::new(self.recipe.seed, Purpose::Loss, round.step, round.first);
        if objective.lips_only > 0.0 && gate.chance(objective.lips_only) {
            let lips = maps(&network.cells.lips())?;
            return loss::weighted_mean(&loss::squared_error(velocity, target)?, Some(&lips));
        }
        match objective.face {
            Some(weights) => loss::face_weighted_flow(
                velocity,
                target,
                &maps(&network.cells.inside)?,
                &maps(&network.cells.lips())?,
                weights,
            ),
            None => loss::contrastive_flow(velocity, target, objective.contrastive, None),
        }
    }

    /// What the mouth reader says of the one-step estimate.
    #[expect(clippy::too_many_arguments, reason = "a loss sees the whole round")]
    pub(super) fn read(
        &self,
        network: &Network,
        readout: &Readout,
        estimate: &Tensor,
        windows: &[Window],
        conditions: Conditions,
        noised: &Noised,
        losses: &mut Losses,
    ) -> Result<()> {
        let objective = &self.recipe.objective;
        let (copies, tokens, channels) = estimate.dims3()?;
        let (own, from) = network.noised_cells(conditions);
        let latents = tokens / own.len().max(1);
        let mut mouths = estimate.reshape((copies, latents, own.len(), channels))?;
        if !conditions.video {
            let inside = Tensor::new(network.cells.inside.as_slice(), &Device::Cpu)?;
            mouths = mouths.index_select(&inside, 2)?;
        }
        let width = network.cells.inside.len() * channels;
        let readings = readout.read(&mouths.reshape((copies, latents, width))?)?;
        let (mut targets, mut keep) = (Vec::new(), Vec::new());
        for (window, sound) in noised.window.iter().zip(&noised.sound) {
            let window = windows
                .get(*window as usize)
                .ok_or_else(|| TrainError::Data("a copy without a window".to_owned()))?;
            let known = window.readings.as_ref().ok_or_else(|| {
                TrainError::Data("the mouth reader needs clips with landmarks".to_owned())
            })?;
            targets.push(readout.normalise(&known.narrow(0, from, latents)?)?);
            // The clip's first latent has one frame only, so its readings are not known.
            keep.extend((from..from + latents).map(|n| {
                let known = window.first + n > 0;
                if known && *sound { 1.0_f32 } else { 0.0 }
            }));
        }
        let targets = Tensor::stack(&targets, 0)?;
        let keep = Tensor::from_vec(keep, (copies, latents), &Device::Cpu)?;
        let hears: Vec<f32> = noised
            .sound
            .iter()
            .map(|s| f32::from(u8::from(*s)))
            .collect();
        let hears = Tensor::new(hears, &Device::Cpu)?;
        if objective.readout > 0.0 {
            let error = readout.error(&readings, &targets, &keep)?;
            losses.note("readout", &error)?;
            losses.total = (&losses.total + (error * objective.readout)?)?;
        }
        if objective.follow > 0.0 && latents > 2 {
            let follow = readout.correlation_loss(&readings, &targets, 1, &hears)?;
            losses.note("follow", &follow)?;
            losses.total = (&losses.total + (follow * objective.follow)?)?;
        }
        Ok(())
    }
}

/// Mean squared difference between what is shown of the noised cells and the truth, `[windows]`.
pub(super) fn bases(
    network: &Network,
    windows: &[Window],
    clean: &[Tensor],
    conditions: Conditions,
) -> Result<Tensor> {
    let (cells, from) = network.noised_cells(conditions);
    let each = windows
        .iter()
        .zip(clean)
        .map(|(window, clean)| {
            let shown = Window::pick(&window.context, from, &cells)?;
            Ok(loss::squared_error(&shown, clean)?.mean_all()?)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&each, 0)?)
}

/// `1 - cos` between the mean estimated mouth of a copy and the mean of its references, in latent space: identity
/// without another network.
pub(super) fn likeness(estimate: &Tensor, windows: &[Window], noised: &Noised) -> Result<Tensor> {
    let mut wanted = Vec::new();
    for window in &noised.window {
        let references = windows
            .get(*window as usize)
            .map(|w| &w.references)
            .ok_or_else(|| TrainError::Data("a copy without a window".to_owned()))?;
        let (frames, cells, channels) = references.dims3()?;
        wanted.push(references.reshape((frames * cells, channels))?.mean(0)?);
    }
    loss::cosine_loss(&estimate.mean(1)?, &Tensor::stack(&wanted, 0)?, None)
}

/// `1 - correlation` of the encoder's own readings with the mouth's opening, over the windows.
pub(super) fn head_loss(heard: &[Heard], windows: &[Window]) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for (heard, window) in heard.iter().zip(windows) {
        let (Some(mouth), Some(openings)) = (&heard.mouth, &window.openings) else {
            continue;
        };
        let wanted = Tensor::new(openings.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let read = mouth
            .narrow(1, 0, 1)?
            .contiguous()?
            .reshape((1, openings.len()))?;
        let part = loss::correlation_loss(&read, &wanted, None)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    Ok(match sum {
        Some(sum) => Some((sum / windows.len() as f64)?),
        None => None,
    })
}
