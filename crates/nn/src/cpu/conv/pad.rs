//! The input with its padding.

use rayon::prelude::*;

use super::Sizes;
use crate::cpu::buffer::zeroed;
use crate::cpu::real::{Real, convert, convert_one};
use crate::cpu::simd::vectorised;

/// One sample's channels with their padding.
pub(super) fn pad<T: Real, E: Real>(x: &[T], sizes: &Sizes) -> Vec<E> {
    let [t, h, w] = sizes.input;
    let [tp, hp, wp] = sizes.padded();
    let [(front, _), (above, _), (left, _)] = sizes.padding;
    let mut out = zeroed::<E>(sizes.channels * tp * hp * wp);
    out.par_chunks_mut(hp * wp)
        .enumerate()
        .for_each(|(index, plane)| {
            let (channel, frame) = (index / tp, index % tp);
            let inside = frame >= front && frame < front + t;
            if !inside && !sizes.replicate {
                return;
            }
            let frame = frame.saturating_sub(front).min(t - 1);
            let from = &x[(channel * t + frame) * h * w..][..h * w];
            vectorised(
                #[inline(always)]
                |_| {
                    for (row, from) in from.chunks_exact(w).enumerate() {
                        convert(from, &mut plane[(above + row) * wp + left..][..w]);
                    }
                },
            );
        });
    out
}

/// The same with every two channels interleaved: `[C / 2, T, H, W, 2]`.
pub(super) fn pad_pairs<T: Real, E: Real>(x: &[T], sizes: &Sizes) -> Vec<E> {
    let [t, h, w] = sizes.input;
    let [tp, hp, wp] = sizes.padded();
    let [(front, _), (above, _), (left, _)] = sizes.padding;
    let mut out = zeroed::<E>(sizes.channels * tp * hp * wp);
    out.par_chunks_mut(2 * hp * wp)
        .enumerate()
        .for_each(|(index, plane)| {
            let (pair, frame) = (index / tp, index % tp);
            let inside = frame >= front && frame < front + t;
            if !inside && !sizes.replicate {
                return;
            }
            let frame = frame.saturating_sub(front).min(t - 1);
            let [first, second] =
                [0, 1].map(|i| &x[((2 * pair + i) * t + frame) * h * w..][..h * w]);
            vectorised(
                #[inline(always)]
                |_| {
                    for row in 0..h {
                        let to = &mut plane[2 * ((above + row) * wp + left)..][..2 * w];
                        let (a, b) = (&first[row * w..][..w], &second[row * w..][..w]);
                        for ((to, a), b) in to.chunks_exact_mut(2).zip(a).zip(b) {
                            to[0] = convert_one(*a);
                            to[1] = convert_one(*b);
                        }
                    }
                },
            );
        });
    out
}
