//! Beds: recorded footage shown under newly generated lips.
//!
//! A bed is a path through nearby source frames at natural speed, forwards or reversed, that
//! starts after the last kept frame and ends before the next one, so that playback goes on without
//! a jump at either end. A bed longer than the footage it replaces turns around (and back); a
//! shorter one leaves frames out in one place, where the pose differs least, and dissolves there.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ops::Range;
use units::{FrameIndex, Seconds};

/// How different the pose is in two source frames; any non-negative unit.
pub type PoseDistance<'a> = &'a dyn Fn(FrameIndex, FrameIndex) -> f32;

/// How beds are planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BedConfig {
    /// Turning points of a long bed are at least this far apart.
    pub turn: Seconds,
    /// How far from the insertion the footage may be taken.
    pub reach: Seconds,
    /// A bed is slowed down rather than turned around up to this share of additional frames.
    pub slow: f64,
    /// Frames each side of a jump that dissolve.
    pub dissolve: u64,
}

impl Default for BedConfig {
    fn default() -> Self {
        Self {
            turn: Seconds(0.5),
            reach: Seconds(3.0),
            slow: 0.15,
            dissolve: 4,
        }
    }
}

/// A made picture: `a` dissolving (or morphing) into `b`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeamFrame {
    /// The source frame that goes.
    pub a: FrameIndex,
    /// The source frame that comes.
    pub b: FrameIndex,
    /// How much of `b` is seen, between 0 and 1.
    pub weight: f32,
}

/// What one output frame of a bed shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// A source frame.
    Frame(FrameIndex),
    /// Two source frames.
    Blend(SeamFrame),
}

/// A bed that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The source frame shown before it; none at the output's start.
    pub before: Option<FrameIndex>,
    /// The source frame shown after it; none at the output's end.
    pub after: Option<FrameIndex>,
    /// Output frames.
    pub frames: u64,
    /// Source frames that may be used; not empty.
    pub allowed: Range<FrameIndex>,
}

/// Plans a bed of exactly `wanted.frames` pictures, all of them from `wanted.allowed`.
///
/// `turn` is [`BedConfig::turn`] in frames.
pub fn path(
    wanted: &Wanted,
    turn: u64,
    config: &BedConfig,
    distance: Option<PoseDistance<'_>>,
) -> Vec<Shown> {
    let (low, high) = (wanted.allowed.start.0 as i64, wanted.allowed.end.0 as i64);
    if high <= low || wanted.frames == 0 {
        return Vec::new();
    }
    let planner = Planner {
        low,
        high,
        turn: turn.max(1) as i64,
        config,
        distance,
    };
    let count = wanted.frames as i64;
    let inside = |frame: FrameIndex| (frame.0 as i64).clamp(low, high - 1);
    match (wanted.before.map(inside), wanted.after.map(inside)) {
        // Seen from its kept end, a bed at the clip's start or end runs away and turns at the
        // edges of what is allowed.
        (Some(before), None) => planner.away(before, 1, count),
        (None, Some(after)) => {
            let mut frames = planner.away(after, -1, count);
            frames.reverse();
            frames
        }
        (None, None) => planner.away(low - 1, 1, count),
        (Some(before), Some(after)) => {
            // Rounding may repeat a frame around an insertion; the bed then passes between the two.
            let after = after.max(before + 1);
            let recorded = after - before - 1;
            match count.cmp(&recorded) {
                Ordering::Equal => planner.straight(before + 1..after),
                Ordering::Less => planner.shortened(before, after, count),
                Ordering::Greater => planner.lengthened(before, after, count, recorded),
            }
        }
    }
}

struct Planner<'a> {
    low: i64,
    high: i64,
    turn: i64,
    config: &'a BedConfig,
    distance: Option<PoseDistance<'a>>,
}

impl Planner<'_> {
    fn frame(&self, index: i64) -> FrameIndex {
        FrameIndex(index.clamp(self.low, self.high - 1).max(0) as u64)
    }

    fn shown(&self, index: i64) -> Shown {
        Shown::Frame(self.frame(index))
    }

    fn straight(&self, frames: Range<i64>) -> Vec<Shown> {
        frames.map(|index| self.shown(index)).collect()
    }

    /// From a frame on in one direction, turning around at the edges of what is allowed.
    fn away(&self, from: i64, direction: i64, count: i64) -> Vec<Shown> {
        let (mut at, mut step) = (from, direction);
        let mut frames = Vec::new();
        for _ in 0..count {
            if !(self.low..self.high).contains(&(at + step)) {
                step = -step;
            }
            if (self.low..self.high).contains(&(at + step)) {
                at += step;
            }
            frames.push(self.shown(at));
        }
        frames
    }

    /// Leaves frames out in one place: the least jump that has room for its dissolve.
    fn shortened(&self, before: i64, after: i64, count: i64) -> Vec<Shown> {
        let left_out = (after - before - 1) - count;
        let room = (self.config.dissolve as i64).min(left_out).min(count / 2);
        let jump = |first: i64| {
            let (last, next) = (before + first, after - (count - first));
            self.distance
                .map_or(0.0, |distance| distance(self.frame(last), self.frame(next)))
        };
        let middle = count / 2;
        let first = (room..=count - room)
            .min_by(|&a, &b| {
                let by_jump = jump(a).total_cmp(&jump(b));
                by_jump
                    .then((a - middle).abs().cmp(&(b - middle).abs()))
                    .then(a.cmp(&b))
            })
            .unwrap_or(middle);
        (0..count)
            .map(|index| {
                let (old, new) = (before + 1 + index, after - count + index);
                let into = index - (first - room);
                if into >= 0 && into < 2 * room {
                    Shown::Blend(SeamFrame {
                        a: self.frame(old),
                        b: self.frame(new),
                        weight: (into as f32 + 0.5) / (2 * room) as f32,
                    })
                } else if index < first {
                    self.shown(old)
                } else {
                    self.shown(new)
                }
            })
            .collect()
    }

    fn lengthened(&self, before: i64, after: i64, count: i64, recorded: i64) -> Vec<Shown> {
        let more = count - recorded;
        let slow = (recorded as f64 * self.config.slow) as i64;
        let room = self.high - self.low - 1;
        if more <= slow.max(2) || room < 1 {
            return self.slowed(before, after, count);
        }
        self.turned(before, after, more / 2, more % 2 == 1)
    }

    /// Spreads additional frames evenly: each is half way between its neighbours.
    fn slowed(&self, before: i64, after: i64, count: i64) -> Vec<Shown> {
        let recorded = (after - before - 1).max(0);
        let mut frames = Vec::new();
        let mut at = 0;
        for index in 0..count {
            // Of the first `index + 1` output frames, this many are recorded ones.
            let due = ((index + 1) * recorded + count / 2) / count;
            if due > at {
                at = due;
                frames.push(self.shown(before + at));
            } else {
                let (a, b) = (
                    self.frame(before + at),
                    self.frame((before + at + 1).min(after)),
                );
                // Several in a row (an insertion of two frames) share the way.
                let run = (count - recorded).min(count) / (recorded + 1).max(1);
                let place = if recorded == 0 {
                    (index + 1) as f32 / (run + 1) as f32
                } else {
                    0.5
                };
                frames.push(if a == b {
                    Shown::Frame(a)
                } else {
                    Shown::Blend(SeamFrame {
                        a,
                        b,
                        weight: place.clamp(0.05, 0.95),
                    })
                });
            }
        }
        frames
    }

    /// Forwards to a turning point, back, and forwards again, as often as it takes to go `back`
    /// frames backwards in all.
    fn turned(&self, before: i64, after: i64, back: i64, hold: bool) -> Vec<Shown> {
        let room = (self.high - self.low - 1).max(1);
        // The longest legs that fit; never more turns than legs of the least length allow.
        let legs = (back + room - 1) / room;
        let legs = legs.max(1);
        // The last leg is a longest one, so that it comes back to before the next kept frame.
        let length = |leg: i64| back / legs + i64::from(leg >= legs - back % legs);
        let longest = length(legs - 1);
        // `top` is where it turns back, `top - length` where it turns forwards again.
        let least = before.max(self.low + longest);
        let most = (self.high - 1).min(after - 1 + longest).max(least);
        let least = least.min(self.high - 1);
        let most = most.min(self.high - 1);
        let middle = (before + (after - before - 1) / 2 + longest / 2 + 1).clamp(least, most);
        let top = (least..=most)
            .min_by(|&a, &b| {
                let by_motion = self.motion(a, longest).total_cmp(&self.motion(b, longest));
                by_motion
                    .then((a - middle).abs().cmp(&(b - middle).abs()))
                    .then(a.cmp(&b))
            })
            .unwrap_or(middle);
        let mut frames: Vec<Shown> = self.straight(before + 1..top + 1);
        if hold {
            frames.push(self.shown(top));
        }
        for leg in 0..legs {
            let bottom = top - length(leg);
            frames.extend((bottom..top).rev().map(|index| self.shown(index)));
            let to = if leg + 1 < legs { top + 1 } else { after };
            frames.extend((bottom + 1..to).map(|index| self.shown(index)));
        }
        frames
    }

    /// How fast the head moves where a path turns: a turn shows least where it stands still.
    fn motion(&self, top: i64, back: i64) -> f32 {
        let Some(distance) = self.distance else {
            return 0.0;
        };
        let speed = |at: i64| distance(self.frame(at - 1), self.frame(at + 1));
        // Turning twice within the least time is a twitch, whatever the pose does.
        let twitch = if back < self.turn { 1.0 } else { 0.5 };
        twitch * (speed(top) + speed(top - back))
    }
}
