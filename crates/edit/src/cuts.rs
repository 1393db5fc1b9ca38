//! Where a cut may fall: in the pause between words, at its quietest point, never inside a word.

use crate::Transcript;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use units::Seconds;

/// The loudness of a track over time: `values[i]` is the root mean square of the samples in
/// `i * hop .. (i + 1) * hop`, on the clip's time axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Time between two values.
    pub hop: Seconds,
    /// Root mean square amplitudes, 0 to 1.
    pub values: Vec<f32>,
}

impl Energy {
    /// The value around a time, averaged with its neighbours; none outside the track.
    pub fn at(&self, time: Seconds) -> Option<f32> {
        let index = time.0 / self.hop.0;
        if !index.is_finite() || index < 0.0 {
            return None;
        }
        let index = index as usize;
        let middle = *self.values.get(index)?;
        let before = index
            .checked_sub(1)
            .and_then(|index| self.values.get(index))
            .copied()
            .unwrap_or(middle);
        let after = self.values.get(index + 1).copied().unwrap_or(middle);
        Some((before + 2.0 * middle + after) / 4.0)
    }
}

/// How cuts are placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CutConfig {
    /// How far a cut may move from where it was asked for, or from the natural place in a pause.
    pub reach: Seconds,
    /// What stays free next to a word, where the pause is long enough: onsets start before
    /// aligners hear them.
    pub guard: Seconds,
    /// A cut counts as quiet up to this many times the lowest amplitude within reach; the nearest
    /// of the quiet places wins.
    pub quiet: f32,
    /// The pause left between recorded and inserted words where the recorded pause is longer.
    pub breath: Seconds,
    /// Removing the clip's first or last words removes the silence beyond them up to this length;
    /// a longer one is more than a pause, and stays.
    pub end_silence: Seconds,
}

impl Default for CutConfig {
    fn default() -> Self {
        Self {
            reach: Seconds(0.15),
            guard: Seconds(0.02),
            quiet: 1.5,
            breath: Seconds(0.15),
            end_silence: Seconds(1.0),
        }
    }
}

/// Where in a pause a cut belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lean {
    /// Half way.
    Middle,
    /// This long after the word before, or half way where the pause is shorter than twice that.
    AfterPrevious(Seconds),
    /// This long before the word after, or half way where the pause is shorter than twice that.
    BeforeNext(Seconds),
}

/// Places a cut in a pause. The result lies in `gap`, both ends allowed.
pub fn in_gap(
    gap: &Range<Seconds>,
    lean: Lean,
    energy: Option<&Energy>,
    config: &CutConfig,
) -> Seconds {
    let length = gap.end - gap.start;
    if length <= Seconds::ZERO {
        return gap.start;
    }
    let preferred = match lean {
        Lean::Middle => gap.start + length / 2.0,
        Lean::AfterPrevious(distance) => gap.start + distance.min(length / 2.0),
        Lean::BeforeNext(distance) => gap.end - distance.min(length / 2.0),
    };
    // A cut that leans towards a word is kept near it: a quiet place far away would cost the pause.
    let reach = match lean {
        Lean::Middle => config.reach,
        Lean::AfterPrevious(distance) | Lean::BeforeNext(distance) => config.reach.min(distance),
    };
    let guard = config.guard.min(length / 4.0);
    let window =
        (gap.start + guard).max(preferred - reach)..(gap.end - guard).min(preferred + reach);
    quietest(preferred, &[window], energy, config).unwrap_or(preferred)
}

/// A cut that was asked for at a time, and where it is placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Where the cut falls.
    pub time: Seconds,
    /// True when no pause lay within reach, so that the cut had to move further.
    pub beyond_reach: bool,
}

/// Moves a cut to the nearest good place within reach: in a pause, where it is quiet. Inside a
/// word longer than twice the reach, the word's nearer end is taken, beyond reach as it is.
pub fn near(
    time: Seconds,
    transcript: &Transcript,
    duration: Seconds,
    energy: Option<&Energy>,
    config: &CutConfig,
) -> Placed {
    let here = |time| Placed {
        time,
        beyond_reach: false,
    };
    if time <= Seconds::ZERO || time >= duration {
        return here(time.max(Seconds::ZERO).min(duration));
    }
    let (from, to) = (
        (time - config.reach).max(Seconds::ZERO),
        (time + config.reach).min(duration),
    );
    let words = transcript.words();
    let first = words.partition_point(|word| word.end < from);
    let mut windows = Vec::new();
    for index in first..=words.len() {
        let gap = transcript.gap(index, duration);
        if gap.start > to {
            break;
        }
        let window = gap.start.max(from)..gap.end.min(to);
        if window.start <= window.end {
            windows.push(window);
        }
    }
    let nearest = |candidates: &[Seconds]| {
        candidates
            .iter()
            .copied()
            .min_by(|a, b| (*a - time).abs().total_cmp(&(*b - time).abs()))
    };
    if let Some(found) = quietest(time, &windows, energy, config) {
        return here(found);
    }
    let clamped: Vec<Seconds> = windows
        .iter()
        .map(|window| time.max(window.start).min(window.end))
        .collect();
    if let Some(found) = nearest(&clamped) {
        return here(found);
    }
    match transcript.word_inside(time) {
        Some((_, word)) => Placed {
            time: nearest(&[word.start, word.end.min(duration)]).unwrap_or(time),
            beyond_reach: true,
        },
        None => here(time),
    }
}

/// The quiet place nearest to `preferred` inside the windows (both ends allowed); none without an
/// energy envelope there.
fn quietest(
    preferred: Seconds,
    windows: &[Range<Seconds>],
    energy: Option<&Energy>,
    config: &CutConfig,
) -> Option<Seconds> {
    let energy = energy?;
    let mut candidates: Vec<(Seconds, f32)> = Vec::new();
    for window in windows.iter().filter(|window| window.start <= window.end) {
        let inside = preferred.max(window.start).min(window.end);
        let steps = ((window.end - window.start).0 / energy.hop.0.max(1e-4)) as usize;
        let grid = (0..=steps.min(100_000)).map(|step| window.start + energy.hop * step as f64);
        for time in grid.chain([inside, window.end]) {
            if time <= window.end
                && let Some(value) = energy.at(time)
            {
                candidates.push((time, value));
            }
        }
    }
    let lowest = candidates
        .iter()
        .map(|&(_, value)| value)
        .min_by(f32::total_cmp)?;
    candidates
        .into_iter()
        .filter(|&(_, value)| value <= lowest * config.quiet + 1e-6)
        .min_by(|(a, _), (b, _)| (*a - preferred).abs().total_cmp(&(*b - preferred).abs()))
        .map(|(time, _)| time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Word;
    use proptest::prelude::*;

    fn transcript(times: &[(f64, f64)]) -> Transcript {
        let words = times
            .iter()
            .map(|&(start, end)| Word::new("w", Seconds(start), Seconds(end)))
            .collect();
        Transcript::new(None, words).unwrap()
    }

    fn energy(quiet_at: f64) -> Energy {
        let values = (0..300)
            .map(|index| {
                if (f64::from(index) * 0.01 - quiet_at).abs() < 0.015 {
                    0.001
                } else {
                    0.1
                }
            })
            .collect();
        Energy {
            hop: Seconds(0.01),
            values,
        }
    }

    #[test]
    fn a_pause_is_cut_where_it_is_quiet() {
        let config = CutConfig::default();
        let gap = Seconds(1.0)..Seconds(1.4);
        assert_eq!(in_gap(&gap, Lean::Middle, None, &config), Seconds(1.2));
        let cut = in_gap(&gap, Lean::Middle, Some(&energy(1.3)), &config);
        assert!((cut.0 - 1.3).abs() < 0.02, "{cut}");
        let lean = in_gap(&gap, Lean::BeforeNext(Seconds(0.02)), None, &config);
        assert!((lean.0 - 1.38).abs() < 1e-9, "{lean}");
    }

    #[test]
    fn a_cut_inside_a_word_moves_to_its_nearer_end() {
        let words = transcript(&[(0.5, 1.0), (1.0, 2.0)]);
        let config = CutConfig::default();
        let cut = |time| near(Seconds(time), &words, Seconds(3.0), None, &config);
        assert_eq!(
            cut(0.9),
            Placed {
                time: Seconds(1.0),
                beyond_reach: false
            }
        );
        assert_eq!(
            cut(1.3),
            Placed {
                time: Seconds(1.0),
                beyond_reach: true
            }
        );
        assert_eq!(
            cut(2.2),
            Placed {
                time: Seconds(2.2),
                beyond_reach: false
            }
        );
        assert_eq!(
            cut(0.0),
            Placed {
                time: Seconds(0.0),
                beyond_reach: false
            }
        );
        let quiet = near(
            Seconds(2.2),
            &words,
            Seconds(3.0),
            Some(&energy(2.1)),
            &config,
        );
        assert!((quiet.time.0 - 2.1).abs() < 0.02, "{quiet:?}");
    }

    proptest! {
        #[test]
        fn no_cut_ever_falls_inside_a_word(
            lengths in prop::collection::vec((0.0_f64..0.4, 0.01_f64..0.9), 0..12),
            time in 0.0_f64..12.0,
            loudness in prop::collection::vec(0.0_f32..1.0, 0..1200),
        ) {
            let mut now = 0.0;
            let mut times = Vec::new();
            for (gap, word) in lengths {
                times.push((now + gap, now + gap + word));
                now += gap + word;
            }
            let words = transcript(&times);
            let duration = Seconds(now + 0.3);
            let energy = Energy { hop: Seconds(0.01), values: loudness };
            let config = CutConfig::default();
            for energy in [None, Some(&energy)] {
                let placed = near(Seconds(time), &words, duration, energy, &config);
                prop_assert!(words.word_inside(placed.time).is_none(), "{placed:?}");
                prop_assert!(placed.time >= Seconds::ZERO && placed.time <= duration);
                if !placed.beyond_reach && time < duration.0 {
                    prop_assert!((placed.time.0 - time).abs() <= config.reach.0 + 1e-9);
                }
                for index in 0..=words.len() {
                    let gap = words.gap(index, duration);
                    for lean in [Lean::Middle, Lean::AfterPrevious(Seconds(0.1)), Lean::BeforeNext(Seconds(0.1))] {
                        let cut = in_gap(&gap, lean, energy, &config);
                        prop_assert!(gap.start <= cut && cut <= gap.end, "{cut:?} in {gap:?}");
                    }
                }
            }
        }
    }
}
