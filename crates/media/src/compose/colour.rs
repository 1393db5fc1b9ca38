//! Bringing a made picture to the colours of its surroundings.

use super::{SizeError, same_size};
use crate::image::RgbF32;

/// A gain and an offset for each channel: `out = in * gain + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourMatch {
    /// Red, green, blue.
    pub gain: [f32; 3],
    /// Red, green, blue.
    pub offset: [f32; 3],
}

/// Gains beyond these do more harm than good: they stretch noise, or flatten a face.
const GAIN: (f32, f32) = (0.8, 1.25);

impl ColourMatch {
    /// Changes nothing.
    pub const IDENTITY: Self = Self {
        gain: [1.0; 3],
        offset: [0.0; 3],
    };

    /// The match that gives `source` the weighted mean and deviation of `target`, where both
    /// show the same thing: `weights` has one value a pixel, zero where they do not. With too
    /// little weight to judge by it changes nothing.
    pub fn between(source: &RgbF32, target: &RgbF32, weights: &[f32]) -> Result<Self, SizeError> {
        same_size("the target", (target.width, target.height), source)?;
        same_size(
            "the weights",
            (weights.len() / source.height.max(1), source.height),
            source,
        )?;
        let (Some(from), Some(to)) = (statistics(source, weights), statistics(target, weights))
        else {
            return Ok(Self::IDENTITY);
        };
        let mut result = Self::IDENTITY;
        let channels = result.gain.iter_mut().zip(&mut result.offset);
        for ((gain, offset), (from, to)) in channels.zip(from.iter().zip(&to)) {
            // A flat stretch says nothing about contrast.
            if from.deviation > 1e-3 && to.deviation > 1e-3 {
                *gain = (to.deviation / from.deviation).clamp(GAIN.0, GAIN.1);
            }
            *offset = to.mean - from.mean * *gain;
        }
        Ok(result)
    }

    /// The picture with the match applied; not clamped.
    pub fn apply(&self, image: &RgbF32) -> RgbF32 {
        let mut result = image.clone();
        for pixel in result.data.chunks_exact_mut(3) {
            for (value, (gain, offset)) in pixel.iter_mut().zip(self.gain.iter().zip(&self.offset))
            {
                *value = *value * gain + offset;
            }
        }
        result
    }
}

/// `source` with the weighted mean and deviation of `target`; see [`ColourMatch::between`].
pub fn match_colour(
    source: &RgbF32,
    target: &RgbF32,
    weights: &[f32],
) -> Result<RgbF32, SizeError> {
    Ok(ColourMatch::between(source, target, weights)?.apply(source))
}

#[derive(Clone, Copy)]
struct Statistics {
    mean: f32,
    deviation: f32,
}

fn statistics(image: &RgbF32, weights: &[f32]) -> Option<[Statistics; 3]> {
    let mut total = 0.0_f64;
    let mut sums = [(0.0_f64, 0.0_f64); 3];
    for (pixel, &weight) in image.data.chunks_exact(3).zip(weights) {
        let weight = f64::from(weight.max(0.0));
        total += weight;
        for ((sum, squares), &value) in sums.iter_mut().zip(pixel) {
            let value = f64::from(value);
            *sum += weight * value;
            *squares += weight * value * value;
        }
    }
    (total >= 16.0).then(|| {
        sums.map(|(sum, squares)| {
            let mean = sum / total;
            Statistics {
                mean: mean as f32,
                deviation: (squares / total - mean * mean).max(0.0).sqrt() as f32,
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbF32 {
        let mut image = RgbF32::new(16, 16);
        for y in 0..16 {
            for x in 0..16 {
                image.set_pixel(x, y, [x as f32 / 40.0 + 0.2, y as f32 / 40.0 + 0.3, 0.4]);
            }
        }
        image
    }

    #[test]
    fn a_cast_is_taken_back() {
        let target = picture();
        let cast = ColourMatch {
            gain: [0.9, 1.1, 1.0],
            offset: [0.05, -0.04, 0.1],
        };
        let matched = match_colour(&cast.apply(&target), &target, &[1.0; 256]).unwrap();
        for (a, b) in matched.data.iter().zip(&target.data) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    #[test]
    fn pixels_without_weight_do_not_count() {
        let target = picture();
        let mut source = target.clone();
        let mut weights = [1.0; 256];
        for x in 0..8 {
            source.set_pixel(x, 3, [9.0, 9.0, 9.0]);
            weights[3 * 16 + x] = 0.0;
        }
        let found = ColourMatch::between(&source, &target, &weights).unwrap();
        for channel in 0..3 {
            assert!((found.gain[channel] - 1.0).abs() < 1e-4);
            assert!(found.offset[channel].abs() < 1e-4);
        }
        assert_eq!(
            ColourMatch::between(&source, &target, &[0.0; 256]).unwrap(),
            ColourMatch::IDENTITY
        );
    }

    #[test]
    fn sizes_must_agree() {
        assert!(match_colour(&picture(), &RgbF32::new(3, 3), &[1.0; 256]).is_err());
        assert!(match_colour(&picture(), &picture(), &[1.0; 99]).is_err());
    }
}
