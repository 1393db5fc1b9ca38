//! The two inner loops that take all the time: matrix product and 3x3 depthwise convolution.
//!
//! Both are generic over the vector width; `pulp` picks AVX-512, AVX2, NEON or scalar code at run
//! time. Slow twins, in the plainest form, are in the tests.
#![allow(
    clippy::inline_always,
    reason = "code is compiled with the wider instruction set only where it is inlined into the dispatch"
)]

use super::map::LANES;
use pulp::{Arch, Simd, WithSimd};

/// `out[p] = act(input[p] · weight + bias + skip[p])` for every position `p`.
///
/// `act(x) = max(x, 0) + slope * min(x, 0)`: slopes 0 for a plain rectifier, 1 for none, learned
/// ones for a leaking rectifier.
pub(crate) struct Product<'a> {
    /// `[positions, inputs]`, rows `stride` apart.
    pub(crate) input: &'a [f32],
    /// Values from one row of the input to the next.
    pub(crate) stride: usize,
    /// Values of a row that count.
    pub(crate) inputs: usize,
    /// `[inputs, outputs]`.
    pub(crate) weight: &'a [f32],
    /// `[outputs]`, a multiple of [`LANES`].
    pub(crate) bias: &'a [f32],
    /// `[outputs]`.
    pub(crate) slope: &'a [f32],
    /// `[positions, skip_channels]`, added to the first channels of the result.
    pub(crate) skip: Option<(&'a [f32], usize)>,
    /// `[positions, outputs]`.
    pub(crate) out: &'a mut [f32],
}

impl Product<'_> {
    /// Runs it on the widest vectors that the machine has.
    pub(crate) fn run(self) {
        debug_assert_eq!(self.bias.len() % LANES, 0);
        debug_assert_eq!(self.weight.len(), self.inputs * self.bias.len());
        Arch::new().dispatch(self);
    }

    /// `P` positions from `position` and `V` vectors from `vector` on.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        position: usize,
        vector: usize,
    ) {
        let outputs = self.bias.len();
        let lanes = S::F32_LANES;
        let vectors = outputs / lanes;
        let weight = S::as_simd_f32s(self.weight).0;
        let bias: &[S::f32s; V] = fixed(&S::as_simd_f32s(self.bias).0[vector..]);
        let rows: [&[f32]; P] =
            std::array::from_fn(|p| &self.input[(position + p) * self.stride..][..self.inputs]);
        let mut sums = [*bias; P];
        for (k, row) in weight.chunks_exact(vectors).enumerate() {
            let w: &[S::f32s; V] = fixed(&row[vector..]);
            for p in 0..P {
                let x = simd.splat_f32s(rows[p][k]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_e_f32s(x, w[v], sums[p][v]);
                }
            }
        }
        let zero = simd.splat_f32s(0.0);
        let slope: &[S::f32s; V] = fixed(&S::as_simd_f32s(self.slope).0[vector..]);
        for (p, row) in sums.iter().enumerate() {
            let out = &mut self.out[(position + p) * outputs..][..outputs];
            let out = &mut S::as_mut_simd_f32s(out).0[vector..vector + V];
            for v in 0..V {
                let mut value = row[v];
                if let Some((skip, channels)) = self.skip
                    && (vector + v) * lanes < channels
                {
                    let skip = &skip[(position + p) * channels..][..channels];
                    value = simd.add_f32s(value, S::as_simd_f32s(skip).0[vector + v]);
                }
                let negative = simd.mul_f32s(slope[v], simd.min_f32s(value, zero));
                out[v] = simd.add_f32s(simd.max_f32s(value, zero), negative);
            }
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, positions: usize, vector: usize) {
        let mut position = 0;
        while position + 6 <= positions {
            self.tile::<S, 6, V>(simd, position, vector);
            position += 6;
        }
        while position < positions {
            self.tile::<S, 1, V>(simd, position, vector);
            position += 1;
        }
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let outputs = self.bias.len();
        let positions = self.out.len() / outputs;
        let vectors = outputs / S::F32_LANES;
        let mut vector = 0;
        while vector + 4 <= vectors {
            self.columns::<S, 4>(simd, positions, vector);
            vector += 4;
        }
        while vector + 2 <= vectors {
            self.columns::<S, 2>(simd, positions, vector);
            vector += 2;
        }
        while vector < vectors {
            self.columns::<S, 1>(simd, positions, vector);
            vector += 1;
        }
    }
}

/// The first `N` values as an array; the caller's loop bounds keep them in range.
#[inline(always)]
fn fixed<T, const N: usize>(values: &[T]) -> &[T; N] {
    match values.first_chunk() {
        Some(chunk) => chunk,
        None => unreachable!("{} values where {N} are read", values.len()),
    }
}

/// 3x3 depthwise convolution with TensorFlow's `SAME` padding of even sizes: one row and column of
/// zeros on every side at stride 1, after the end only at stride 2.
pub(crate) struct Depthwise<'a> {
    /// `[height, width, channels]`.
    pub(crate) input: &'a [f32],
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[3, 3, channels]`, channels a multiple of [`LANES`].
    pub(crate) weight: &'a [f32],
    /// `[channels]`.
    pub(crate) bias: &'a [f32],
    /// 1 or 2.
    pub(crate) stride: usize,
    /// `[height / stride, width / stride, channels]`, rounded up.
    pub(crate) out: &'a mut [f32],
}

impl Depthwise<'_> {
    /// Runs it on the widest vectors that the machine has.
    pub(crate) fn run(self) {
        debug_assert_eq!(self.bias.len() % LANES, 0);
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Depthwise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.bias.len() / S::F32_LANES;
        let input = S::as_simd_f32s(self.input).0;
        let weight = S::as_simd_f32s(self.weight).0;
        let bias = S::as_simd_f32s(self.bias).0;
        let out = S::as_mut_simd_f32s(self.out).0;
        let (height, width, stride) = (self.height, self.width, self.stride);
        let before = usize::from(stride == 1);
        let out_width = width.div_ceil(stride);
        let row = width * vectors;
        for (y, out_row) in out.chunks_exact_mut(out_width * vectors).enumerate() {
            // Rows of the input under the three rows of taps, where they exist.
            let top = y * stride;
            let taps_from = before.max(top) - top;
            let taps_to = (height + before - top).min(3);
            let rows: [&[S::f32s]; 3] = std::array::from_fn(|k| {
                if k < taps_from || k >= taps_to {
                    &[]
                } else {
                    &input[(top + k - before) * row..][..row]
                }
            });
            for v in 0..vectors {
                let w: [S::f32s; 9] = std::array::from_fn(|k| weight[k * vectors + v]);
                for x in 0..out_width {
                    let left = x * stride;
                    let inside = left >= before && left + 3 <= width + before;
                    let mut sum = bias[v];
                    if inside && taps_from == 0 && taps_to == 3 {
                        let at = (left - before) * vectors + v;
                        for k in 0..3 {
                            for j in 0..3 {
                                let x = rows[k][at + j * vectors];
                                sum = simd.mul_add_e_f32s(x, w[3 * k + j], sum);
                            }
                        }
                    } else {
                        for k in taps_from..taps_to {
                            for j in 0..3 {
                                let column = left + j;
                                if column >= before && column < width + before {
                                    let x = rows[k][(column - before) * vectors + v];
                                    sum = simd.mul_add_e_f32s(x, w[3 * k + j], sum);
                                }
                            }
                        }
                    }
                    out_row[x * vectors + v] = sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (i, (x, y)) in a.iter().zip(b).enumerate() {
            assert!((x - y).abs() < 1e-4, "value {i}: {x} and {y}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn product_equals_its_slow_twin(
            positions in 1_usize..20, inputs in 1_usize..40, groups in 1_usize..8, skipped in 0_usize..8, seed: u32,
        ) {
            let outputs = groups * LANES;
            let skip_channels = skipped.min(groups) * LANES;
            let stride = inputs + 3;
            let input = noise(positions * stride, seed);
            let weight = noise(inputs * outputs, seed ^ 1);
            let (bias, slope) = (noise(outputs, seed ^ 2), noise(outputs, seed ^ 3));
            let skip = noise(positions * skip_channels, seed ^ 4);
            let mut slow = vec![0.0; positions * outputs];
            for p in 0..positions {
                for o in 0..outputs {
                    let mut sum = f64::from(bias[o]);
                    for k in 0..inputs {
                        sum += f64::from(input[p * stride + k]) * f64::from(weight[k * outputs + o]);
                    }
                    if o < skip_channels {
                        sum += f64::from(skip[p * skip_channels + o]);
                    }
                    slow[p * outputs + o] = (sum.max(0.0) + f64::from(slope[o]) * sum.min(0.0)) as f32;
                }
            }
            let mut out = vec![0.0; positions * outputs];
            Product {
                input: &input, stride, inputs, weight: &weight, bias: &bias, slope: &slope,
                skip: (skip_channels > 0).then_some((&skip, skip_channels)), out: &mut out,
            }.run();
            close(&out, &slow);
        }

        #[test]
        fn depthwise_equals_its_slow_twin(
            half_height in 1_usize..6, half_width in 1_usize..6, odd: bool, groups in 1_usize..4, stride in 1_usize..3, seed: u32,
        ) {
            // Odd sizes occur at stride 1 only (the 3x3 end of the landmark network).
            let odd = usize::from(odd && stride == 1);
            let (height, width, channels) = (2 * half_height + odd, 2 * half_width + odd, groups * LANES);
            let input = noise(height * width * channels, seed);
            let weight = noise(9 * channels, seed ^ 1);
            let bias = noise(channels, seed ^ 2);
            let (out_height, out_width) = (height / stride, width / stride);
            let mut slow = vec![0.0; out_height * out_width * channels];
            let before = i64::from(stride == 1);
            for y in 0..out_height {
                for x in 0..out_width {
                    for c in 0..channels {
                        let mut sum = f64::from(bias[c]);
                        for k in 0..9 {
                            let row = (y * stride + k / 3) as i64 - before;
                            let column = (x * stride + k % 3) as i64 - before;
                            if (0..height as i64).contains(&row) && (0..width as i64).contains(&column) {
                                let at = (row as usize * width + column as usize) * channels + c;
                                sum += f64::from(input[at]) * f64::from(weight[k * channels + c]);
                            }
                        }
                        slow[(y * out_width + x) * channels + c] = sum as f32;
                    }
                }
            }
            let mut out = vec![0.0; slow.len()];
            Depthwise { input: &input, height, width, weight: &weight, bias: &bias, stride, out: &mut out }.run();
            close(&out, &slow);
        }
    }
}
