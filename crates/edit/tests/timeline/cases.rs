//! Cases that properties do not reach.

use crate::all_shown;
use edit::cuts::CutConfig;
use edit::edits::{NewSpeech, Request, Wish};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{
    EditKind, EditList, FrameClock, PictureRun, SoundClock, SoundRun, Timeline, Transcript, Word,
};
use std::ops::Range;
use units::{FrameIndex, FrameRate, SampleIndex, SampleRate, Seconds};

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
