//! A transcript of three hours with 500 edits. Prints how long each stage takes; asserts nothing
//! about it, since machines differ. `cargo test --release -p edit --test scale -- --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests too"
)]

use edit::cuts::{CutConfig, Energy};
use edit::diff::{Verdict, diff};
use edit::edits::from_diff;
use edit::script::Script;
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditList, FrameClock, SoundClock, Timeline, Transcript, Word};
use std::fmt::Write as _;
use std::time::Instant;
use units::{FrameRate, SampleRate, Seconds};

const WORDS: usize = 30_000;
const EDITS: usize = 500;

#[test]
fn three_hours_with_500_edits() {
    let vocabulary = [
        "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "the",
        "of", "and", "to",
    ];
    // A small linear congruence gives the words: no two stretches alike, the same every time.
    let mut state = 12_345_u64;
    let mut pick = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut words = Vec::with_capacity(WORDS);
    let mut script = String::new();
    for index in 0..WORDS {
        let start = Seconds(index as f64 * 0.36);
        let text = format!("{}{}", vocabulary[pick() % vocabulary.len()], pick() % 40);
        if index % (WORDS / EDITS) == 7 {
            match pick() % 3 {
                0 => {}
                1 => script.push_str("replacement "),
                _ => write!(script, "inserted {text} ").unwrap(),
            }
        } else {
            write!(script, "{text} ").unwrap();
        }
        words.push(Word::new(text, start, start + Seconds(0.3)));
    }
    let transcript = Transcript::new(Some("en".to_owned()), words).unwrap();
    let frames = 30 * 60 * 180;
    let clock = FrameClock::constant(FrameRate::new(30, 1).unwrap(), frames).unwrap();
    let rate = SampleRate::new(48_000).unwrap();
    let sound = SoundClock {
        rate,
        samples: 48_000 * 60 * 180,
        start: Seconds::ZERO,
    };
    let energy = Energy {
        hop: Seconds(0.01),
        values: (0..1_080_000)
            .map(|index| (index % 37) as f32 / 37.0)
            .collect(),
    };

    let mut last = Instant::now();
    let mut stages = Vec::new();
    let mut stage = |name: &str| {
        stages.push(format!("{name} {:.1?}", last.elapsed()));
        last = Instant::now();
    };
    let start = Instant::now();
    let script = Script::parse(&script).unwrap();
    stage("script");
    let difference = diff(&transcript, &script);
    stage("diff");
    let requests = from_diff(&difference);
    let edits = EditList::build(
        &requests,
        &transcript,
        clock.end(),
        Some(&energy),
        &CutConfig::default(),
    )
    .unwrap();
    stage("edit list");
    let speech: Vec<Seconds> = edits.insertions().map(|_| Seconds(0.7)).collect();
    let config = TimelineConfig::default();
    let timeline = Timeline::plan(&TimelineInput {
        edits: &edits,
        clock: &clock,
        sound: Some(sound),
        speech: &speech,
        protect: &[],
        shots: &[],
        pose: None,
        config: &config,
    })
    .unwrap();
    stage("timeline");
    let all = start.elapsed();
    println!(
        "{WORDS} words, {} edits: {}; {all:.1?} in all",
        requests.len(),
        stages.join(", ")
    );

    assert_eq!(difference.verdict, Verdict::Edited);
    assert_eq!(requests.len(), EDITS);
    assert!(timeline.lips.len() > EDITS / 2);
}

#[test]
fn long_texts_that_have_nothing_in_common_are_bounded_work() {
    let words = (0..WORDS).map(|index| {
        let start = Seconds(index as f64 * 0.36);
        Word::new(
            format!("old{}", index * 7919 % 6000),
            start,
            start + Seconds(0.3),
        )
    });
    let transcript = Transcript::new(None, words.collect()).unwrap();
    let other: Vec<String> = (0..WORDS)
        .map(|index| format!("new{}", index * 7907 % 6000))
        .collect();
    let shuffled: Vec<String> = (0..WORDS)
        .map(|index| format!("old{}", index * 104_729 % 6000))
        .collect();
    for (name, script) in [("other", other), ("shuffled", shuffled)] {
        let script = Script::parse(&script.join(" ")).unwrap();
        let start = Instant::now();
        let difference = diff(&transcript, &script);
        println!("{WORDS} words, {name}: diff {:.1?}", start.elapsed());
        assert_eq!(
            difference.verdict,
            Verdict::Unrelated,
            "{name}: {}",
            difference.similarity
        );
    }
}
