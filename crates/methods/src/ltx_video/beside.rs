//! Clean tokens that a window sees besides its own: the speaker's face at other moments, and,
//! where a window has no clean token of its own, the nearest pictures before and behind it
//! (EditYourself 3.4). They stand in front of the window's tokens and are no part of the output.

use candle_core::Tensor;
use models::ltx::rope::{Position, latent_seconds};

use super::mask::LatentMask;
use super::sequence::Grid;
use crate::error::Result;

/// What a window without a clean token of its own sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// The nearest clean latents before and behind it at their own times: what the base model
    /// knows as keyframes.
    Keyframes,
    /// The same latents, at most this many latents away from the window's ends: the faked
    /// times of EditYourself eq. 7.
    ForwardBackward(usize),
}

/// The speaker's own lower face in recorded latents (EditYourself 3.4, identity conditioning).
#[derive(Debug, Clone)]
pub struct Faces {
    /// Normalised latents as recorded, `[n, cells, C]`.
    pub recorded: Tensor,
    /// Cells of the lower face in each latent; none where there is none to be seen.
    pub cells: Vec<Vec<u32>>,
    /// How many latents a window sees at most.
    pub count: usize,
    /// How many latents before and behind a window may give one.
    pub reach: usize,
}

impl Faces {
    /// Latents that show a window over `first..=last` the face: those of the window itself,
    /// spread over it, then the nearest around it. In rising order.
    pub fn of_window(&self, first: usize, last: usize) -> Vec<usize> {
        let shows = |latent: &usize| {
            self.cells
                .get(*latent)
                .is_some_and(|cells| !cells.is_empty())
        };
        let own: Vec<usize> = (first..=last).filter(shows).collect();
        if own.len() >= self.count {
            let spread = |k: usize| (2 * k + 1) * own.len() / (2 * self.count.max(1));
            return (0..self.count)
                .filter_map(|k| own.get(spread(k)).copied())
                .collect();
        }
        let mut around: Vec<usize> = (first.saturating_sub(self.reach)..first)
            .chain(last + 1..=last + self.reach)
            .filter(shows)
            .collect();
        around.sort_by_key(|latent| {
            (
                first
                    .saturating_sub(*latent)
                    .max(latent.saturating_sub(last)),
                *latent,
            )
        });
        around.truncate(self.count - own.len());
        let mut chosen = [around, own].concat();
        chosen.sort_unstable();
        chosen
    }
}

/// Tokens in front of a window's own, with their places.
#[derive(Debug, Clone, Default)]
pub(super) struct Front {
    /// `[1, F, C]`.
    pub(super) tokens: Option<Tensor>,
    pub(super) positions: Vec<Position>,
}

/// What tokens in front are taken from.
pub(super) struct Source<'a> {
    pub(super) clean: &'a Tensor,
    pub(super) masks: &'a [LatentMask],
    pub(super) faces: Option<&'a Faces>,
    pub(super) beside: Beside,
    pub(super) grid: Grid,
    pub(super) causal: bool,
}

impl Source<'_> {
    /// Faces at negative times, -1 for the first; then pictures.
    pub(super) fn front(&self, window: &[usize]) -> Result<Front> {
        let first = window.iter().copied().min().unwrap_or(0);
        let last = window.iter().copied().max().unwrap_or(0);
        let mut parts = Vec::new();
        let mut positions = Vec::new();
        let mut add = |latents: &Tensor, latent: usize, cells: &[u32], index: i64| -> Result<()> {
            if cells.is_empty() {
                return Ok(());
            }
            let second = latent_seconds(
                index,
                self.grid.temporal_stride,
                self.grid.rate,
                self.causal,
            );
            positions.extend(self.grid.cells_at(second, cells));
            let chosen = Tensor::new(cells, latents.device())?;
            parts.push(latents.get(latent)?.index_select(&chosen, 0)?);
            Ok(())
        };
        if let Some(faces) = self.faces {
            for (index, latent) in (1_i64..).zip(faces.of_window(first, last)) {
                let cells = faces.cells.get(latent).map_or(&[][..], Vec::as_slice);
                add(&faces.recorded, latent, cells, -index)?;
            }
        }
        let cells = self.grid.cells();
        for (latent, index) in self.pictures(window, first, last) {
            let known = self
                .masks
                .get(latent)
                .map_or_else(Vec::new, |mask| mask.known(cells));
            add(self.clean, latent, &known, index + self.grid.first as i64)?;
        }
        Ok(Front {
            tokens: if parts.is_empty() {
                None
            } else {
                Some(Tensor::cat(&parts, 0)?.unsqueeze(0)?)
            },
            positions,
        })
    }

    /// Latents with the time, in latents, at which the window sees them.
    fn pictures(&self, window: &[usize], first: usize, last: usize) -> Vec<(usize, i64)> {
        let shows = |latent: &usize| self.masks.get(*latent).is_some_and(|mask| !mask.is_whole());
        if self.beside == Beside::Nothing || window.iter().any(shows) {
            return Vec::new();
        }
        let before = (0..first).rev().find(shows);
        let behind = (last + 1..self.masks.len()).find(shows);
        let at = |latent: usize, edge: usize| {
            let away = latent as i64 - edge as i64;
            let limit = match self.beside {
                Beside::ForwardBackward(limit) => limit as i64,
                _ => i64::MAX,
            };
            (latent, edge as i64 + away.clamp(-limit, limit))
        };
        before
            .map(|latent| at(latent, first))
            .into_iter()
            .chain(behind.map(|latent| at(latent, last)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn grid() -> Grid {
        Grid {
            rows: 1,
            columns: 2,
            spatial_stride: 32,
            temporal_stride: 8,
            first: 0,
            rate: 8.0,
        }
    }

    fn pictures(masks: &[LatentMask], beside: Beside, window: &[usize]) -> Vec<(usize, i64)> {
        let clean = Tensor::zeros((masks.len(), 2, 1), DType::F32, &Device::Cpu).unwrap();
        let source = Source {
            clean: &clean,
            masks,
            faces: None,
            beside,
            grid: grid(),
            causal: true,
        };
        source.pictures(window, window[0], window[window.len() - 1])
    }

    /// Eq. 7 by hand: at most three latents from the window's ends.
    #[test]
    fn far_pictures_are_seen_three_latents_away() {
        let mut masks = vec![LatentMask::Whole; 40];
        masks[2] = LatentMask::Known;
        masks[31] = LatentMask::Known;
        let window: Vec<usize> = (10..27).collect();
        let paper = Beside::ForwardBackward(3);
        assert_eq!(pictures(&masks, paper, &window), [(2, 7), (31, 29)]);
        assert_eq!(
            pictures(&masks, Beside::Keyframes, &window),
            [(2, 2), (31, 31)]
        );
        // Near ones keep their own times, and a window with a clean token needs none.
        masks[8] = LatentMask::Cells(vec![0]);
        masks[29] = LatentMask::Known;
        assert_eq!(pictures(&masks, paper, &window), [(8, 8), (29, 29)]);
        masks[15] = LatentMask::Cells(vec![1]);
        assert!(pictures(&masks, paper, &window).is_empty());
        assert!(pictures(&masks, Beside::Nothing, &[3, 4]).is_empty());
    }

    #[test]
    fn faces_are_spread_over_the_window_and_then_come_from_around_it() {
        let faces = |shown: &[usize]| Faces {
            recorded: Tensor::zeros((60, 2, 1), DType::F32, &Device::Cpu).unwrap(),
            cells: (0..60)
                .map(|n| {
                    if shown.contains(&n) {
                        vec![0]
                    } else {
                        Vec::new()
                    }
                })
                .collect(),
            count: 6,
            reach: 5,
        };
        let all: Vec<usize> = (0..60).collect();
        let chosen = faces(&all).of_window(10, 26);
        assert_eq!(chosen, [11, 14, 17, 19, 22, 25]);
        // Two of its own; the four nearest within reach, of which three are there.
        let chosen = faces(&[2, 6, 9, 12, 13, 30, 33]).of_window(10, 26);
        assert_eq!(chosen, [6, 9, 12, 13, 30]);
        assert!(faces(&[]).of_window(10, 26).is_empty());
    }

    #[test]
    fn faces_stand_at_times_of_their_own_before_the_video() {
        let clean = Tensor::arange(0_f32, 8.0, &Device::Cpu)
            .unwrap()
            .reshape((4, 2, 1))
            .unwrap();
        let faces = Faces {
            recorded: (&clean * 10.0).unwrap(),
            cells: vec![vec![1], Vec::new(), vec![0, 1], Vec::new()],
            count: 6,
            reach: 9,
        };
        let masks = vec![LatentMask::Cells(vec![1]); 4];
        let source = Source {
            clean: &clean,
            masks: &masks,
            faces: Some(&faces),
            beside: Beside::ForwardBackward(3),
            grid: grid(),
            causal: true,
        };
        let front = source.front(&[1, 2]).unwrap();
        let tokens = front.tokens.unwrap().flatten_all().unwrap();
        assert_eq!(tokens.to_vec1::<f32>().unwrap(), [10.0, 40.0, 50.0]);
        // Latent -1 begins at frame -15, latent -2 at frame -23.
        let wanted = [
            [-15.0 / 8.0, 0.0, 32.0],
            [-23.0 / 8.0, 0.0, 0.0],
            [-23.0 / 8.0, 0.0, 32.0],
        ];
        assert_eq!(front.positions, wanted);
    }
}
