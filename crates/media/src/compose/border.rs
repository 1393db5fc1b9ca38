//! Making a made picture continue its surroundings without a seam.

use super::{Mask, SizeError, same_size};
use crate::image::{RgbF32, resize_plane};

/// `made` with a smooth correction that takes it to `recorded` along the border of `mask`, and
/// fades to what the border's corrections average to in its middle.
///
/// The difference between both pictures is known where the mask is low (the recording shows
/// there anyway) and interpolated where it is high: averages over ever larger squares fill the
/// inside from its border (pull-push interpolation; Gortler and others, "The Lumigraph",
/// section 3.4). Only low frequencies of the difference are used: `smooth` pixels are averaged
/// at least, so that the border's texture does not smear inwards.
pub fn blend_border(
    made: &RgbF32,
    recorded: &RgbF32,
    mask: &Mask,
    smooth: usize,
) -> Result<RgbF32, SizeError> {
    same_size("the recording", (recorded.width, recorded.height), made)?;
    same_size("the mask", (mask.width, mask.height), made)?;
    let (width, height) = (made.width, made.height);
    let mut level = Level {
        width,
        height,
        values: made
            .data
            .iter()
            .zip(&recorded.data)
            .map(|(made, recorded)| recorded - made)
            .collect(),
        // Far outside, the two need not show the same thing: only the border itself counts.
        weights: border_weights(mask, smooth.max(2)),
    };
    for (values, weight) in level.values.chunks_exact_mut(3).zip(&level.weights) {
        for value in values {
            *value *= weight;
        }
    }
    let mut levels = Vec::new();
    while level.width > 1 || level.height > 1 {
        let next = level.halved();
        levels.push(level);
        level = next;
    }
    let mut correction = level.normalised();
    let mut size = (level.width, level.height);
    while let Some(level) = levels.pop() {
        let grown = grow(&correction, size, (level.width, level.height));
        size = (level.width, level.height);
        // Levels finer than the smoothing only pass on what comes from above.
        let fine = width.div_ceil(level.width) < smooth.max(1);
        correction = if fine { grown } else { level.over(&grown) };
    }
    let mut result = made.clone();
    for (value, correction) in result.data.iter_mut().zip(&correction) {
        *value += correction;
    }
    Ok(result)
}

/// Sums of weighted values and of weights over squares of a picture.
struct Level {
    width: usize,
    height: usize,
    values: Vec<f32>,
    weights: Vec<f32>,
}

impl Level {
    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut result = Self {
            width,
            height,
            values: vec![0.0; width * height * 3],
            weights: vec![0.0; width * height],
        };
        for (index, (values, weight)) in self.values.chunks_exact(3).zip(&self.weights).enumerate()
        {
            let (x, y) = (index % self.width / 2, index / self.width / 2);
            let target = y * width + x;
            if let Some(sum) = result.weights.get_mut(target) {
                *sum += weight;
            }
            let sums = result.values.iter_mut().skip(target * 3);
            for (sum, value) in sums.zip(values) {
                *sum += value;
            }
        }
        // Weights saturate, so that a coarse level never outvotes a well-filled finer one.
        for (values, weight) in result.values.chunks_exact_mut(3).zip(&mut result.weights) {
            if *weight > 1.0 {
                for value in values {
                    *value /= *weight;
                }
                *weight = 1.0;
            }
        }
        result
    }

    fn normalised(&self) -> Vec<f32> {
        self.values
            .chunks_exact(3)
            .zip(&self.weights)
            .flat_map(|(values, &weight)| {
                values
                    .iter()
                    .map(move |value| if weight > 0.0 { value / weight } else { 0.0 })
            })
            .collect()
    }

    /// The level's own values by their weights over what comes from the coarser level.
    fn over(&self, coarse: &[f32]) -> Vec<f32> {
        self.values
            .iter()
            .zip(coarse)
            .enumerate()
            .map(|(index, (value, coarse))| {
                let weight = self.weights.get(index / 3).copied().unwrap_or(0.0).min(1.0);
                value + coarse * (1.0 - weight)
            })
            .collect()
    }
}

/// Bilinear enlargement of three interleaved channels.
fn grow(data: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let mut result = vec![0.0; to.0 * to.1 * 3];
    for channel in 0..3 {
        let plane: Vec<f32> = data.iter().skip(channel).step_by(3).copied().collect();
        let plane = resize_plane(&plane, from, to);
        for (target, value) in result.iter_mut().skip(channel).step_by(3).zip(plane) {
            *target = value;
        }
    }
    result
}

/// One on pixels outside the mask within `reach` pixels of it, falling with the mask inside.
pub(super) fn border_weights(mask: &Mask, reach: usize) -> Vec<f32> {
    // The mask spread by `reach`, along rows and then columns.
    let spread = |data: &[f32], width: usize, step: usize, count: usize| {
        let mut result = vec![0.0_f32; data.len()];
        for (index, target) in result.iter_mut().enumerate() {
            let at = if step == 1 {
                index % width
            } else {
                index / width
            };
            let low = at.saturating_sub(reach);
            let high = (at + reach).min(count - 1);
            for other in low..=high {
                let source = index + other * step - at * step;
                *target = target.max(data.get(source).copied().unwrap_or(0.0));
            }
        }
        result
    };
    if mask.values.is_empty() {
        return Vec::new();
    }
    let rows = spread(&mask.values, mask.width, 1, mask.width);
    let near = spread(&rows, mask.width, mask.width, mask.height);
    mask.values
        .iter()
        .zip(&near)
        .map(|(value, near)| {
            if *near > 0.0 {
                (1.0 - 2.0 * value).max(0.0)
            } else {
                0.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::Feather;

    #[test]
    fn a_constant_difference_vanishes() {
        let recorded = RgbF32::filled(64, 48, [0.5, 0.4, 0.3]);
        let made = RgbF32::filled(64, 48, [0.4, 0.45, 0.3]);
        let mask =
            Feather { radius: 6.0 }.apply(&Mask::ellipse(64, 48, (32.0, 24.0), (20.0, 15.0)));
        let blended = blend_border(&made, &recorded, &mask, 2).unwrap();
        for (a, b) in blended.data.iter().zip(&recorded.data) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }

    #[test]
    fn a_slope_is_followed_along_the_border() {
        let made = RgbF32::filled(64, 64, [0.5; 3]);
        let mut recorded = made.clone();
        for y in 0..64 {
            for x in 0..64 {
                recorded.set_pixel(x, y, [0.5 + (x as f32 - 32.0) * 0.004; 3]);
            }
        }
        let mask = Mask::rectangle(64, 64, (16.0, 16.0, 48.0, 48.0));
        let blended = blend_border(&made, &recorded, &mask, 2).unwrap();
        // Just inside the border the correction is close to the slope's value there.
        for (x, y) in [(17, 32), (46, 32), (17, 20), (46, 44)] {
            let difference = (blended.pixel(x, y)[0] - recorded.pixel(x, y)[0]).abs();
            let before = (made.pixel(x, y)[0] - recorded.pixel(x, y)[0]).abs();
            assert!(difference < before * 0.5, "{difference} {before}");
        }
    }

    #[test]
    fn what_is_made_inside_stays() {
        let recorded = RgbF32::filled(40, 40, [0.5; 3]);
        let mut made = recorded.clone();
        made.set_pixel(20, 20, [1.0, 0.0, 0.5]);
        let mask = Mask::rectangle(40, 40, (8.0, 8.0, 32.0, 32.0));
        let blended = blend_border(&made, &recorded, &mask, 2).unwrap();
        assert!((blended.pixel(20, 20)[0] - 1.0).abs() < 1e-3);
        let none = Mask::rectangle(40, 40, (0.0, 0.0, 0.0, 0.0));
        assert!(blend_border(&made, &recorded, &none, 2).is_ok());
        assert!(blend_border(&made, &RgbF32::new(2, 2), &mask, 2).is_err());
    }
}
