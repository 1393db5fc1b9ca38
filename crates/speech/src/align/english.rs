//! Alignment of English by an acoustic model, in rounds: each knows the pronunciations and pauses of the one before
//! and is better adapted to the voice and room.

use super::adapt::offsets;
use super::features::{Cepstra, presence};
use super::graph::{Graph, Item, Part};
use super::lexicon::Lexicon;
use super::model::{AcousticModel, AcousticModelError};
use super::search::{Heard, Step, best_path};
use super::text::Token;
use super::{AlignError, Phone, Timed};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use units::Seconds;

/// Rounds before the last one.
const ROUNDS: usize = 2;
/// How far below the best a path may fall, in nats; the next is tried when the text can't be followed.
const BEAMS: [f32; 3] = [400.0, 1500.0, 10_000.0];
/// Seconds of one frame.
const HOP: f64 = 0.01;
/// Seconds by which the model sets the start of a weak voiced onset before the ear does: medians over word starts of
/// other aligners' tiers and of GRID.
const EARLY: [(&str, f64); 2] = [("DH", 0.02), ("W", 0.01)];

/// The English aligner: an acoustic model and a dictionary.
pub(super) struct English {
    model: AcousticModel,
    dictionary: PathBuf,
}

/// A path with all that it was found in.
struct Found {
    graph: Graph,
    path: Vec<Step>,
}

impl English {
    /// Reads the model in `folder` (with `en-us` and `cmudict-en-us.dict`, as Debian's `pocketsphinx-en-us` lays it out).
    pub(super) fn read(folder: &Path) -> Result<Self, AcousticModelError> {
        Ok(Self {
            model: AcousticModel::read(&folder.join("en-us"))?,
            dictionary: folder.join("cmudict-en-us.dict"),
        })
    }

    /// Times of tokens and their phones in 16 kHz samples.
    pub(super) fn align(&self, samples: &[f32], tokens: &[Token]) -> Result<Timed, AlignError> {
        let words: BTreeSet<String> = tokens
            .iter()
            .flat_map(|t| t.spoken.iter().flatten())
            .cloned()
            .collect();
        let lexicon = Lexicon::new(&words, &self.dictionary, &self.model.definition)?;
        self.align_by(samples, tokens, lexicon)
    }

    /// Times of tokens of another language: its phonemes as the English phones that come nearest.
    pub(super) fn align_foreign(
        &self,
        samples: &[f32],
        tokens: &[Token],
        language: &str,
    ) -> Result<Timed, AlignError> {
        let words: BTreeSet<String> = tokens
            .iter()
            .flat_map(|t| t.spoken.iter().flatten())
            .cloned()
            .collect();
        let lexicon =
            Lexicon::foreign(&words, language, &self.model.definition).map_err(|source| {
                AlignError::Voice {
                    language: language.to_owned(),
                    source,
                }
            })?;
        let mut timed = self.align_by(samples, tokens, lexicon)?;
        // They are phones of another language only by likeness.
        for phone in &mut timed.phones {
            phone.name.clear();
        }
        Ok(timed)
    }

    fn align_by(
        &self,
        samples: &[f32],
        tokens: &[Token],
        lexicon: Lexicon,
    ) -> Result<Timed, AlignError> {
        let mut items: Vec<Item> = tokens
            .iter()
            .map(|token| Item {
                variants: lexicon.variants(&token.spoken),
                pause_after: false,
            })
            .collect();
        let mut cepstra = Cepstra::new(samples);
        let presence = presence(samples);
        let mut adapted = Vec::new();
        for _ in 0..ROUNDS {
            let heard = Heard {
                cepstra: &cepstra,
                presence: &presence,
                offsets: &adapted,
            };
            let found = self.find(&items, &heard)?;
            let spoken = narrow(&mut items, &found, cepstra.len());
            cepstra.centre(&spoken);
            adapted = offsets(&found.graph, &self.model, &cepstra, &found.path, &adapted);
        }
        let heard = Heard {
            cepstra: &cepstra,
            presence: &presence,
            offsets: &adapted,
        };
        let found = self.find(&items, &heard)?;
        let confidences = self.confidences(&found, &heard, tokens.len());
        Ok(Timed {
            phones: self.phones(&found),
            confidences,
            guessed: lexicon.guessed,
        })
    }

    fn find(&self, items: &[Item], heard: &Heard<'_>) -> Result<Found, AlignError> {
        let graph = Graph::new(&self.model, items);
        for beam in BEAMS {
            if let Some(path) = best_path(&graph, &self.model, heard, beam) {
                return Ok(Found { graph, path });
            }
        }
        Err(AlignError::NoMatch {
            words: items.len(),
            seconds: heard.cepstra.len() as f64 * HOP,
        })
    }

    fn phones(&self, found: &Found) -> Vec<Phone> {
        let names = &self.model.definition.phone_names;
        let mut phones: Vec<Phone> = Vec::new();
        for step in &found.path {
            let Some((Part::Word { word, place, .. }, phone)) =
                found.graph.nodes.get(step.node).map(|n| (n.part, n.phone))
            else {
                continue;
            };
            let name = names.get(usize::from(phone)).cloned().unwrap_or_default();
            let mut start = step.frames.start as f64 * HOP;
            let end = step.frames.end as f64 * HOP;
            if place == 0 {
                let early = EARLY.iter().find(|(n, _)| *n == name).map_or(0.0, |e| e.1);
                let late = (start + early).min(end - HOP);
                if let Some(before) = phones.last_mut().filter(|b| b.end.0 >= start - 1e-9) {
                    before.end = Seconds(late);
                }
                start = late;
            }
            phones.push(Phone {
                name,
                word,
                start: Seconds(start),
                end: Seconds(end),
            });
        }
        phones
    }

    /// How well each token's frames fit its phones, against the best phone out of context: 0 to 1.
    fn confidences(&self, found: &Found, heard: &Heard<'_>, tokens: usize) -> Vec<f32> {
        let mut sums = vec![(0.0_f32, 0.0_f32); tokens];
        let mut scorer = self.model.scorer(heard.offsets);
        for step in &found.path {
            let Some(node) = found.graph.nodes.get(step.node) else {
                continue;
            };
            let Part::Word { word, .. } = node.part else {
                continue;
            };
            let length = step.frames.len().max(1);
            for (n, frame) in step.frames.clone().enumerate() {
                scorer.set(heard.cepstra.streams(frame));
                let Some(&senone) = node.states.senones.get(n * 3 / length) else {
                    continue;
                };
                let gap = scorer.senone(senone) - scorer.best_of_all();
                if let Some((sum, count)) = sums.get_mut(word) {
                    // One bad frame does not condemn a word.
                    *sum += gap.clamp(-20.0, 4.0);
                    *count += 1.0;
                }
            }
        }
        sums.iter()
            .map(|(sum, count)| {
                let mean = sum / count.max(1.0);
                1.0 / (1.0 + (-(mean + 6.0) / 1.2).exp())
            })
            .collect()
    }
}

/// Keeps the pronunciations and pauses of a path; gives which frames are speech.
fn narrow(items: &mut [Item], found: &Found, frames: usize) -> Vec<bool> {
    let mut spoken = vec![false; frames];
    let mut last: Option<usize> = None;
    let mut chosen = vec![0; items.len()];
    for item in items.iter_mut() {
        item.pause_after = false;
    }
    for step in &found.path {
        match found.graph.nodes.get(step.node).map(|n| n.part) {
            Some(Part::Word { word, variant, .. }) => {
                if let Some(slot) = chosen.get_mut(word) {
                    *slot = variant;
                }
                last = Some(word);
                let slots = spoken.iter_mut().take(step.frames.end);
                slots.skip(step.frames.start).for_each(|slot| *slot = true);
            }
            _ => {
                if let Some(item) = last.and_then(|word| items.get_mut(word)) {
                    item.pause_after = true;
                }
            }
        }
    }
    for (item, variant) in items.iter_mut().zip(chosen) {
        if let Some(phones) = item.variants.get(variant).cloned() {
            item.variants = vec![phones];
        }
    }
    spoken
}
