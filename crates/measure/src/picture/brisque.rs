//! BRISQUE (Mittal, Moorthy, Bovik 2012) as the package `brisque` 0.2.0 computes it, whose regressor it goes with: 36
//! statistics of a picture and of its half, scored by a support vector machine that was fitted to people's opinions.

use media::image::Rgb8;

use super::natural::{Skewed, normalised};

/// Statistics of a picture.
pub(crate) const FEATURES: usize = 36;

/// The fitted regressor.
#[derive(Clone, Debug, PartialEq)]
pub struct BrisqueParameters {
    /// Support vectors, 36 numbers each.
    pub vectors: Vec<f64>,
    /// Their coefficients.
    pub coefficients: Vec<f64>,
    /// Taken off the sum.
    pub offset: f64,
    /// Width of the kernel `exp(-gamma |x - v|²)`.
    pub gamma: f64,
    /// Least and largest value of each statistic, which become -1 and 1.
    pub ranges: [Vec<f64>; 2],
}

/// BRISQUE of a picture: about 0 (good) to 100.
///
/// # Errors
/// A sentence that says what is missing.
pub fn brisque(image: &Rgb8, parameters: &BrisqueParameters) -> Result<f64, String> {
    if image.width < 16 || image.height < 16 {
        return Err(format!(
            "the picture is {}x{}; BRISQUE needs 16 pixels a side",
            image.width, image.height
        ));
    }
    let features = brisque_features(image);
    // Without any contrast there are no shapes to fit; the second statistic is the variance.
    let flat = features.get(1).is_none_or(|variance| *variance <= 0.0);
    if flat || features.iter().any(|value| !value.is_finite()) {
        return Err("the picture has no structure".to_owned());
    }
    let [low, high] = &parameters.ranges;
    let scaled: Vec<f64> = features
        .iter()
        .zip(low.iter().zip(high))
        .map(|(value, (low, high))| 2.0 / (high - low) * (value - low) - 1.0)
        .collect();
    let sum: f64 = parameters
        .vectors
        .chunks_exact(FEATURES)
        .zip(&parameters.coefficients)
        .map(|(vector, coefficient)| {
            let apart: f64 = vector
                .iter()
                .zip(&scaled)
                .map(|(a, b)| (a - b).powi(2))
                .sum();
            coefficient * (-parameters.gamma * apart).exp()
        })
        .sum();
    Ok(sum - parameters.offset)
}

/// The 36 statistics: 18 of the picture, 18 of its half.
pub fn brisque_features(image: &Rgb8) -> Vec<f64> {
    let (width, height) = (image.width, image.height);
    // scikit-image's weights of BT.709.
    let grey: Vec<f64> = image
        .data
        .as_chunks::<3>()
        .0
        .iter()
        .map(|[r, g, b]| {
            (0.2125 * f64::from(*r) + 0.7154 * f64::from(*g) + 0.0721 * f64::from(*b)) / 255.0
        })
        .collect();
    let mut features = level(&grey, width, height);
    let (half, w, h) = halved(&grey, width, height);
    features.extend(level(&half, w, h));
    features
}

fn level(grey: &[f64], width: usize, height: usize) -> Vec<f64> {
    let normal = normalised(grey, width, height, 1.0 / 255.0);
    let own = Skewed::fit(normal.iter().copied());
    let variance = f64::midpoint(own.left.powi(2), own.right.powi(2));
    let mut features = vec![own.shape(), variance];
    // Neighbours: right, below, below right; and the other diagonal.
    for [down, right, other] in [[0, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1]] {
        let products = (0..height - down).flat_map(|y| {
            let normal = &normal;
            (0..width - right.max(other)).map(move |x| {
                let at = |y: usize, x: usize| normal.get(y * width + x).copied().unwrap_or(0.0);
                at(y, x + other) * at(y + down, x + right)
            })
        });
        let fitted = Skewed::fit(products);
        let shape = fitted.shape();
        let (mean, _) = fitted.mean(shape);
        features.extend([shape, mean, fitted.left.powi(2), fitted.right.powi(2)]);
    }
    features
}

/// Half the size as `OpenCV` makes it: a cubic with a = -0.75 between the pixels, not widened, the border repeated.
fn halved(plane: &[f64], width: usize, height: usize) -> (Vec<f64>, usize, usize) {
    const TAPS: [f64; 4] = [-0.093_75, 0.593_75, 0.593_75, -0.093_75];
    // Halves are rounded to the even number.
    let half = |n: usize| (n as f64 / 2.0).round_ties_even() as usize;
    let (w, h) = (half(width), half(height));
    let pick =
        |centre: usize, tap: usize, most: usize| (2 * centre + tap).saturating_sub(1).min(most - 1);
    let mut across = Vec::with_capacity(w * height);
    for row in plane.chunks_exact(width) {
        for x in 0..w {
            let sum = TAPS
                .iter()
                .enumerate()
                .map(|(tap, weight)| weight * row.get(pick(x, tap, width)).copied().unwrap_or(0.0));
            across.push(sum.sum());
        }
    }
    let mut out = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            let sum = TAPS.iter().enumerate().map(|(tap, weight)| {
                let row = pick(y, tap, height);
                weight * across.get(row * w + x).copied().unwrap_or(0.0)
            });
            out.push(sum.sum());
        }
    }
    (out, w, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_has_a_reason_and_the_regressor_is_a_sum_of_bells() {
        let parameters = BrisqueParameters {
            vectors: vec![0.0; FEATURES],
            coefficients: vec![2.0],
            offset: -3.0,
            gamma: 0.0,
            ranges: [vec![0.0; FEATURES], vec![1.0; FEATURES]],
        };
        let mut picture = Rgb8::new(64, 48);
        assert!(brisque(&Rgb8::new(8, 8), &parameters).is_err());
        for (n, value) in picture.data.iter_mut().enumerate() {
            *value = (n * 7919 % 251) as u8;
        }
        assert!((brisque(&picture, &parameters).unwrap() - 5.0).abs() < 1e-12);
        let black = brisque(&Rgb8::new(64, 48), &parameters);
        assert_eq!(black.unwrap_err(), "the picture has no structure");
    }
}
