//! The patches of an input as one side of a product: packed panel by panel, never held whole.

use std::ops::Range;

use super::Sizes;
use crate::cpu::kernel::Element;
use crate::cpu::pack::{Left, Right};
use crate::cpu::simd::vectorised;

/// The most columns of a panel at any level.
const MAX_COLUMNS: usize = 32;

/// Contiguous columns of a panel: where they stand in it, and the offset of their
/// first input element.
#[derive(Clone, Copy, Default)]
struct Run {
    column: usize,
    from: usize,
    len: usize,
}

/// The patch matrix `[channels * taps, positions]` of one group of one sample.
pub(super) struct Patches<'a, E> {
    pub(super) data: &'a [E],
    /// Offset of each inner index (channel and tap).
    pub(super) taps: &'a [usize],
    pub(super) output: [usize; 3],
    /// Distance of neighbouring positions in the input.
    steps: [usize; 3],
}

impl<E: Element> Patches<'_, E> {
    pub(super) fn from(&self, position: usize) -> usize {
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
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E], stride: usize) {
        let filled = ks.len().next_multiple_of(E::STEP);
        for row in out.chunks_mut(stride).take(rows.len()) {
            row[ks.len()..filled].fill(E::default());
        }
        let taps = &self.taps[rows];
        self.runs(ks, |run| {
            for (&tap, out) in taps.iter().zip(out.chunks_mut(stride)) {
                copy_run(
                    &self.data[tap + run.from..][..run.len],
                    &mut out[run.column..][..run.len],
                );
            }
        });
    }
}

/// Offsets of channels and taps within one group's padded input.
pub(super) fn tap_offsets(sizes: &Sizes) -> Vec<usize> {
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

pub(super) fn patches<'a, E: Element>(
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
