//! How blocks of latents lie over a video, step by step.
//!
//! Time-aware position shift fusion (EditYourself 3.4, after Sonic): every step denoises
//! every block once, and the partition moves between steps, so that neighbours share
//! their context; in the middle of the schedule it stands still, so that a cache can work.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, Result};

/// Latents that are denoised together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Their indices; consecutive, except where a circular partition wraps.
    pub latents: Vec<usize>,
}

impl Window {
    fn of(range: Range<usize>) -> Self {
        Self {
            latents: range.collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.latents.len()
    }

    pub fn is_empty(&self) -> bool {
        self.latents.is_empty()
    }
}

/// What happens where a shifted partition does not reach the ends of the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// Short runs are covered by full-width blocks that overlap their neighbours;
    /// velocities are averaged where two blocks evaluate a latent.
    Averaged,
    /// The last latents and the first ones share a block.
    Circular,
}

/// Blocks that move between steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShiftedWindows {
    /// Latents a block.
    pub width: usize,
    /// Latents by which the partition moves from one step to the next; 0 is plain.
    pub shift: usize,
    pub ends: Ends,
    /// Share of the steps, in the middle, during which it stands still.
    pub still: f64,
}

impl ShiftedWindows {
    /// The paper's: 17 latents, shift 5, still in the middle 75 %.
    pub const fn paper() -> Self {
        Self {
            width: 17,
            shift: 5,
            ends: Ends::Averaged,
            still: 0.75,
        }
    }

    /// Blocks that never move.
    pub const fn plain(width: usize) -> Self {
        Self {
            width,
            shift: 0,
            ends: Ends::Averaged,
            still: 0.0,
        }
    }

    /// Whether the partition moves between step `step - 1` and `step`.
    pub fn moves_before(&self, step: usize, steps: usize) -> bool {
        let moving = ((1.0 - self.still) * steps as f64 / 2.0).ceil() as usize;
        self.shift > 0 && step > 0 && step < steps && (step < moving || step + moving >= steps)
    }

    /// How far the partition has moved at a step.
    pub fn offset(&self, step: usize, steps: usize) -> usize {
        let moves = (1..=step).filter(|s| self.moves_before(*s, steps)).count();
        moves * self.shift % self.width.max(1)
    }

    /// The windows of a step over a video of `latents`.
    ///
    /// Every latent is in exactly one of them; with [`Ends::Averaged`] those near the ends,
    /// and those before the end of a video that no partition fits, are in two.
    ///
    /// # Errors
    /// When the width is 0.
    pub fn at(&self, step: usize, steps: usize, latents: usize) -> Result<Vec<Window>> {
        if self.width == 0 {
            return Err(DiffusionError::Windows("a width of 0 latents".to_owned()));
        }
        let offset = self.offset(step, steps);
        Ok(match self.ends {
            Ends::Averaged => averaged(latents, self.width, offset),
            Ends::Circular => circular(latents, self.width, offset),
        })
    }
}

fn averaged(latents: usize, width: usize, offset: usize) -> Vec<Window> {
    if latents <= width {
        return if latents == 0 {
            Vec::new()
        } else {
            vec![Window::of(0..latents)]
        };
    }
    let tail = Window::of(latents - width..latents);
    if latents < 2 * width {
        // A third block would visit some latents three times.
        return vec![Window::of(0..width), tail];
    }
    let mut windows = Vec::new();
    let mut start = offset % width;
    if start > 0 {
        windows.push(Window::of(0..width));
    }
    while start + width <= latents {
        windows.push(Window::of(start..start + width));
        start += width;
    }
    if start < latents {
        windows.push(tail);
    }
    windows
}

fn circular(latents: usize, width: usize, offset: usize) -> Vec<Window> {
    let order: Vec<usize> = (0..latents).map(|i| (i + offset) % latents).collect();
    order
        .chunks(width)
        .map(|chunk| Window {
            latents: chunk.to_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn visits(windows: &[Window], latents: usize) -> Vec<usize> {
        let mut visits = vec![0; latents];
        for index in windows.iter().flat_map(|w| &w.latents) {
            visits[*index] += 1;
        }
        visits
    }

    proptest! {
        #[test]
        fn every_latent_is_visited_once_a_step_and_at_the_ends_twice(
            latents in 1_usize..=400, width in 1_usize..40, shift in 0_usize..40, steps in 1_usize..41,
        ) {
            let strategy = ShiftedWindows { width, shift, ends: Ends::Averaged, still: 0.75 };
            for step in 0..steps {
                let windows = strategy.at(step, steps, latents).unwrap();
                let visits = visits(&windows, latents);
                prop_assert!(visits.iter().all(|v| (1..=2).contains(v)), "{:?}", visits);
                if latents >= 2 * width {
                    let inner = &visits[width..latents - width];
                    prop_assert!(inner.iter().all(|v| *v == 1), "{:?}", visits);
                }
                // Short blocks would see less context than the model was trained with.
                prop_assert!(windows.iter().all(|w| w.len() == width.min(latents)));
            }
        }

        #[test]
        fn a_circular_partition_visits_every_latent_exactly_once(
            latents in 1_usize..=400, width in 1_usize..40, shift in 0_usize..40, steps in 1_usize..41,
        ) {
            let strategy = ShiftedWindows { width, shift, ends: Ends::Circular, still: 0.75 };
            for step in 0..steps {
                let visits = visits(&strategy.at(step, steps, latents).unwrap(), latents);
                prop_assert!(visits.iter().all(|v| *v == 1));
            }
        }
    }

    /// The paper's own windows over every length, with where they lie: moved by the step's offset.
    #[test]
    fn the_papers_windows_lie_where_the_step_moves_them_for_every_length() {
        for ends in [Ends::Averaged, Ends::Circular] {
            let paper = ShiftedWindows {
                ends,
                ..ShiftedWindows::paper()
            };
            for (latents, step) in (1..=400).flat_map(|n| (0..40).map(move |step| (n, step))) {
                let windows = paper.at(step, 40, latents).unwrap();
                let visits = visits(&windows, latents);
                let offset = paper.offset(step, 40);
                if ends == Ends::Circular {
                    let order: Vec<usize> = windows.into_iter().flat_map(|w| w.latents).collect();
                    let moved: Vec<usize> = (0..latents).map(|i| (i + offset) % latents).collect();
                    assert_eq!(order, moved, "{latents} latents, step {step}");
                    continue;
                }
                // The moved partition reaches from the offset to its last whole block.
                let blocks = latents.saturating_sub(offset) / 17;
                let end = offset + 17 * blocks;
                for (index, count) in visits.iter().enumerate() {
                    let wanted = if latents < 2 * 17 {
                        1 + usize::from(latents > 17 && (latents - 17..17).contains(&index))
                    } else {
                        let first = offset > 0 && (offset..17).contains(&index);
                        let last = end < latents && (latents - 17..end).contains(&index);
                        1 + usize::from(first) + usize::from(last)
                    };
                    assert_eq!(
                        *count, wanted,
                        "{latents} latents, step {step}, latent {index}"
                    );
                }
                if latents >= 2 * 17 {
                    let moved = |n: usize| (0..17).map(|i| offset + 17 * n + i).collect();
                    for n in 0..blocks {
                        let block = Window { latents: moved(n) };
                        assert!(windows.contains(&block), "{latents} latents, step {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_paper_moves_at_both_ends_of_the_schedule_only() {
        let paper = ShiftedWindows::paper();
        let moving: Vec<usize> = (0..40).filter(|s| paper.moves_before(*s, 40)).collect();
        assert_eq!(moving, [1, 2, 3, 4, 35, 36, 37, 38, 39]);
        assert_eq!(paper.offset(4, 40), 3);
        assert_eq!(paper.offset(20, 40), 3);
    }

    #[test]
    fn plain_blocks_stand_still() {
        let plain = ShiftedWindows::plain(4);
        let windows = plain.at(7, 8, 8).unwrap();
        assert_eq!(windows, vec![Window::of(0..4), Window::of(4..8)]);
    }
}
