//! Statistics of natural pictures, on which NIQE and BRISQUE stand (Mittal, Moorthy, Bovik 2012; Mittal, Soundararajan,
//! Bovik 2013): values freed of local mean and contrast are nearly Gaussian in good pictures, and products of neighbours
//! follow an asymmetric generalised Gaussian.

use std::f64::consts::PI;

/// Taps of the local window to either side of its middle, and its deviation.
const REACH: usize = 3;
const SIGMA: f64 = 7.0 / 6.0;

/// Shapes between which the generalised Gaussian's is sought.
const SHAPES: [f64; 2] = [0.05, 100.0];

/// A generalised Gaussian with a deviation of its own on either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Skewed {
    /// Root mean square of the values below zero, and of the others.
    pub(crate) left: f64,
    pub(crate) right: f64,
    /// What the shape follows from: see [`ratio`].
    pub(crate) ratio: f64,
}

impl Skewed {
    /// Fitted by moments.
    pub(crate) fn fit(values: impl Iterator<Item = f64>) -> Self {
        let (mut sums, mut counts, mut absolute) = ([0.0; 2], [0.0; 2], 0.0);
        for value in values {
            let side = usize::from(value >= 0.0);
            if let (Some(sum), Some(count)) = (sums.get_mut(side), counts.get_mut(side)) {
                *sum += value * value;
                *count += 1.0;
            }
            absolute += value.abs();
        }
        let [low, high] = [0, 1].map(|side: usize| {
            let sum = sums.get(side).copied().unwrap_or(0.0);
            let count: f64 = counts.get(side).copied().unwrap_or(0.0);
            if count > 0.0 {
                (sum / count).sqrt()
            } else {
                0.0
            }
        });
        let count: f64 = counts.iter().sum();
        let square: f64 = sums.iter().sum::<f64>() / count;
        let spread = (absolute / count).powi(2) / square;
        let gamma = low / high;
        let ratio = spread * (gamma.powi(3) + 1.0) * (gamma + 1.0) / (gamma.powi(2) + 1.0).powi(2);
        Self {
            left: low,
            right: high,
            ratio,
        }
    }

    /// The shape whose [`ratio`] is the fitted one, by bisection.
    pub(crate) fn shape(&self) -> f64 {
        let [mut low, mut high] = SHAPES;
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if ratio(middle) < self.ratio {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }

    /// Mean of a distribution of this shape, and its widths to the left and right.
    pub(crate) fn mean(&self, shape: f64) -> (f64, [f64; 2]) {
        let wide = (0.5 * (log_gamma(1.0 / shape) - log_gamma(3.0 / shape))).exp();
        let widths = [wide * self.left, wide * self.right];
        let skew = (log_gamma(2.0 / shape) - log_gamma(1.0 / shape)).exp();
        ((widths[1] - widths[0]) * skew, widths)
    }
}

/// `Γ(2/s)² / (Γ(1/s) Γ(3/s))`, which grows with the shape `s`.
pub(crate) fn ratio(shape: f64) -> f64 {
    (2.0 * log_gamma(2.0 / shape) - log_gamma(1.0 / shape) - log_gamma(3.0 / shape)).exp()
}

/// Logarithm of the gamma function of a positive number, to about 15 digits (Lanczos, g = 7, nine terms).
fn log_gamma(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - log_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.0;
    for (n, term) in TERMS.iter().enumerate() {
        sum += if n == 0 { *term } else { term / (x + n as f64) };
    }
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// A plane with its local mean taken off, divided by its local deviation and `floor`; zeros beyond the border.
pub(crate) fn normalised(plane: &[f64], width: usize, height: usize, floor: f64) -> Vec<f64> {
    let mean = smooth(plane, width, height);
    let squares: Vec<f64> = plane.iter().map(|v| v * v).collect();
    let square = smooth(&squares, width, height);
    plane
        .iter()
        .zip(mean.iter().zip(&square))
        .map(|(value, (mean, square))| {
            (value - mean) / ((square - mean * mean).abs().sqrt() + floor)
        })
        .collect()
}

fn smooth(plane: &[f64], width: usize, height: usize) -> Vec<f64> {
    let taps: Vec<f64> = (0..=2 * REACH)
        .map(|n| (-0.5 * ((n as f64 - REACH as f64) / SIGMA).powi(2)).exp())
        .collect();
    let total: f64 = taps.iter().sum();
    let mut across = vec![0.0; width * height];
    let mut down = vec![0.0; width * height];
    if width == 0 {
        return down;
    }
    for (row, out) in plane
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(width))
    {
        for (n, tap) in taps.iter().enumerate() {
            // Output x takes input x + n - REACH.
            let (to, from) = (REACH.saturating_sub(n), n.saturating_sub(REACH));
            let parts = out.iter_mut().skip(to).zip(row.iter().skip(from));
            for (out, value) in parts {
                *out += tap / total * value;
            }
        }
    }
    for (n, tap) in taps.iter().enumerate() {
        let (to, from) = (REACH.saturating_sub(n), n.saturating_sub(REACH));
        let parts = down
            .iter_mut()
            .skip(to * width)
            .zip(across.iter().skip(from * width));
        for (out, value) in parts {
            *out += tap / total * value;
        }
    }
    down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_and_shapes_are_those_of_the_tables() {
        for (x, wanted) in [
            (0.5, PI.sqrt()),
            (1.0, 1.0),
            (5.0, 24.0),
            (0.1, 9.513_507_698_668_732),
        ] {
            assert!((log_gamma(x).exp() / wanted - 1.0).abs() < 1e-12, "{x}");
        }
        // A Gaussian has shape 2 and the ratio 2/π, a Laplacian shape 1 and 1/2.
        assert!((ratio(2.0) - 2.0 / PI).abs() < 1e-12 && (ratio(1.0) - 0.5).abs() < 1e-12);
        // Quantiles of a Laplacian.
        let values: Vec<f64> = (0..20_000)
            .map(|n| {
                let p = (f64::from(n) + 0.5) / 20_000.0 - 0.5;
                -(1.0 - 2.0 * p.abs()).ln() * p.signum()
            })
            .collect();
        let fitted = Skewed::fit(values.iter().copied());
        assert!((fitted.shape() - 1.0).abs() < 0.01, "{}", fitted.shape());
        assert!(fitted.mean(1.0).0.abs() < 1e-6);
        // Twice as wide to the right: the mean moves there.
        let skewed = Skewed::fit(values.iter().map(|v| if *v > 0.0 { 2.0 * v } else { *v }));
        assert!((skewed.right / skewed.left - 2.0).abs() < 1e-9 && skewed.mean(1.0).0 > 0.5);
    }

    #[test]
    fn contrast_and_brightness_do_not_count() {
        let (width, height) = (40, 30);
        let plane: Vec<f64> = (0..width * height)
            .map(|n| ((n * 7919) % 256) as f64)
            .collect();
        let other: Vec<f64> = plane.iter().map(|v| 0.5 * v + 60.0).collect();
        let (a, b) = (
            normalised(&plane, width, height, 0.0),
            normalised(&other, width, height, 0.0),
        );
        // Inside, where no zeros of beyond the border take part.
        for y in REACH..height - REACH {
            for x in REACH..width - REACH {
                assert!((a[y * width + x] - b[y * width + x]).abs() < 1e-9);
            }
        }
    }
}
