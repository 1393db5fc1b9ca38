//! Convolution as a product of matrices whose right side, the patches of the input,
//! exists only as packed panels.
//!
//! Rows are output channels, columns are output positions, so both sides keep the
//! `[C, T, H, W]` order and nothing is permuted. The input is copied once with its
//! padding, after which a tap is a constant offset.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::{Shared, zeroed};
use super::kernel::{DIRECT_COLUMNS, Element};
use super::level::Level;
use super::matmul::{Tile, multiply};
use super::pack::{InPlace, Left, Packed, Right, Strided};
use super::real::{Real, convert, convert_one};
use super::simd::vectorised;

/// The most columns of a panel at any level.
const MAX_COLUMNS: usize = 32;

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

/// One sample's channels with their padding.
fn pad<T: Real, E: Real>(x: &[T], sizes: &Sizes) -> Vec<E> {
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
fn pad_pairs<T: Real, E: Real>(x: &[T], sizes: &Sizes) -> Vec<E> {
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

/// Contiguous columns of a panel: where they stand in it, and the offset of their
/// first input element.
#[derive(Clone, Copy, Default)]
struct Run {
    column: usize,
    from: usize,
    len: usize,
}

/// The patch matrix `[channels * taps, positions]` of one group of one sample.
struct Patches<'a, E> {
    data: &'a [E],
    /// Offset of each inner index (channel and tap).
    taps: &'a [usize],
    output: [usize; 3],
    /// Distance of neighbouring positions in the input.
    steps: [usize; 3],
}

impl<E: Element> Patches<'_, E> {
    fn from(&self, position: usize) -> usize {
        let [_, h, w] = self.output;
        let (t, y, x) = (position / (h * w), position / w % h, position % w);
        t * self.steps[0] + y * self.steps[1] + x * self.steps[2]
    }

    /// Calls `f` with the runs of `positions`: whole rows where neighbours touch, else single positions.
    fn runs(&self, positions: Range<usize>, mut f: impl FnMut(Run)) {
        let w = self.output[2];
        let start = positions.start;
        let mut position = start;
        while position < positions.end {
            let len = if self.steps[2] == 1 {
                (w - position % w).min(positions.end - position)
            } else {
                1
            };
            f(Run {
                column: position - start,
                from: self.from(position),
                len,
            });
            position += len;
        }
    }
}

impl<E: Element> Right<E> for Patches<'_, E> {
    fn panel<'s>(
        &'s self,
        panel: usize,
        ks: Range<usize>,
        columns: usize,
        scratch: &'s mut [E],
    ) -> &'s [E] {
        let positions: usize = self.output.iter().product();
        let first = panel * columns;
        let last = positions.min(first + columns);
        let mut runs = [Run::default(); MAX_COLUMNS];
        let mut count = 0;
        self.runs(first..last, |run| {
            runs[count] = run;
            count += 1;
        });
        let runs = &runs[..count];
        let inner = ks.len().next_multiple_of(E::STEP);
        let out = &mut scratch[..inner * columns];
        if last - first < columns || inner != ks.len() {
            out.fill(E::default());
        }
        let taps = &self.taps[ks];
        vectorised(
            #[inline(always)]
            |_| {
                if let ([run], true) = (runs, E::STEP == 1) {
                    // The usual case: neighbours in one row of the picture.
                    for (out, &tap) in out.chunks_exact_mut(columns).zip(taps) {
                        copy_run(&self.data[tap + run.from..][..run.len], &mut out[..run.len]);
                    }
                } else if E::STEP == 1 {
                    for (out, &tap) in out.chunks_exact_mut(columns).zip(taps) {
                        for run in runs {
                            copy_run(
                                &self.data[tap + run.from..][..run.len],
                                &mut out[run.column..][..run.len],
                            );
                        }
                    }
                } else {
                    for (out, taps) in out.chunks_exact_mut(2 * columns).zip(taps.chunks(2)) {
                        for run in runs {
                            let out = &mut out[2 * run.column..][..2 * run.len];
                            let first = &self.data[taps[0] + run.from..][..run.len];
                            if let Some(second) = taps.get(1) {
                                let second = &self.data[second + run.from..][..run.len];
                                for ((out, a), b) in out.chunks_exact_mut(2).zip(first).zip(second)
                                {
                                    out[0] = *a;
                                    out[1] = *b;
                                }
                            } else {
                                for (out, a) in out.chunks_exact_mut(2).zip(first) {
                                    out[0] = *a;
                                }
                            }
                        }
                    }
                }
            },
        );
        out
    }
}

/// The patch matrix as a left operand, for the gradient of the weight: rows are taps,
/// the inner index is the position.
impl<E: Element> Left<E> for Patches<'_, E> {
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E]) {
        let filled = ks.len().next_multiple_of(E::STEP);
        for row in out.chunks_mut(E::STRIDE).take(rows.len()) {
            row[ks.len()..filled].fill(E::default());
        }
        let taps = &self.taps[rows];
        self.runs(ks, |run| {
            for (&tap, out) in taps.iter().zip(out.chunks_mut(E::STRIDE)) {
                copy_run(
                    &self.data[tap + run.from..][..run.len],
                    &mut out[run.column..][..run.len],
                );
            }
        });
    }
}

/// The weight: small beside the patches, so that it is packed once for all of them.
struct Weight<'a, W>(Strided<'a, W>);

impl<W: Real, E: Element> Left<E> for Weight<'_, W> {
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E]) {
        self.0.pack(rows, ks, out);
    }
}

/// The patch matrix where rows of the picture are whole vectors, so that kernels read the
/// padded input itself: inner indices are channels and taps, or, in pairs, two
/// channels under a tap and a channel pair.
struct InputRows<'a, E> {
    patches: Patches<'a, E>,
}

impl<E: Element> InputRows<'_, E> {
    /// Whether a call is of this kind.
    fn fit(sizes: &Sizes) -> bool {
        !E::kernels(Level::current()).direct.is_empty()
            && sizes.stride[2] == 1
            && sizes.output[2].is_multiple_of(DIRECT_COLUMNS)
            && sizes.channels_per_group().is_multiple_of(E::STEP)
    }
}

impl<E: Element> Right<E> for InputRows<'_, E> {
    fn panel<'s>(
        &'s self,
        _panel: usize,
        _ks: Range<usize>,
        _columns: usize,
        _scratch: &'s mut [E],
    ) -> &'s [E] {
        // Only kernels that read in place are given this operand.
        &[]
    }

    fn in_place(&self, panel: usize, ks: Range<usize>) -> Option<InPlace<'_, E>> {
        let positions: usize = self.patches.output.iter().product();
        let first = panel * 2 * DIRECT_COLUMNS;
        // Half a panel at the end: its other half is computed from the same columns and left out.
        let second = if first + DIRECT_COLUMNS < positions {
            first + DIRECT_COLUMNS
        } else {
            first
        };
        let steps = ks.start / E::STEP..ks.end.div_ceil(E::STEP);
        Some(InPlace {
            parts: [first, second].map(|at| &self.patches.data[self.patches.from(at) * E::STEP..]),
            offsets: &self.patches.taps[steps],
        })
    }
}

/// A weight `[rows, channels, taps]` with the inner order of channel pairs.
struct PairedWeight<'a, W> {
    data: &'a [W],
    inner: usize,
    taps: usize,
}

impl<W: Real, E: Element> Left<E> for PairedWeight<'_, W> {
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E]) {
        for (row, out) in rows.zip(out.chunks_mut(E::STRIDE)) {
            let weight = &self.data[row * self.inner..][..self.inner];
            let (mut pair, mut tap) = (ks.start / 2 / self.taps, ks.start / 2 % self.taps);
            for out in out[..ks.len()].chunks_exact_mut(2) {
                let at = 2 * pair * self.taps + tap;
                out[0] = convert_one(weight[at]);
                out[1] = convert_one(weight[at + self.taps]);
                tap += 1;
                if tap == self.taps {
                    (pair, tap) = (pair + 1, 0);
                }
            }
        }
    }
}

/// Copies; the usual lengths without a call.
#[inline(always)]
fn copy_run<E: Copy>(from: &[E], to: &mut [E]) {
    fn fixed<const N: usize, E: Copy>(from: &[E], to: &mut [E]) -> bool {
        match (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
            (Some(from), Some(to)) => {
                *to = *from;
                true
            }
            _ => false,
        }
    }
    let done = match from.len() {
        32 => fixed::<32, E>(from, to),
        16 => fixed::<16, E>(from, to),
        8 => fixed::<8, E>(from, to),
        4 => fixed::<4, E>(from, to),
        1 => fixed::<1, E>(from, to),
        _ => false,
    };
    if !done {
        to.copy_from_slice(from);
    }
}

/// Offsets of channels and taps within one group's padded input.
fn tap_offsets(sizes: &Sizes) -> Vec<usize> {
    let [tp, hp, wp] = sizes.padded();
    let [kt, kh, kw] = sizes.kernel;
    let [dt, dh, dw] = sizes.dilation;
    let mut offsets = Vec::with_capacity(sizes.channels_per_group() * sizes.taps());
    for channel in 0..sizes.channels_per_group() {
        for t in 0..kt {
            for y in 0..kh {
                for x in 0..kw {
                    offsets.push(((channel * tp + t * dt) * hp + y * dh) * wp + x * dw);
                }
            }
        }
    }
    offsets
}

fn patches<'a, E: Element>(
    sizes: &Sizes,
    padded: &'a [E],
    taps: &'a [usize],
    group: usize,
) -> Patches<'a, E> {
    let [tp, hp, wp] = sizes.padded();
    let [st, sh, sw] = sizes.stride;
    Patches {
        data: &padded[group * sizes.channels_per_group() * tp * hp * wp..],
        taps,
        output: sizes.output,
        steps: [st * hp * wp, sh * wp, sw],
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
            let right = Packed::<E>::new(&grad.transposed(), columns);
            let left = patches(&sizes, &padded, &taps, group);
            let out = Shared::new(out);
            multiply::<E>(inner, rows, positions, &left, &right, &|mut tile: Tile<
                '_,
            >| {
                let first = tile.columns.start;
                for (row, sums) in tile.rows_mut() {
                    for (column, sum) in sums.iter().enumerate() {
                        // SAFETY: blocks of a product are disjoint.
                        #[expect(unsafe_code, reason = "blocks are disjoint")]
                        let out = unsafe { out.range((first + column) * inner + row, 1) };
                        out[0] += sum;
                    }
                }
            });
        }
    }
    out
}
