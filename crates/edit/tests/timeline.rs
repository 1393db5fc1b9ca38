//! What must hold for every timeline, on clips of every rate with edits of every kind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use edit::bed::Shown;
use edit::cuts::CutConfig;
use edit::edits::{NewSpeech, Request, Wish};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{
    EditKind, EditList, FrameClock, PictureRun, SoundClock, SoundRun, Timeline, Transcript, Word,
};
use proptest::prelude::*;
use std::ops::Range;
use units::{FrameIndex, FrameRate, SampleIndex, SampleRate, Seconds};

#[derive(Clone, Debug)]
struct Case {
    clock: FrameClock,
    sound: SoundClock,
    transcript: Transcript,
    requests: Vec<Request>,
    speech: Vec<Seconds>,
}

fn rate() -> impl Strategy<Value = FrameRate> {
    prop::sample::select(vec![
        (22, 1),
        (24_000, 1001),
        (24, 1),
        (25, 1),
        (30_000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60_000, 1001),
        (60, 1),
    ])
    .prop_map(|(numerator, denominator)| FrameRate::new(numerator, denominator).unwrap())
}

fn clock() -> impl Strategy<Value = FrameClock> {
    let constant = (rate(), 40_u64..400)
        .prop_map(|(rate, frames)| FrameClock::constant(rate, frames).unwrap());
    let variable = (
        rate(),
        prop::collection::vec(0.3_f64..2.5, 40..300),
        0.0_f64..0.06,
    )
        .prop_map(|(rate, durations, offset)| {
            let mut now = offset;
            let starts = durations
                .iter()
                .map(|duration| {
                    let start = Seconds(now);
                    now += duration * rate.frame_duration().0;
                    start
                })
                .collect();
            FrameClock::new(starts, Seconds(now), rate).unwrap()
        });
    prop_oneof![constant, variable]
}

/// Gap before, length, and what happens: nothing, removal, replacement, insertion before, pause.
type Plan = Vec<(f64, f64, u8, f64)>;

fn case() -> impl Strategy<Value = Case> {
    let hertz = prop::sample::select(vec![
        8_000_u32, 11_025, 16_000, 22_050, 44_100, 47_999, 48_000,
    ]);
    let plan = prop::collection::vec((0.0_f64..0.5, 0.05_f64..0.6, 0_u8..8, 0.0_f64..2.0), 1..12);
    (clock(), hertz, plan, -0.03_f64..0.03, -0.03_f64..0.05).prop_map(
        |(clock, hertz, plan, sound_start, sound_more)| {
            let rate = SampleRate::new(hertz).unwrap();
            let end = clock.end() + Seconds(sound_more);
            let samples = rate.samples_in(end - Seconds(sound_start));
            let sound = SoundClock {
                rate,
                samples,
                start: Seconds(sound_start),
            };
            build(clock, sound, &plan)
        },
    )
}

fn build(clock: FrameClock, sound: SoundClock, plan: &Plan) -> Case {
    let mut words = Vec::new();
    let mut requests: Vec<Request> = Vec::new();
    let mut now = 0.0;
    for &(gap, length, what, lasts) in plan {
        let start = now + gap;
        let end = start + length;
        if end >= clock.end().0 {
            break;
        }
        now = end;
        let index = words.len();
        words.push(Word::new("word", Seconds(start), Seconds(end)));
        let wish = match what {
            1 | 2 => Wish::Remove(index..index + 1),
            3 | 4 => Wish::Replace(index..index + 1, NewSpeech::say("new")),
            5 => Wish::Insert(index, NewSpeech::say("more")),
            6 => Wish::Pause(index, Seconds(lasts)),
            _ => continue,
        };
        requests.push(Request::new(format!("edit {index}"), wish));
    }
    let speech = plan
        .iter()
        .map(|&(_, _, _, lasts)| Seconds(lasts))
        .collect();
    let transcript = Transcript::new(Some("en".to_owned()), words).unwrap();
    Case {
        clock,
        sound,
        transcript,
        requests,
        speech,
    }
}

fn planned(case: &Case) -> Option<(EditList, Vec<Seconds>, Timeline)> {
    planned_in(case, &[])
}

/// With scene cuts at the given frames.
fn planned_in(case: &Case, shots: &[FrameIndex]) -> Option<(EditList, Vec<Seconds>, Timeline)> {
    let list = EditList::build(
        &case.requests,
        &case.transcript,
        case.clock.end(),
        None,
        &CutConfig::default(),
    );
    let list = match list {
        Ok(list) => list,
        // A pause beside words that are edited.
        Err(edit::EditError::NothingLeft | edit::EditError::Overlap { .. }) => return None,
        Err(other) => panic!("{other}"),
    };
    let speech: Vec<Seconds> = list
        .insertions()
        .zip(&case.speech)
        .map(|((_, speech), &lasts)| {
            if speech.is_silent() {
                speech.pauses()
            } else {
                lasts
            }
        })
        .collect();
    let config = TimelineConfig::default();
    let input = TimelineInput {
        edits: &list,
        clock: &case.clock,
        sound: Some(case.sound),
        speech: &speech,
        protect: &[],
        shots,
        pose: None,
        config: &config,
    };
    match Timeline::plan(&input) {
        Ok(timeline) => Some((list, speech, timeline)),
        Err(edit::TimelineError::NothingLeft { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

/// The length that edits and speech add up to.
fn planned_length(list: &EditList, speech: &[Seconds]) -> f64 {
    let mut speech = speech.iter();
    list.edits()
        .iter()
        .map(|edit| match (&edit.kind, &edit.speech) {
            (EditKind::Remove, _) => 0.0,
            (_, Some(new)) => new.lead.0 + new.tail.0 + speech.next().unwrap().0,
            (_, None) => edit.source.end.0 - edit.source.start.0,
        })
        .sum()
}

/// The longest frame of a clock.
fn longest(clock: &FrameClock) -> f64 {
    (0..clock.frames())
        .map(|frame| clock.duration_of(FrameIndex(frame)).0)
        .fold(0.0, f64::max)
}

fn all_shown(run: &PictureRun) -> Vec<FrameIndex> {
    match run {
        PictureRun::Source { source } => (source.start.0..source.end.0).map(FrameIndex).collect(),
        PictureRun::Bed { frames, .. } => frames.clone(),
        PictureRun::Seam { frames, .. } => {
            frames.iter().flat_map(|seam| [seam.a, seam.b]).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_output_frame_and_sample_is_accounted_for_once(case in case()) {
        let Some((list, speech, timeline)) = planned(&case) else { return Ok(()) };
        let shown: u64 = timeline.pictures.iter().map(PictureRun::len).sum();
        prop_assert_eq!(shown, timeline.frames());
        prop_assert!(timeline.pictures.iter().all(|run| !run.is_empty()));
        prop_assert!(timeline.sound.iter().all(|run| !run.is_empty()));
        for run in &timeline.pictures {
            prop_assert!(all_shown(run).iter().all(|frame| frame.0 < case.clock.frames()), "{:?}", run);
        }
        for run in &timeline.sound {
            match run {
                SoundRun::Source { samples } => prop_assert!(samples.end.0 <= case.sound.samples),
                SoundRun::Speech { insertion, samples } => {
                    prop_assert!(samples.end.0 <= case.sound.rate.samples_in(speech[*insertion]));
                }
                SoundRun::RoomTone { .. } => {}
            }
        }
        // Every edit has its place, one after the other.
        prop_assert_eq!(timeline.edits.len(), list.edits().len());
        let mut frame = FrameIndex::ZERO;
        for placed in &timeline.edits {
            prop_assert_eq!(placed.frames.start, frame);
            frame = placed.frames.end;
        }
        prop_assert_eq!(frame.0, timeline.frames());
    }

    #[test]
    fn sound_and_picture_end_together_at_the_planned_length(case in case()) {
        let Some((list, speech, timeline)) = planned(&case) else { return Ok(()) };
        let end = timeline.clock.end();
        prop_assert_eq!(timeline.samples(), case.sound.rate.nearest(end).0);
        let length = planned_length(&list, &speech);
        let half = longest(&case.clock).max(case.clock.nominal().0) / 2.0;
        prop_assert!((end.0 - length).abs() <= half + 1e-3, "{} s planned, {} s made", length, end.0);
        if case.clock.is_constant() {
            // Sample rounding of each run may move the sum across a half frame.
            let exact = length * case.clock.rate().per_second();
            prop_assert!((timeline.frames() as f64 - exact).abs() <= 0.5 + 0.05, "{} frames for {}", timeline.frames(), exact);
        }
    }

    #[test]
    fn sound_and_picture_agree_within_half_a_frame(case in case()) {
        let Some((list, _, timeline)) = planned(&case) else { return Ok(()) };
        let half = if case.clock.is_constant() { case.clock.nominal().0 } else { longest(&case.clock) } / 2.0;
        let hertz = f64::from(case.sound.rate.hertz());
        let shown = timeline.source_frames();
        let mut seam = vec![false; shown.len()];
        for (output, run) in timeline.picture_runs() {
            if !matches!(run, PictureRun::Source { .. }) {
                seam[output.start.as_usize()..output.end.as_usize()].fill(true);
            }
        }
        let kept: Vec<_> = list
            .edits()
            .iter()
            .zip(&timeline.edits)
            .filter(|(edit, _)| edit.kind == EditKind::Keep)
            .map(|(edit, placed)| (edit.source.start.0 - placed.time.start.0, placed))
            .collect();
        // What is to be added to output time to get to source time is the same for the sound ...
        for (output, run) in timeline.sound_runs() {
            let SoundRun::Source { samples } = run else { continue };
            let middle = (output.start.0 + output.end.0) as f64 / 2.0 / hertz;
            let offset = (samples.start.0 as f64 - output.start.0 as f64) / hertz + case.sound.start.0;
            let (wanted, _) = kept.iter().rev().find(|(_, placed)| placed.time.start.0 <= middle).unwrap();
            prop_assert!((wanted - offset).abs() <= 1.5 / hertz, "sound at {} off by {}", middle, wanted - offset);
        }
        // ... and, within half a frame, for the pictures.
        for (wanted, placed) in kept {
            for frame in placed.frames.start.0..placed.frames.end.0 {
                if seam[frame as usize] {
                    continue;
                }
                let out = timeline.clock.start_of(FrameIndex(frame)).0;
                let offset = case.clock.start_of(shown[frame as usize]).0 - out;
                prop_assert!((wanted - offset).abs() <= half + 1e-6, "frame {} off by {} of {}", frame, wanted - offset, half);
            }
        }
    }

    #[test]
    fn kept_frames_keep_their_order_and_durations(case in case()) {
        let Some((_, _, timeline)) = planned(&case) else { return Ok(()) };
        let mut next = FrameIndex::ZERO;
        for (output, run) in timeline.picture_runs() {
            match run {
                PictureRun::Source { source } => {
                    // An insertion may repeat half a frame: the rounding of sound to pictures.
                    let again = case.clock.start_of(next).0 - case.clock.start_of(source.start).0;
                    prop_assert!(again <= longest(&case.clock).max(case.clock.nominal().0) + 1e-6, "{:?} after {}", source, next);
                    next = source.end;
                    for (out, frame) in (output.start.0..output.end.0).zip(source.start.0..) {
                        let kept = case.clock.duration_of(FrameIndex(frame)).0;
                        let shown = timeline.clock.duration_of(FrameIndex(out)).0;
                        prop_assert!((kept - shown).abs() < 1e-9);
                    }
                }
                PictureRun::Bed { .. } => {
                    for out in output.start.0..output.end.0 {
                        let shown = timeline.clock.duration_of(FrameIndex(out)).0;
                        prop_assert!((case.clock.nominal().0 - shown).abs() < 1e-9);
                    }
                }
                PictureRun::Seam { .. } => {}
            }
        }
    }

    #[test]
    fn mouths_are_made_wherever_the_picture_is(case in case()) {
        let Some((_, _, timeline)) = planned(&case) else { return Ok(()) };
        let inside = |frame: u64| timeline.lips.iter().any(|lips| lips.contains(&FrameIndex(frame)));
        for (output, run) in timeline.picture_runs() {
            if !matches!(run, PictureRun::Source { .. }) {
                prop_assert!((output.start.0..output.end.0).all(inside), "{:?}", run);
            }
        }
        for pair in timeline.lips.windows(2) {
            prop_assert!(pair[0].end < pair[1].start);
        }
        prop_assert!(timeline.lips.iter().all(|lips| lips.start < lips.end && lips.end.0 <= timeline.frames()));
    }

    #[test]
    fn nothing_made_reaches_over_a_scene_cut(
        case in case(),
        mut shots in prop::collection::vec(1_u64..400, 1..8),
    ) {
        shots.sort_unstable();
        shots.dedup();
        let shots: Vec<FrameIndex> = shots.into_iter().map(FrameIndex).collect();
        let shot = |frame: FrameIndex| shots.partition_point(|&first| first <= frame);
        let Some((_, _, timeline)) = planned_in(&case, &shots) else { return Ok(()) };
        for run in &timeline.pictures {
            if let PictureRun::Seam { frames, .. } = run {
                prop_assert!(frames.iter().all(|seam| shot(seam.a) == shot(seam.b)), "{:?}", run);
            }
        }
        // A mouth that is made where the recording is shown belongs to a made picture of the same shot beside it.
        let shown = timeline.source_frames();
        let made: Vec<bool> = timeline
            .pictures
            .iter()
            .flat_map(|run| vec![!matches!(run, PictureRun::Source { .. }); run.len() as usize])
            .collect();
        for lips in &timeline.lips {
            for at in lips.start.as_usize()..lips.end.as_usize() {
                let same = |&other: &usize| shot(shown[other]) == shot(shown[at]);
                let before = (0..at).rev().take_while(same).take(2).any(|other| made[other]);
                let after = (at + 1..shown.len()).take_while(same).take(2).any(|other| made[other]);
                prop_assert!(made[at] || before || after, "output frame {}", at);
            }
        }
    }

    #[test]
    fn no_edit_is_the_identity(case in case()) {
        let case = Case { requests: Vec::new(), ..case };
        let Some((list, _, timeline)) = planned(&case) else { return Ok(()) };
        prop_assert!(list.is_identity());
        let frames = FrameIndex::ZERO..FrameIndex(case.clock.frames());
        prop_assert_eq!(&timeline.pictures, &vec![PictureRun::Source { source: frames }]);
        for (a, b) in timeline.clock.starts().iter().zip(case.clock.starts()) {
            prop_assert!((a.0 - b.0).abs() < 1e-9);
        }
        prop_assert!(timeline.lips.is_empty());
        let recorded: Vec<_> = timeline.sound.iter().filter(|run| matches!(run, SoundRun::Source { .. })).collect();
        prop_assert_eq!(recorded.len(), 1);
    }

    #[test]
    fn cuts_never_fall_inside_a_word(case in case()) {
        let Some((list, _, _)) = planned(&case) else { return Ok(()) };
        let mut now = Seconds::ZERO;
        for edit in list.edits() {
            prop_assert_eq!(edit.source.start, now);
            now = edit.source.end;
            for time in [edit.source.start, edit.source.end] {
                prop_assert!(case.transcript.word_inside(time).is_none(), "{:?}", edit);
            }
        }
        prop_assert_eq!(now, case.clock.end());
    }

    #[test]
    fn retiming_gives_the_new_length_in_order(
        clock in clock(),
        factor in 0.5_f64..2.0,
        protect in prop::collection::vec((0.0_f64..1.0, 0.0_f64..0.2), 0..4),
        cut in 1_u64..300,
    ) {
        let shots = [FrameIndex(cut)];
        let transcript = Transcript::default();
        let lasts = clock.end() * factor;
        let list = EditList::retime(&transcript, clock.end(), lasts).unwrap();
        let config = TimelineConfig::default();
        let protect: Vec<Range<Seconds>> = protect
            .iter()
            .map(|&(at, length)| clock.end() * at..clock.end() * (at + length))
            .collect();
        let sound = SoundClock { rate: SampleRate::new(44_100).unwrap(), samples: 0, start: Seconds::ZERO };
        let input = TimelineInput {
            edits: &list, clock: &clock, sound: Some(sound), speech: &[lasts], protect: &protect,
            shots: &shots, pose: None, config: &config,
        };
        let timeline = Timeline::plan(&input).unwrap();
        for run in &timeline.pictures {
            if let PictureRun::Seam { frames, .. } = run {
                prop_assert!(frames.iter().all(|seam| (seam.a.0 < cut) == (seam.b.0 < cut)));
            }
        }
        let frames = lasts.0 / clock.nominal().0;
        prop_assert!((timeline.frames() as f64 - frames).abs() <= 0.51);
        let whole = FrameIndex::ZERO..FrameIndex(timeline.frames());
        prop_assert_eq!(&timeline.lips, &vec![whole]);
        let shown = timeline.source_frames();
        prop_assert!(shown.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(shown[0].0 <= 3 && shown[shown.len() - 1].0 + 4 >= clock.frames());
        // Evenly: no frame is left behind by more than the factor asks for.
        let protected = !protect.is_empty() || !clock.is_constant();
        let step = if protected { 20 } else { (1.0 / factor).ceil() as u64 };
        prop_assert!(shown.windows(2).all(|pair| pair[1].0 - pair[0].0 <= step));
        prop_assert_eq!(timeline.samples(), sound.rate.nearest(timeline.clock.end()).0);
    }

    #[test]
    fn beds_have_their_length_and_no_jumps(
        total in 2_u64..400,
        at in 0.0_f64..1.0,
        replaced in 0_u64..60,
        frames in 0_u64..500,
        ends in 0_u8..4,
        reach in 1_u64..120,
        poses in prop::collection::vec(0.0_f32..1.0, 400),
        with_pose in any::<bool>(),
    ) {
        let before = ((total - 1) as f64 * at) as u64;
        let after = (before + 1 + replaced).min(total - 1).max(before + 1);
        let (before, after) = if after >= total { (total - 2, total - 1) } else { (before, after) };
        let wanted = edit::bed::Wanted {
            before: (ends & 1 == 0).then_some(FrameIndex(before)),
            after: (ends & 2 == 0).then_some(FrameIndex(after)),
            frames,
            allowed: FrameIndex(before.saturating_sub(reach))..FrameIndex((after + reach).min(total)),
        };
        let pose = |a: FrameIndex, b: FrameIndex| (poses[a.as_usize()] - poses[b.as_usize()]).abs();
        let config = edit::bed::BedConfig::default();
        let path = edit::bed::path(&wanted, 12, &config, with_pose.then_some(&pose));
        prop_assert_eq!(path.len() as u64, frames);
        if frames == 0 {
            return Ok(());
        }
        // What is seen most, neighbours included.
        let mut seen = Vec::new();
        seen.extend(wanted.before.map(Shown::Frame));
        seen.extend(path.iter().copied());
        seen.extend(wanted.after.map(Shown::Frame));
        for pair in seen.windows(2) {
            let ends = |shown: &Shown| match shown {
                Shown::Frame(frame) => (*frame, *frame),
                Shown::Blend(seam) => (seam.a, seam.b),
            };
            let ((a, b), (c, d)) = (ends(&pair[0]), ends(&pair[1]));
            for frame in [a, b, c, d] {
                prop_assert!(wanted.allowed.contains(&frame), "{:?} outside", frame);
            }
            let near = |x: FrameIndex, y: FrameIndex| x.0.abs_diff(y.0) <= 1;
            // One of the two streams goes on from either picture to the next. The one exception: a
            // single frame in place of many has no room for a dissolve.
            let room = frames >= 2 || wanted.before.is_none() || wanted.after.is_none();
            prop_assert!(!room || near(a, c) || near(b, d), "jump {:?} in {:?}", pair, path);
        }
    }
}

#[test]
fn sync_keeps_the_length_whatever_the_speech() {
    let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 100).unwrap();
    let sound = SoundClock {
        rate: SampleRate::new(1000).unwrap(),
        samples: 4000,
        start: Seconds::ZERO,
    };
    let whole = SampleIndex(0)..SampleIndex(4000);
    let speech = |samples: Range<SampleIndex>| SoundRun::Speech {
        insertion: 0,
        samples,
    };
    let short = Timeline::sync(&clock, sound, Seconds(3.0)).unwrap();
    assert_eq!(
        short.sound,
        [
            speech(SampleIndex(0)..SampleIndex(3000)),
            SoundRun::RoomTone { samples: 1000 }
        ]
    );
    let long = Timeline::sync(&clock, sound, Seconds(9.0)).unwrap();
    assert_eq!(long.sound, [speech(whole)]);
    for timeline in [short, long] {
        assert_eq!(timeline.frames(), 100);
        assert_eq!(timeline.lips, [FrameIndex(0)..FrameIndex(100)]);
        assert_eq!(
            timeline.pictures,
            [PictureRun::Source {
                source: FrameIndex(0)..FrameIndex(100)
            }]
        );
    }
}

#[test]
fn a_removal_dissolves_through_the_removed_footage() {
    let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 250).unwrap();
    let words = [("a", 1.0, 2.0), ("b", 3.0, 4.0), ("c", 5.0, 6.0)];
    let words = words.map(|(text, start, end)| Word::new(text, Seconds(start), Seconds(end)));
    let transcript = Transcript::new(None, words.to_vec()).unwrap();
    let request = Request::new("--remove \"b\"", Wish::Remove(1..2));
    let list = EditList::build(
        &[request],
        &transcript,
        Seconds(10.0),
        None,
        &CutConfig::default(),
    )
    .unwrap();
    let config = TimelineConfig::default();
    let input = TimelineInput {
        edits: &list,
        clock: &clock,
        sound: None,
        speech: &[],
        protect: &[],
        shots: &[],
        pose: None,
        config: &config,
    };
    let timeline = Timeline::plan(&input).unwrap();
    // Cut from 2.5 s (between frames 62 and 63) to 4.5 s.
    assert_eq!(timeline.frames(), 200);
    let [
        PictureRun::Source { source: left },
        PictureRun::Seam { frames, .. },
        PictureRun::Source { source: right },
    ] = timeline.pictures.as_slice()
    else {
        panic!("{:?}", timeline.pictures);
    };
    assert_eq!((left.start, right.end), (FrameIndex(0), FrameIndex(250)));
    assert_eq!(frames.len(), 8);
    assert_eq!(frames[0].a, left.end);
    assert_eq!(frames[7].b.next(), right.start);
    assert_eq!(frames[0].b.0 - frames[0].a.0, 50);
    assert!(
        frames
            .windows(2)
            .all(|pair| pair[0].weight < pair[1].weight && pair[0].a.next() == pair[1].a)
    );
    assert_eq!(timeline.lips, [left.end - 2..left.end + 10]);
}

#[test]
fn beds_and_dissolves_stay_inside_their_shot() {
    let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 250).unwrap();
    let words = [("a", 1.0, 2.0), ("b", 3.0, 4.0), ("c", 5.0, 6.0)];
    let words = words.map(|(text, start, end)| Word::new(text, Seconds(start), Seconds(end)));
    let transcript = Transcript::new(None, words.to_vec()).unwrap();
    let sound = SoundClock {
        rate: SampleRate::new(48_000).unwrap(),
        samples: 480_000,
        start: Seconds::ZERO,
    };
    let config = TimelineConfig::default();
    let plan = |wish, shots: &[FrameIndex]| {
        let list = EditList::build(
            &[Request::new("edit", wish)],
            &transcript,
            Seconds(10.0),
            None,
            &CutConfig::default(),
        )
        .unwrap();
        let speech: Vec<Seconds> = list.insertions().map(|_| Seconds(3.0)).collect();
        let input = TimelineInput::new(&list, &clock, Some(sound), &speech, &config);
        Timeline::plan(&TimelineInput { shots, ..input }).unwrap()
    };
    // A shot begins at frame 80, in the removed footage: the cut stays a cut.
    let removed = plan(Wish::Remove(1..2), &[FrameIndex(80)]);
    assert!(
        removed
            .pictures
            .iter()
            .all(|run| matches!(run, PictureRun::Source { .. }))
    );
    assert!(removed.lips.is_empty());
    let said = || Wish::Insert(1, NewSpeech::say("new"));
    let bed = |timeline: &Timeline| {
        let beds = timeline
            .pictures
            .iter()
            .filter(|run| matches!(run, PictureRun::Bed { .. }));
        beds.flat_map(all_shown).collect::<Vec<_>>()
    };
    // The insertion is at 2.15 s, frame 54.
    let inside = bed(&plan(said(), &[FrameIndex(40), FrameIndex(70)]));
    assert_eq!(inside.len(), 75);
    assert!(
        inside.iter().all(|frame| (40..70).contains(&frame.0)),
        "{inside:?}"
    );
    let free = bed(&plan(said(), &[]));
    assert!(free.iter().any(|frame| !(40..70).contains(&frame.0)));
    // Between two shots it goes on from the first.
    let between = bed(&plan(said(), &[FrameIndex(54)]));
    assert!(between.iter().all(|frame| frame.0 < 54), "{between:?}");
}

#[test]
fn a_pause_in_the_script_is_made_or_cut() {
    let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 100).unwrap();
    let words = [("a", 0.5, 1.0), ("b", 2.0, 2.5)]
        .map(|(text, start, end)| Word::new(text, Seconds(start), Seconds(end)));
    let transcript = Transcript::new(None, words.to_vec()).unwrap();
    for (seconds, kind) in [(1.6, EditKind::Insert), (0.4, EditKind::Remove)] {
        let script = edit::script::Script::parse(&format!("a [pause {seconds}] b")).unwrap();
        let diff = edit::diff::diff(&transcript, &script);
        let requests = edit::edits::from_diff(&diff);
        let list = EditList::build(
            &requests,
            &transcript,
            Seconds(4.0),
            None,
            &CutConfig::default(),
        )
        .unwrap();
        assert_eq!(list.edits()[1].kind, kind);
        let config = TimelineConfig::default();
        let speech: Vec<Seconds> = list
            .insertions()
            .map(|(_, speech)| speech.pauses())
            .collect();
        let sound = SoundClock {
            rate: SampleRate::new(48_000).unwrap(),
            samples: 192_000,
            start: Seconds::ZERO,
        };
        let input = TimelineInput {
            edits: &list,
            clock: &clock,
            sound: Some(sound),
            speech: &speech,
            protect: &[],
            shots: &[],
            pose: None,
            config: &config,
        };
        let timeline = Timeline::plan(&input).unwrap();
        assert_eq!(
            timeline.frames(),
            ((3.0 + seconds) * 25.0_f64).round() as u64
        );
    }
}
