//! Slaney's mel filter bank.

use super::{MEL_BANDS, MEL_WINDOW};

/// Values of a power spectrum: 0 to 8000 Hz in steps of 40 Hz.
pub const MEL_BINS: usize = MEL_WINDOW / 2 + 1;

/// Hz per mel below 1 kHz, where the scale is linear.
const LINEAR_STEP: f64 = 200.0 / 3.0;
/// The mel of 1 kHz.
const KNEE: f64 = 15.0;
/// The scale above the knee: 27 mels for every factor of 6.4.
const LOG_STEP: f64 = 1.856_297_990_365_626_2 / 27.0;

/// The frequency of a point on Slaney's mel scale (Auditory Toolbox, 1998), in Hz.
fn hertz(mel: f64) -> f64 {
    if mel < KNEE {
        mel * LINEAR_STEP
    } else {
        1000.0 * ((mel - KNEE) * LOG_STEP).exp()
    }
}

/// The filter bank, band by band: weights of the [`MEL_BINS`] values of a power spectrum. Each triangle has unit area
/// over Hz; together they span 0 to 8000 Hz.
pub fn filter_bank() -> Vec<[f32; MEL_BINS]> {
    let top = KNEE + (8.0_f64).ln() / LOG_STEP;
    let edge = |index: usize| hertz(top * index as f64 / (MEL_BANDS + 1) as f64);
    (0..MEL_BANDS)
        .map(|band| {
            let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
            let mut weights = [0.0; MEL_BINS];
            for (bin, weight) in weights.iter_mut().enumerate() {
                let frequency = bin as f64 * 16_000.0 / MEL_WINDOW as f64;
                let rising = (frequency - low) / (middle - low);
                let falling = (high - frequency) / (high - middle);
                *weight = (rising.min(falling).max(0.0) * 2.0 / (high - low)) as f32;
            }
            weights
        })
        .collect()
}

/// A triangle without its zeros.
pub(super) struct Triangle {
    /// The first bin with weight.
    pub(super) first: usize,
    /// Weights from there on.
    pub(super) weights: Vec<f32>,
}

/// The filter bank without its zeros.
pub(super) fn triangles() -> Vec<Triangle> {
    filter_bank()
        .iter()
        .map(|row| {
            let first = row.iter().position(|&w| w > 0.0).unwrap_or(0);
            let end = row.iter().rposition(|&w| w > 0.0).map_or(first, |l| l + 1);
            Triangle {
                first,
                weights: row.iter().copied().take(end).skip(first).collect(),
            }
        })
        .collect()
}
