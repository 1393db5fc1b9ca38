//! The most likely path through a graph of phones: Viterbi's algorithm with a beam, over a window of active phones
//! that moves along the text, so that memory does not grow with the product of text and sound.

use super::features::{Cepstra, Streams};
use super::graph::{Graph, Node, Part};
use super::model::{AcousticModel, STATES};
use std::ops::Range;

const NEVER: f32 = f32::NEG_INFINITY;
const NO_LINK: u32 = u32::MAX;

/// A phone of the path with its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) node: usize,
    pub(crate) frames: Range<usize>,
}

/// One entry into a phone on the way to some active state.
#[derive(Clone, Copy)]
struct Link {
    node: u32,
    start: u32,
    before: u32,
}

/// Cost of a frame of sound in a silence, in nats.
const SOUND_IN_PAUSE: f32 = 3.0;

/// What a search hears.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) cepstra: &'a Cepstra,
    /// How surely each frame holds sound, 0 to 1.
    pub(crate) presence: &'a [f32],
    /// Adaptation of the model to the voice and room.
    pub(crate) offsets: &'a [Streams],
}

struct Search<'a> {
    graph: &'a Graph,
    model: &'a AcousticModel,
    presence: &'a [f32],
    scores: Vec<[f32; STATES]>,
    links: Vec<[u32; STATES]>,
    arena: Vec<Link>,
    /// Nodes that may be active.
    active: Range<usize>,
}

/// The best path over all frames, or none when the beam loses every path to the end.
pub(crate) fn best_path(
    graph: &Graph,
    model: &AcousticModel,
    heard: &Heard<'_>,
    beam: f32,
) -> Option<Vec<Step>> {
    let count = graph.nodes.len();
    let mut search = Search {
        graph,
        model,
        presence: heard.presence,
        scores: vec![[NEVER; STATES]; count],
        links: vec![[NO_LINK; STATES]; count],
        arena: Vec::new(),
        active: 0..graph.first_reach,
    };
    let mut scorer = model.scorer(heard.offsets);
    for frame in 0..heard.cepstra.len() {
        scorer.set(heard.cepstra.streams(frame));
        let best = search.advance(frame, |senone| scorer.senone(senone));
        if best == NEVER {
            return None;
        }
        search.prune(best - beam, best);
        if search.arena.len() > search.collect_at() {
            search.collect();
        }
    }
    search.trace(heard.cepstra.len())
}

impl Search<'_> {
    /// One frame; gives the best score of any state.
    fn advance(&mut self, frame: usize, mut likelihood: impl FnMut(u16) -> f32) -> f32 {
        let mut best = NEVER;
        // Predecessors have lower numbers, so downwards they still hold the frame before.
        for index in self.active.clone().rev() {
            let Some(node) = self.graph.nodes.get(index) else {
                continue;
            };
            let (entry, entry_link) = self.entry(node, frame);
            let (Some(&old), Some(&old_links)) = (self.scores.get(index), self.links.get(index))
            else {
                continue;
            };
            if entry == NEVER && old.iter().all(|&s| s == NEVER) {
                continue;
            }
            let matrix = usize::from(node.states.matrix);
            let mut new = [NEVER; STATES];
            let mut new_links = [NO_LINK; STATES];
            for (to, (score, link)) in new.iter_mut().zip(&mut new_links).enumerate() {
                for (from, (&was, &was_link)) in old.iter().zip(&old_links).enumerate().take(to + 1)
                {
                    if was == NEVER {
                        continue;
                    }
                    let candidate = was + self.model.transition(matrix, from, to);
                    if candidate > *score {
                        (*score, *link) = (candidate, was_link);
                    }
                }
            }
            if let [first, ..] = &mut new
                && let [link, ..] = &mut new_links
                && entry > *first
            {
                *first = entry;
                *link = self.arena.len() as u32;
                self.arena.push(Link {
                    node: index as u32,
                    start: frame as u32,
                    before: entry_link,
                });
            }
            let cost = if node.part == Part::Pause {
                SOUND_IN_PAUSE * self.presence.get(frame).copied().unwrap_or(0.0)
            } else {
                0.0
            };
            for (score, &senone) in new.iter_mut().zip(&node.states.senones) {
                if *score > NEVER {
                    *score += likelihood(senone) - cost;
                    best = best.max(*score);
                }
            }
            if let (Some(slot), Some(link_slot)) =
                (self.scores.get_mut(index), self.links.get_mut(index))
            {
                *slot = new;
                *link_slot = new_links;
            }
        }
        best
    }

    /// The best way into a node at a frame.
    fn entry(&self, node: &Node, frame: usize) -> (f32, u32) {
        if frame == 0 {
            return (if node.starts { node.penalty } else { NEVER }, NO_LINK);
        }
        let mut best = (NEVER, NO_LINK);
        for &before in &node.before {
            let (score, link) = self.exit(before as usize);
            if score > best.0 {
                best = (score, link);
            }
        }
        (best.0 + node.penalty, best.1)
    }

    /// The best score of leaving a node.
    fn exit(&self, index: usize) -> (f32, u32) {
        let (Some(scores), Some(links), Some(node)) = (
            self.scores.get(index),
            self.links.get(index),
            self.graph.nodes.get(index),
        ) else {
            return (NEVER, NO_LINK);
        };
        let mut best = (NEVER, NO_LINK);
        for (state, (&score, &link)) in scores.iter().zip(links).enumerate() {
            if score > NEVER {
                let matrix = usize::from(node.states.matrix);
                let out = score + self.model.transition(matrix, state, STATES);
                if out > best.0 {
                    best = (out, link);
                }
            }
        }
        best
    }

    /// Ends paths below a score, and moves the window.
    fn prune(&mut self, floor: f32, best: f32) {
        let mut first = None;
        let mut end = 0;
        for index in self.active.clone() {
            let Some(scores) = self.scores.get_mut(index) else {
                continue;
            };
            let top = scores.iter().copied().fold(NEVER, f32::max);
            if top < floor {
                *scores = [NEVER; STATES];
            } else {
                first.get_or_insert(index);
                // Scores are kept near zero: after hours their differences would drown in rounding.
                for score in scores.iter_mut() {
                    *score -= best;
                }
                end = end.max(self.graph.nodes.get(index).map_or(0, |n| n.reach));
            }
        }
        self.active = first.unwrap_or(0)..end;
    }

    fn collect_at(&self) -> usize {
        1_000_000 + 8 * self.active.len() * STATES
    }

    /// Drops links that no active state leads back to.
    fn collect(&mut self) {
        let mut kept = vec![false; self.arena.len()];
        for index in self.active.clone() {
            let (Some(scores), Some(links)) = (self.scores.get(index), self.links.get(index))
            else {
                continue;
            };
            for (&score, &link) in scores.iter().zip(links) {
                let mut at = if score > NEVER { link } else { NO_LINK };
                while let Some(mark) = kept.get_mut(at as usize) {
                    if *mark {
                        break;
                    }
                    *mark = true;
                    at = self.arena.get(at as usize).map_or(NO_LINK, |l| l.before);
                }
            }
        }
        let mut moved = vec![NO_LINK; self.arena.len()];
        let mut arena = Vec::new();
        for ((link, keep), slot) in self.arena.iter().zip(&kept).zip(&mut moved) {
            if *keep {
                *slot = arena.len() as u32;
                arena.push(*link);
            }
        }
        let follow = |link: u32| moved.get(link as usize).copied().unwrap_or(NO_LINK);
        for link in &mut arena {
            link.before = follow(link.before);
        }
        for links in &mut self.links {
            for link in links {
                *link = follow(*link);
            }
        }
        self.arena = arena;
    }

    fn trace(&self, frames: usize) -> Option<Vec<Step>> {
        let (score, link) = self
            .active
            .clone()
            .filter(|&index| self.graph.nodes.get(index).is_some_and(|n| n.ends))
            .map(|index| self.exit(index))
            .fold((NEVER, NO_LINK), |a, b| if b.0 > a.0 { b } else { a });
        if score == NEVER {
            return None;
        }
        let mut steps = Vec::new();
        let mut at = link;
        let mut end = frames;
        while let Some(link) = self.arena.get(at as usize) {
            steps.push(Step {
                node: link.node as usize,
                frames: link.start as usize..end,
            });
            end = link.start as usize;
            at = link.before;
        }
        steps.reverse();
        Some(steps)
    }
}
