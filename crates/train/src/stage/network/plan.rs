//! What the windows of a round are shown, and where everything stands.

use candle_core::Tensor;
use models::ltx::ContextGroup;

use super::Network;
use crate::conditions::Conditions;
use crate::error::Result;
use crate::stage::window::Window;

/// What a round's windows share.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Context tokens `[B, N, C]` with their places.
    pub(super) context: Option<(Tensor, Vec<Vec<[f64; 3]>>)>,
    pub(super) groups: Vec<ContextGroup>,
    /// Places of the noised tokens, by window.
    pub(super) noised: Vec<Vec<[f64; 3]>>,
    /// Latents that are noised.
    pub(super) latents: usize,
}

impl Plan {
    pub(super) fn noised_of(&self, samples: &[u32]) -> Vec<Vec<[f64; 3]>> {
        samples
            .iter()
            .filter_map(|sample| self.noised.get(*sample as usize).cloned())
            .collect()
    }
}

impl Network {
    /// Context tokens and everybody's places.
    pub(super) fn plan(&self, windows: &[Window], conditions: Conditions) -> Result<Plan> {
        let (noised_cells, from) = self.noised_cells(conditions);
        let mut plan = Plan::default();
        let mut context = Vec::new();
        let mut places = Vec::new();
        for window in windows {
            let latents = window.latents()?;
            let seconds = self.cells.seconds(window.first, latents, window.rate);
            let mut tokens = Vec::new();
            let mut own = Vec::new();
            let mut groups = Vec::new();
            let references = window.references.dim(0)?;
            if conditions.identity && references > 0 {
                let cells = &self.cells.inside;
                let channels = window.references.dim(2)?;
                tokens.push(
                    window
                        .references
                        .reshape((1, references * cells.len(), channels))?,
                );
                let times = self.cells.reference_seconds(references, window.rate);
                own.extend(self.cells.positions(cells, &times));
                groups.push(ContextGroup {
                    tokens: references * cells.len(),
                    latent: None,
                });
            }
            if conditions.video {
                // As the method has them: the cells around the mouth, then the mouth that is shown.
                let shown = self.config.recorded_context.then_some(&self.cells.inside);
                for cells in [Some(&self.cells.context), shown].into_iter().flatten() {
                    tokens.push(Window::pick(&window.context, 0, cells)?);
                    own.extend(self.cells.positions(cells, &seconds));
                    groups.extend((0..latents).map(|n| ContextGroup {
                        tokens: cells.len(),
                        latent: Some(n as i64),
                    }));
                }
            }
            if conditions.first_frame {
                let first = window.clean.narrow(0, 0, 1)?;
                tokens.push(Window::pick(&first, 0, &noised_cells)?);
                let times = seconds.get(..1).unwrap_or(&[]);
                own.extend(self.cells.positions(&noised_cells, times));
                groups.push(ContextGroup {
                    tokens: noised_cells.len(),
                    latent: Some(0),
                });
            }
            if !tokens.is_empty() {
                context.push(Tensor::cat(&tokens, 1)?);
                places.push(own);
            }
            let times = seconds.get(from..).unwrap_or(&[]);
            plan.noised.push(self.cells.positions(&noised_cells, times));
            plan.latents = latents - from.min(latents);
            plan.groups = groups;
        }
        if !context.is_empty() {
            plan.context = Some((Tensor::cat(&context, 0)?, places));
        }
        Ok(plan)
    }
}
