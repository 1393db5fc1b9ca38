//! The energy envelope that cuts are placed by.

use units::{SampleRate, Seconds};

/// Root mean square levels of short overlapping windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Time between two values; value `n` is centred at `(n + 0.5) * hop`.
    pub hop: Seconds,
    /// Levels in full scale (a full-scale square wave is 1).
    pub values: Vec<f32>,
}

/// The levels of one channel in hops of 5 ms: RMS over the 15 ms around each hop's centre, with the mean removed, so
/// that an offset of the recording does not count. The last value may lie in a part hop.
pub fn envelope(samples: &[f32], rate: SampleRate) -> Envelope {
    let hop = (rate.hertz() as usize / 200).max(1);
    let values = (0..samples.len().div_ceil(hop))
        .map(|n| {
            let from = (n * hop).saturating_sub(hop);
            let window = samples
                .get(from..((n + 2) * hop).min(samples.len()))
                .unwrap_or(&[]);
            rms(window)
        })
        .collect();
    Envelope {
        hop: Seconds(hop as f64 / f64::from(rate.hertz())),
        values,
    }
}

/// The root mean square of samples around their mean; 0 for none.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let count = samples.len() as f64;
    let mean = samples.iter().map(|&s| f64::from(s)).sum::<f64>() / count;
    let power = samples
        .iter()
        .map(|&s| (f64::from(s) - mean).powi(2))
        .sum::<f64>()
        / count;
    power.sqrt() as f32
}

/// The value at a fraction (0..=1) of the sorted levels; 0 for none.
pub fn percentile(values: &[f32], fraction: f64) -> f32 {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((fraction.clamp(0.0, 1.0) * last as f64).round() as usize)
        .copied()
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_shows_where_it_is_and_an_offset_does_not_count() {
        let rate = SampleRate::new(48_000).unwrap();
        let samples: Vec<f32> = (0..48_000)
            .map(|n| {
                let burst = if (24_000..26_400).contains(&n) {
                    0.5
                } else {
                    0.0
                };
                0.2 + burst * (n as f32 * 0.3).sin()
            })
            .collect();
        let energy = envelope(&samples, rate);
        assert_eq!(energy.values.len(), 200);
        assert!((energy.hop.0 - 0.005).abs() < 1e-12);
        assert!(energy.values[50] < 1e-3 && energy.values[150] < 1e-3);
        assert!((energy.values[105] - 0.5 / 2.0_f32.sqrt()).abs() < 0.02);
    }

    #[test]
    fn the_envelope_covers_a_part_hop() {
        assert_eq!(envelope(&[0.1; 81], SampleRate::SPEECH).values.len(), 2);
        assert!(envelope(&[], SampleRate::SPEECH).values.is_empty());
    }
}
