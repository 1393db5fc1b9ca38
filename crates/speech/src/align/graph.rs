//! What may be said: the words of a text in all their pronunciations, with optional pauses around them, as a graph of
//! phones in context.

use super::model::{AcousticModel, Definition, PhoneStates, Position};

/// How unlikely a pause is where none is written, in nats.
const PAUSE_PENALTY: f32 = -1.0;
/// How unlikely a noise is, or speech that the text lacks.
const NOISE_PENALTY: f32 = -12.0;

/// One way to say a word (or a number's words): phones with their place in the word.
pub(crate) type Pronunciation = Vec<(u16, Position)>;

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A phone of a word in one of its pronunciations.
    Word {
        word: usize,
        variant: usize,
        place: usize,
    },
    /// Silence or noise.
    Pause,
}

/// A phone in context.
pub(crate) struct Node {
    pub(crate) part: Part,
    pub(crate) phone: u16,
    pub(crate) states: PhoneStates,
    /// Nodes that may come before; all have lower numbers.
    pub(crate) before: Vec<u32>,
    /// Cost of entering, zero or below.
    pub(crate) penalty: f32,
    pub(crate) starts: bool,
    pub(crate) ends: bool,
    /// One past the last node that may come after (at least one past itself).
    pub(crate) reach: usize,
}

/// The graph.
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// One past the last node that may start.
    pub(crate) first_reach: usize,
}

/// What is known of a word: its possible pronunciations, and whether a pause follows it (unknown before a first pass).
pub(crate) struct Item {
    pub(crate) variants: Vec<Pronunciation>,
    pub(crate) pause_after: bool,
}

struct Builder<'d> {
    definition: &'d Definition,
    nodes: Vec<Node>,
    noises: Vec<u16>,
}

impl Graph {
    /// The graph of a text. Where it begins and ends, a pause is taken for its neighbour.
    pub(crate) fn new(model: &AcousticModel, items: &[Item]) -> Self {
        let definition = &model.definition;
        let noises = ["+NSN+", "+SPN+"]
            .iter()
            .filter_map(|name| definition.phone(name))
            .collect();
        let mut builder = Builder {
            definition,
            nodes: Vec::new(),
            noises,
        };
        let mut exits = builder.pauses(&[], true);
        let mut open = true;
        let silence = definition.silence;
        for (word, item) in items.iter().enumerate() {
            let left = match word.checked_sub(1).and_then(|w| items.get(w)) {
                Some(before) if !before.pause_after => before.last_phone().unwrap_or(silence),
                _ => silence,
            };
            let right = match items.get(word + 1) {
                Some(after) if !item.pause_after => after.first_phone().unwrap_or(silence),
                _ => silence,
            };
            let mut ends = Vec::new();
            for (variant, phones) in item.variants.iter().enumerate() {
                if let Some(end) = builder.word(word, variant, phones, left, right, &exits, open) {
                    ends.push(end);
                }
            }
            if ends.is_empty() {
                continue;
            }
            open = false;
            let pauses = builder.pauses(&ends, false);
            exits = ends;
            exits.extend(pauses);
        }
        let mut nodes = builder.nodes;
        for &exit in &exits {
            if let Some(node) = nodes.get_mut(exit as usize) {
                node.ends = true;
            }
        }
        let edges: Vec<(u32, usize)> = nodes
            .iter()
            .enumerate()
            .flat_map(|(index, node)| node.before.iter().map(move |&b| (b, index + 1)))
            .collect();
        for (from, reach) in edges {
            if let Some(node) = nodes.get_mut(from as usize) {
                node.reach = node.reach.max(reach);
            }
        }
        let first_reach = nodes.iter().rposition(|n| n.starts).map_or(0, |n| n + 1);
        Self { nodes, first_reach }
    }
}

impl Item {
    fn first_phone(&self) -> Option<u16> {
        self.variants.first()?.first().map(|p| p.0)
    }

    fn last_phone(&self) -> Option<u16> {
        self.variants.first()?.last().map(|p| p.0)
    }
}

impl Builder<'_> {
    fn push(
        &mut self,
        part: Part,
        phone: u16,
        states: PhoneStates,
        before: Vec<u32>,
        penalty: f32,
        starts: bool,
    ) -> u32 {
        let index = self.nodes.len();
        self.nodes.push(Node {
            part,
            phone,
            states,
            before,
            penalty,
            starts,
            ends: false,
            reach: index + 1,
        });
        index as u32
    }

    /// One pronunciation; gives its last node.
    fn word(
        &mut self,
        word: usize,
        variant: usize,
        phones: &Pronunciation,
        left: u16,
        right: u16,
        entries: &[u32],
        starts: bool,
    ) -> Option<u32> {
        let mut last = None;
        for (place, &(phone, position)) in phones.iter().enumerate() {
            let before = match place.checked_sub(1).and_then(|p| phones.get(p)) {
                Some(p) => p.0,
                None => left,
            };
            let after = phones.get(place + 1).map_or(right, |p| p.0);
            let states = self.definition.states(phone, before, after, position);
            let entries = last.map_or_else(|| entries.to_vec(), |l| vec![l]);
            let part = Part::Word {
                word,
                variant,
                place,
            };
            last = Some(self.push(part, phone, states, entries, 0.0, starts && place == 0));
        }
        last
    }

    /// Silence, a noise, or a noise between silences; gives the nodes that may end the pause.
    fn pauses(&mut self, entries: &[u32], starts: bool) -> Vec<u32> {
        let silence = self.definition.silence;
        let states = |phone| {
            self.definition
                .states(phone, silence, silence, Position::Only)
        };
        let quiet = states(silence);
        let noises: Vec<(u16, PhoneStates)> = self.noises.iter().map(|&n| (n, states(n))).collect();
        let first = self.push(
            Part::Pause,
            silence,
            quiet,
            entries.to_vec(),
            PAUSE_PENALTY,
            starts,
        );
        let mut ends = vec![first];
        let mut with_first = entries.to_vec();
        with_first.push(first);
        for (noise, states) in noises {
            ends.push(self.push(
                Part::Pause,
                noise,
                states,
                with_first.clone(),
                NOISE_PENALTY,
                starts,
            ));
        }
        let after_noise = ends.iter().copied().skip(1).collect();
        ends.push(self.push(
            Part::Pause,
            silence,
            quiet,
            after_noise,
            PAUSE_PENALTY,
            false,
        ));
        ends
    }
}
