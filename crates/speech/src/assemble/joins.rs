//! Where two runs meet: a short equal-power crossfade at the quietest point near by.

use std::ops::Range;
use units::Seconds;

/// The shape of joins.
#[derive(Clone, Copy, Debug)]
pub struct Fades {
    /// How long a crossfade lasts.
    pub length: Seconds,
    /// How far from its place in the plan a crossfade's middle may lie.
    pub reach: Seconds,
}

impl Default for Fades {
    fn default() -> Self {
        Self {
            length: Seconds(0.01),
            reach: Seconds(0.012),
        }
    }
}

/// Gains of the ending and the starting sound at sample `n` of a fade of `length` samples: their squares add to 1.
pub(super) fn gains(n: usize, length: usize) -> (f32, f32) {
    let turn = std::f64::consts::FRAC_PI_2 * (n as f64 + 0.5) / length.max(1) as f64;
    (turn.cos() as f32, turn.sin() as f32)
}

/// A stretch of the output: one run's, or the crossfade from one to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) range: Range<u64>,
    pub(super) run: usize,
    /// The run that is faded in.
    pub(super) next: Option<usize>,
}

/// Where a join may lie: from half of the run before it to half of the run after it, within reach.
pub(super) fn room(before: &Range<u64>, after: &Range<u64>, reach: u64) -> Range<u64> {
    let join = before.end;
    let low =
        (before.start + (before.end - before.start).div_ceil(2)).max(join.saturating_sub(reach));
    let high = (after.start + (after.end - after.start) / 2).min(join + reach);
    low..high
}

/// The window of a fade in a room (`room`, which holds `join`): the quietest by `energy`, which is given windows; the
/// nearest to the join among equals.
pub(super) fn place<E>(
    room: &Range<u64>,
    join: u64,
    length: u64,
    step: u64,
    mut energy: impl FnMut(Range<u64>) -> Result<f64, E>,
) -> Result<Range<u64>, E> {
    let length = length.min(room.end.saturating_sub(room.start));
    let half = length / 2;
    let centred = join
        .saturating_sub(half)
        .clamp(room.start, room.end - length);
    let mut best = (energy(centred..centred + length)?, centred);
    let mut offset = step.max(1);
    while offset <= room.end - room.start {
        for start in [centred.checked_sub(offset), centred.checked_add(offset)] {
            let Some(start) = start.filter(|&s| s >= room.start && s + length <= room.end) else {
                continue;
            };
            let value = energy(start..start + length)?;
            // Only a clear gain is worth leaving the planned place.
            if value < best.0 * 0.8 {
                best = (value, start);
            }
        }
        offset += step.max(1);
    }
    Ok(best.1..best.1 + length)
}
