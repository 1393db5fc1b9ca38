//! How well a scorer does on people that it was not trained on: what its card says.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use models::sync_scorer::SyncScorer;

use super::{SyncClip, SyncStage, peak};
use crate::error::Result;
use crate::random::{Draw, Purpose};
use crate::stage::Validation;

/// Frames between the windows that are looked at.
const HOP: usize = 5;
/// Largest shift that is to be found, frames.
const SHIFT: usize = 10;
/// Voiced share below which a window says nothing about sync.
const SPEECH: f64 = 0.5;
/// Frames to the left and right by which an offset may be missed.
const NEAR: i64 = 1;

/// One window with what was found.
struct Seen<'a> {
    clip: &'a SyncClip,
    start: usize,
    /// Agreement at offsets `-reach..=reach` of the clip as it is.
    plain: Vec<f32>,
    /// Offset that was found in the sound shifted at random, less the shift.
    found: i64,
}

impl SyncStage {
    pub(super) fn validation(&self, average: &BTreeMap<String, Tensor>) -> Result<Validation> {
        let file = self.parameters.file("the average", average);
        let scorer = SyncScorer::load(&file, &Device::Cpu)?;
        let mut result = Validation::default();
        for (name, clips) in [("held_out", &self.held_out), ("training", &self.train)] {
            let clips: Vec<&SyncClip> = clips.iter().take(self.recipe.log.validate).collect();
            for (key, value) in self.measures(&scorer, &clips)? {
                result.measures.insert(format!("{name}/{key}"), value);
            }
        }
        Ok(result)
    }

    fn measures(
        &self,
        scorer: &SyncScorer,
        clips: &[&SyncClip],
    ) -> Result<BTreeMap<&'static str, f64>> {
        let reach = scorer.config().reach as i64;
        let seen = self.look(scorer, clips)?;
        let mut measures = BTreeMap::new();
        if seen.is_empty() {
            return Ok(measures);
        }
        let share = |count: usize, all: usize| count as f64 / all.max(1) as f64;
        let near = seen.iter().filter(|s| s.found.abs() <= NEAR).count();
        measures.insert("windows", seen.len() as f64);
        measures.insert("within_one", share(near, seen.len()));
        // Against what the clip's other windows say, which share at most half of their frames with this one: a recording's
        // own offset is no mistake of the scorer.
        let (mut near, mut known) = (0, 0);
        for one in &seen {
            let mut sum = vec![0.0_f32; one.plain.len()];
            let apart = scorer.config().window / 2;
            let others = seen.iter().filter(|other| {
                other.clip.id == one.clip.id && other.start.abs_diff(one.start) >= apart
            });
            let mut count = 0;
            for other in others {
                count += 1;
                for (sum, value) in sum.iter_mut().zip(&other.plain) {
                    *sum += value;
                }
            }
            if let Some(at) = peak(&sum).filter(|_| count > 0) {
                known += 1;
                near += usize::from((one.found - (at as i64 - reach)).abs() <= NEAR);
            }
        }
        measures.insert("within_one_of_clip", share(near, known));
        let (better, pairs) = self.own_against_others(scorer, &seen)?;
        measures.insert("own_beats_other", share(better, pairs));
        Ok(measures)
    }

    /// All voiced windows with their curves.
    fn look<'a>(&self, scorer: &SyncScorer, clips: &[&'a SyncClip]) -> Result<Vec<Seen<'a>>> {
        let (window, reach) = (scorer.config().window, scorer.config().reach as i64);
        let mut seen = Vec::new();
        for (index, clip) in clips.iter().enumerate() {
            for start in (0..=clip.len() - window).step_by(HOP) {
                if clip.speech(start, window) < SPEECH {
                    continue;
                }
                let place = (index * 100_000 + start) as u64;
                let mut draw = Draw::new(self.recipe.seed, Purpose::Validation, 0, place);
                let shift = draw.below(2 * SHIFT + 1) as i64 - SHIFT as i64;
                let shifted = clip.curve(scorer, start, -shift)?;
                let at = peak(&shifted).unwrap_or(0) as i64 - reach;
                seen.push(Seen {
                    clip,
                    start,
                    plain: clip.curve(scorer, start, 0)?,
                    found: at - shift,
                });
            }
        }
        Ok(seen)
    }

    /// How often the own sound agrees better, at its best offset, than that of somebody else at its best: (better, of).
    /// Each window meets the sounds of a few others.
    fn own_against_others(&self, scorer: &SyncScorer, seen: &[Seen<'_>]) -> Result<(usize, usize)> {
        const OTHERS: usize = 8;
        let config = scorer.config();
        let best = |curve: &[f32]| peak(curve).and_then(|at| curve.get(at).copied());
        let (mut better, mut pairs) = (0, 0);
        for (index, one) in seen.iter().enumerate() {
            let strangers: Vec<&Seen<'_>> = seen
                .iter()
                .filter(|other| {
                    other.clip.identity != one.clip.identity
                        || (other.clip.id != one.clip.id && one.clip.id.starts_with("grid_s1/"))
                })
                .collect();
            let mut draw = Draw::new(self.recipe.seed, Purpose::Validation, 1, index as u64);
            for other in draw.choose(strangers.len(), OTHERS) {
                let Some(other) = strangers.get(other) else {
                    continue;
                };
                let from = other.start as i64 - config.reach as i64;
                let sound = other.clip.sound(from, config.window + 2 * config.reach);
                let points = one.clip.points(one.start, config.window);
                let theirs = scorer.curve(&points, &sound)?;
                pairs += 1;
                better += usize::from(best(&one.plain) > best(&theirs));
            }
        }
        Ok((better, pairs))
    }
}
