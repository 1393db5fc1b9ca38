//! The same where rows of the picture are whole vectors: kernels read the padded input itself.

use std::ops::Range;

use super::Sizes;
use super::patches::Patches;
use crate::cpu::kernel::{DIRECT_COLUMNS, Element};
use crate::cpu::level::Level;
use crate::cpu::pack::{InPlace, Left, Right};
use crate::cpu::real::{Real, convert_one};

/// The patch matrix where rows of the picture are whole vectors, so that kernels read the
/// padded input itself: inner indices are channels and taps, or, in pairs, two
/// channels under a tap and a channel pair.
pub(super) struct InputRows<'a, E> {
    pub(super) patches: Patches<'a, E>,
}

impl<E: Element> InputRows<'_, E> {
    /// Whether a call is of this kind.
    pub(super) fn fit(sizes: &Sizes) -> bool {
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
pub(super) struct PairedWeight<'a, W> {
    pub(super) data: &'a [W],
    pub(super) inner: usize,
    pub(super) taps: usize,
}

impl<W: Real, E: Element> Left<E> for PairedWeight<'_, W> {
    fn pack(&self, rows: Range<usize>, ks: Range<usize>, out: &mut [E], stride: usize) {
        for (row, out) in rows.zip(out.chunks_mut(stride)) {
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
