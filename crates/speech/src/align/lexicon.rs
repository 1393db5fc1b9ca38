//! Pronunciations: the model's dictionary, then espeak-ng's phonemes, then plain letter rules.

mod arpabet;
mod letters;

use super::AlignError;
use super::graph::Pronunciation;
use super::model::{Definition, Position};
use crate::voice::{VoiceError, espeak};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Most variants of one written word that are tried.
const MOST_VARIANTS: usize = 12;

/// Pronunciations of the words of one text.
pub(crate) struct Lexicon {
    /// Phone numbers of each way to say a word.
    words: BTreeMap<String, Vec<Vec<u16>>>,
    /// Words that the dictionary lacks.
    pub(crate) guessed: Vec<String>,
}

impl Lexicon {
    /// Looks up words (lower case) in a dictionary in the format of `cmudict`; the rest is asked of espeak-ng where it
    /// is installed and otherwise read by letter rules.
    pub(crate) fn new(
        words: &BTreeSet<String>,
        dictionary: &Path,
        definition: &Definition,
    ) -> Result<Self, AlignError> {
        let bytes = std::fs::read(dictionary).map_err(|source| AlignError::Dictionary {
            path: dictionary.to_owned(),
            source,
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let mut found: BTreeMap<String, Vec<Vec<u16>>> = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            let Some(entry) = fields.next() else {
                continue;
            };
            let word = entry.split_once('(').map_or(entry, |(word, _)| word);
            if !words.contains(word) {
                continue;
            }
            let phones: Option<Vec<u16>> = fields.map(|name| definition.phone(name)).collect();
            if let Some(phones) = phones.filter(|p| !p.is_empty()) {
                found.entry(word.to_owned()).or_default().push(phones);
            }
        }
        let missing: Vec<String> = words
            .iter()
            .filter(|word| !found.contains_key(*word))
            .cloned()
            .collect();
        let phonemes = if missing.is_empty() {
            Vec::new()
        } else {
            espeak::phonemes(&missing, "en-us").unwrap_or_default()
        };
        for (index, word) in missing.iter().enumerate() {
            let from_espeak = phonemes
                .get(index)
                .map(|p| arpabet::from_espeak(p))
                .unwrap_or_default();
            let from_letters = letters::read(word);
            let ways = found.entry(word.clone()).or_default();
            for names in [from_espeak, from_letters] {
                let phones: Vec<u16> = names.iter().filter_map(|n| definition.phone(n)).collect();
                if !phones.is_empty() && ways.is_empty() {
                    ways.push(phones);
                }
            }
            if ways.is_empty() {
                // Nothing is known of it: any voiced sound will do.
                ways.push(definition.phone("AH").into_iter().collect());
            }
        }
        Ok(Self {
            words: found,
            guessed: missing,
        })
    }

    /// Pronunciations of words of another language: espeak-ng's phonemes for it, each as the English phone that comes
    /// nearest.
    pub(crate) fn foreign(
        words: &BTreeSet<String>,
        language: &str,
        definition: &Definition,
    ) -> Result<Self, VoiceError> {
        let asked: Vec<String> = words.iter().cloned().collect();
        let phonemes = espeak::phonemes(&asked, language)?;
        let any = || vec![definition.phone("AH").into_iter().collect::<Vec<u16>>()];
        let found = asked
            .into_iter()
            .enumerate()
            .map(|(index, word)| {
                let names = phonemes.get(index).map(|p| arpabet::nearest(p));
                let phones: Vec<u16> = names
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|name| definition.phone(name))
                    .collect();
                let ways = if phones.is_empty() {
                    any()
                } else {
                    vec![phones]
                };
                (word, ways)
            })
            .collect();
        Ok(Self {
            words: found,
            guessed: Vec::new(),
        })
    }

    /// All ways to say a token whose readings are lists of words.
    pub(crate) fn variants(&self, readings: &[Vec<String>]) -> Vec<Pronunciation> {
        let mut variants: Vec<Pronunciation> = Vec::new();
        for reading in readings {
            let mut ways: Vec<Pronunciation> = vec![Vec::new()];
            for word in reading {
                let choices = self.words.get(word).map_or(&[][..], Vec::as_slice);
                if choices.is_empty() {
                    continue;
                }
                ways = ways
                    .iter()
                    .flat_map(|way| {
                        choices.iter().map(move |phones| {
                            let mut way = way.clone();
                            way.extend(placed(phones));
                            way
                        })
                    })
                    .take(MOST_VARIANTS)
                    .collect();
            }
            for way in ways {
                if !way.is_empty() && !variants.contains(&way) && variants.len() < MOST_VARIANTS {
                    variants.push(way);
                }
            }
        }
        variants
    }
}

/// Phones with their places in the word.
fn placed(phones: &[u16]) -> impl Iterator<Item = (u16, Position)> {
    let last = phones.len().saturating_sub(1);
    phones.iter().enumerate().map(move |(n, &phone)| {
        let position = match (n == 0, n == last) {
            (true, true) => Position::Only,
            (true, false) => Position::First,
            (false, true) => Position::Last,
            (false, false) => Position::Inside,
        };
        (phone, position)
    })
}
