//! Convolution as a product of matrices whose right side, the patches of the input,
//! exists only as packed panels.
//!
//! Rows are output channels, columns are output positions, so both sides keep the
//! `[C, T, H, W]` order and nothing is permuted. The input is copied once with its
//! padding, after which a tap is a constant offset.

mod pad;
mod patches;
mod rows;

use std::ops::Range;

use rayon::prelude::*;

use pad::{pad, pad_pairs};
use patches::{patches, tap_offsets};
use rows::{InputRows, PairedWeight};

use super::buffer::Shared;
use super::kernel::Element;
use super::matmul::{Tile, multiply};
use super::pack::{Left, Strided, with_packed};
use super::real::Real;
use super::simd::vectorised;

/// Sizes of one call: `[T, H, W]` everywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) outputs: usize,
    pub(crate) groups: usize,
    pub(crate) input: [usize; 3],
    pub(crate) kernel: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) dilation: [usize; 3],
    pub(crate) padding: [(usize, usize); 3],
    pub(crate) replicate: bool,
}

impl Sizes {
    fn padded(&self) -> [usize; 3] {
        std::array::from_fn(|i| self.input[i] + self.padding[i].0 + self.padding[i].1)
    }

    fn positions(&self) -> usize {
        self.output.iter().product()
    }

    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    fn channels_per_group(&self) -> usize {
        self.channels / self.groups
    }

    fn outputs_per_group(&self) -> usize {
        self.outputs / self.groups
    }

    /// A pointwise convolution does not care for axes: one long row has no seams.
    fn flattened(self) -> Self {
        if self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [(0, 0); 3] {
            let line = [1, 1, self.input.iter().product()];
            Self {
                input: line,
                output: line,
                ..self
            }
        } else {
            self
        }
    }
}

/// The weight: small beside the patches, so that it is packed once for all of them.
struct Weight<'a, W>(Strided<'a, W>);

impl<W: Real, E: Element> Left<E> for Weight<'_, W> {
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E], stride: usize) {
        self.0.pack(rows, ks, out, stride);
    }
}

/// Writes the convolution of `x` with `weight` to `out`.
pub(crate) fn forward<T: Real, W: Real, E: Element>(
    sizes: &Sizes,
    x: &[T],
    weight: &[W],
    bias: Option<&[f32]>,
    out: &mut [T],
) {
    let sizes = sizes.flattened();
    if sizes.channels_per_group() == 1 && sizes.groups > 1 {
        return depthwise(&sizes, x, weight, bias, out);
    }
    let positions = sizes.positions();
    let inner = sizes.channels_per_group() * sizes.taps();
    let rows = sizes.outputs_per_group();
    let in_place = InputRows::<E>::fit(&sizes);
    let pairs = in_place && E::STEP == 2;
    let mut taps = tap_offsets(&sizes);
    if pairs {
        // Of the first channel of each pair, which lies where half as many channels end.
        taps.truncate(inner / 2);
        for tap in &mut taps {
            *tap *= 2;
        }
    }
    let sample = sizes.channels * sizes.input.iter().product::<usize>();
    for (x, out) in x
        .chunks_exact(sample)
        .zip(out.chunks_exact_mut(sizes.outputs * positions))
    {
        let padded = if pairs {
            pad_pairs::<T, E>(x, &sizes)
        } else {
            pad::<T, E>(x, &sizes)
        };
        for (group, out) in out.chunks_exact_mut(rows * positions).enumerate() {
            let weight = &weight[group * rows * inner..][..rows * inner];
            let right = patches(&sizes, &padded, &taps, group);
            let out = Shared::new(out);
            let store = |mut tile: Tile<'_>| {
                let columns = tile.columns.clone();
                vectorised(
                    #[inline(always)]
                    |_| {
                        for (row, sums) in tile.rows_mut() {
                            let shift = bias.map_or(0.0, |bias| bias[group * rows + row]);
                            // SAFETY: blocks of a product are disjoint.
                            #[expect(unsafe_code, reason = "blocks are disjoint")]
                            let out = unsafe {
                                out.range(row * positions + columns.start, columns.len())
                            };
                            for (out, sum) in out.iter_mut().zip(sums) {
                                *out = T::put(*sum + shift);
                            }
                        }
                    },
                );
            };
            let left = Weight(Strided::dense(weight, rows, inner));
            if pairs {
                let left = PairedWeight {
                    data: weight,
                    inner,
                    taps: sizes.taps(),
                };
                let right = InputRows { patches: right };
                multiply::<E>(rows, positions, inner, &left, &right, &store);
            } else if in_place {
                let right = InputRows { patches: right };
                multiply::<E>(rows, positions, inner, &left, &right, &store);
            } else {
                multiply::<E>(rows, positions, inner, &left, &right, &store);
            }
        }
    }
}

/// One input channel a group: too little inner work for a product of matrices.
fn depthwise<T: Real, W: Real>(
    sizes: &Sizes,
    x: &[T],
    weight: &[W],
    bias: Option<&[f32]>,
    out: &mut [T],
) {
    let positions = sizes.positions();
    let taps = tap_offsets(sizes);
    let per_group = sizes.outputs_per_group();
    let [tp, hp, wp] = sizes.padded();
    let [frames, rows, columns] = sizes.output;
    let [st, sh, sw] = sizes.stride;
    let sample = sizes.channels * sizes.input.iter().product::<usize>();
    for (x, out) in x
        .chunks_exact(sample)
        .zip(out.chunks_exact_mut(sizes.outputs * positions))
    {
        let padded = pad::<T, f32>(x, sizes);
        out.par_chunks_mut(positions)
            .enumerate()
            .for_each(|(channel, out)| {
                let input = &padded[channel / per_group * tp * hp * wp..][..tp * hp * wp];
                let weight = &weight[channel * taps.len()..][..taps.len()];
                let shift = bias.map_or(0.0, |bias| bias[channel]);
                let mut sums = vec![0.0_f32; columns];
                vectorised(
                    #[inline(always)]
                    |_| {
                        for line in 0..frames * rows {
                            let from = line / rows * st * hp * wp + line % rows * sh * wp;
                            sums.fill(shift);
                            for (&tap, weight) in taps.iter().zip(weight) {
                                let weight = weight.get();
                                let input = &input[from + tap..];
                                if sw == 1 {
                                    for (sum, x) in sums.iter_mut().zip(input) {
                                        *sum += weight * x;
                                    }
                                } else {
                                    for (sum, x) in sums.iter_mut().zip(input.iter().step_by(sw)) {
                                        *sum += weight * x;
                                    }
                                }
                            }
                            for (out, sum) in out[line * columns..].iter_mut().zip(&sums) {
                                *out = T::put(*sum);
                            }
                        }
                    },
                );
            });
    }
}

/// Sums of `[B, channels, positions]` over samples and positions: the gradient of the bias.
pub(crate) fn channel_sums<T: Real>(x: &[T], channels: usize, positions: usize) -> Vec<f32> {
    const LANES: usize = 16;
    let line = |line: &[T]| {
        vectorised(
            #[inline(always)]
            |_| {
                let mut lanes = [0.0_f32; LANES];
                let (whole, rest) = line.as_chunks::<LANES>();
                for part in whole {
                    for (lane, x) in lanes.iter_mut().zip(part) {
                        *lane += x.get();
                    }
                }
                for (lane, x) in lanes.iter_mut().zip(rest) {
                    *lane += x.get();
                }
                lanes.iter().sum::<f32>()
            },
        )
    };
    (0..channels)
        .into_par_iter()
        .map(|channel| {
            let samples = x.chunks_exact((channels * positions).max(1));
            samples
                .map(|x| line(&x[channel * positions..][..positions]))
                .sum()
        })
        .collect()
}

/// The gradient of the weight, `[outputs, channels / groups, taps]`, given that of the result.
pub(crate) fn weight_gradient<T: Real, E: Element>(
    sizes: &Sizes,
    x: &[T],
    grad: &[T],
    columns: usize,
) -> Vec<f32> {
    let sizes = sizes.flattened();
    let positions = sizes.positions();
    let inner = sizes.channels_per_group() * sizes.taps();
    let rows = sizes.outputs_per_group();
    let taps = tap_offsets(&sizes);
    let sample = sizes.channels * sizes.input.iter().product::<usize>();
    let mut out = vec![0.0_f32; sizes.outputs * inner];
    for (x, grad) in x
        .chunks_exact(sample)
        .zip(grad.chunks_exact(sizes.outputs * positions))
    {
        let padded = pad::<T, E>(x, &sizes);
        for (group, out) in out.chunks_exact_mut(rows * inner).enumerate() {
            let grad = Strided::dense(
                &grad[group * rows * positions..][..rows * positions],
                rows,
                positions,
            );
            let left = patches(&sizes, &padded, &taps, group);
            let out = Shared::new(out);
            let store = |mut tile: Tile<'_>| {
                let first = tile.columns.start;
                for (row, sums) in tile.rows_mut() {
                    for (column, sum) in sums.iter().enumerate() {
                        // SAFETY: blocks of a product are disjoint.
                        #[expect(unsafe_code, reason = "blocks are disjoint")]
                        let out = unsafe { out.range((first + column) * inner + row, 1) };
                        out[0] += sum;
                    }
                }
            };
            with_packed::<T, E, _>(&grad.transposed(), columns, |right| {
                multiply::<E>(inner, rows, positions, &left, right, &store);
            });
        }
    }
    out
}
