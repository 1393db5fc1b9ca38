//! Edits on whole latents of the recording: whatever is asked for, nothing of a latent is kept while another part goes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use edit::edits::NewSpeech;
use edit::latents::{Snapped, SnappedPart, padded, snapped};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{
    Edit, EditKind, EditList, FrameClock, PictureRun, SoundClock, SoundRun, Timeline,
    TimelineError, Transcript, Word,
};
use proptest::prelude::*;
use units::{FrameIndex, FrameRate, SampleRate, Seconds, TemporalStride};

const STRIDE: u64 = 8;

fn stride() -> TemporalStride {
    TemporalStride::new(8).unwrap()
}

fn edit(kind: EditKind, start: f64, end: f64) -> Edit {
    let speech = matches!(kind, EditKind::Insert | EditKind::Replace);
    Edit {
        kind,
        source: Seconds(start)..Seconds(end),
        words: 0..0,
        speech: speech.then(|| NewSpeech::say("new words")),
        lasts: None,
        origin: format!("edit at {start:.2}"),
    }
}

fn none() -> Transcript {
    Transcript::new(None, Vec::new()).unwrap()
}

/// Edits one after the other: gap before, length, kind, and how long is said what is new.
fn list(plan: &[(f64, f64, u8, f64)], duration: Seconds) -> Option<(EditList, Vec<Seconds>)> {
    let (mut now, mut edits, mut speech) = (0.0, Vec::new(), Vec::new());
    for (gap, length, kind, said) in plan {
        let start = now + gap;
        let kind = [EditKind::Remove, EditKind::Insert, EditKind::Replace][usize::from(*kind)];
        let end = if kind == EditKind::Insert {
            start
        } else {
            start + length
        };
        if end > duration.0 {
            break;
        }
        if kind != EditKind::Remove {
            speech.push(Seconds(*said));
        }
        edits.push(edit(kind, start, end));
        now = end;
    }
    let list = EditList::new(edits, &none(), duration).ok()?;
    Some((list, speech))
}

/// Whether a source frame begins a latent.
fn begins(frame: FrameIndex) -> bool {
    frame.0 == 0 || frame.0 % STRIDE == 1
}

type Plan = Vec<(f64, f64, u8, f64)>;

fn case() -> impl Strategy<Value = (FrameClock, SoundClock, Plan)> {
    let rates = vec![(24_000, 1001), (25, 1), (30_000, 1001), (50, 1), (60, 1)];
    let hertz = prop::sample::select(vec![8_000_u32, 22_050, 44_100, 48_000]);
    let jitter = prop_oneof![Just(0.0), 0.1_f64..0.6];
    let edits = (0.0_f64..1.5, 0.0_f64..1.2, 0_u8..3, 0.0_f64..2.0);
    let plan = prop::collection::vec(edits, 1..8);
    (
        prop::sample::select(rates),
        20_u64..400,
        hertz,
        jitter,
        plan,
    )
        .prop_map(|((numerator, denominator), frames, hertz, jitter, plan)| {
            let rate = FrameRate::new(numerator, denominator).unwrap();
            let nominal = rate.frame_duration().0;
            // Where the rate varies, frames are longer and shorter in turns.
            let mut now = 0.0;
            let starts = (0..frames).map(|frame| {
                let start = Seconds(now);
                let swing = if frame % 2 == 0 { jitter } else { -jitter };
                now += nominal * (1.0 + swing);
                start
            });
            let starts: Vec<Seconds> = starts.collect();
            let clock = FrameClock::new(starts, Seconds(now), rate).unwrap();
            let rate = SampleRate::new(hertz).unwrap();
            let sound = SoundClock {
                rate,
                samples: rate.nearest(clock.end()).0,
                start: Seconds::ZERO,
            };
            (clock, sound, plan)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_latent_of_the_recording_is_kept_whole_or_not_at_all((clock, sound, plan) in case()) {
        let Some((asked, speech)) = list(&plan, clock.end()) else { return Ok(()) };
        let Ok((cut, _)) = snapped(&asked, &clock, stride(), &none()) else { return Ok(()) };
        let (again, told) = snapped(&cut, &clock, stride(), &none()).unwrap();
        prop_assert!(told.is_empty() && again == cut, "{:?} {:?} {:?}", told, cut, again);
        let (edits, _) = padded(&cut, &speech, &clock, stride(), &none()).unwrap();
        let (again, told) = padded(&edits, &speech, &clock, stride(), &none()).unwrap();
        prop_assert!(told.is_empty() && again == edits, "{:?}", told);
        prop_assert_eq!(edits.insertions().count(), asked.insertions().count());

        let config = TimelineConfig::for_latents(stride());
        let input = TimelineInput::new(&edits, &clock, Some(sound), &speech, &config);
        let timeline = match Timeline::plan(&input) {
            Ok(timeline) => timeline,
            Err(TimelineError::NothingLeft { .. }) => return Ok(()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        let total = FrameIndex(clock.frames());
        let mut made = 0;
        let mut shows = Vec::new();
        for run in &timeline.pictures {
            match run {
                PictureRun::Source { source } => {
                    prop_assert!(begins(source.start), "{:?}", timeline.pictures);
                    prop_assert!(begins(source.end) || source.end == total, "{:?}", timeline.pictures);
                    prop_assert_eq!(made % STRIDE, 0, "{:?}", timeline.pictures);
                    made = 0;
                    shows.extend((source.start.0..source.end.0).map(Some));
                }
                other => {
                    made += other.len();
                    shows.extend((0..other.len()).map(|_| None));
                }
            }
        }
        // Mouths too: a latent that shows recorded frames has all of them made anew, or none.
        let speaks = |frame: u64| {
            timeline.lips.iter().any(|lips| lips.start.0 <= frame && frame < lips.end.0)
        };
        for (frame, pair) in (1_u64..).zip(shows.windows(2)) {
            if let [Some(a), Some(b)] = pair
                && *b == a + 1
                && !begins(FrameIndex(*b))
            {
                prop_assert_eq!(speaks(frame - 1), speaks(frame), "frames {} and {}", a, b);
            }
        }
        // Nothing that is said is lost.
        for (insertion, said) in speech.iter().enumerate() {
            let samples: u64 = timeline
                .sound
                .iter()
                .filter(|run| matches!(run, SoundRun::Speech { insertion: own, .. } if *own == insertion))
                .map(SoundRun::len)
                .sum();
            prop_assert!(samples.abs_diff(sound.rate.samples_in(*said)) <= 1, "{} of {:?}", samples, said);
        }
        prop_assert_eq!(timeline.samples(), sound.rate.nearest(timeline.clock.end()).0);
    }

    #[test]
    fn a_single_cut_moves_by_half_a_latent_at_most(
        frames in 40_u64..400, from in 0.0_f64..1.0, length in 0.0_f64..1.0,
    ) {
        let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), frames).unwrap();
        let end = clock.end().0;
        let start = from * end;
        let stop = (start + length * (end - start)).min(end);
        let Ok(list) = EditList::new(vec![edit(EditKind::Remove, start, stop)], &none(), clock.end()) else {
            return Ok(());
        };
        let Ok((cut, told)) = snapped(&list, &clock, stride(), &none()) else { return Ok(()) };
        let Some(removed) = cut.edits().iter().find(|edit| edit.kind == EditKind::Remove) else {
            return Err(TestCaseError::fail("the removal is gone"));
        };
        let count = (removed.source.end - removed.source.start).0 * 25.0;
        // More only to remove anything at all.
        let most = if count < 8.0 + 1e-6 { 8.5 } else { 4.5 };
        for moved in told {
            prop_assert!((moved.to - moved.from).abs().0 * 25.0 <= most + 1e-6, "{:?}", moved);
        }
    }
}

#[test]
fn what_was_moved_is_told_with_the_word_that_it_hits() {
    let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 250).unwrap();
    let words = [("so", 0.9, 1.3), ("um", 1.5, 1.8), ("yes", 1.85, 2.4)];
    let words = words.map(|(text, start, end)| Word::new(text, Seconds(start), Seconds(end)));
    let transcript = Transcript::new(None, words.to_vec()).unwrap();
    let edits = vec![
        edit(EditKind::Remove, 1.4, 1.9),
        edit(EditKind::Insert, 5.0, 5.0),
    ];
    let list = EditList::new(edits, &transcript, clock.end()).unwrap();
    let (cut, told) = snapped(&list, &clock, stride(), &transcript).unwrap();
    // Frames 33 and 49, 1.32 s and 1.96 s; the insertion goes to frame 121 or 129.
    let text: Vec<String> = told.iter().map(Snapped::to_string).collect();
    assert_eq!(
        text,
        [
            "edit at 1.40: begins at 1.32 s, not 1.40 s, to be whole latents",
            "edit at 1.40: ends at 1.96 s, not 1.90 s, to be whole latents; that is within “yes”",
            "edit at 5.00: begins at 4.84 s, not 5.00 s, to be whole latents",
        ]
    );
    let (_, told) = padded(&cut, &[Seconds(0.7)], &clock, stride(), &transcript).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].part, SnappedPart::Length);
    assert!((told[0].to.0 - 0.96).abs() < 1e-9, "{told:?}");
}

#[test]
fn what_is_replaced_at_an_end_that_is_no_whole_latent_stays_there() {
    let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 52).unwrap();
    let list = EditList::new(
        vec![edit(EditKind::Replace, 2.04, 2.08)],
        &none(),
        clock.end(),
    );
    let (cut, _) = snapped(&list.unwrap(), &clock, stride(), &none()).unwrap();
    // Frame 49 begins the last latent, which has three frames.
    let replaced = cut.edits().last().unwrap();
    assert!((replaced.source.start.0 - 1.96).abs() < 1e-9, "{cut:?}");
    let (again, told) = snapped(&cut, &clock, stride(), &none()).unwrap();
    assert!(told.is_empty() && again == cut, "{told:?}");
}
