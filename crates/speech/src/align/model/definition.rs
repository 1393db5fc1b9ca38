//! The model definition: which states a phone has in which context.

use super::STATES;
use super::bytes::{Bytes, ModelError};
use std::path::Path;

/// Where in its word a phone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Inside = 0,
    First = 1,
    Last = 2,
    Only = 3,
}

/// Phones, and the tree from phones in context to their states.
pub(crate) struct Definition {
    pub(crate) phone_names: Vec<String>,
    pub(crate) silence: u16,
    pub(crate) senones: usize,
    pub(crate) context_free_senones: usize,
    pub(crate) matrices: usize,
    /// Context, number of children (0: a leaf), first child or phone.
    tree: Vec<(u16, u16, u32)>,
    /// State sequence and transition matrix of each phone in context.
    phones: Vec<(u32, u32)>,
    fillers: Vec<bool>,
    sequences: Vec<[u16; STATES]>,
    codebooks: Vec<u16>,
}

/// The states of a phone in its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PhoneStates {
    pub(crate) senones: [u16; STATES],
    pub(crate) matrix: u16,
}

impl Definition {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let data = ModelError::read_file(path)?;
        let mut bytes = Bytes::new(path, &data);
        if bytes.take(4)? != b"BMDF" {
            return Err(ModelError::unfit(path, "not a binary model definition"));
        }
        bytes.int()?;
        let description = bytes.int()? as usize;
        bytes.take(description)?;
        let mut header = [0_usize; 10];
        for slot in &mut header {
            *slot = bytes.int()? as usize;
        }
        let [
            ci,
            phones,
            states,
            ci_senones,
            senones,
            matrices,
            sequences,
            contexts,
            nodes,
            silence,
        ] = header;
        let limit = 4_000_000;
        if states != STATES || contexts != 3 || phones.max(nodes).max(sequences) > limit || ci > 255
        {
            return Err(ModelError::unfit(path, "not triphones of three states"));
        }
        let mut phone_names = Vec::with_capacity(ci);
        for _ in 0..ci {
            phone_names.push(bytes.text()?);
        }
        bytes.align()?;
        let mut tree = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            tree.push((bytes.short()?, bytes.short()?, bytes.int()?));
        }
        let mut entries = Vec::with_capacity(phones);
        let mut fillers = Vec::with_capacity(ci);
        let mut bases = Vec::with_capacity(phones);
        for index in 0..phones {
            entries.push((bytes.int()?, bytes.int()?));
            let attributes = bytes.take(4)?;
            let flag = attributes.first().copied().unwrap_or(0);
            if index < ci {
                fillers.push(flag != 0);
                bases.push(index as u16);
            } else {
                bases.push(attributes.get(1).copied().unwrap_or(0).into());
            }
        }
        let total = bytes.int()? as usize;
        if total != sequences * STATES {
            return Err(ModelError::unfit(path, "state sequences of mixed lengths"));
        }
        let mut states = Vec::with_capacity(sequences);
        for _ in 0..sequences {
            states.push([bytes.short()?, bytes.short()?, bytes.short()?]);
        }
        let mut codebooks = vec![0; senones];
        for ((sequence, _), base) in entries.iter().zip(&bases) {
            for senone in states.get(*sequence as usize).into_iter().flatten() {
                if let Some(slot) = codebooks.get_mut(usize::from(*senone)) {
                    *slot = *base;
                }
            }
        }
        let beyond = states.iter().flatten().any(|s| usize::from(*s) >= senones);
        if beyond
            || silence >= ci
            || ci_senones > senones
            || bases.iter().any(|b| usize::from(*b) >= ci)
        {
            return Err(ModelError::unfit(
                path,
                "references to states it does not have",
            ));
        }
        Ok(Self {
            phone_names,
            silence: silence as u16,
            senones,
            context_free_senones: ci_senones,
            matrices,
            tree,
            phones: entries,
            fillers,
            sequences: states,
            codebooks,
        })
    }

    /// The number of a phone by name.
    pub(crate) fn phone(&self, name: &str) -> Option<u16> {
        self.phone_names
            .iter()
            .position(|n| n == name)
            .map(|n| n as u16)
    }

    /// The codebook (one per phone) of a state's distribution.
    pub(super) fn codebook_of(&self, senone: u16) -> usize {
        self.codebooks
            .get(usize::from(senone))
            .copied()
            .unwrap_or(0)
            .into()
    }

    /// The states of a phone between two others; where the model lacks that triphone, those of a near one.
    pub(crate) fn states(
        &self,
        phone: u16,
        left: u16,
        right: u16,
        position: Position,
    ) -> PhoneStates {
        let filler = |p: u16| self.fillers.get(usize::from(p)).copied().unwrap_or(false);
        let plain = |p: u16| if filler(p) { self.silence } else { p };
        let (left, right) = (plain(left), plain(right));
        let mut found = None;
        if !filler(phone) {
            let positions = [
                position,
                Position::Inside,
                Position::First,
                Position::Last,
                Position::Only,
            ];
            let sides = [
                (left, right),
                (left, self.silence),
                (self.silence, right),
                (self.silence, self.silence),
            ];
            found = sides.iter().find_map(|&(l, r)| {
                positions
                    .iter()
                    .find_map(|&place| self.triphone(phone, l, r, place))
            });
        }
        let index = found.unwrap_or(u32::from(phone));
        let (sequence, matrix) = self.phones.get(index as usize).copied().unwrap_or((0, 0));
        PhoneStates {
            senones: self
                .sequences
                .get(sequence as usize)
                .copied()
                .unwrap_or([0; STATES]),
            matrix: matrix as u16,
        }
    }

    /// The number of a triphone: down the tree by position, phone, left, right.
    fn triphone(&self, phone: u16, left: u16, right: u16, position: Position) -> Option<u32> {
        let mut first = 0_usize;
        let mut count = 4_usize;
        for key in [position as u16, phone, left, right] {
            let &(_, below, target) = self
                .tree
                .get(first..first.checked_add(count)?)?
                .iter()
                .find(|(context, _, _)| *context == key)?;
            if below == 0 {
                return Some(target);
            }
            first = target as usize;
            count = usize::from(below);
        }
        None
    }
}
