//! Camera noise: how much there is, and adding as much to a picture that lacks it.

use super::{Mask, SizeError, same_size};
use crate::image::RgbF32;

/// The standard deviation of the noise of each channel, where `weights` (one a pixel) is above
/// one half. Zero with too few pixels to tell.
///
/// The filter `[1 -2 1; -2 4 -2; 1 -2 1]` cancels anything that is locally linear (Immerkær,
/// "Fast Noise Variance Estimation", 1996); its response to white noise of deviation s has
/// deviation 6 s. The median of the response's size instead of its mean leaves edges out.
pub fn noise_level(image: &RgbF32, weights: &[f32]) -> [f32; 3] {
    let (width, height) = (image.width, image.height);
    let mut responses: [Vec<f32>; 3] = Default::default();
    if width < 3 || height < 3 {
        return [0.0; 3];
    }
    let stride = width * 3;
    let counts = |x: usize, y: usize| weights.get(y * width + x).is_some_and(|&w| w > 0.5);
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let inside = (y - 1..=y + 1).all(|y| (x - 1..=x + 1).all(|x| counts(x, y)));
            if !inside {
                continue;
            }
            for (channel, responses) in responses.iter_mut().enumerate() {
                let at = |dx: usize, dy: usize| {
                    let index = (y + dy - 1) * stride + (x + dx - 1) * 3 + channel;
                    image.data.get(index).copied().unwrap_or(0.0)
                };
                let response = at(0, 0) + at(2, 0) + at(0, 2) + at(2, 2)
                    - 2.0 * (at(1, 0) + at(0, 1) + at(2, 1) + at(1, 2))
                    + 4.0 * at(1, 1);
                responses.push(response.abs());
            }
        }
    }
    responses.map(|mut responses| {
        if responses.len() < 64 {
            return 0.0;
        }
        let middle = responses.len() / 2;
        let (_, median, _) = responses.select_nth_unstable_by(middle, f32::total_cmp);
        deviation_of_median(*median)
    })
}

/// The deviation of noise whose responses to the filter have a median. The median of |x| of a normal distribution is
/// 0.6745 of its deviation.
pub(super) fn deviation_of_median(median: f32) -> f32 {
    median / 0.6745 / 6.0
}

/// `made` with noise added, as much as it lacks of the level of `recorded` outside the mask.
/// The noise is normal, a little coarser than a pixel as after a camera's processing, shared
/// between the channels for its greater part; the same seed gives the same noise. Give each
/// frame its own seed.
pub fn match_grain(
    made: &RgbF32,
    recorded: &RgbF32,
    mask: &Mask,
    seed: u64,
) -> Result<RgbF32, SizeError> {
    same_size("the recording", (recorded.width, recorded.height), made)?;
    same_size("the mask", (mask.width, mask.height), made)?;
    let outside: Vec<f32> = mask.values.iter().map(|value| 1.0 - value).collect();
    let wanted = noise_level(recorded, &outside);
    let present = noise_level(made, &mask.values);
    let mut missing = [0.0_f32; 3];
    for (missing, (wanted, present)) in missing.iter_mut().zip(wanted.iter().zip(&present)) {
        *missing = (wanted * wanted - present * present).max(0.0).sqrt();
    }
    let mut result = made.clone();
    for (index, pixel) in result.data.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((index % made.width) as u64, (index / made.width) as u64);
        let shared = soft_normal(seed, x, y, 3);
        for ((value, missing), channel) in pixel.iter_mut().zip(&missing).zip(0_u64..) {
            let own = soft_normal(seed, x, y, channel);
            *value += missing * (0.9 * shared + 0.436 * own);
        }
    }
    Ok(result)
}

/// Normal noise whose neighbours agree a little; deviation about one by the measure of
/// [`noise_level`].
fn soft_normal(seed: u64, x: u64, y: u64, layer: u64) -> f32 {
    let at = |dx: u64, dy: u64| normal(seed, x + dx, y + dy, layer);
    at(0, 0) + 0.12 * (at(1, 0) + at(0, 1))
}

/// The same noise row by row: every raw value is drawn once, not three times.
pub(super) struct Noise {
    seed: u64,
}

impl Noise {
    /// The noise of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Raw values of red, green, blue and what they share, `count` pixels from `(x, y)` on.
    pub(super) fn row(&self, x: usize, y: usize, count: usize, into: &mut Vec<[f32; 4]>) {
        into.clear();
        into.extend(
            (x..x + count)
                .map(|x| [0, 1, 2, 3].map(|layer| normal(self.seed, x as u64, y as u64, layer))),
        );
    }

    /// What [`soft_normal`] makes of a row and the row below it; one value less than they have.
    pub(super) fn soften(row: &[[f32; 4]], below: &[[f32; 4]], into: &mut Vec<[f32; 4]>) {
        into.clear();
        let next = row.iter().skip(1);
        into.extend(row.iter().zip(next).zip(below).map(|((own, right), down)| {
            std::array::from_fn(|layer| own[layer] + 0.12 * (right[layer] + down[layer]))
        }));
    }
}

/// The sum of four even numbers is near enough to normal; deviation one.
fn normal(seed: u64, x: u64, y: u64, layer: u64) -> f32 {
    let place = x | y << 24 | layer << 48;
    let bits = mixed(seed ^ mixed(place.wrapping_add(0x9E37_79B9_7F4A_7C15)));
    let sum: f32 = (0..4)
        .map(|part| (bits >> (part * 16) & 0xFFFF) as f32 / 65_535.0 - 0.5)
        .sum();
    // Each part has a variance of 1/12.
    sum * 1.732
}

/// The finaliser of splitmix64: every bit of the result depends on every bit of the input.
fn mixed(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(level: f32, seed: u64) -> RgbF32 {
        let mut image = RgbF32::new(80, 60);
        for (index, pixel) in image.data.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((index % 80) as u64, (index / 80) as u64);
            for (value, channel) in pixel.iter_mut().zip(0_u64..) {
                // A slope and an edge, which must not count as noise.
                let edge = if x > 40 { 0.2 } else { 0.0 };
                *value = 0.2 + x as f32 * 0.002 + edge + level * normal(seed, x, y, channel);
            }
        }
        image
    }

    #[test]
    fn the_level_is_measured_through_slopes_and_edges() {
        for level in [0.005, 0.02, 0.05] {
            let found = noise_level(&noisy(level, 7), &vec![1.0; 4800]);
            for found in found {
                assert!((found - level).abs() < level * 0.15, "{found} {level}");
            }
        }
        assert!(noise_level(&noisy(0.0, 1), &vec![1.0; 4800])[0] < 1e-4);
    }

    #[test]
    fn a_clean_picture_gets_the_noise_of_its_surroundings() {
        let recorded = noisy(0.02, 3);
        let made = noisy(0.0, 3);
        let mask = Mask::rectangle(80, 60, (20.0, 15.0, 60.0, 45.0));
        let grainy = match_grain(&made, &recorded, &mask, 11).unwrap();
        for level in noise_level(&grainy, &mask.values) {
            assert!((level - 0.02).abs() < 0.005, "{level}");
        }
        assert_eq!(grainy, match_grain(&made, &recorded, &mask, 11).unwrap());
        assert_ne!(grainy, match_grain(&made, &recorded, &mask, 12).unwrap());
    }

    #[test]
    fn a_noisy_picture_gets_no_more() {
        let (made, recorded) = (noisy(0.03, 5), noisy(0.01, 6));
        let mask = Mask::rectangle(80, 60, (20.0, 15.0, 60.0, 45.0));
        assert_eq!(match_grain(&made, &recorded, &mask, 1).unwrap(), made);
    }
}
