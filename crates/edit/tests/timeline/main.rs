//! What must hold for every timeline, on clips of every rate with edits of every kind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod cases;
mod properties;

use edit::cuts::CutConfig;
use edit::edits::{NewSpeech, Request, Wish};
use edit::timeline::{TimelineConfig, TimelineInput};
use edit::{EditKind, EditList, FrameClock, PictureRun, SoundClock, Timeline, Transcript, Word};
use proptest::prelude::*;
use units::{FrameIndex, FrameRate, SampleRate, Seconds};

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) clock: FrameClock,
    pub(crate) sound: SoundClock,
    pub(crate) transcript: Transcript,
    pub(crate) requests: Vec<Request>,
    pub(crate) speech: Vec<Seconds>,
}

pub(crate) fn rate() -> impl Strategy<Value = FrameRate> {
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

pub(crate) fn clock() -> impl Strategy<Value = FrameClock> {
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

pub(crate) fn case() -> impl Strategy<Value = Case> {
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

pub(crate) fn build(clock: FrameClock, sound: SoundClock, plan: &Plan) -> Case {
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

pub(crate) fn planned(case: &Case) -> Option<(EditList, Vec<Seconds>, Timeline)> {
    planned_in(case, &[])
}

/// With scene cuts at the given frames.
pub(crate) fn planned_in(
    case: &Case,
    shots: &[FrameIndex],
) -> Option<(EditList, Vec<Seconds>, Timeline)> {
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
pub(crate) fn planned_length(list: &EditList, speech: &[Seconds]) -> f64 {
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
pub(crate) fn longest(clock: &FrameClock) -> f64 {
    (0..clock.frames())
        .map(|frame| clock.duration_of(FrameIndex(frame)).0)
        .fold(0.0, f64::max)
}

pub(crate) fn all_shown(run: &PictureRun) -> Vec<FrameIndex> {
    match run {
        PictureRun::Source { source } => (source.start.0..source.end.0).map(FrameIndex).collect(),
        PictureRun::Bed { frames, .. } => frames.clone(),
        PictureRun::Seam { frames, .. } => {
            frames.iter().flat_map(|seam| [seam.a, seam.b]).collect()
        }
    }
}
