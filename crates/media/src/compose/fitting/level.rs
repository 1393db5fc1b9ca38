//! Levels of the pyramid over which a border's corrections spread.

/// A level of the pyramid: its size, and what is known there from the mask.
pub(super) struct Level {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Weight of each pixel, at most one.
    pub(super) weights: Vec<f32>,
    /// What the sum of each pixel is multiplied by, so that weights saturate.
    pub(super) scale: Vec<f32>,
    /// Columns of this level between columns of the next coarser one, and the same for rows.
    pub(super) columns: Vec<Between>,
    pub(super) rows: Vec<Between>,
}

/// Two neighbours of the coarser level and the weight of the second.
#[derive(Clone, Copy)]
pub(super) struct Between {
    first: usize,
    second: usize,
    weight: f32,
}

impl Level {
    /// The next coarser level.
    pub(super) fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut weights = vec![0.0; width * height];
        for (index, weight) in self.weights.iter().enumerate() {
            let target = index / self.width / 2 * width + index % self.width / 2;
            if let Some(sum) = weights.get_mut(target) {
                *sum += weight;
            }
        }
        Self {
            width,
            height,
            scale: weights.iter().map(|sum| 1.0 / sum.max(1.0)).collect(),
            weights: weights.iter().map(|sum| sum.min(1.0)).collect(),
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds up the values of the next finer level, two by two, and saturates.
    pub(super) fn gather(&self, fine: usize, from: &[f32], to: &mut [f32]) {
        to.fill(0.0);
        let targets = to.as_chunks_mut::<3>().0;
        for (y, row) in from.chunks_exact(fine.max(1) * 3).enumerate() {
            let start = y / 2 * self.width;
            let Some(targets) = targets.get_mut(start..start + self.width) else {
                break;
            };
            let pairs = row.chunks(6);
            for (target, pair) in targets.iter_mut().zip(pairs) {
                for (index, value) in pair.iter().enumerate() {
                    target[index % 3] += value;
                }
            }
        }
        for (pixel, scale) in targets.iter_mut().zip(&self.scale) {
            for value in pixel {
                *value *= scale;
            }
        }
    }

    /// Hands over this level's pixels in a box (left, top, right, bottom), read between those of the coarser level.
    pub(super) fn enlarge(
        &self,
        coarse: &[f32],
        width: usize,
        (left, top, right, bottom): (usize, usize, usize, usize),
        mut put: impl FnMut(usize, [f32; 3]),
    ) {
        let pixels = coarse.as_chunks::<3>().0;
        let rows = self.rows.iter().enumerate().take(bottom).skip(top);
        for (y, row) in rows {
            let line = |at: usize| pixels.get(at * width..).unwrap_or_default();
            let (upper, lower) = (line(row.first), line(row.second));
            let columns = self.columns.iter().enumerate().take(right).skip(left);
            for (x, column) in columns {
                let (Some(a), Some(b), Some(c), Some(d)) = (
                    upper.get(column.first),
                    upper.get(column.second),
                    lower.get(column.first),
                    lower.get(column.second),
                ) else {
                    continue;
                };
                let mix = |channel: usize| {
                    let above = a[channel] + (b[channel] - a[channel]) * column.weight;
                    let below = c[channel] + (d[channel] - c[channel]) * column.weight;
                    above + (below - above) * row.weight
                };
                put(y * self.width + x, [mix(0), mix(1), mix(2)]);
            }
        }
    }
}

/// Where each of `to` samples lies between `from` ones, as bilinear resizing has it.
pub(super) fn between(from: usize, to: usize) -> Vec<Between> {
    let ratio = from as f64 / to.max(1) as f64;
    let last = from.saturating_sub(1);
    (0..to)
        .map(|index| {
            let position = ((index as f64 + 0.5) * ratio - 0.5).clamp(0.0, last as f64);
            let first = position.floor() as usize;
            Between {
                first,
                second: (first + 1).min(last),
                weight: (position - first as f64) as f32,
            }
        })
        .collect()
}
