//! Where a sound is silent, and how a person's mouth rests there.
//!
//! An encoder hears the mean mouth of many people in silence, and people rest differently: some
//! with lips apart. The clip shows how this one does.

use super::counterparts::Moment;
use super::job::MelSource;
use super::mouth::{MOUTH, Mouth};
use super::sound::{levels, loud};
use crate::error::Result;

/// Mel frames a second.
const FRAMES: f64 = 100.0;

/// How far below the loud frames a frame is silent, in the units of mel frames: 28 dB.
const BELOW: f32 = 0.7;

/// A frame below this is silent whatever the others are: within 2 dB of a mel frame's floor.
const NOTHING: f32 = -0.7;

/// A mouth opens before its sound and closes after it: mel frames beside sound that are none of
/// rest, and those in which it comes to rest.
const BESIDE: usize = 25;
const SETTLE: usize = 15;

/// Moments of rest that make a mean.
const ENOUGH: usize = 10;

/// Without them the moments with the smallest openings: one in so many.
const SMALLEST: usize = 10;

/// How silent a sound is over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Quiet {
    /// Rest at every mel frame, 0..1.
    rest: Vec<f32>,
}

impl Quiet {
    /// Looks through a whole sound, of `bands` a mel frame.
    ///
    /// # Errors
    /// When the sound can't be read.
    pub fn of(mel: &dyn MelSource, bands: usize) -> Result<Self> {
        Ok(Self::of_levels(&levels(mel, bands)?))
    }

    fn of_levels(levels: &[f32]) -> Self {
        let floor = (loud(levels).unwrap_or(NOTHING) - BELOW).max(NOTHING);
        // Mel frames to the nearest sound, first from the left, then from either side.
        let mut far = vec![BESIDE + SETTLE; levels.len()];
        let mut distance = BESIDE + SETTLE;
        for (place, level) in far.iter_mut().zip(levels) {
            distance = if *level > floor { 0 } else { distance + 1 };
            *place = (*place).min(distance);
        }
        distance = BESIDE + SETTLE;
        for (place, level) in far.iter_mut().zip(levels).rev() {
            distance = if *level > floor { 0 } else { distance + 1 };
            *place = (*place).min(distance);
        }
        let rest = far
            .into_iter()
            .map(|far| far.saturating_sub(BESIDE) as f32 / SETTLE as f32)
            .collect();
        Self { rest }
    }

    /// How much the mouth rests at a time from the sound's start, 0..1. Just beyond its ends it does as it did there:
    /// a picture may be a little ahead or longer. Farther away it rests.
    pub fn at(&self, seconds: f64) -> f32 {
        let place = (seconds * FRAMES).round() as i64;
        let last = self.rest.len() as i64 - 1;
        let inside = place.clamp(0, last.max(0));
        if place.abs_diff(inside) > (BESIDE + SETTLE) as u64 {
            return 1.0;
        }
        self.rest.get(inside as usize).copied().unwrap_or(1.0)
    }
}

/// How a person's mouth rests: the closed half of what it does where the clip's own sound is
/// silent (`quiet`, at the moments' `times`), or else its smallest openings. `None` without moments.
pub fn resting_mouth(moments: &[Moment], times: &[f64], quiet: Option<&Quiet>) -> Option<Mouth> {
    let mut resting: Vec<&Mouth> = Vec::new();
    if let Some(quiet) = quiet {
        let silent = moments.iter().zip(times);
        let silent = silent.filter(|(_, time)| **time >= 0.0 && quiet.at(**time) >= 1.0);
        resting.extend(silent.map(|(moment, _)| &moment.mouth));
    }
    let wanted = if resting.len() >= ENOUGH {
        resting.len() / 2
    } else {
        resting = moments.iter().map(|moment| &moment.mouth).collect();
        resting.len().div_ceil(SMALLEST)
    };
    resting.sort_by(|a, b| a[0].total_cmp(&b[0]));
    resting.truncate(wanted);
    if resting.is_empty() {
        return None;
    }
    let count = resting.len() as f32;
    let mut mean = [0.0; MOUTH];
    for mouth in resting {
        for (sum, value) in mean.iter_mut().zip(mouth) {
            *sum += value / count;
        }
    }
    Some(mean)
}

/// The mouth between one that speaks and one that rests, by `share` of rest.
pub fn at_rest(speaking: &Mouth, resting: &Mouth, share: f32) -> Mouth {
    std::array::from_fn(|k| speaking[k] + (resting[k] - speaking[k]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::FrameIndex;

    fn moment(frame: u64, opening: f32) -> Moment {
        let mut mouth = [0.5; MOUTH];
        mouth[0] = opening;
        Moment {
            frame: FrameIndex(frame),
            scene: 0,
            mouth,
            pose: [0.0; 6],
        }
    }

    /// A second of sound, one and a half of a noise floor, a second of sound.
    fn pause(floor: f32) -> Vec<f32> {
        let loud = |n: usize| !(100..250).contains(&n);
        (0..350)
            .map(|n| if loud(n) { 0.4 } else { floor })
            .collect()
    }

    #[test]
    fn a_pause_rests_but_for_its_edges_and_the_time_around_a_sound_too() {
        let quiet = Quiet::of_levels(&pause(-0.5));
        assert!((quiet.at(0.5) - 0.0).abs() < 1e-6);
        assert!((quiet.at(1.2) - 0.0).abs() < 1e-6);
        let settling = quiet.at(1.32);
        assert!(settling > 0.2 && settling < 0.8, "{settling}");
        assert!((quiet.at(1.75) - 1.0).abs() < 1e-6);
        assert!((quiet.at(2.3) - 0.0).abs() < 1e-6);
        assert!((quiet.at(-0.1) - 0.0).abs() < 1e-6);
        assert!((quiet.at(-0.5) - 1.0).abs() < 1e-6);
        assert!((quiet.at(3.8) - 0.0).abs() < 1e-6);
        assert!((quiet.at(4.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn noise_that_is_nearly_as_loud_is_no_silence_and_a_silent_track_is() {
        assert!((Quiet::of_levels(&pause(-0.2)).at(1.75) - 0.0).abs() < 1e-6);
        assert!((Quiet::of_levels(&[-0.75; 200]).at(1.0) - 1.0).abs() < 1e-6);
        assert!((Quiet::of_levels(&[0.1; 200]).at(1.0) - 0.0).abs() < 1e-6);
        assert!((Quiet::of_levels(&[]).at(1.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_rest_of_a_person_is_seen_in_silence_or_where_the_mouth_is_smallest() {
        let quiet = Quiet::of_levels(&pause(-0.5));
        let moments: Vec<Moment> = (0..87)
            .map(|n| {
                moment(
                    n,
                    if n % 2 == 0 {
                        1.0
                    } else {
                        0.2 + n as f32 * 1e-3
                    },
                )
            })
            .collect();
        let times: Vec<f64> = (0..87).map(|n| f64::from(n) / 25.0).collect();
        // Frames 35 to 52 are at rest; the smaller half of their openings are the odd ones, 35 to 51.
        let rest = resting_mouth(&moments, &times, Some(&quiet)).unwrap();
        assert!((rest[0] - 0.243).abs() < 2e-3, "{}", rest[0]);
        assert!((rest[1] - 0.5).abs() < 1e-6);
        // The nine smallest of all.
        let rest = resting_mouth(&moments, &times, None).unwrap();
        assert!((rest[0] - 0.209).abs() < 2e-3, "{}", rest[0]);
        assert_eq!(resting_mouth(&[], &[], None), None);
        let half = at_rest(&[1.0; MOUTH], &rest, 0.5);
        assert!((half[1] - 0.75).abs() < 1e-6);
    }
}
