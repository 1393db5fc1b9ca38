//! The lips' shape as a few numbers.

use super::eigen;
use crate::error::{Result, TrainError};

/// Points of the lips in the face mesh: outer ring, then inner ring.
pub const LIPS: [usize; 40] = [
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 78,
    95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
];

/// Points of the jaw.
pub const JAW: [usize; 9] = [152, 148, 176, 150, 136, 377, 400, 379, 365];

/// Lip and jaw points of a frame in tenths of the crop: 98 numbers.
pub fn shape_of(landmarks: &[[f32; 2]], side: f32) -> Vec<f32> {
    LIPS.iter()
        .chain(&JAW)
        .flat_map(|point| landmarks.get(*point).copied().unwrap_or_default())
        .map(|value| value * 10.0 / side)
        .collect()
}

/// Principal components of shapes.
#[derive(Debug, Clone)]
pub struct ShapeBasis {
    /// The mean shape.
    pub mean: Vec<f32>,
    /// Components, one a row, each of length one.
    pub rows: Vec<Vec<f32>>,
    /// Standard deviation along each.
    pub deviations: Vec<f32>,
    /// Share of the variance that they hold.
    pub share: f64,
}

impl ShapeBasis {
    /// The `count` strongest components of `shapes`.
    ///
    /// # Errors
    /// When there are fewer than two shapes.
    pub fn fit(shapes: &[&[f32]], count: usize) -> Result<Self> {
        let n = shapes.first().map_or(0, |s| s.len());
        if shapes.len() < 2 || n == 0 {
            return Err(TrainError::Data(format!(
                "{} frames with a face are too few for the lips' shape",
                shapes.len()
            )));
        }
        let total = shapes.len() as f64;
        let mut mean = vec![0.0_f64; n];
        for shape in shapes {
            for (mean, value) in mean.iter_mut().zip(*shape) {
                *mean += f64::from(*value) / total;
            }
        }
        let mut covariance = vec![0.0_f64; n * n];
        let mut centred = vec![0.0_f64; n];
        for shape in shapes {
            for ((c, value), mean) in centred.iter_mut().zip(*shape).zip(&mean) {
                *c = f64::from(*value) - mean;
            }
            for (row, a) in covariance.chunks_mut(n).zip(&centred) {
                for (slot, b) in row.iter_mut().zip(&centred) {
                    *slot += a * b / total;
                }
            }
        }
        let (values, vectors) = eigen::symmetric(&covariance, n);
        let all: f64 = values.iter().sum::<f64>().max(1e-12);
        let kept: f64 = values.iter().take(count).sum();
        let narrow = |row: &Vec<f64>| row.iter().map(|v| *v as f32).collect();
        Ok(Self {
            mean: mean.iter().map(|v| *v as f32).collect(),
            rows: vectors.iter().take(count).map(narrow).collect(),
            deviations: values
                .iter()
                .take(count)
                .map(|v| v.max(1e-12).sqrt() as f32)
                .collect(),
            share: kept / all,
        })
    }

    /// Components of a shape.
    pub fn project(&self, shape: &[f32]) -> Vec<f32> {
        self.rows
            .iter()
            .map(|row| {
                row.iter()
                    .zip(shape)
                    .zip(&self.mean)
                    .map(|((w, v), mean)| w * (v - mean))
                    .sum()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_shapes_has_one_component() {
        let shapes: Vec<Vec<f32>> = (0..10)
            .map(|k| vec![1.0 + 0.6 * k as f32, 2.0, 0.8 * k as f32])
            .collect();
        let views: Vec<&[f32]> = shapes.iter().map(Vec::as_slice).collect();
        let basis = ShapeBasis::fit(&views, 2).unwrap();
        assert!(basis.share > 0.999_999);
        assert!(basis.deviations[1] < 1e-3);
        let ends = basis.project(&shapes[9])[0] - basis.project(&shapes[0])[0];
        assert!((ends.abs() - 9.0).abs() < 1e-4);
    }
}
