//! The recorded pictures in their order, with something done to a part of them.

use super::sound::Track;
use super::{PictureRun, PlacedEdit, SoundRun, Timeline};
use crate::clock::{FrameClock, SoundClock};
use std::ops::Range;
use units::{FrameIndex, Seconds};

impl Timeline {
    /// The recorded pictures and length; under `part` the sound is new speech (insertion 0, as long as the part) and
    /// mouths are made anew, elsewhere all stays as recorded.
    pub fn sync_part(clock: &FrameClock, sound: SoundClock, part: &Range<Seconds>) -> Self {
        let start = part.start.max(Seconds::ZERO).min(clock.end());
        let end = part.end.max(start).min(clock.end());
        let mut track = Track::new(Some(sound));
        track.source(&(Seconds::ZERO..start));
        track.speech(0, end - start);
        track.source(&(end..clock.end()));
        let lips = clock.nearest(start)..clock.nearest(end);
        Self {
            lips: vec![lips]
                .into_iter()
                .filter(|lips| lips.start < lips.end)
                .collect(),
            ..Self::recorded(clock, track.finish(clock.end()))
        }
    }

    /// The clip as it is, of which `frames` (ascending, apart from each other) are rendered anew in a region.
    pub fn rerender(
        clock: &FrameClock,
        sound: Option<SoundClock>,
        frames: Vec<Range<FrameIndex>>,
    ) -> Self {
        let mut track = Track::new(sound);
        track.source(&(Seconds::ZERO..clock.end()));
        Self {
            rerender: frames,
            ..Self::recorded(clock, track.finish(clock.end()))
        }
    }

    /// Every picture as recorded, over some sound.
    pub(super) fn recorded(clock: &FrameClock, sound: Vec<SoundRun>) -> Self {
        let frames = FrameIndex::ZERO..FrameIndex(clock.frames());
        Self {
            pictures: vec![PictureRun::Source {
                source: frames.clone(),
            }],
            sound,
            lips: Vec::new(),
            rerender: Vec::new(),
            clock: clock.clone(),
            edits: vec![PlacedEdit {
                edit: 0,
                frames,
                time: Seconds::ZERO..clock.end(),
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{FrameRate, SampleIndex, SampleRate};

    #[test]
    fn only_the_part_is_new() {
        let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 250).unwrap();
        let sound = SoundClock {
            rate: SampleRate::new(48_000).unwrap(),
            samples: 480_000,
            start: Seconds::ZERO,
        };
        let timeline = Timeline::sync_part(&clock, sound, &(Seconds(2.0)..Seconds(3.0)));
        let samples = |a, b| SampleIndex(a)..SampleIndex(b);
        assert_eq!(
            timeline.sound,
            [
                SoundRun::Source {
                    samples: samples(0, 96_000)
                },
                SoundRun::Speech {
                    insertion: 0,
                    samples: samples(0, 48_000)
                },
                SoundRun::Source {
                    samples: samples(144_000, 480_000)
                },
            ]
        );
        assert_eq!(timeline.lips, [FrameIndex(50)..FrameIndex(75)]);
        let beyond = Timeline::sync_part(&clock, sound, &(Seconds(9.0)..Seconds(30.0)));
        assert_eq!(beyond.samples(), 480_000);
        assert_eq!(beyond.lips, [FrameIndex(225)..FrameIndex(250)]);
    }

    #[test]
    fn a_stretch_is_rendered_anew_where_it_is() {
        let clock = FrameClock::constant(FrameRate::new(25, 1).unwrap(), 250).unwrap();
        let sound = SoundClock {
            rate: SampleRate::new(48_000).unwrap(),
            samples: 480_000,
            start: Seconds::ZERO,
        };
        let anew = vec![FrameIndex(30)..FrameIndex(38)];
        let timeline = Timeline::rerender(&clock, Some(sound), anew.clone());
        assert_eq!((timeline.frames(), timeline.samples()), (250, 480_000));
        assert_eq!((timeline.rerender, timeline.lips), (anew, Vec::new()));
        assert_eq!(timeline.pictures.len(), 1);
        let silent = Timeline::rerender(&clock, None, Vec::new());
        assert_eq!((silent.samples(), silent.frames()), (0, 250));
    }
}
