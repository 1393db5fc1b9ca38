//! `YCbCr` to RGB and back.
//!
//! With `Kr`, `Kb` the luma weights of red and blue and `Kg = 1 - Kr - Kb` (H.273, eq. 38 ff.):
//! `Y = Kr R + Kg G + Kb B`, `Cb = (B - Y) / 2(1 - Kb)`, `Cr = (R - Y) / 2(1 - Kr)`; limited
//! range stores `Y` in 16..=235 and `Cb`, `Cr` in 16..=240 (times `2^(bits-8)`).
//!
//! A chroma sample counts for all the pixels it covers, without interpolation, so that writing
//! back what was read changes nothing.

use super::{Frame, Samples};
use crate::image::Rgb8;
use crate::image::resize_plane as resize;
use crate::info::ColourTags;

/// How sample codes stand for luma 0..=1 and chroma -0.5..=0.5, and the matrix between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    kr: f32,
    kb: f32,
    luma_zero: f32,
    luma_scale: f32,
    chroma_zero: f32,
    chroma_scale: f32,
    maximum: f32,
}

impl Levels {
    pub(crate) fn new(bits: u8, colour: ColourTags, width: usize, height: usize) -> Self {
        let (kr, kb) = colour.matrix_for(width, height).weights();
        let step = f32::from(1_u16 << (bits.clamp(8, 15) - 8));
        let maximum = 256.0 * step - 1.0;
        let chroma_zero = 128.0 * step;
        if colour.is_full() {
            Self {
                kr,
                kb,
                luma_zero: 0.0,
                luma_scale: maximum,
                chroma_zero,
                chroma_scale: maximum,
                maximum,
            }
        } else {
            Self {
                kr,
                kb,
                luma_zero: 16.0 * step,
                luma_scale: 219.0 * step,
                chroma_zero,
                chroma_scale: 224.0 * step,
                maximum,
            }
        }
    }

    pub(crate) fn luma_code(&self, luma: f32) -> u16 {
        (luma * self.luma_scale + self.luma_zero + 0.5).clamp(0.0, self.maximum) as u16
    }

    pub(crate) fn chroma_code(&self, chroma: f32) -> u16 {
        (chroma * self.chroma_scale + self.chroma_zero + 0.5).clamp(0.0, self.maximum) as u16
    }

    pub(crate) fn luma(&self, code: f32) -> f32 {
        (code - self.luma_zero) / self.luma_scale
    }

    pub(crate) fn chroma(&self, code: f32) -> f32 {
        (code - self.chroma_zero) / self.chroma_scale
    }

    /// Red, green, blue of luma and chroma; not clamped.
    pub(crate) fn rgb(&self, luma: f32, cb: f32, cr: f32) -> [f32; 3] {
        let kg = 1.0 - self.kr - self.kb;
        let red = luma + 2.0 * (1.0 - self.kr) * cr;
        let blue = luma + 2.0 * (1.0 - self.kb) * cb;
        let green = (luma - self.kr * red - self.kb * blue) / kg;
        [red, green, blue]
    }

    /// Luma and chroma of red, green, blue.
    pub(crate) fn ycc(&self, [red, green, blue]: [f32; 3]) -> (f32, f32, f32) {
        let luma = self.kr * red + (1.0 - self.kr - self.kb) * green + self.kb * blue;
        let cb = (blue - luma) / (2.0 * (1.0 - self.kb));
        let cr = (red - luma) / (2.0 * (1.0 - self.kr));
        (luma, cb, cr)
    }
}

/// The conversion with everything folded into one affine map of codes to 0..=255.
struct Fast {
    luma: f32,
    offset: [f32; 3],
    cb: [f32; 3],
    cr: [f32; 3],
}

impl Fast {
    fn new(levels: &Levels) -> Self {
        let zero = levels.rgb(levels.luma(0.0), levels.chroma(0.0), levels.chroma(0.0));
        let cb = levels.rgb(levels.luma(0.0), levels.chroma(1.0), levels.chroma(0.0));
        let cr = levels.rgb(levels.luma(0.0), levels.chroma(0.0), levels.chroma(1.0));
        let difference = |one: [f32; 3]| {
            let [a, b, c] = one;
            let [x, y, z] = zero;
            [(a - x) * 255.0, (b - y) * 255.0, (c - z) * 255.0]
        };
        Self {
            luma: 255.0 / levels.luma_scale,
            offset: zero.map(|value| value * 255.0 + 0.5),
            cb: difference(cb),
            cr: difference(cr),
        }
    }

    #[inline]
    fn pixel(&self, luma: f32, cb: f32, cr: f32) -> [u8; 3] {
        let mut result = [0; 3];
        for (value, ((offset, cb_weight), cr_weight)) in result
            .iter_mut()
            .zip(self.offset.iter().zip(&self.cb).zip(&self.cr))
        {
            *value = (luma * self.luma + offset + cb_weight * cb + cr_weight * cr) as u8;
        }
        result
    }
}

impl Frame {
    /// A rectangle inside the picture, in stored orientation.
    pub(super) fn stored_rgb8(
        &self,
        (left, top, across_pixels, rows): (usize, usize, usize, usize),
    ) -> Rgb8 {
        let mut image = Rgb8::new(across_pixels, rows);
        let fast = Fast::new(&self.levels());
        let middle = self.levels().chroma_zero;
        let (across, down) = self.format.chroma.step();
        let chroma = match self.planes.get(1..3) {
            Some([cb, cr]) => Some((&cb.samples, &cr.samples, cb.width)),
            _ => None,
        };
        let Some(luma) = self.planes.first() else {
            return image;
        };
        let rows = image.data.chunks_exact_mut(across_pixels.max(1) * 3);
        for (row, y) in rows.zip(top..) {
            let start = y * self.width + left;
            let pixels = row.chunks_exact_mut(3).zip(left..);
            match (&luma.samples, chroma) {
                // The common case, free of a branch for every sample.
                (Samples::Bytes(luma), Some((Samples::Bytes(cb), Samples::Bytes(cr), width))) => {
                    let chroma_start = (y / down) * width;
                    let luma = luma.get(start..start + across_pixels).unwrap_or_default();
                    let cb = cb
                        .get(chroma_start..chroma_start + width)
                        .unwrap_or_default();
                    let cr = cr
                        .get(chroma_start..chroma_start + width)
                        .unwrap_or_default();
                    for ((pixel, x), &luma) in pixels.zip(luma) {
                        let chroma = x / across;
                        if let (Some(&cb), Some(&cr)) = (cb.get(chroma), cr.get(chroma)) {
                            pixel.copy_from_slice(&fast.pixel(
                                f32::from(luma),
                                f32::from(cb),
                                f32::from(cr),
                            ));
                        }
                    }
                }
                _ => {
                    for (pixel, x) in pixels {
                        let (cb, cr) = chroma.map_or((middle, middle), |(cb, cr, width)| {
                            let at = (y / down) * width + x / across;
                            (cb.get(at), cr.get(at))
                        });
                        let luma = luma.samples.get(y * self.width + x);
                        pixel.copy_from_slice(&fast.pixel(luma, cb, cr));
                    }
                }
            }
        }
        image
    }

    /// The whole picture in stored orientation, resized.
    pub(super) fn stored_scaled(&self, width: usize, height: usize) -> Rgb8 {
        let fast = Fast::new(&self.levels());
        let middle = self.levels().chroma_zero;
        let planes: Vec<Vec<f32>> = self
            .planes
            .iter()
            .map(|plane| {
                resize(
                    &plane.samples.to_f32(),
                    (plane.width, plane.height),
                    (width, height),
                )
            })
            .collect();
        let mut image = Rgb8::new(width, height);
        for (index, pixel) in image.data.chunks_exact_mut(3).enumerate() {
            let at = |plane: usize, missing: f32| {
                planes
                    .get(plane)
                    .and_then(|samples| samples.get(index))
                    .copied()
                    .unwrap_or(missing)
            };
            pixel.copy_from_slice(&fast.pixel(at(0, 0.0), at(1, middle), at(2, middle)));
        }
        image
    }
}
