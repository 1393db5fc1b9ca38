//! Sound and pictures laid out side by side, edit by edit.

use super::sound::Track;
use super::{PictureRun, PlacedEdit, Timeline, TimelineError, TimelineInput, retime, seams};
use crate::bed::{self, Shown, Wanted};
use crate::clock::FrameClock;
use crate::edits::{Edit, EditKind, NewSpeech};
use crate::transcript::limits;
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// Two sums of the same durations in another order differ by less than this.
const ROUNDING: Seconds = Seconds(1e-6);

/// Pictures of one edit.
pub(super) enum Pictures {
    /// Source frames in order; `anew` when they are to be rendered anew.
    Kept {
        source: Range<FrameIndex>,
        anew: bool,
    },
    /// Pictures for new speech: made ones, found by [`Layout::fill_beds`].
    Made {
        count: u64,
        insertion: usize,
        shown: Vec<Shown>,
    },
    /// A retimed stretch.
    Retimed { insertion: usize, shown: Vec<Shown> },
}

impl Pictures {
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Kept { source, .. } => source.end.since(source.start),
            Self::Made { count, .. } => *count,
            Self::Retimed { shown, .. } => shown.len() as u64,
        }
    }

    fn first(&self) -> Option<FrameIndex> {
        match self {
            Self::Kept { source, .. } => Some(source.start),
            Self::Retimed { shown, .. } | Self::Made { shown, .. } => {
                shown.first().map(|shown| match shown {
                    Shown::Frame(frame) => *frame,
                    Shown::Blend(seam) => seam.a,
                })
            }
        }
    }

    fn last(&self) -> Option<FrameIndex> {
        match self {
            Self::Kept { source, .. } => Some(source.end - 1),
            Self::Retimed { shown, .. } | Self::Made { shown, .. } => {
                shown.last().map(|shown| match shown {
                    Shown::Frame(frame) => *frame,
                    Shown::Blend(seam) => seam.b,
                })
            }
        }
    }
}

/// The layout as it grows. `end` is the time at which the pictures laid out so far end.
pub(super) struct Layout {
    pub(super) pieces: Vec<Pictures>,
    starts: Vec<Seconds>,
    end: Seconds,
    track: Track,
    edits: Vec<PlacedEdit>,
    /// Where the last piece stopped in the source, while nothing lies between it and the next.
    continues: Option<(Seconds, FrameIndex)>,
    /// One past the last source frame kept so far.
    passed: FrameIndex,
}

impl Layout {
    pub(super) fn new(input: &TimelineInput<'_>) -> Result<Self, TimelineError> {
        check(input)?;
        let mut layout = Self {
            pieces: Vec::new(),
            starts: Vec::new(),
            end: Seconds::ZERO,
            track: Track::new(input.sound),
            edits: Vec::new(),
            continues: None,
            passed: FrameIndex::ZERO,
        };
        let mut insertion = 0;
        for (index, edit) in input.edits.edits().iter().enumerate() {
            let (frame, time) = (layout.starts.len(), layout.track.end());
            layout.add(edit, insertion, input);
            insertion += usize::from(edit.speech.is_some());
            layout.edits.push(PlacedEdit {
                edit: index,
                frames: FrameIndex::from(frame)..FrameIndex::from(layout.starts.len()),
                time: time..layout.track.end(),
            });
        }
        if layout.starts.is_empty() {
            return Err(TimelineError::NothingLeft {
                seconds: layout.track.end(),
            });
        }
        Ok(layout)
    }

    fn add(&mut self, edit: &Edit, insertion: usize, input: &TimelineInput<'_>) {
        let said = input.speech.get(insertion).copied().unwrap_or_default();
        match (edit.kind, &edit.speech) {
            (EditKind::Remove, _) => self.continues = None,
            (EditKind::Insert | EditKind::Replace, Some(speech)) => {
                self.add_speech(edit, speech, insertion, said, input.clock);
            }
            (EditKind::Retime, _) => {
                let lasts = edit.lasts.unwrap_or(edit.source.end - edit.source.start);
                let source =
                    self.first_frame(&edit.source, input)..frame_of_cut(edit.source.end, input);
                self.track.speech(insertion, said.min(lasts));
                self.track.silence((lasts - said).max(Seconds::ZERO));
                let count = self.frames_until_sound_ends(input.clock);
                let shown = retime::spread(input.clock, &source, count, input.protect, input.shots);
                self.push_made(shown.len() as u64, input.clock);
                self.continue_from(&edit.source, source.end);
                self.pieces.push(Pictures::Retimed { insertion, shown });
            }
            (kind, _) => self.add_kept(&edit.source, kind == EditKind::Rerender, input),
        }
    }

    fn add_kept(&mut self, times: &Range<Seconds>, anew: bool, input: &TimelineInput<'_>) {
        let clock = input.clock;
        if self.starts.is_empty() && self.track.end() == Seconds::ZERO {
            // A picture that starts after its sound does so in the output too.
            self.end = (clock.start() - times.start)
                .max(Seconds::ZERO)
                .min((times.end - times.start).max(Seconds::ZERO));
        } else {
            self.make_up_for_late_start(times, clock);
        }
        let first = self.first_frame(times, input);
        self.track.source(times);
        let end = if at_end(times.end, input) {
            FrameIndex(clock.frames())
        } else {
            clock.nearest(clock.start_of(first) + (self.track.end() - self.end))
        };
        let end = end.max(first);
        for frame in first.0..end.0 {
            self.starts
                .push(self.end + (clock.start_of(FrameIndex(frame)) - clock.start_of(first)));
        }
        self.end += clock.start_of(end) - clock.start_of(first);
        self.continue_from(times, end);
        self.pieces.push(Pictures::Kept {
            source: first..end,
            anew,
        });
    }

    /// Behind new speech, recorded sound from before the first recorded picture is shown with made
    /// pictures too.
    fn make_up_for_late_start(&mut self, times: &Range<Seconds>, clock: &FrameClock) {
        let late = clock.start() - (times.start + self.end - self.track.end());
        let frames = (late.0 / clock.nominal().0 - 1e-7).round();
        if let Some(Pictures::Made { count, .. }) = self.pieces.last_mut()
            && frames > 0.0
        {
            *count += frames as u64;
            self.push_made(frames as u64, clock);
        }
    }

    /// The source frame whose time agrees best with the sound that starts at `times.start`.
    fn first_frame(&self, times: &Range<Seconds>, input: &TimelineInput<'_>) -> FrameIndex {
        let clock = input.clock;
        if let Some((time, frame)) = self.continues
            && (time - times.start).abs() < ROUNDING
        {
            return frame;
        }
        let wanted = times.start + self.end - self.track.end();
        let nearest = clock.nearest(wanted);
        // Of two as near, the one that does not repeat what was shown.
        let next = nearest.next();
        let as_near = clock.start_of(next) - wanted <= wanted - clock.start_of(nearest) + ROUNDING;
        if nearest < self.passed && next.0 <= clock.frames() && as_near {
            next
        } else {
            nearest
        }
    }

    fn add_speech(
        &mut self,
        edit: &Edit,
        speech: &NewSpeech,
        insertion: usize,
        said: Seconds,
        clock: &FrameClock,
    ) {
        let before = self.track.end();
        self.track.silence(speech.lead);
        if speech.is_silent() {
            self.track.silence(said);
        } else {
            self.track.speech(insertion, said);
        }
        self.track.silence(speech.tail);
        if self.track.end() > before || edit.source.end > edit.source.start {
            self.continues = None;
        }
        let count = self.frames_until_sound_ends(clock);
        self.push_made(count, clock);
        self.pieces.push(Pictures::Made {
            count,
            insertion,
            shown: Vec::new(),
        });
    }

    /// How many made frames bring the pictures nearest to the sound's end.
    fn frames_until_sound_ends(&self, clock: &FrameClock) -> u64 {
        let missing = (self.track.end() - self.end).0 / clock.nominal().0;
        // Just under a half rounds down, like `FrameClock::nearest`.
        (missing - 1e-7).round().max(0.0) as u64
    }

    fn push_made(&mut self, count: u64, clock: &FrameClock) {
        for index in 0..count {
            self.starts.push(self.end + clock.nominal() * index as f64);
        }
        self.end += clock.nominal() * count as f64;
    }

    fn continue_from(&mut self, times: &Range<Seconds>, end: FrameIndex) {
        self.continues = Some((times.end, end));
        self.passed = self.passed.max(end);
    }

    /// Chooses the pictures under new speech, from what is shown before and after it.
    pub(super) fn fill_beds(&mut self, input: &TimelineInput<'_>) {
        let clock = input.clock;
        let turn = (input.config.bed.turn.0 / clock.nominal().0)
            .round()
            .max(1.0) as u64;
        let mut index = 0;
        while index < self.pieces.len() {
            let group = self.group_of_made(index);
            if group.is_empty() {
                index += 1;
                continue;
            }
            let shows = |piece: &&Pictures| piece.count() > 0;
            let (head, tail) = self.pieces.split_at(group.end);
            let before = head
                .iter()
                .take(group.start)
                .rev()
                .find(shows)
                .and_then(Pictures::last);
            let after = tail.iter().find(shows).and_then(Pictures::first);
            let frames = head.iter().skip(group.start).map(Pictures::count).sum();
            let wanted = wanted(before, after, frames, input);
            let mut path = bed::path(&wanted, turn, &input.config.bed, input.pose).into_iter();
            for piece in self.pieces.iter_mut().take(group.end).skip(group.start) {
                if let Pictures::Made { count, shown, .. } = piece {
                    *shown = path.by_ref().take(*count as usize).collect();
                }
            }
            index = group.end;
        }
    }

    /// Made pieces in a row from `from` on; kept ones too short for a frame don't part them.
    fn group_of_made(&self, from: usize) -> Range<usize> {
        let mut end = from;
        for (index, piece) in self.pieces.iter().enumerate().skip(from) {
            match piece {
                Pictures::Made { .. } => end = index + 1,
                _ if index > from && piece.count() == 0 => {}
                _ => break,
            }
        }
        from..end
    }

    pub(super) fn finish(self, input: &TimelineInput<'_>) -> Result<Timeline, TimelineError> {
        let (pictures, made) = seams::runs(&self.pieces, input);
        let nominal = input.clock.rate();
        let frames = self.starts.len() as u64;
        Ok(Timeline {
            lips: seams::widened(
                &made.lips,
                input.config.lips_margin,
                frames,
                &seams::cuts(&pictures, input),
            ),
            rerender: made.anew,
            sound: self.track.finish(self.end),
            clock: FrameClock::new(self.starts, self.end, nominal)?,
            edits: self.edits,
            pictures: merged(pictures),
        })
    }
}

fn check(input: &TimelineInput<'_>) -> Result<(), TimelineError> {
    let insertions = input.edits.insertions().count();
    if insertions != input.speech.len() {
        return Err(TimelineError::Durations {
            insertions,
            durations: input.speech.len(),
        });
    }
    for (insertion, ((_, speech), said)) in input.edits.insertions().zip(input.speech).enumerate() {
        if !(0.0..=limits::SECONDS).contains(&said.0) {
            return Err(TimelineError::Duration {
                insertion,
                seconds: said.0,
            });
        }
        if input.sound.is_none() && !speech.is_silent() {
            return Err(TimelineError::NoSound);
        }
    }
    Ok(())
}

fn frame_of_cut(time: Seconds, input: &TimelineInput<'_>) -> FrameIndex {
    if at_end(time, input) {
        FrameIndex(input.clock.frames())
    } else {
        input.clock.nearest(time)
    }
}

fn at_end(time: Seconds, input: &TimelineInput<'_>) -> bool {
    time + ROUNDING >= input.edits.duration().min(input.clock.end())
}

/// The bed for an insertion: footage within reach, of one shot. Where the shots before and after
/// differ, it goes on from the one before, and the cut to the next shot stays a cut.
fn wanted(
    before: Option<FrameIndex>,
    after: Option<FrameIndex>,
    frames: u64,
    input: &TimelineInput<'_>,
) -> Wanted {
    let clock = input.clock;
    let (Some(low), Some(high)) = (before.or(after), after.or(before)) else {
        let allowed = input.shot_of(FrameIndex::ZERO);
        return Wanted {
            before,
            after,
            frames,
            allowed,
        };
    };
    let shot = input.shot_of(low);
    let one_shot = shot.contains(&high);
    let (after, high) = if one_shot { (after, high) } else { (None, low) };
    let (low, high) = (low.min(high), high.max(low));
    let reach = input.config.bed.reach;
    let start = clock.at(clock.start_of(low) - reach).max(shot.start);
    let end = clock.at(clock.start_of(high) + reach).next().min(shot.end);
    Wanted {
        before,
        after,
        frames,
        allowed: start..end,
    }
}

/// Runs of source frames that go on where the last one stopped are one run.
fn merged(runs: Vec<PictureRun>) -> Vec<PictureRun> {
    let mut result: Vec<PictureRun> = Vec::with_capacity(runs.len());
    for run in runs.into_iter().filter(|run| !run.is_empty()) {
        match (result.last_mut(), run) {
            (Some(PictureRun::Source { source: last }), PictureRun::Source { source })
                if last.end == source.start =>
            {
                last.end = source.end;
            }
            (_, run) => result.push(run),
        }
    }
    result
}
