//! What changed between the spoken words and the script.
//!
//! Compared are the words' parts ([`crate::text::parts`]), so that another segmentation or
//! spelling of the same speech is no change. A run is kept only between places that are word
//! boundaries on both sides; everything else is replaced by whole words of the script.

use crate::Transcript;
use crate::script::{Piece, Script};
use crate::text::parts;
use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::HashMap;
use std::ops::Range;
use units::Seconds;

/// What happens to a run of words. `words` counts the transcript's words, `script` the script's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum WordOp {
    /// Spoken as recorded.
    Keep {
        /// Recorded words.
        words: Range<usize>,
        /// The same words in the script.
        script: Range<usize>,
    },
    /// Not in the script.
    Remove {
        /// Recorded words.
        words: Range<usize>,
    },
    /// New words before the recorded word `at` (the word count for the end).
    Insert {
        /// The recorded word that follows.
        at: usize,
        /// New words.
        script: Range<usize>,
        /// What they say.
        pieces: Vec<Piece>,
    },
    /// New words in place of recorded ones; without script words, a pause in their place.
    Replace {
        /// Recorded words.
        words: Range<usize>,
        /// New words.
        script: Range<usize>,
        /// What they say.
        pieces: Vec<Piece>,
    },
    /// A pause of this length between two recorded words that both stay.
    Pause {
        /// The recorded word that follows (the word count for the end).
        at: usize,
        /// Its length.
        seconds: Seconds,
    },
}

/// What a comparison amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Script and transcript say the same.
    Same,
    /// Some words differ.
    Edited,
    /// So little is common that script and transcript don't belong together.
    Unrelated,
}

/// When a script counts as unrelated to a transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffConfig {
    /// Only matches in runs of at least this many parts count: common little words match anywhere.
    pub run: usize,
    /// Unrelated below this share of the shorter text's parts.
    pub unrelated_below: f64,
    /// Texts with fewer parts than this are unrelated only when nothing matches.
    pub short: usize,
}

impl Default for DiffConfig {
    fn default() -> Self {
        Self {
            run: 2,
            unrelated_below: 0.15,
            short: 10,
        }
    }
}

/// The difference between a transcript and a script.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScriptDiff {
    /// The operations in the order of the script; they cover both texts.
    pub ops: Vec<WordOp>,
    /// Twice the common parts over the sum of both texts' parts: 1 for equal texts.
    pub similarity: f64,
    /// Whether it makes sense to edit by it.
    pub verdict: Verdict,
}

/// Compares a transcript with a script.
pub fn diff(transcript: &Transcript, script: &Script) -> ScriptDiff {
    diff_with(transcript, script, &DiffConfig::default())
}

/// Compares a transcript with a script, by given thresholds.
pub fn diff_with(transcript: &Transcript, script: &Script, config: &DiffConfig) -> ScriptDiff {
    let mut names = HashMap::new();
    let old = Side::new(
        transcript.words().iter().map(|word| word.text.as_str()),
        &mut names,
    );
    let new = Side::new(
        script.words().iter().map(|word| word.text.as_str()),
        &mut names,
    );
    let matches: Vec<(usize, usize, usize)> =
        capture_diff_slices(Algorithm::Myers, &old.parts, &new.parts)
            .into_iter()
            .filter_map(|op| match op {
                DiffOp::Equal {
                    old_index,
                    new_index,
                    len,
                } => Some((old_index, new_index, len)),
                _ => None,
            })
            .collect();
    let runs = align(&old, &new, &matches);

    let kept: usize = runs
        .iter()
        .filter(|run| run.kept)
        .map(|run| run.old.len())
        .sum();
    let total = old.parts.len() + new.parts.len();
    let similarity = if total == 0 {
        1.0
    } else {
        2.0 * kept as f64 / total as f64
    };
    let shorter = old.parts.len().min(new.parts.len());
    let solid: usize = runs
        .iter()
        .filter(|run| run.kept && run.old.len() >= config.run)
        .map(|run| run.old.len())
        .sum();
    let unrelated = if shorter < config.short {
        kept == 0
    } else {
        (solid as f64) < config.unrelated_below * shorter as f64
    };

    let ops = operations(&runs, &old, &new, script);
    let verdict = if ops.iter().all(|op| matches!(op, WordOp::Keep { .. })) {
        Verdict::Same
    } else if unrelated {
        Verdict::Unrelated
    } else {
        Verdict::Edited
    };
    ScriptDiff {
        ops,
        similarity,
        verdict,
    }
}

/// A text as numbered parts, with the part at which every word begins.
struct Side {
    parts: Vec<u32>,
    /// One entry a word, and one for the end.
    starts: Vec<usize>,
}

impl Side {
    fn new<'a>(words: impl Iterator<Item = &'a str>, names: &mut HashMap<String, u32>) -> Self {
        let mut side = Self {
            parts: Vec::new(),
            starts: Vec::new(),
        };
        for word in words {
            side.starts.push(side.parts.len());
            for part in parts(word) {
                let number = names.len() as u32;
                side.parts.push(*names.entry(part).or_insert(number));
            }
        }
        side.starts.push(side.parts.len());
        side
    }

    fn is_boundary(&self, part: usize) -> bool {
        self.starts.binary_search(&part).is_ok()
    }

    /// The words that begin in a run of parts. Words without parts go with what follows them.
    fn words(&self, parts: &Range<usize>) -> Range<usize> {
        let count = self.starts.len() - 1;
        let index = |part: usize| {
            self.starts
                .partition_point(|&start| start < part)
                .min(count)
        };
        if self.parts.is_empty() {
            0..count
        } else if parts.start == self.parts.len() {
            count..count
        } else if parts.end == self.parts.len() {
            index(parts.start)..count
        } else {
            index(parts.start)..index(parts.end)
        }
    }
}

/// Runs of parts between common word boundaries.
struct Run {
    old: Range<usize>,
    new: Range<usize>,
    kept: bool,
}

fn align(old: &Side, new: &Side, matches: &[(usize, usize, usize)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut i, mut j) = (0, 0);
    let mut clean = true;
    let mut sync = (0, 0);
    let mut stop = |i: usize, j: usize, clean: &mut bool| {
        if !old.is_boundary(i) || !new.is_boundary(j) {
            return;
        }
        if (i, j) != sync {
            match runs.last_mut() {
                Some(last) if last.kept == *clean => {
                    last.old.end = i;
                    last.new.end = j;
                }
                _ => runs.push(Run {
                    old: sync.0..i,
                    new: sync.1..j,
                    kept: *clean,
                }),
            }
        }
        sync = (i, j);
        *clean = true;
    };
    let end = (old.parts.len(), new.parts.len(), 0);
    for &(old_index, new_index, length) in matches.iter().chain(std::iter::once(&end)) {
        if (old_index, new_index) != (i, j) {
            clean = false;
            (i, j) = (old_index, new_index);
            stop(i, j, &mut clean);
        }
        for _ in 0..length {
            i += 1;
            j += 1;
            stop(i, j, &mut clean);
        }
    }
    runs
}

fn operations(runs: &[Run], old: &Side, new: &Side, script: &Script) -> Vec<WordOp> {
    let mut ops: Vec<WordOp> = Vec::new();
    // Pauses that stand at the edge of a kept run, waiting to see what comes after them.
    let pause_at = |word: usize| -> Vec<Piece> {
        let first = script.pauses().partition_point(|&(at, _)| at < word);
        let here = script.pauses().iter().skip(first);
        here.take_while(|&&(at, _)| at == word)
            .map(|&(_, seconds)| Piece::Pause(seconds))
            .collect()
    };
    for (index, run) in runs.iter().enumerate() {
        let words = old.words(&run.old);
        let said = new.words(&run.new);
        if !run.kept {
            let pieces = script.pieces(said.clone(), true);
            ops.push(match (words.is_empty(), pieces.is_empty()) {
                (true, _) => WordOp::Insert {
                    at: words.start,
                    script: said,
                    pieces,
                },
                (false, true) => WordOp::Remove { words },
                (false, false) => WordOp::Replace {
                    words,
                    script: said,
                    pieces,
                },
            });
            continue;
        }
        keep(
            &mut ops,
            words,
            said,
            old,
            new,
            script,
            &pause_at,
            (index == 0, index + 1 == runs.len()),
        );
    }
    if runs.is_empty() && old.starts.len() > 1 {
        // Nothing spoken on either side: all that is there stays.
        ops.push(WordOp::Keep {
            words: 0..old.starts.len() - 1,
            script: 0..new.starts.len() - 1,
        });
    }
    ops
}

/// A kept run, split where the script asks for a pause.
fn keep(
    ops: &mut Vec<WordOp>,
    words: Range<usize>,
    said: Range<usize>,
    old: &Side,
    new: &Side,
    script: &Script,
    pause_at: &impl Fn(usize) -> Vec<Piece>,
    (first, last): (bool, bool),
) {
    let length = |pieces: &[Piece]| {
        let seconds = pieces.iter().map(|piece| match piece {
            Piece::Pause(seconds) => seconds.0,
            Piece::Say { .. } => 0.0,
        });
        Seconds(seconds.sum())
    };
    if first && let pieces @ [_, ..] = pause_at(said.start).as_slice() {
        ops.push(WordOp::Pause {
            at: words.start,
            seconds: length(pieces),
        });
    }
    let (mut word, mut from) = (words.start, said.start);
    let offset = |script_word: usize| new.starts.get(script_word).copied().unwrap_or_default();
    let (base_old, base_new) = (
        old.starts.get(words.start).copied().unwrap_or_default(),
        offset(said.start),
    );
    let begin = script.pauses().partition_point(|&(at, _)| at <= said.start);
    let mut before = None;
    for &(at, _) in script.pauses().iter().skip(begin) {
        if at >= said.end {
            break;
        }
        if before == Some(at) {
            continue;
        }
        before = Some(at);
        let part = base_old + (offset(at) - base_new);
        // A pause inside a recorded word can't be made without cutting it.
        if !old.is_boundary(part) {
            continue;
        }
        let next = old.words(&(part..part)).start;
        ops.push(WordOp::Keep {
            words: word..next,
            script: from..at,
        });
        ops.push(WordOp::Pause {
            at: next,
            seconds: length(&pause_at(at)),
        });
        (word, from) = (next, at);
    }
    ops.push(WordOp::Keep {
        words: word..words.end,
        script: from..said.end,
    });
    if last && let pieces @ [_, ..] = pause_at(said.end).as_slice() {
        ops.push(WordOp::Pause {
            at: words.end,
            seconds: length(pieces),
        });
    }
}
