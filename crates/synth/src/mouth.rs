//! From phones to the shape of the mouth, with coarticulation.
//!
//! Every phone has a target for each channel of the mouth. A channel at a time is the
//! average of the targets weighted by dominance functions that fall off
//! exponentially from the phone's middle (Cohen and Massaro, "Modeling coarticulation
//! in synthetic visual speech", 1993). Lips that must touch (b, m, p) and the lower
//! lip on the teeth (f, v) are hard constraints, so they have windows of their own
//! that reach exactly 1.

use units::Seconds;

use crate::vec::smoothstep;

/// A speech sound and when it is heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Phone {
    /// `ARPAbet` name in any case, stress digits allowed (`"AH0"`, `"pau"`).
    pub label: String,
    /// Start of the sound.
    pub start: Seconds,
    /// End of the sound.
    pub end: Seconds,
}

/// The shape of the mouth at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MouthShape {
    /// Opening of the jaw: 0 closed, 1 wide open.
    pub jaw: f32,
    /// Corners pulled apart (positive) or drawn in (negative), about -1..1.
    pub width: f32,
    /// Lips rounded and pushed forward, 0..1.
    pub round: f32,
    /// Upper lip raised, 0..1.
    pub upper: f32,
    /// Lower lip lowered, 0..1.
    pub lower: f32,
    /// Lips pressed together: at 1 they touch whatever the jaw does.
    pub closed: f32,
    /// Lower lip on the upper teeth, 0..1.
    pub tuck: f32,
    /// Tip of the tongue: 0 low, 0.6 behind the teeth, 1 between them.
    pub tongue: f32,
}

const CHANNELS: usize = 6;

/// Targets of a phone, in the order jaw, width, round, upper, lower, tongue, and how
/// strongly it holds them against its neighbours.
struct Target {
    shape: [f32; CHANNELS],
    dominance: [f32; CHANNELS],
}

/// The mouth's movement over a whole text.
#[derive(Debug, Clone)]
pub(crate) struct MouthTrack {
    targets: Vec<(Span, Target)>,
    closures: Vec<Span>,
    tucks: Vec<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: f64,
    end: f64,
}

impl Span {
    fn middle(self) -> f64 {
        0.5 * (self.start + self.end)
    }

    fn length(self) -> f64 {
        self.end - self.start
    }

    /// 1 within the span, falling smoothly to 0 over `before` and `after` seconds.
    fn window(self, time: f64, before: f64, after: f64) -> f32 {
        let rise = smoothstep(0.0, 1.0, ((time - self.start + before) / before) as f32);
        let fall = smoothstep(0.0, 1.0, ((self.end + after - time) / after) as f32);
        rise.min(fall)
    }
}

impl Clone for Target {
    fn clone(&self) -> Self {
        Self {
            shape: self.shape,
            dominance: self.dominance,
        }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.shape).finish()
    }
}

impl MouthTrack {
    /// Prepares the movement for `phones`, which may be in any order and leave gaps
    /// (silence). Names that are not `ARPAbet` count as a slightly open mouth.
    pub(crate) fn new(phones: &[Phone]) -> Self {
        let mut sorted: Vec<(Span, String)> = phones
            .iter()
            .filter(|p| p.start.is_finite() && p.end.0 > p.start.0)
            .map(|p| {
                let name = p.label.trim_end_matches(|c: char| c.is_ascii_digit());
                (
                    Span {
                        start: p.start.0,
                        end: p.end.0,
                    },
                    name.to_ascii_lowercase(),
                )
            })
            .collect();
        sorted.sort_by(|a, b| a.0.start.total_cmp(&b.0.start));
        let mut track = Self {
            targets: Vec::new(),
            closures: Vec::new(),
            tucks: Vec::new(),
        };
        for (span, name) in sorted {
            match name.as_str() {
                "b" | "m" | "p" => track.closures.push(Span {
                    start: span.start + 0.05 * span.length(),
                    end: span.end - 0.25 * span.length(),
                }),
                "f" | "v" => track.tucks.push(Span {
                    start: span.start + 0.1 * span.length(),
                    end: span.end - 0.25 * span.length(),
                }),
                _ => {}
            }
            match name.as_str() {
                // A diphthong moves from one vowel to another.
                "aw" => track.push_pair(span, "aa", "uw"),
                "ay" => track.push_pair(span, "aa", "ih"),
                "ey" => track.push_pair(span, "eh", "ih"),
                "ow" => track.push_pair(span, "ao", "uw"),
                "oy" => track.push_pair(span, "ao", "ih"),
                other => track.targets.push((span, target(other))),
            }
        }
        track
    }

    fn push_pair(&mut self, span: Span, first: &str, second: &str) {
        let split = span.start + 0.55 * span.length();
        self.targets.push((
            Span {
                start: span.start,
                end: split,
            },
            target(first),
        ));
        let mut glide = target(second);
        // The second half of a diphthong is hardly ever reached in full.
        for (value, held) in glide.shape.iter_mut().zip(target(first).shape) {
            *value = 0.7 * *value + 0.3 * held;
        }
        self.targets.push((
            Span {
                start: split,
                end: span.end,
            },
            glide,
        ));
    }

    /// The shape at `time`.
    pub(crate) fn at(&self, time: Seconds) -> MouthShape {
        let t = time.0;
        // Rest holds weakly everywhere, so that long gaps relax to it.
        let rest = target("pau");
        let mut weight = [0.02_f64; CHANNELS];
        let mut sum: [f64; CHANNELS] =
            std::array::from_fn(|c| weight[c] * f64::from(rest.shape[c]));
        // Phones farther than this have no say (e^-15).
        let reach = 0.7;
        let first = self
            .targets
            .partition_point(|(span, _)| span.end < t - reach);
        for (span, target) in &self.targets[first..] {
            if span.start > t + reach {
                break;
            }
            let distance = (t - span.middle()).abs();
            // Movement begins before the sound and lingers a little less.
            let slope = if t < span.middle() { 20.0 } else { 24.0 };
            let half = 0.5 * span.length();
            let beyond = (distance - 0.45 * half).max(0.0);
            for c in 0..CHANNELS {
                let d = f64::from(target.dominance[c]) * (-slope * beyond).exp();
                weight[c] += d;
                sum[c] += d * f64::from(target.shape[c]);
            }
        }
        let value = |c: usize| (sum[c] / weight[c]) as f32;
        let strongest = |spans: &[Span], before: f64, after: f64| {
            let first = spans.partition_point(|s| s.end < t - 1.0);
            spans[first..]
                .iter()
                .take_while(|s| s.start < t + 1.0)
                .map(|s| s.window(t, before, after))
                .fold(0.0, f32::max)
        };
        let closed = strongest(&self.closures, 0.075, 0.06);
        MouthShape {
            jaw: value(0),
            width: value(1),
            round: value(2),
            upper: value(3),
            lower: value(4),
            closed,
            tuck: strongest(&self.tucks, 0.08, 0.07) * (1.0 - closed),
            tongue: value(5),
        }
    }

    /// When lips are held together for b, m and p, as `(start, end)`.
    #[cfg(test)]
    pub(crate) fn closures(&self) -> Vec<(Seconds, Seconds)> {
        self.closures
            .iter()
            .map(|s| (Seconds(s.start), Seconds(s.end)))
            .collect()
    }
}

/// Targets by phone. Jaw and lip openings follow the usual ordering of English vowels
/// (open aa/ae, mid eh/ah, close iy/uw) and places of articulation.
fn target(name: &str) -> Target {
    let all = |d: f32| [d; CHANNELS];
    //                 jaw   width  round upper lower tongue
    let (shape, dominance) = match name {
        "aa" => ([0.74, 0.05, 0.05, 0.35, 0.55, 0.0], all(1.0)),
        "ae" => ([0.68, 0.50, 0.00, 0.50, 0.60, 0.1], all(1.0)),
        "ah" | "ax" => ([0.42, 0.05, 0.05, 0.25, 0.35, 0.1], all(0.6)),
        "ao" => ([0.60, -0.45, 0.55, 0.30, 0.45, 0.0], all(1.0)),
        "eh" => ([0.50, 0.35, 0.00, 0.40, 0.45, 0.2], all(0.9)),
        "er" | "axr" => ([0.30, -0.30, 0.45, 0.30, 0.35, 0.3], all(0.9)),
        "ih" | "ix" => ([0.30, 0.45, 0.00, 0.35, 0.35, 0.3], all(0.8)),
        "iy" | "y" => ([0.20, 0.75, 0.00, 0.40, 0.40, 0.4], all(0.9)),
        "uh" => ([0.30, -0.45, 0.60, 0.25, 0.30, 0.1], all(0.9)),
        "uw" => ([0.20, -0.75, 0.95, 0.25, 0.30, 0.1], all(1.1)),
        "w" => ([0.14, -0.85, 1.00, 0.15, 0.20, 0.1], all(1.3)),
        "r" => ([0.20, -0.40, 0.60, 0.30, 0.30, 0.3], all(0.9)),
        "ch" | "jh" | "sh" | "zh" => (
            [0.14, -0.30, 0.70, 0.50, 0.55, 0.5],
            [1.2, 1.0, 1.1, 1.0, 1.0, 1.0],
        ),
        "s" | "z" => (
            [0.10, 0.35, 0.05, 0.35, 0.45, 0.5],
            [1.3, 0.6, 0.5, 0.8, 0.8, 1.0],
        ),
        "th" | "dh" => (
            [0.22, 0.15, 0.00, 0.30, 0.40, 1.0],
            [0.9, 0.4, 0.4, 0.7, 0.7, 1.8],
        ),
        "l" => (
            [0.30, 0.15, 0.00, 0.30, 0.40, 0.75],
            [0.6, 0.4, 0.4, 0.6, 0.6, 1.8],
        ),
        "t" | "d" | "n" | "dx" => (
            [0.18, 0.20, 0.00, 0.28, 0.35, 0.65],
            [0.7, 0.3, 0.25, 0.6, 0.6, 1.4],
        ),
        "k" | "g" | "ng" | "hh" => (
            [0.26, 0.15, 0.00, 0.25, 0.30, 0.1],
            [0.5, 0.25, 0.2, 0.4, 0.4, 0.6],
        ),
        "f" | "v" => (
            [0.12, 0.15, 0.00, 0.30, 0.00, 0.1],
            [1.2, 0.6, 0.8, 1.0, 1.0, 0.5],
        ),
        "b" | "m" | "p" => (
            [0.08, 0.05, 0.10, 0.00, 0.00, 0.1],
            [0.9, 0.4, 0.4, 1.0, 1.0, 0.3],
        ),
        // Silence: lips together without pressure.
        "pau" | "sil" | "sp" | "spn" | "h#" | "" => ([0.0, 0.05, 0.0, 0.0, 0.0, 0.1], all(0.7)),
        _ => ([0.25, 0.10, 0.05, 0.25, 0.30, 0.2], all(0.5)),
    };
    Target { shape, dominance }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LABELS: [&str; 14] = [
        "aa", "iy", "UW1", "m", "b", "p", "f", "v", "th", "s", "pau", "er", "ow", "??",
    ];

    fn speech() -> impl Strategy<Value = Vec<Phone>> {
        proptest::collection::vec((0..LABELS.len(), 0.03_f64..0.3), 1..40).prop_map(|items| {
            let mut start = 0.0;
            items
                .into_iter()
                .map(|(label, length)| {
                    let phone = Phone {
                        label: LABELS[label].into(),
                        start: Seconds(start),
                        end: Seconds(start + length),
                    };
                    start += length;
                    phone
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_shape_is_within_its_range(phones in speech(), t in -1.0_f64..12.0) {
            let m = MouthTrack::new(&phones).at(Seconds(t));
            for v in [m.jaw, m.round, m.upper, m.lower, m.closed, m.tuck, m.tongue] {
                prop_assert!((0.0..=1.0).contains(&v), "{m:?}");
            }
            prop_assert!((-1.0..=1.0).contains(&m.width), "{m:?}");
        }

        #[test]
        fn lips_are_fully_closed_within_every_closure(phones in speech(), k in 0.0_f64..1.0) {
            let track = MouthTrack::new(&phones);
            for (start, end) in track.closures() {
                let t = Seconds(start.0 + k * (end.0 - start.0));
                prop_assert!(track.at(t).closed >= 1.0);
            }
        }

        #[test]
        fn movement_has_no_jumps(phones in speech(), t in 0.0_f64..6.0) {
            let track = MouthTrack::new(&phones);
            let (a, b) = (track.at(Seconds(t)), track.at(Seconds(t + 0.001)));
            for (x, y) in [(a.jaw, b.jaw), (a.width, b.width), (a.round, b.round), (a.closed, b.closed)] {
                prop_assert!((x - y).abs() < 0.06, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn rounding_begins_before_the_rounded_sound() {
        let phone = |label: &str, start: f64, end: f64| Phone {
            label: label.into(),
            start: Seconds(start),
            end: Seconds(end),
        };
        let before = |next: &str| {
            let track = MouthTrack::new(&[phone("s", 0.0, 0.12), phone(next, 0.12, 0.3)]);
            track.at(Seconds(0.08)).round
        };
        assert!(
            before("uw") > before("iy") + 0.1,
            "{} {}",
            before("uw"),
            before("iy")
        );
    }
}
