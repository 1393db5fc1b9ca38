//! Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004).
//!
//! A Gaussian window of 11 x 11 with standard deviation 1.5, `K1 = 0.01`, `K2 = 0.03`, a range of 255, population
//! covariances, averaged over the positions at which the window lies wholly inside the picture. That is
//! scikit-image's `structural_similarity(..., gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
//! data_range=255)`.

use pulp::Arch;

/// Side of the window.
pub const WINDOW: usize = 11;

const SIGMA: f64 = 1.5;
const C1: f32 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f32 = (0.03 * 255.0) * (0.03 * 255.0);
/// Taken off before squaring, so that single precision keeps variances of bright areas.
const CENTRE: f32 = 128.0;
/// `x`, `y`, `x^2 + y^2` and `x y` are filtered.
const MAPS: usize = 4;

/// The window along one axis.
fn taps() -> [f32; WINDOW] {
    let mut taps = [0.0_f64; WINDOW];
    for (index, tap) in taps.iter_mut().enumerate() {
        let distance = index as f64 - (WINDOW / 2) as f64;
        *tap = (-distance * distance / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum) as f32)
}

/// Mean similarity of two planes of `width * height` values in 0..255, row by row; `None` where the window does not
/// fit or the planes have other sizes.
pub fn ssim(x: &[f32], y: &[f32], width: usize, height: usize) -> Option<f64> {
    if width < WINDOW || height < WINDOW || x.len() != width * height || y.len() != x.len() {
        return None;
    }
    let across = width - (WINDOW - 1);
    let down = height - (WINDOW - 1);
    let taps = taps();
    let mut scratch = Scratch::new(width, across);
    let mut total = 0.0;
    let arch = Arch::new();
    for (row, (x, y)) in x.chunks_exact(width).zip(y.chunks_exact(width)).enumerate() {
        arch.dispatch(|| scratch.take_row(row, x, y, &taps));
        if row + 1 >= WINDOW {
            arch.dispatch(|| scratch.combine(row, &taps));
            // Summed one by one in double precision: the same result with every vector width.
            total += scratch.values.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
    }
    Some(total / (across * down) as f64)
}

/// The last rows, filtered across, and room for one row of results.
struct Scratch {
    /// The four inputs of one row.
    inputs: [Vec<f32>; MAPS],
    /// Ring of rows filtered across, by row number modulo the window.
    ring: Vec<[Vec<f32>; MAPS]>,
    sums: [Vec<f32>; MAPS],
    values: Vec<f32>,
}

impl Scratch {
    fn new(width: usize, across: usize) -> Self {
        let rows = |length: usize| [(); MAPS].map(|()| vec![0.0; length]);
        Self {
            inputs: rows(width),
            ring: (0..WINDOW).map(|_| rows(across)).collect(),
            sums: rows(across),
            values: vec![0.0; across],
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "only what is inlined into `dispatch` gets its instructions"
    )]
    #[inline(always)]
    fn take_row(&mut self, row: usize, x: &[f32], y: &[f32], taps: &[f32; WINDOW]) {
        let [xs, ys, squares, products] = &mut self.inputs;
        for (((((a, b), s), p), x), y) in xs
            .iter_mut()
            .zip(ys.iter_mut())
            .zip(squares.iter_mut())
            .zip(products.iter_mut())
            .zip(x)
            .zip(y)
        {
            let (x, y) = (x - CENTRE, y - CENTRE);
            *a = x;
            *b = y;
            *s = x * x + y * y;
            *p = x * y;
        }
        let Some(slot) = self.ring.get_mut(row % WINDOW) else {
            return;
        };
        for (input, output) in self.inputs.iter().zip(slot) {
            output.fill(0.0);
            for (shift, tap) in taps.iter().enumerate() {
                let shifted = input.get(shift..).unwrap_or_default();
                for (o, i) in output.iter_mut().zip(shifted) {
                    *o += tap * i;
                }
            }
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "only what is inlined into `dispatch` gets its instructions"
    )]
    #[inline(always)]
    fn combine(&mut self, row: usize, taps: &[f32; WINDOW]) {
        for sum in &mut self.sums {
            sum.fill(0.0);
        }
        for (shift, tap) in taps.iter().enumerate() {
            let Some(slot) = self.ring.get((row + 1 + shift) % WINDOW) else {
                return;
            };
            for (sum, input) in self.sums.iter_mut().zip(slot) {
                for (s, i) in sum.iter_mut().zip(input) {
                    *s += tap * i;
                }
            }
        }
        let [xs, ys, squares, products] = &self.sums;
        for ((((value, x), y), s), p) in self
            .values
            .iter_mut()
            .zip(xs)
            .zip(ys)
            .zip(squares)
            .zip(products)
        {
            let variances = s - x * x - y * y;
            let covariance = p - x * y;
            let (x, y) = (x + CENTRE, y + CENTRE);
            *value = ((2.0 * x * y + C1) * (2.0 * covariance + C2))
                / ((x * x + y * y + C1) * (variances + C2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ssim;

    /// Straight from the definition, in double precision.
    fn slow(x: &[f32], y: &[f32], width: usize, height: usize) -> f64 {
        let mut weights = [[0.0; 11]; 11];
        let mut sum = 0.0;
        for (i, row) in weights.iter_mut().enumerate() {
            for (j, w) in row.iter_mut().enumerate() {
                let (a, b) = (i as f64 - 5.0, j as f64 - 5.0);
                *w = (-(a * a + b * b) / 4.5).exp();
                sum += *w;
            }
        }
        let (mut total, mut count) = (0.0, 0.0);
        for top in 0..=height - 11 {
            for left in 0..=width - 11 {
                let (mut mx, mut my, mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
                for (i, row) in weights.iter().enumerate() {
                    for (j, w) in row.iter().enumerate() {
                        let w = w / sum;
                        let at = (top + i) * width + left + j;
                        let (a, b) = (f64::from(x[at]), f64::from(y[at]));
                        mx += w * a;
                        my += w * b;
                        xx += w * a * a;
                        yy += w * b * b;
                        xy += w * a * b;
                    }
                }
                let (c1, c2) = (2.55 * 2.55, 7.65 * 7.65);
                total += (2.0 * mx * my + c1) * (2.0 * (xy - mx * my) + c2)
                    / ((mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2));
                count += 1.0;
            }
        }
        total / count
    }

    #[test]
    fn the_fast_form_equals_the_definition() {
        let (width, height) = (41, 29);
        let plane = |a: f32, b: f32| -> Vec<f32> {
            (0..width * height)
                .map(|n| {
                    let wave = (n as f32 * a).sin() * 60.0 + (n as f32 * b).cos() * 50.0;
                    (140.0 + wave).clamp(0.0, 255.0)
                })
                .collect()
        };
        for (x, y) in [
            (plane(0.37, 1.91), plane(0.37, 1.93)),
            (plane(0.01, 0.03), plane(2.7, 0.03)),
            (vec![250.0; width * height], plane(0.2, 0.4)),
        ] {
            let (fast, slow) = (
                ssim(&x, &y, width, height).unwrap(),
                slow(&x, &y, width, height),
            );
            assert!((fast - slow).abs() < 2e-5, "{fast} {slow}");
        }
    }

    #[test]
    fn equal_planes_are_similar_by_one_and_small_ones_have_no_value() {
        let plane: Vec<f32> = (0..400).map(|n| (n * 7 % 256) as f32).collect();
        assert!((ssim(&plane, &plane, 20, 20).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(ssim(&plane[..200], &plane[..200], 20, 10), None);
        assert_eq!(ssim(&plane, &plane[..399], 20, 20), None);
    }
}
