//! The exports, whole, for one clip of each counting: 25 fps and drop-frame.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use edit::cuts::CutConfig;
use edit::diff::diff;
use edit::edits::from_diff;
use edit::export::{ClipRef, Plan, edl, fcpxml, json, otio, table};
use edit::script::Script;
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditList, FrameClock, SoundClock, Timeline, Transcript, Word};
use units::{FrameRate, SampleRate, Seconds};

/// A clip of ten words, with one word removed, one replaced and two inserted.
fn with_plan(numerator: u32, denominator: u32, check: impl FnOnce(&Plan<'_>)) {
    let rate = FrameRate::new(numerator, denominator).unwrap();
    let clock = FrameClock::constant(rate, 250).unwrap();
    let said = "So we, um, meet on Tuesday & talk about it.".split(' ');
    let words = said.enumerate().map(|(index, text)| {
        let start = 0.4 + 0.8 * index as f64;
        Word::new(text, Seconds(start), Seconds(start + 0.6))
    });
    let transcript = Transcript::new(Some("en".to_owned()), words.collect()).unwrap();
    let script =
        Script::parse("So we meet on Wednesday <sharp> & talk about [pause 1.2] it.").unwrap();
    let requests = from_diff(&diff(&transcript, &script));
    let edits = EditList::build(
        &requests,
        &transcript,
        clock.end(),
        None,
        &CutConfig::default(),
    )
    .unwrap();
    let sound = SoundClock {
        rate: SampleRate::new(48_000).unwrap(),
        samples: SampleRate::new(48_000).unwrap().samples_in(clock.end()),
        start: Seconds::ZERO,
    };
    let speech: Vec<Seconds> = edits
        .insertions()
        .map(|(_, speech)| {
            if speech.is_silent() {
                speech.pauses()
            } else {
                Seconds(1.02)
            }
        })
        .collect();
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
    let clip = ClipRef {
        name: "my \"best\" clip.mp4".to_owned(),
        path: "/videos/my \"best\" clip.mp4".to_owned(),
        rate,
        width: 1280,
        height: 720,
        frames: 250,
        sound: Some(sound),
        channels: 2,
    };
    check(&Plan {
        clip: &clip,
        clock: &clock,
        transcript: &transcript,
        edits: &edits,
        timeline: &timeline,
        snapped: &[],
    });
}

#[test]
fn the_table_lists_every_edit() {
    with_plan(25, 1, |plan| {
        let rows: Vec<String> = table(plan)
            .into_iter()
            .map(|row| {
                format!(
                    "{:?} {:.3}-{:.3} -> {:.3}-{:.3} frames {}-{} [{}] says {:?} by {:?}",
                    row.kind,
                    row.source.start.0,
                    row.source.end.0,
                    row.output.start.0,
                    row.output.end.0,
                    row.frames.start.0,
                    row.frames.end.0,
                    row.words,
                    row.says,
                    row.origin,
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    });
}

#[test]
fn json_says_everything() {
    with_plan(25, 1, |plan| insta::assert_snapshot!(json(plan).unwrap()));
}

#[test]
fn otio_has_both_tracks() {
    with_plan(25, 1, |plan| insta::assert_snapshot!(otio(plan)));
}

#[test]
fn edl_counts_frames() {
    with_plan(25, 1, |plan| insta::assert_snapshot!(edl(plan)));
}

#[test]
fn edl_counts_in_drop_frame() {
    with_plan(30_000, 1001, |plan| insta::assert_snapshot!(edl(plan)));
}

#[test]
fn fcpxml_is_exact_in_drop_frame() {
    with_plan(30_000, 1001, |plan| {
        insta::assert_snapshot!(fcpxml(plan).unwrap());
    });
}

#[test]
fn record_times_of_an_edl_follow_each_other() {
    with_plan(25, 1, |plan| {
        let text = edl(plan);
        for track in ["V", "A"] {
            let mut at = "00:00:00:00".to_owned();
            for line in text
                .lines()
                .filter(|line| line.split_whitespace().nth(2) == Some(track))
            {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let (from, to) = (fields[fields.len() - 2], fields[fields.len() - 1]);
                assert_eq!(from, at, "{line}");
                to.clone_into(&mut at);
            }
            assert_ne!(at, "00:00:00:00");
        }
    });
}
