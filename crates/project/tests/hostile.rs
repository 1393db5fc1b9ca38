//! The fuzzers' harness on mutated seeds: every reader of bytes from outside meets thousands of broken ones in each
//! gate. `cargo +nightly fuzz` looks deeper (fuzz/README.md); what it finds becomes a seed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

#[path = "../../../fuzz/harness.rs"]
mod harness;

use std::path::Path;

/// Numbers by Marsaglia's xorshift; the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

/// Values that readers trip over.
const EDGES: [&[u8]; 14] = [
    &[0],
    &[0xff],
    &[0x7f],
    &[0xff; 4],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0; 8],
    &[0xff; 8],
    b"-1",
    b"1e308",
    b"NaN",
    b"99999999999999999999",
    "\u{feff}".as_bytes(),
    "e\u{301}\u{200d}".as_bytes(),
    b"\n\n",
];

/// One to six changes: a flipped bit, an edge value, a cut, a repeated or a swapped piece.
fn mutated(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(bytes.len());
        let end = at + dice.roll((bytes.len() - at).min(40) + 1);
        match dice.roll(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.roll(8),
            1 => {
                let edge = EDGES[dice.roll(EDGES.len())];
                let end = (at + edge.len()).min(bytes.len());
                bytes.splice(at..end, edge.iter().copied());
            }
            2 => {
                let edge = EDGES[dice.roll(EDGES.len())];
                bytes.splice(at..at, edge.iter().copied());
            }
            3 => {
                bytes.drain(at..end);
            }
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 if !other.is_empty() => {
                let from = dice.roll(other.len());
                let to = from + dice.roll((other.len() - from).min(60) + 1);
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ if dice.roll(8) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

fn storm(name: &str, rounds: usize, reader: fn(&[u8])) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds")).join(name);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        reader(seed);
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let seed = &seeds[round % seeds.len()];
        let other = &seeds[dice.roll(seeds.len())];
        let bytes = mutated(seed, other, &mut dice);
        let survived = std::panic::catch_unwind(|| reader(&bytes));
        if survived.is_err() {
            let kept = std::env::temp_dir().join(format!("reword-{name}-{round}"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!(
                "round {round} of {name} failed; its bytes are in {}",
                kept.display()
            );
        }
    }
}

#[test]
fn transcripts() {
    storm("transcript", 40_000, harness::transcript);
}

#[test]
fn scripts() {
    storm("script", 15_000, harness::script);
}

#[test]
fn timelines() {
    storm("timeline", 30_000, harness::timeline);
}

#[test]
fn weight_files() {
    storm("weights", 8000, harness::weights);
}

#[test]
fn clips() {
    storm("clip", 2500, harness::clip);
}
