//! From mouths that the model hears to those of one person.
//!
//! What the encoder hears is a mean over the people that it was trained on: too small in its
//! movement, and centred on a mouth that is nobody's. The clip itself shows what this person does
//! at such sounds, and whether its picture is ahead of its sound.

use super::counterparts::Moment;
use super::mouth::{HeardMouths, MOUTH, Mouth};

/// Seen frames below which nothing is learned from a clip.
const ENOUGH: usize = 25;

/// Seen frames from which the offset between picture and sound can be told.
const ENOUGH_FOR_LAG: usize = 50;

/// Limits of the movement's gain.
const GAINS: [f32; 2] = [0.5, 3.0];

/// Gain of the shape's components, and of an opening whose own is not known: the inverse of what
/// the encoder's mean leaves of a movement.
const SHAPE_GAIN: f32 = 1.3;
const USUAL_GAIN: f32 = 1.6;

/// Offsets that are tried: so many steps of so many seconds either way.
const LAGS: i32 = 4;
const LAG_STEP: f64 = 0.04;

/// Correlation that an offset has to gain for each step, and the least that is believed.
const LAG_COST: f32 = 0.015;
const LAG_LEAST: f32 = 0.3;

/// How heard mouths become wanted ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    gain: Mouth,
    shift: Mouth,
    /// How much later the sound of a mouth comes in the recording, seconds.
    pub lag: f64,
}

impl Calibration {
    /// Compares what the clip's own sound says with the mouths that its frames show; `times` tells
    /// when each moment is, from the sound's start. `None` where too few are seen.
    pub fn of_clip(heard: &HeardMouths, times: &[f64], moments: &[Moment]) -> Option<Self> {
        let at = |lag: f64| -> Vec<Mouth> {
            let places = times.iter().map(|time| time + lag);
            places.filter_map(|place| heard.at(place)).collect()
        };
        let seen: Vec<Mouth> = moments.iter().map(|moment| moment.mouth).collect();
        let together = at(0.0);
        if seen.len() < ENOUGH || together.len() != seen.len() {
            return None;
        }
        let openings = |mouths: &[Mouth]| -> Vec<f32> { mouths.iter().map(|m| m[0]).collect() };
        let truth = openings(&seen);
        let mut lag = 0.0;
        if seen.len() >= ENOUGH_FOR_LAG {
            let mut best = correlation(&openings(&together), &truth);
            for steps in (-LAGS..=LAGS).filter(|steps| *steps != 0) {
                let tried = f64::from(steps) * LAG_STEP;
                let found = correlation(&openings(&at(tried)), &truth);
                let score = found - LAG_COST * steps.unsigned_abs() as f32;
                if found > LAG_LEAST && score > best {
                    (best, lag) = (score, tried);
                }
            }
        }
        Some(Self::between(&at(lag), &seen, lag))
    }

    /// Without a sound of the clip's own: the new sound's mean mouth is the person's.
    pub fn of_new(heard: &[Mouth], moments: &[Moment]) -> Self {
        let seen: Vec<Mouth> = moments.iter().map(|moment| moment.mouth).collect();
        let mut calibration = Self::between(heard, &seen, 0.0);
        calibration.gain[0] = USUAL_GAIN;
        let (heard, seen) = (statistics(heard), statistics(&seen));
        calibration.shift[0] = seen[0].0 - USUAL_GAIN * heard[0].0;
        calibration
    }

    fn between(heard: &[Mouth], seen: &[Mouth], lag: f64) -> Self {
        let (heard, seen) = (statistics(heard), statistics(seen));
        let mut gain = [SHAPE_GAIN; MOUTH];
        let ratio = seen[0].1 / heard[0].1.max(1e-3);
        gain[0] = ratio.clamp(GAINS[0], GAINS[1]);
        let shift = std::array::from_fn(|k| seen[k].0 - gain[k] * heard[k].0);
        Self { gain, shift, lag }
    }

    /// The mouth that this person would show.
    pub fn apply(&self, heard: &Mouth) -> Mouth {
        std::array::from_fn(|k| self.gain[k] * heard[k] + self.shift[k])
    }
}

/// Mean and spread of every number.
fn statistics(mouths: &[Mouth]) -> [(f32, f32); MOUTH] {
    let count = mouths.len().max(1) as f32;
    std::array::from_fn(|k| {
        let mean = mouths.iter().map(|mouth| mouth[k]).sum::<f32>() / count;
        let square = mouths.iter().map(|mouth| (mouth[k] - mean).powi(2));
        (mean, (square.sum::<f32>() / count).sqrt())
    })
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len()).max(1) as f32;
    let mean = |values: &[f32]| values.iter().sum::<f32>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut own_a, mut own_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        own_a += a * a;
        own_b += b * b;
    }
    both / (own_a * own_b).sqrt().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::FrameIndex;

    fn speech(at: f64) -> f32 {
        ((at * 9.0).sin() + (at * 23.0).sin() * 0.7 + (at * 5.3).cos()) as f32
    }

    fn mouth(opening: f32) -> Mouth {
        let mut mouth = [0.0; MOUTH];
        mouth[0] = opening;
        mouth
    }

    #[test]
    fn gain_place_and_offset_of_a_person_are_found() {
        let heard = HeardMouths::of(
            (0..400)
                .map(|n| mouth(speech(f64::from(n) / 50.0)))
                .collect(),
        );
        // This person opens twice as wide around 0.4, 0.08 s before the sound.
        let moments: Vec<Moment> = (0..190)
            .map(|n| Moment {
                frame: FrameIndex(n),
                scene: 0,
                mouth: mouth(0.4 + 2.0 * speech(n as f64 / 25.0 + 0.08)),
                pose: [0.0; 6],
            })
            .collect();
        let times: Vec<f64> = (0..190).map(|n| f64::from(n) / 25.0).collect();
        let found = Calibration::of_clip(&heard, &times, &moments).unwrap();
        assert!((found.lag - 0.08).abs() < 1e-9, "{}", found.lag);
        let wanted = found.apply(&mouth(0.5))[0];
        assert!((wanted - 1.4).abs() < 0.05, "{wanted}");
        assert!(Calibration::of_clip(&heard, &times[..20], &moments[..20]).is_none());
    }

    #[test]
    fn a_clip_without_sound_keeps_the_persons_mean_mouth() {
        let moments: Vec<Moment> = (0..50)
            .map(|n| Moment {
                frame: FrameIndex(n),
                scene: 0,
                mouth: mouth(if n % 2 == 0 { -1.0 } else { 0.0 }),
                pose: [0.0; 6],
            })
            .collect();
        let heard = [mouth(2.0), mouth(4.0)];
        let found = Calibration::of_new(&heard, &moments);
        assert!((found.apply(&mouth(3.0))[0] + 0.5).abs() < 1e-5);
    }
}
