//! Normalisation of `[B, C, positions]`: over channels at each position, or over
//! groups of channels and all positions.

use rayon::prelude::*;

use super::buffer::{Shared, unwritten, with_scratch, zeroed};
use super::math::{sigmoid, silu, silu_slope};
use super::real::Real;
use super::simd::vectorised;

/// Positions of one task: few enough that all channels of them stay in the cache.
const BLOCK: usize = 64;

/// `[B, C, positions]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) positions: usize,
}

/// Factor and summand of each channel, `[B or 1, C]`; `y = x * (offset + factor) + summand`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PerChannel<'a> {
    pub(crate) factor: &'a [f32],
    pub(crate) summand: &'a [f32],
    pub(crate) offset: f32,
}

impl PerChannel<'_> {
    fn at(&self, batch: usize, channel: usize, channels: usize) -> (f32, f32) {
        // A table of one row serves every sample.
        let of = |table: &[f32]| table[(batch * channels) % table.len().max(1) + channel];
        (self.offset + of(self.factor), of(self.summand))
    }
}

/// What follows the division by the root of the mean square over channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelNorm<'a> {
    pub(crate) eps: f32,
    pub(crate) affine: Option<PerChannel<'a>>,
    pub(crate) silu: bool,
}

impl Sizes {
    /// Runs `f(batch, first position, count)` for all blocks of positions.
    fn blocks(&self, f: impl Fn(usize, usize, usize) + Sync) {
        let per_sample = self.positions.div_ceil(BLOCK);
        (0..self.batch * per_sample)
            .into_par_iter()
            .for_each(|index| {
                let first = index % per_sample * BLOCK;
                f(index / per_sample, first, BLOCK.min(self.positions - first));
            });
    }

    fn start(&self, batch: usize, channel: usize, position: usize) -> usize {
        (batch * self.channels + channel) * self.positions + position
    }

    /// `1 / sqrt(mean square + eps)` of each position of a block.
    fn scales<T: Real>(&self, x: &[T], batch: usize, first: usize, scales: &mut [f32], eps: f32) {
        scales.fill(0.0);
        vectorised(
            #[inline(always)]
            |_| {
                for channel in 0..self.channels {
                    let x = &x[self.start(batch, channel, first)..][..scales.len()];
                    for (sum, x) in scales.iter_mut().zip(x) {
                        *sum += x.get() * x.get();
                    }
                }
                for scale in scales.iter_mut() {
                    *scale = 1.0 / (*scale / self.channels as f32 + eps).sqrt();
                }
            },
        );
    }
}

/// Applies `norm`.
pub(crate) fn pixel_norm<T: Real>(sizes: Sizes, x: &[T], norm: &PixelNorm<'_>) -> Vec<T> {
    // SAFETY: blocks of positions, or groups, cover the vector.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(x.len()) };
    let shared = Shared::new(&mut out);
    sizes.blocks(|batch, first, count| {
        let mut scales = [0.0_f32; BLOCK];
        let scales = &mut scales[..count];
        sizes.scales(x, batch, first, scales, norm.eps);
        for channel in 0..sizes.channels {
            let at = sizes.start(batch, channel, first);
            let (factor, summand) = norm
                .affine
                .map_or((1.0, 0.0), |a| a.at(batch, channel, sizes.channels));
            let x = &x[at..at + count];
            // SAFETY: blocks of positions are disjoint.
            #[expect(unsafe_code, reason = "blocks are disjoint")]
            let out = unsafe { shared.range(at, count) };
            vectorised(
                #[inline(always)]
                |fused| {
                    if norm.silu {
                        for ((out, x), scale) in out.iter_mut().zip(x).zip(&*scales) {
                            *out = T::put(silu(fused, x.get() * scale * factor + summand));
                        }
                    } else {
                        for ((out, x), scale) in out.iter_mut().zip(x).zip(&*scales) {
                            *out = T::put(x.get() * scale * factor + summand);
                        }
                    }
                },
            );
        }
    });
    out
}

/// Gradients of [`pixel_norm`]: of `x`, and sums over positions `[B, C]` for factor and summand.
pub(crate) fn pixel_norm_backward<T: Real>(
    sizes: Sizes,
    x: &[T],
    grad: &[T],
    norm: &PixelNorm<'_>,
) -> (Vec<T>, Vec<f32>, Vec<f32>) {
    let channels = sizes.channels;
    // SAFETY: blocks of positions, or groups, cover the vector.
    #[expect(unsafe_code, reason = "written below")]
    let mut dx = unsafe { unwritten::<T>(x.len()) };
    let blocks = sizes.positions.div_ceil(BLOCK);
    // One row of sums a block; added up in order afterwards.
    let mut parts = zeroed::<f32>(sizes.batch * blocks * channels * 2);
    let (shared, shared_parts) = (Shared::new(&mut dx), Shared::new(&mut parts));
    sizes.blocks(|batch, first, count| {
        let mut scales = [0.0_f32; BLOCK];
        let mut tilts = [0.0_f32; BLOCK];
        let (scales, tilts) = (&mut scales[..count], &mut tilts[..count]);
        sizes.scales(x, batch, first, scales, norm.eps);
        let part = (batch * blocks + first / BLOCK) * channels * 2;
        // SAFETY: one range a block.
        #[expect(unsafe_code, reason = "blocks are disjoint")]
        let part = unsafe { shared_parts.range(part, channels * 2) };
        with_scratch(|[slopes, ..]| {
            let slopes = slopes.of::<f32>(channels * BLOCK);
            for channel in 0..channels {
                let at = sizes.start(batch, channel, first);
                let (factor, summand) = norm
                    .affine
                    .map_or((1.0, 0.0), |a| a.at(batch, channel, channels));
                let (x, grad) = (&x[at..at + count], &grad[at..at + count]);
                let slopes = &mut slopes[channel * BLOCK..][..count];
                let mut sums = (0.0_f32, 0.0_f32);
                vectorised(
                    #[inline(always)]
                    |fused| {
                        for (((slope, x), g), scale) in
                            slopes.iter_mut().zip(x).zip(grad).zip(&*scales)
                        {
                            let before = x.get() * scale * factor + summand;
                            *slope = g.get()
                                * if norm.silu {
                                    silu_slope(fused, before)
                                } else {
                                    1.0
                                };
                        }
                    },
                );
                for (((slope, x), tilt), scale) in
                    slopes.iter_mut().zip(x).zip(&mut *tilts).zip(&*scales)
                {
                    let normal = x.get() * scale;
                    sums.0 += *slope * normal;
                    sums.1 += *slope;
                    *slope *= factor;
                    *tilt += *slope * normal;
                }
                part[channel] = sums.0;
                part[channels + channel] = sums.1;
            }
            for channel in 0..channels {
                let at = sizes.start(batch, channel, first);
                // SAFETY: blocks of positions are disjoint.
                #[expect(unsafe_code, reason = "blocks are disjoint")]
                let dx = unsafe { shared.range(at, count) };
                let slopes = &slopes[channel * BLOCK..][..count];
                for ((((dx, x), s), scale), tilt) in dx
                    .iter_mut()
                    .zip(&x[at..at + count])
                    .zip(slopes)
                    .zip(&*scales)
                    .zip(&*tilts)
                {
                    *dx = T::put(scale * (s - x.get() * scale * tilt / channels as f32));
                }
            }
        });
    });
    let mut d_factor = vec![0.0_f32; sizes.batch * channels];
    let mut d_summand = vec![0.0_f32; sizes.batch * channels];
    for (index, part) in parts.chunks_exact(channels * 2).enumerate() {
        let row = index / blocks * channels..(index / blocks + 1) * channels;
        d_factor[row.clone()]
            .iter_mut()
            .zip(&part[..channels])
            .for_each(|(d, p)| *d += p);
        d_summand[row]
            .iter_mut()
            .zip(&part[channels..])
            .for_each(|(d, p)| *d += p);
    }
    (dx, d_factor, d_summand)
}

/// Group norm's settings; `affine` has one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupNorm<'a> {
    pub(crate) groups: usize,
    pub(crate) eps: f32,
    pub(crate) affine: Option<PerChannel<'a>>,
    pub(crate) silu: bool,
}

/// Mean and `1 / standard deviation` of a group, in one pass over memory: parts that fit
/// the first-level cache are gone over twice and joined (Chan et al. 1983).
fn moments<T: Real>(x: &[T], eps: f32) -> (f32, f32) {
    const PART: usize = 1024;
    const LANES: usize = 16;
    let (mut count, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut wide = [0.0_f32; PART];
    for part in x.chunks(PART) {
        let (sum, around) = vectorised(
            #[inline(always)]
            |_| {
                for (wide, x) in wide.iter_mut().zip(part) {
                    *wide = x.get();
                }
                let whole = part.len() / LANES * LANES;
                let (blocks, rest) = (
                    wide[..whole].as_chunks::<LANES>().0,
                    &wide[whole..part.len()],
                );
                let mut lanes = [0.0_f32; LANES];
                for block in blocks {
                    for (lane, x) in lanes.iter_mut().zip(block) {
                        *lane += x;
                    }
                }
                let sum = lanes.iter().sum::<f32>() + rest.iter().sum::<f32>();
                let middle = sum / part.len() as f32;
                let mut lanes = [0.0_f32; LANES];
                for block in blocks {
                    for (lane, x) in lanes.iter_mut().zip(block) {
                        *lane += (x - middle) * (x - middle);
                    }
                }
                let around = lanes.iter().sum::<f32>();
                let rest = rest.iter().map(|x| (x - middle) * (x - middle));
                (sum, around + rest.sum::<f32>())
            },
        );
        let n = part.len() as f64;
        let apart = f64::from(sum) / n - mean;
        squares += f64::from(around) + apart * apart * count * n / (count + n);
        mean += apart * n / (count + n);
        count += n;
    }
    let variance = squares / count;
    (
        mean as f32,
        (1.0 / (variance + f64::from(eps)).sqrt()) as f32,
    )
}

/// Applies `norm`.
pub(crate) fn group_norm<T: Real>(sizes: Sizes, x: &[T], norm: &GroupNorm<'_>) -> Vec<T> {
    // SAFETY: blocks of positions, or groups, cover the vector.
    #[expect(unsafe_code, reason = "written below")]
    let mut out = unsafe { unwritten::<T>(x.len()) };
    let per_group = sizes.channels / norm.groups;
    let size = per_group * sizes.positions;
    out.par_chunks_mut(size)
        .zip(x.par_chunks(size))
        .enumerate()
        .for_each(|(index, (out, x))| {
            let (mean, scale) = moments(x, norm.eps);
            let channels = out
                .chunks_exact_mut(sizes.positions)
                .zip(x.chunks_exact(sizes.positions));
            for (channel, (out, x)) in channels.enumerate() {
                let channel = index % norm.groups * per_group + channel;
                let (factor, summand) = norm
                    .affine
                    .map_or((1.0, 0.0), |a| a.at(0, channel, sizes.channels));
                vectorised(
                    #[inline(always)]
                    |fused| {
                        for (out, x) in out.iter_mut().zip(x) {
                            let y = (x.get() - mean) * scale * factor + summand;
                            *out = T::put(if norm.silu { y * sigmoid(fused, y) } else { y });
                        }
                    },
                );
            }
        });
    out
}

/// Gradients of [`group_norm`]: of `x`, and sums over samples and positions `[C]`.
pub(crate) fn group_norm_backward<T: Real>(
    sizes: Sizes,
    x: &[T],
    grad: &[T],
    norm: &GroupNorm<'_>,
) -> (Vec<T>, Vec<f32>, Vec<f32>) {
    // SAFETY: blocks of positions, or groups, cover the vector.
    #[expect(unsafe_code, reason = "written below")]
    let mut dx = unsafe { unwritten::<T>(x.len()) };
    let per_group = sizes.channels / norm.groups;
    let positions = sizes.positions;
    let size = per_group * positions;
    let mut parts = zeroed::<f32>(sizes.batch * sizes.channels * 2);
    dx.par_chunks_mut(size)
        .zip(parts.par_chunks_mut(per_group * 2))
        .zip(x.par_chunks(size).zip(grad.par_chunks(size)))
        .enumerate()
        .for_each(|(index, ((dx, parts), (x, grad)))| {
            let (mean, scale) = moments(x, norm.eps);
            let affine = |channel: usize| {
                let channel = index % norm.groups * per_group + channel;
                norm.affine
                    .map_or((1.0, 0.0), |a| a.at(0, channel, sizes.channels))
            };
            let slope = |x: T, g: T, (factor, summand): (f32, f32)| {
                let normal = (x.get() - mean) * scale;
                let slope = if norm.silu {
                    silu_slope(false, normal * factor + summand)
                } else {
                    1.0
                };
                (normal, g.get() * slope)
            };
            let (mut level, mut tilt) = (0.0_f64, 0.0_f64);
            for channel in 0..per_group {
                let at = channel * positions..(channel + 1) * positions;
                let affine = affine(channel);
                let (mut products, mut sums) = (0.0_f64, 0.0_f64);
                for (x, g) in x[at.clone()].iter().zip(&grad[at]) {
                    let (normal, slope) = slope(*x, *g, affine);
                    products += f64::from(slope * normal);
                    sums += f64::from(slope);
                }
                parts[channel] = products as f32;
                parts[per_group + channel] = sums as f32;
                tilt += products * f64::from(affine.0);
                level += sums * f64::from(affine.0);
            }
            let (level, tilt) = ((level / size as f64) as f32, (tilt / size as f64) as f32);
            for channel in 0..per_group {
                let at = channel * positions..(channel + 1) * positions;
                let affine = affine(channel);
                for ((dx, x), g) in dx[at.clone()].iter_mut().zip(&x[at.clone()]).zip(&grad[at]) {
                    let (normal, slope) = slope(*x, *g, affine);
                    *dx = T::put(scale * (slope * affine.0 - level - normal * tilt));
                }
            }
        });
    let mut d_factor = vec![0.0_f32; sizes.channels];
    let mut d_summand = vec![0.0_f32; sizes.channels];
    for (index, part) in parts.chunks_exact(per_group * 2).enumerate() {
        let first = index % norm.groups * per_group;
        for channel in 0..per_group {
            d_factor[first + channel] += part[channel];
            d_summand[first + channel] += part[per_group + channel];
        }
    }
    (dx, d_factor, d_summand)
}
