//! Border and grain of made pictures that all have one mask: what depends on the mask alone is computed once.
//!
//! The results are those of [`blend_border`](super::blend_border) followed by [`match_grain`](super::match_grain), which
//! stay as the plain twins that tests compare this with.

mod level;

use super::border::border_weights;
use super::grain::{Noise, deviation_of_median};
use super::{Mask, SizeError, same_size};
use crate::image::{Rgb8, RgbF32};
use level::{Level, between};

/// Steps of a response to the noise filter that are told apart, and how many there are: up to 4.0 of 16.0, far beyond
/// any noise.
const STEPS: f32 = 255.0 * 8.0;
const BINS: usize = 8192;

/// Fits made pictures into recorded ones under one mask.
pub struct Fitting {
    mask: Mask,
    /// Weights of the border's pixels, finest level first.
    levels: Vec<Level>,
    /// The level, counted from the finest, from which on corrections are only enlarged.
    coarsest: usize,
    /// Columns and rows that the mask covers, grown by one.
    covered: (usize, usize, usize, usize),
    outside: Vec<Run>,
    inside: Vec<Run>,
    /// Sums of weighted differences for each level, and corrections on the way back.
    sums: Vec<Vec<f32>>,
    grown: Vec<Vec<f32>>,
    histogram: Vec<[u32; 3]>,
    noise: Vec<[f32; 4]>,
}

/// Neighbouring pixels of one row: the first one's index, and how many.
type Run = (usize, usize);

impl Fitting {
    /// For one mask; `smooth` as in [`blend_border`](super::blend_border).
    pub fn new(mask: Mask, smooth: usize) -> Self {
        let (width, height) = (mask.width, mask.height);
        let mut weights = border_weights(&mask, smooth.max(2));
        weights.resize(width * height, 0.0);
        let mut levels = vec![Level {
            width,
            height,
            scale: vec![1.0; weights.len()],
            weights,
            columns: Vec::new(),
            rows: Vec::new(),
        }];
        while let Some(last) = levels.last_mut()
            && (last.width > 1 || last.height > 1)
        {
            let next = last.halved();
            last.columns = between(next.width, last.width);
            last.rows = between(next.height, last.height);
            levels.push(next);
        }
        let coarsest = levels
            .iter()
            .position(|level| width.div_ceil(level.width.max(1)) >= smooth.max(1))
            .unwrap_or(levels.len().saturating_sub(1));
        let covered = mask.bounds().map_or((0, 0, 0, 0), |(x, y, w, h)| {
            (
                x.saturating_sub(1),
                y.saturating_sub(1),
                (x + w + 1).min(width),
                (y + h + 1).min(height),
            )
        });
        let buffers = || {
            levels
                .iter()
                .map(|level| vec![0.0; level.width * level.height * 3])
                .collect::<Vec<_>>()
        };
        Self {
            coarsest,
            covered,
            outside: runs(&mask, |value| value < 0.5),
            inside: runs(&mask, |value| value > 0.5),
            sums: buffers(),
            grown: buffers(),
            histogram: vec![[0; 3]; BINS],
            noise: Vec::new(),
            levels,
            mask,
        }
    }

    /// The mask.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Fits `made` into `recorded` wherever the mask is above zero; the rest of it is left as it is. The same `seed` gives
    /// the same grain: give each frame its own.
    pub fn fit(&mut self, made: &mut RgbF32, recorded: &Rgb8, seed: u64) -> Result<(), SizeError> {
        same_size("the recording", (recorded.width, recorded.height), made)?;
        same_size("the mask", (self.mask.width, self.mask.height), made)?;
        self.blend(made, recorded);
        self.roughen(made, recorded, seed);
        Ok(())
    }

    fn blend(&mut self, made: &mut RgbF32, recorded: &Rgb8) {
        // Differences, weighted, in the finest level, where the border is; only there are they known.
        if let (Some(level), Some(sums)) = (self.levels.first(), self.sums.first_mut()) {
            let pixels = sums.as_chunks_mut::<3>().0.iter_mut();
            let made = made.data.as_chunks::<3>().0.iter();
            let recorded = recorded.data.as_chunks::<3>().0.iter();
            for (((sum, made), recorded), &weight) in
                pixels.zip(made).zip(recorded).zip(&level.weights)
            {
                for ((sum, made), &recorded) in sum.iter_mut().zip(made).zip(recorded) {
                    *sum = (f32::from(recorded) / 255.0 - made) * weight;
                }
            }
        }
        for at in 1..self.levels.len() {
            let (finer, coarser) = self.sums.split_at_mut(at);
            if let (Some(from), Some(to)) = (finer.last(), coarser.first_mut())
                && let (Some(fine), Some(coarse)) = (self.levels.get(at - 1), self.levels.get(at))
            {
                coarse.gather(fine.width, from, to);
            }
        }
        // Back, from one pixel to where corrections are only enlarged.
        let last = self.levels.len() - 1;
        if let (Some(grown), Some(sums), Some(level)) = (
            self.grown.get_mut(last),
            self.sums.get(last),
            self.levels.get(last),
        ) {
            for ((value, sum), weight) in grown
                .iter_mut()
                .zip(sums)
                .zip(level.weights.iter().flat_map(|weight| [weight; 3]))
            {
                *value = if *weight > 0.0 { sum / weight } else { 0.0 };
            }
        }
        for at in (1..last).rev() {
            let (finer, coarser) = self.grown.split_at_mut(at + 1);
            let (Some(to), Some(from), Some(level), Some(coarse)) = (
                finer.last_mut(),
                coarser.first(),
                self.levels.get(at),
                self.levels.get(at + 1),
            ) else {
                continue;
            };
            let all = (0, 0, level.width, level.height);
            level.enlarge(from, coarse.width, all, |index, value| {
                if let Some(pixel) = to.as_chunks_mut::<3>().0.get_mut(index) {
                    *pixel = value;
                }
            });
            if at >= self.coarsest
                && let Some(sums) = self.sums.get(at)
            {
                let weights = level.weights.iter().flat_map(|weight| [weight; 3]);
                for ((value, sum), weight) in to.iter_mut().zip(sums).zip(weights) {
                    *value = sum + *value * (1.0 - weight);
                }
            }
        }
        let (Some(level), Some(from)) = (self.levels.first(), self.grown.get(1)) else {
            return;
        };
        let width = self.levels.get(1).map_or(0, |level| level.width);
        let pixels = made.data.as_chunks_mut::<3>().0;
        let own = (self.coarsest == 0).then(|| self.sums.first()).flatten();
        level.enlarge(from, width, self.covered, |index, mut value| {
            if let Some(sums) = own
                && let (Some(sum), Some(weight)) =
                    (sums.as_chunks::<3>().0.get(index), level.weights.get(index))
            {
                for (value, sum) in value.iter_mut().zip(sum) {
                    *value = sum + *value * (1.0 - weight);
                }
            }
            if let Some(pixel) = pixels.get_mut(index) {
                for (pixel, value) in pixel.iter_mut().zip(value) {
                    *pixel += value;
                }
            }
        });
    }

    fn roughen(&mut self, made: &mut RgbF32, recorded: &Rgb8, seed: u64) {
        let stride = made.width * 3;
        // Responses to 8 bit pictures are whole numbers of 1/255.
        let wanted = median(&mut self.histogram, &self.outside, |index| {
            let at = |index: usize| i32::from(recorded.data.get(index).copied().unwrap_or(0));
            response(index, stride, at).unsigned_abs() as usize * (STEPS / 255.0) as usize
        });
        let present = median(&mut self.histogram, &self.inside, |index| {
            let at = |index: usize| made.data.get(index).copied().unwrap_or(0.0);
            let (corners, sides, middle) = filter(index, stride);
            let sum = corners.map(at).iter().sum::<f32>() - 2.0 * sides.map(at).iter().sum::<f32>()
                + 4.0 * at(middle);
            (sum.abs() * STEPS) as usize
        });
        let mut missing = [0.0_f32; 3];
        for (missing, (wanted, present)) in missing.iter_mut().zip(wanted.iter().zip(&present)) {
            *missing = (wanted * wanted - present * present).max(0.0).sqrt();
        }
        if missing.iter().all(|&missing| missing == 0.0) {
            return;
        }
        let (left, top, right, bottom) = self.covered;
        let noise = Noise::new(seed);
        let columns = right - left + 1;
        // Two rows of raw noise at a time: each value serves three pixels.
        let mut rows = [0, 1].map(|_| Vec::with_capacity(columns));
        let [upper, lower] = &mut rows;
        noise.row(left, top, columns, upper);
        for y in top..bottom {
            noise.row(left, y + 1, columns, lower);
            let start = (y * made.width + left) * 3;
            let Some(pixels) = made.data.get_mut(start..start + (right - left) * 3) else {
                break;
            };
            Noise::soften(upper, lower, &mut self.noise);
            for (pixel, &[red, green, blue, shared]) in
                pixels.as_chunks_mut::<3>().0.iter_mut().zip(&self.noise)
            {
                for ((value, missing), own) in pixel.iter_mut().zip(missing).zip([red, green, blue])
                {
                    *value += missing * (0.9 * shared + 0.436 * own);
                }
            }
            std::mem::swap(upper, lower);
        }
    }
}

/// Pixels that the mask takes with all their neighbours.
fn runs(mask: &Mask, takes: impl Fn(f32) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (width, height) = (mask.width, mask.height);
    for y in 1..height.saturating_sub(1) {
        let mut open = false;
        for x in 1..width.saturating_sub(1) {
            let all = (y - 1..=y + 1).all(|y| (x - 1..=x + 1).all(|x| takes(mask.get(x, y))));
            match runs.last_mut() {
                Some((_, count)) if all && open => *count += 1,
                _ if all => runs.push((y * width + x, 1)),
                _ => {}
            }
            open = all;
        }
    }
    runs
}

/// Indices of one channel's corners, sides and middle in the noise filter.
#[inline]
fn filter(index: usize, stride: usize) -> ([usize; 4], [usize; 4], usize) {
    let (up, down) = (index - stride, index + stride);
    (
        [up - 3, up + 3, down - 3, down + 3],
        [up, index - 3, index + 3, down],
        index,
    )
}

#[inline]
fn response(index: usize, stride: usize, at: impl Fn(usize) -> i32) -> i32 {
    let (corners, sides, middle) = filter(index, stride);
    corners.map(&at).iter().sum::<i32>() - 2 * sides.map(&at).iter().sum::<i32>() + 4 * at(middle)
}

/// The noise of each channel from the median of the filter's responses at some pixels.
fn median(histogram: &mut [[u32; 3]], runs: &[Run], response: impl Fn(usize) -> usize) -> [f32; 3] {
    let total: usize = runs.iter().map(|(_, count)| count).sum();
    if total < 64 {
        return [0.0; 3];
    }
    histogram.fill([0; 3]);
    let last = histogram.len() - 1;
    for &(start, count) in runs {
        for index in start..start + count {
            for channel in 0..3 {
                if let Some(bin) = histogram.get_mut(response(index * 3 + channel).min(last)) {
                    bin[channel] += 1;
                }
            }
        }
    }
    let middle = total / 2;
    let mut levels = [0.0; 3];
    for (channel, level) in levels.iter_mut().enumerate() {
        let mut before = 0;
        let at = histogram.iter().position(|bin| {
            before += bin[channel] as usize;
            before > middle
        });
        *level = deviation_of_median(at.unwrap_or(0) as f32 / STEPS);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{Feather, blend_border, match_grain};

    fn picture(width: usize, height: usize, seed: u32, rough: f32) -> Rgb8 {
        let mut state = seed | 1;
        let mut image = Rgb8::new(width, height);
        for y in 0..height {
            for x in 0..width {
                let mut random = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / 16_777_216.0 - 0.5
                };
                let base = [90.0 + x as f32 * 0.4, 120.0 + y as f32 * 0.3, 100.0];
                image.set_pixel(x, y, base.map(|value| (value + random() * rough) as u8));
            }
        }
        image
    }

    #[test]
    fn it_is_what_border_and_grain_are_one_after_the_other() {
        for (width, height, smooth) in [(208, 152, 12), (64, 64, 2), (97, 61, 5), (48, 40, 0)] {
            let middle = (width as f32 / 2.0, height as f32 / 2.0);
            let ellipse = Mask::ellipse(
                width,
                height,
                middle,
                (width as f32 / 3.0, height as f32 / 3.0),
            );
            let mask = Feather { radius: 9.0 }.apply(&ellipse);
            let mut fitting = Fitting::new(mask.clone(), smooth);
            for (frame, rough) in [(1_u32, 12.0), (2, 30.0), (3, 0.0)] {
                let recorded = picture(width, height, frame, rough);
                let mut made = picture(width, height, frame + 9, 2.0).to_f32();
                for value in &mut made.data {
                    *value = *value * 0.9 + 0.07;
                }
                let surroundings = recorded.to_f32();
                let slow = blend_border(&made, &surroundings, &mask, smooth)
                    .and_then(|made| match_grain(&made, &surroundings, &mask, u64::from(frame)))
                    .unwrap();
                fitting.fit(&mut made, &recorded, u64::from(frame)).unwrap();
                for (index, weight) in mask.values.iter().enumerate() {
                    if *weight > 0.0 {
                        for channel in 0..3 {
                            let (a, b) = (
                                made.data[index * 3 + channel],
                                slow.data[index * 3 + channel],
                            );
                            assert!((a - b).abs() < 2e-3, "{width} {frame} {index}: {a} {b}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn other_sizes_and_empty_masks_are_no_panic() {
        let mut fitting = Fitting::new(Mask::rectangle(8, 8, (0.0, 0.0, 0.0, 0.0)), 3);
        let mut made = RgbF32::filled(8, 8, [0.25; 3]);
        fitting
            .fit(&mut made, &Rgb8::filled(8, 8, [9; 3]), 1)
            .unwrap();
        assert_eq!(made, RgbF32::filled(8, 8, [0.25; 3]));
        assert!(fitting.fit(&mut made, &Rgb8::new(7, 8), 1).is_err());
        let mut one = Fitting::new(Mask::rectangle(1, 1, (0.0, 0.0, 1.0, 1.0)), 3);
        assert!(one.fit(&mut RgbF32::new(1, 1), &Rgb8::new(1, 1), 1).is_ok());
        let mut none = Fitting::new(Mask::rectangle(0, 0, (0.0, 0.0, 0.0, 0.0)), 3);
        assert!(
            none.fit(&mut RgbF32::new(0, 0), &Rgb8::new(0, 0), 1)
                .is_ok()
        );
    }
}
