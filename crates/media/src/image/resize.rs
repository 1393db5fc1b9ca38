//! Separable resizing: area averaging where it shrinks, bilinear where it grows.

/// The source samples that one output sample is made of.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// Resizes `channels` interleaved channels from `from` to `to` (width, height).
pub(crate) fn resize(
    data: &[f32],
    from: (usize, usize),
    to: (usize, usize),
    channels: usize,
) -> Vec<f32> {
    if from.0 == 0 || from.1 == 0 || data.len() < from.0 * from.1 * channels {
        return vec![0.0; to.0 * to.1 * channels];
    }
    let columns = taps(from.0, to.0);
    let rows = taps(from.1, to.1);
    let mut narrow = Vec::with_capacity(to.0 * from.1 * channels);
    for row in data.chunks_exact(from.0 * channels).take(from.1) {
        for tap in &columns {
            let start = tap.first * channels;
            for channel in 0..channels {
                let samples = row.iter().skip(start + channel).step_by(channels);
                narrow.push(tap.weights.iter().zip(samples).map(|(w, s)| w * s).sum());
            }
        }
    }
    let stride = to.0 * channels;
    let mut result = vec![0.0; stride * to.1];
    if stride == 0 {
        return result;
    }
    for (target, tap) in result.chunks_exact_mut(stride).zip(&rows) {
        let sources = narrow.chunks_exact(stride).skip(tap.first);
        for (weight, source) in tap.weights.iter().zip(sources) {
            for (value, sample) in target.iter_mut().zip(source) {
                *value += weight * sample;
            }
        }
    }
    result
}

/// Weights of every output sample; each set sums to one.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let ratio = from as f64 / to.max(1) as f64;
    (0..to)
        .map(|index| {
            if ratio > 1.0 {
                covered(index as f64 * ratio, (index + 1) as f64 * ratio, from)
            } else {
                between((index as f64 + 0.5) * ratio - 0.5, from)
            }
        })
        .collect()
}

/// Every source sample by the share of `start..end` that it covers.
fn covered(start: f64, end: f64, from: usize) -> Tap {
    let first = (start.floor() as usize).min(from - 1);
    let last = (end.ceil() as usize).clamp(first + 1, from);
    let shares: Vec<f64> = (first..last)
        .map(|sample| (end.min(sample as f64 + 1.0) - start.max(sample as f64)).max(0.0))
        .collect();
    let total: f64 = shares.iter().sum();
    Tap {
        first,
        weights: shares.iter().map(|share| (share / total) as f32).collect(),
    }
}

/// The two source samples around a position.
fn between(position: f64, from: usize) -> Tap {
    let position = position.clamp(0.0, (from - 1) as f64);
    let first = position.floor() as usize;
    let weight = (position - first as f64) as f32;
    if weight == 0.0 || first + 1 >= from {
        return Tap {
            first,
            weights: vec![1.0],
        };
    }
    Tap {
        first,
        weights: vec![1.0 - weight, weight],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halving_averages_pairs() {
        let out = resize(&[1.0, 3.0, 5.0, 9.0], (4, 1), (2, 1), 1);
        assert_eq!(out, [2.0, 7.0]);
    }

    #[test]
    fn an_odd_shrink_weighs_shared_pixels() {
        let out = resize(&[0.0, 3.0, 6.0], (3, 1), (2, 1), 1);
        assert!((out[0] - 1.0).abs() < 1e-6 && (out[1] - 5.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn a_flat_image_stays_flat(w in 1_usize..20, h in 1_usize..20, ow in 1_usize..40, oh in 1_usize..40, value in 0.0_f32..1.0) {
            let out = resize(&vec![value; w * h * 3], (w, h), (ow, oh), 3);
            prop_assert!(out.iter().all(|sample| (sample - value).abs() < 1e-5));
        }

        #[test]
        fn shrinking_keeps_the_mean(data in prop::collection::vec(0.0_f32..1.0, 24), ow in 1_usize..6, oh in 1_usize..4) {
            let out = resize(&data, (6, 4), (ow, oh), 1);
            let before = data.iter().sum::<f32>() / 24.0;
            let after = out.iter().sum::<f32>() / out.len() as f32;
            prop_assert!((before - after).abs() < 1e-4);
        }

        #[test]
        fn growing_stays_within_the_values(data in prop::collection::vec(0.0_f32..1.0, 12), ow in 4_usize..20, oh in 3_usize..20) {
            let out = resize(&data, (4, 3), (ow, oh), 1);
            let low = data.iter().copied().fold(f32::MAX, f32::min);
            let high = data.iter().copied().fold(f32::MIN, f32::max);
            prop_assert!(out.iter().all(|&v| v >= low - 1e-6 && v <= high + 1e-6));
        }
    }
}
