//! Sample rate conversion of whole pieces of speech.

use units::SampleRate;

/// Zero crossings of the sinc on either side.
const CROSSINGS: f64 = 32.0;
/// Kaiser's beta: about 90 dB of stop band.
const BETA: f64 = 9.0;

/// Converts one channel to another rate by a Kaiser-windowed sinc (Oppenheim and Schafer, *Discrete-Time Signal
/// Processing*, section 7.5), without delay: sample `n` of the output lies at `n / to` seconds of the input. The output
/// has `ceil(samples * to / from)` samples. The pass band ends at 95 % of the lower of the two Nyquist frequencies.
pub fn resample(samples: &[f32], from: SampleRate, to: SampleRate) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let shared = greatest_common_divisor(from.hertz(), to.hertz());
    // Every output sample lies at one of `up` offsets between input samples.
    let up = u64::from(to.hertz() / shared);
    let down = u64::from(from.hertz() / shared);
    let scale = (up as f64 / down as f64).min(1.0) * 0.95;
    let reach = (CROSSINGS / scale).ceil() as i64;
    let taps = |offset: f64| -> Vec<f32> {
        let weights: Vec<f64> = (-reach..=reach)
            .map(|n| kernel(n as f64 - offset, scale, reach as f64))
            .collect();
        // Each phase passes a constant unchanged.
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| (w / sum) as f32).collect()
    };
    let count = (samples.len() as u64 * up).div_ceil(down);
    // Coprime rates have as many phases as output samples per second; those few are computed as they come.
    let table: Option<Vec<Vec<f32>>> = (up <= 2048).then(|| {
        (0..up)
            .map(|phase| taps(phase as f64 / up as f64))
            .collect()
    });
    (0..count)
        .map(|n| {
            let whole = (n * down / up) as i64;
            let phase = n * down % up;
            let own;
            let weights = if let Some(weights) = table.as_ref().and_then(|t| t.get(phase as usize))
            {
                weights
            } else {
                own = taps(phase as f64 / up as f64);
                &own
            };
            let first = whole - reach;
            let skip = usize::try_from(-first).unwrap_or(0);
            let start = usize::try_from(first).unwrap_or(0);
            weights
                .iter()
                .skip(skip)
                .zip(samples.iter().skip(start))
                .map(|(w, s)| w * s)
                .sum()
        })
        .collect()
}

/// The windowed sinc at a distance in input samples.
fn kernel(distance: f64, scale: f64, reach: f64) -> f64 {
    let inside = 1.0 - (distance / (reach + 1.0)).powi(2);
    if inside <= 0.0 {
        return 0.0;
    }
    let x = std::f64::consts::PI * distance * scale;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    sinc * bessel_i0(BETA * inside.sqrt()) / bessel_i0(BETA)
}

/// The modified Bessel function of order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let half = x / 2.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..40 {
        term *= (half / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(hertz: u32) -> SampleRate {
        SampleRate::new(hertz).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_tone_keeps_its_time_and_level(
            from in prop::sample::select(vec![8000_u32, 16_000, 22_050, 24_000, 44_100, 48_000, 11_111]),
            to in prop::sample::select(vec![16_000_u32, 22_050, 44_100, 48_000]),
            hertz in 60.0_f64..3000.0,
        ) {
            let tone = |n: usize, rate: u32| (std::f64::consts::TAU * hertz * n as f64 / f64::from(rate)).sin() * 0.5;
            let input: Vec<f32> = (0..from as usize / 4).map(|n| tone(n, from) as f32).collect();
            let output = resample(&input, rate(from), rate(to));
            let expected = (input.len() as u64 * u64::from(to)).div_ceil(u64::from(from)) as usize;
            prop_assert_eq!(output.len(), expected);
            let margin = output.len() / 8;
            for (n, sample) in output.iter().enumerate().take(output.len() - margin).skip(margin) {
                prop_assert!((f64::from(*sample) - tone(n, to)).abs() < 2e-4, "sample {} of {} Hz", n, hertz);
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_removed() {
        let high: Vec<f32> = (0..12_000)
            .map(|n| (std::f64::consts::TAU * 9000.0 * f64::from(n) / 48_000.0).sin() as f32)
            .collect();
        let low = resample(&high, rate(48_000), rate(16_000));
        let loudest = low
            .iter()
            .skip(500)
            .take(3000)
            .fold(0.0_f32, |a, b| a.max(b.abs()));
        assert!(loudest < 2e-3, "{loudest}");
    }

    #[test]
    fn the_same_rate_is_the_same_sound() {
        assert_eq!(resample(&[0.1, 0.2], rate(7), rate(7)), vec![0.1, 0.2]);
        assert!(resample(&[], rate(8000), rate(16_000)).is_empty());
    }
}
