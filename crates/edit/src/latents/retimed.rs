//! Another length by whole latents: some are left out, or new ones put in, spread evenly (EditYourself 3.3, "Retime").

use super::Borders;
use crate::edits::{Edit, EditError, EditKind, EditList, NewSpeech};
use crate::script::Piece;
use crate::{FrameClock, Transcript};
use std::ops::Range;
use units::{FrameIndex, Seconds, TemporalStride};

/// Who asks for these edits.
const ORIGIN: &str = "the new track";

/// The clip over other lengths, `stretches` of it each (see [`crate::anchors::stretches`]), by removals and insertions of
/// whole latents. Those that touch `protect` (words) are taken only where there are not enough others. In the end the
/// pictures last as long as the stretches (half a frame less at most), and less than one latent longer.
///
/// A removal is no cut of sound: lay new sound under the whole ([`crate::Timeline::under`]).
pub fn retimed(
    clock: &FrameClock,
    stride: TemporalStride,
    stretches: &[(Range<Seconds>, Seconds)],
    protect: &[Range<Seconds>],
) -> Result<EditList, EditError> {
    let borders = Borders {
        clock,
        step: stride.frames(),
        end: clock.end(),
    };
    let latent = clock.nominal() * stride.frames() as f64;
    let whole: Vec<Latent> = (1..clock.frames())
        .step_by(stride.frames() as usize)
        .filter(|start| start + stride.frames() <= clock.frames())
        .map(|start| {
            let time = borders.time(start)..borders.time(start + stride.frames());
            Latent {
                start,
                free: !protect
                    .iter()
                    .any(|word| word.start < time.end && time.start < word.end),
                time,
            }
        })
        .collect();
    let mut changes = Changes::default();
    let mut ahead = Seconds::ZERO;
    for (index, (source, lasts)) in stretches.iter().enumerate() {
        ahead += *lasts - (source.end - source.start);
        let wanted = ahead.0 / latent.0;
        let wanted = if index + 1 == stretches.len() {
            (wanted - 0.5 / stride.frames() as f64).ceil()
        } else {
            wanted.round()
        };
        let inside = whole.iter().filter(|latent| {
            source.start <= latent.time.start
                && (latent.time.start < source.end || index + 1 == stretches.len())
        });
        changes.reach(wanted as i64, &inside.collect::<Vec<_>>());
    }
    changes.removed.sort_unstable();
    changes.inserted.sort_unstable();
    let none = Transcript::new(None, Vec::new())?;
    let edit = |kind, source, speech| Edit {
        kind,
        source,
        words: 0..0,
        speech,
        lasts: None,
        origin: ORIGIN.to_owned(),
    };
    let mut edits = Vec::new();
    let step = stride.frames();
    for run in changes.removed.chunk_by(|a, b| *b == a + step) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            let source = borders.time(*first)..borders.time(last + step);
            edits.push(edit(EditKind::Remove, source, None));
        }
    }
    for run in changes.inserted.chunk_by(|a, b| a == b) {
        if let Some(first) = run.first() {
            let at = clock.start_of(FrameIndex(*first));
            let silence = NewSpeech {
                pieces: vec![Piece::Pause(latent * run.len() as f64)],
                ..NewSpeech::default()
            };
            edits.push(edit(EditKind::Insert, at..at, Some(silence)));
        }
    }
    EditList::new(edits, &none, clock.end())
}

/// A whole latent of the recording.
struct Latent {
    /// Its first frame.
    start: u64,
    time: Range<Seconds>,
    /// Whether nothing protected lies in it.
    free: bool,
}

/// What was decided so far.
#[derive(Default)]
struct Changes {
    /// Latents that the output is longer by.
    shift: i64,
    /// First frames of latents that are left out.
    removed: Vec<u64>,
    /// Frames before which latents are put in, once for each.
    inserted: Vec<u64>,
}

impl Changes {
    /// Changes the length within `latents` until the shift is `wanted`, or as near as they allow.
    fn reach(&mut self, wanted: i64, latents: &[&Latent]) {
        let count = wanted.abs_diff(self.shift) as usize;
        let free: Vec<u64> = latents
            .iter()
            .filter(|latent| latent.free)
            .map(|latent| latent.start)
            .collect();
        let all: Vec<u64> = latents.iter().map(|latent| latent.start).collect();
        if wanted > self.shift {
            let places = if free.is_empty() { &all } else { &free };
            if !places.is_empty() {
                self.inserted.extend(spread(places, count));
                self.shift = wanted;
            }
        } else {
            let places = if free.len() < count { &all } else { &free };
            // Where everything would go, one latent stays.
            let count = count.min(all.len().saturating_sub(1));
            self.removed.extend(spread(places, count));
            self.shift -= count as i64;
        }
    }
}

/// `count` of the places, evenly; some of them more than once where there are fewer.
fn spread(places: &[u64], count: usize) -> impl Iterator<Item = u64> {
    (0..count).filter_map(move |index| {
        places
            .get((2 * index + 1) * places.len() / (2 * count))
            .copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use units::FrameRate;

    fn clock(frames: u64) -> FrameClock {
        FrameClock::constant(FrameRate::new(25, 1).unwrap(), frames).unwrap()
    }

    fn eight() -> TemporalStride {
        TemporalStride::new(8).unwrap()
    }

    /// Frames after the edits, and each edit's first frame with the frames that it takes away or adds.
    fn told(list: &EditList, clock: &FrameClock) -> (i64, Vec<(u64, i64)>) {
        let mut changes = Vec::new();
        for edit in list.edits() {
            let start = clock.nearest(edit.source.start).0;
            match (edit.kind, &edit.speech) {
                (EditKind::Remove, _) => {
                    changes.push((
                        start,
                        -(clock.nearest(edit.source.end).0 as i64 - start as i64),
                    ));
                }
                (EditKind::Insert, Some(speech)) => {
                    changes.push((start, (speech.pauses().0 * 25.0).round() as i64));
                }
                _ => {}
            }
        }
        let frames = clock.frames() as i64 + changes.iter().map(|(_, by)| by).sum::<i64>();
        (frames, changes)
    }

    fn whole(clock: &FrameClock, lasts: f64) -> Vec<(Range<Seconds>, Seconds)> {
        vec![(Seconds::ZERO..clock.end(), Seconds(lasts))]
    }

    #[test]
    fn latents_go_or_come_evenly() {
        let clock = clock(81);
        let list = retimed(&clock, eight(), &whole(&clock, 4.2), &[]).unwrap();
        // 105 frames are wanted: three latents of eight more, in the middles of three thirds.
        assert_eq!(told(&list, &clock), (105, vec![(9, 8), (41, 8), (65, 8)]));
        let list = retimed(&clock, eight(), &whole(&clock, 2.6), &[]).unwrap();
        assert_eq!(told(&list, &clock), (65, vec![(17, -8), (57, -8)]));
        let list = retimed(&clock, eight(), &whole(&clock, 3.24), &[]).unwrap();
        assert_eq!(told(&list, &clock), (81, Vec::new()));
        // Rounded up, so that no sound is cut off.
        let list = retimed(&clock, eight(), &whole(&clock, 3.27), &[]).unwrap();
        assert_eq!(told(&list, &clock).0, 89);
    }

    #[test]
    fn words_are_left_alone_while_there_is_something_else() {
        let clock = clock(81);
        let word = Seconds(0.0)..Seconds(2.5);
        let list = retimed(&clock, eight(), &whole(&clock, 2.6), &[word]).unwrap();
        let (_, changes) = told(&list, &clock);
        assert_eq!(changes, vec![(65, -16)]);
    }

    #[test]
    fn stretches_keep_their_own_lengths() {
        let clock = clock(161);
        let middle = Seconds(3.24);
        let stretches = [
            (Seconds::ZERO..middle, Seconds(3.24 + 0.64)),
            (middle..clock.end(), clock.end() - middle - Seconds(0.64)),
        ];
        let list = retimed(&clock, eight(), &stretches, &[]).unwrap();
        let (frames, changes) = told(&list, &clock);
        assert_eq!(frames, 161);
        for (at, by) in changes {
            assert!(if at < 81 { by > 0 } else { by < 0 }, "{at} {by}");
        }
    }

    proptest! {
        #[test]
        fn the_length_is_that_of_the_track_and_less_than_a_latent_more(
            frames in 17_u64..400, lasts in 0.4_f64..40.0, words in prop::collection::vec((0.0_f64..16.0, 0.1_f64..1.0), 0..8),
        ) {
            let clock = clock(frames);
            let protect: Vec<_> = words.iter().map(|(start, long)| Seconds(*start)..Seconds(start + long)).collect();
            let list = retimed(&clock, eight(), &whole(&clock, lasts), &protect).unwrap();
            let (got, changes) = told(&list, &clock);
            let wanted = lasts * 25.0;
            // A latent and what is no whole one can't be left out.
            let least = (frames as i64 - 1) % 8 + 1 + 8;
            prop_assert!(got as f64 >= wanted - 0.5 - 1e-3);
            prop_assert!((got as f64) < wanted + 8.0 + 1e-3 || got <= least, "{got} for {wanted}");
            for (at, by) in changes {
                prop_assert!(at % 8 == 1 && by % 8 == 0 && by != 0);
            }
        }
    }
}
