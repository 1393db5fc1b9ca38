//! What the layers pass on: a channels-last map with its channels padded to whole vectors.

use std::cell::RefCell;

/// Channels of a map are a multiple of this: one AVX-512 vector, two of AVX2, four of NEON.
pub(crate) const LANES: usize = 16;

/// The next multiple of [`LANES`].
pub(crate) fn padded(channels: usize) -> usize {
    channels.div_ceil(LANES) * LANES
}

/// Buffers that are kept for the next map of the thread: fresh pages from the system cost as much
/// as the arithmetic on them.
const KEPT: usize = 6;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A picture or a layer's output: `[height, width, channels]`, channels a multiple of [`LANES`],
/// the ones beyond the layer's own always zero.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) data: Vec<f32>,
}

impl Map {
    /// A map to be written over; `channels` is rounded up. Its values are left from earlier maps.
    pub(crate) fn to_fill(height: usize, width: usize, channels: usize) -> Self {
        let channels = padded(channels);
        let length = height * width * channels;
        let mut data = SPARE
            .with_borrow_mut(|spare| {
                let fits = spare.iter().position(|buffer| buffer.capacity() >= length);
                fits.map(|at| spare.swap_remove(at))
            })
            .unwrap_or_default();
        data.resize(length, 0.0);
        Self {
            height,
            width,
            channels,
            data,
        }
    }

    /// The map at twice its height and width, by bilinear
    /// interpolation at half-pixel centres (`RESIZE_BILINEAR` with `half_pixel_centers`).
    pub(crate) fn doubled(&self) -> Self {
        let mut out = Self::to_fill(self.height * 2, self.width * 2, self.channels);
        let c = self.channels;
        // Centres of the doubled map lie a quarter before and after those of the map.
        let taps = |i: usize, size: usize| {
            let near = i / 2;
            let far = if i.is_multiple_of(2) {
                near.saturating_sub(1)
            } else {
                (near + 1).min(size - 1)
            };
            (near, far)
        };
        for y in 0..out.height {
            let (near_y, far_y) = taps(y, self.height);
            for x in 0..out.width {
                let (near_x, far_x) = taps(x, self.width);
                let at = |row: usize, column: usize| {
                    let start = (row * self.width + column) * c;
                    &self.data[start..start + c]
                };
                let (a, b) = (at(near_y, near_x), at(near_y, far_x));
                let (d, e) = (at(far_y, near_x), at(far_y, far_x));
                let start = (y * out.width + x) * c;
                let target = &mut out.data[start..start + c];
                for (i, value) in target.iter_mut().enumerate() {
                    *value = 0.5625 * a[i] + 0.1875 * (b[i] + d[i]) + 0.0625 * e[i];
                }
            }
        }
        out
    }

    /// The largest of each 2x2 cell; height and width are even.
    pub(crate) fn pooled(&self) -> Self {
        let mut out = Self::to_fill(self.height / 2, self.width / 2, self.channels);
        let (c, row) = (self.channels, self.width * self.channels);
        for (y, target) in out.data.chunks_exact_mut(row / 2).enumerate() {
            let (top, bottom) = self.data[2 * y * row..(2 * y + 2) * row].split_at(row);
            for (x, cell) in target.chunks_exact_mut(c).enumerate() {
                let (left, right) = (2 * x * c, (2 * x + 1) * c);
                for (i, value) in cell.iter_mut().enumerate() {
                    *value = top[left + i]
                        .max(top[right + i])
                        .max(bottom[left + i].max(bottom[right + i]));
                }
            }
        }
        out
    }

    /// Adds another map of the same shape.
    pub(crate) fn add(&mut self, other: &Self) {
        for (value, more) in self.data.iter_mut().zip(&other.data) {
            *value += more;
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.data);
        // A thread that is ending keeps nothing.
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < KEPT
            {
                spare.push(buffer);
            }
        });
    }
}
