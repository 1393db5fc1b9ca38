//! Rectangles of a picture as RGB, read and written without touching anything else.

use super::{Frame, FrameError, turn};
use crate::image::RgbF32;
use crate::info::Rotation;
use std::borrow::Cow;

impl Frame {
    /// The `width` x `height` pixels whose top left one is at `(x, y)` of the picture as shown;
    /// beyond the border the border is repeated. Values are not clamped to 0..=1, so that
    /// writing them back gives the same samples.
    pub fn region_rgb(&self, x: i64, y: i64, width: usize, height: usize) -> RgbF32 {
        let (x, y, w, h) = turn::stored_rectangle(
            (x, y, width, height),
            self.width,
            self.height,
            self.rotation,
        );
        let stored = self.stored_region(x, y, w, h);
        match turn::rgb_f32(&stored, self.rotation) {
            Cow::Borrowed(_) => stored,
            Cow::Owned(turned) => turned,
        }
    }

    /// Lays an image over the picture as shown, its top left pixel at `(x, y)`, by `alpha` (one
    /// value in 0..=1 for each of the image's pixels, row by row). Only samples that a pixel
    /// with alpha above zero covers are written; a chroma sample is moved by the mean of the
    /// pixels it covers. What lies outside the picture is left out.
    pub fn put_region_rgb(
        &mut self,
        x: i64,
        y: i64,
        image: &RgbF32,
        alpha: &[f32],
    ) -> Result<(), FrameError> {
        let expected = image.width * image.height;
        if alpha.len() != expected || image.data.len() != expected * 3 {
            return Err(FrameError::Mask {
                found: alpha.len(),
                expected,
            });
        }
        let rectangle = turn::stored_rectangle(
            (x, y, image.width, image.height),
            self.width,
            self.height,
            self.rotation,
        );
        let back = self.rotation.inverse();
        let turned = turn::rgb_f32(image, back);
        if back == Rotation::None {
            self.put_stored(rectangle, &turned, alpha);
        } else {
            let (_, _, alpha) = turn::turn(alpha, image.width, image.height, 1, back);
            self.put_stored(rectangle, &turned, &alpha);
        }
        Ok(())
    }

    fn stored_region(&self, x: i64, y: i64, width: usize, height: usize) -> RgbF32 {
        let levels = self.levels();
        let (across, down) = self.format.chroma.step();
        let clamp = |value: i64, size: usize| value.clamp(0, size as i64 - 1) as usize;
        let mut data = Vec::with_capacity(width * height * 3);
        let columns: Vec<usize> = (0..width)
            .map(|column| clamp(x + column as i64, self.width))
            .collect();
        let chroma = match self.planes.get(1..3) {
            Some([cb, cr]) => Some((cb, cr)),
            _ => None,
        };
        for row in 0..height {
            let source_y = clamp(y + row as i64, self.height);
            for &source_x in &columns {
                let luma = self.planes.first().map_or(0.0, |plane| {
                    plane.samples.get(source_y * self.width + source_x)
                });
                let (cb, cr) = chroma.map_or((0.0, 0.0), |(cb, cr)| {
                    let at = (source_y / down) * cb.width + source_x / across;
                    (
                        levels.chroma(cb.samples.get(at)),
                        levels.chroma(cr.samples.get(at)),
                    )
                });
                data.extend_from_slice(&levels.rgb(levels.luma(luma), cb, cr));
            }
        }
        RgbF32 {
            width,
            height,
            data,
        }
    }

    /// Writes an image that is already in stored orientation.
    fn put_stored(
        &mut self,
        (x, y, width, height): (i64, i64, usize, usize),
        image: &RgbF32,
        alpha: &[f32],
    ) {
        // The part of the image inside the picture, in pixels of the picture.
        let left = x.clamp(0, self.width as i64);
        let top = y.clamp(0, self.height as i64);
        let right = (x + width as i64).clamp(left, self.width as i64);
        let bottom = (y + height as i64).clamp(top, self.height as i64);
        let inside = |px: i64, py: i64| ((py - y) as usize) * width + (px - x) as usize;
        let levels = self.levels();
        let components: Vec<(f32, f32, f32)> = image
            .data
            .as_chunks::<3>()
            .0
            .iter()
            .zip(alpha)
            .map(|(&pixel, &alpha)| {
                if alpha > 0.0 {
                    levels.ycc(pixel)
                } else {
                    (0.0, 0.0, 0.0)
                }
            })
            .collect();
        let get = |px: i64, py: i64| {
            let index = inside(px, py);
            let weight = alpha.get(index).copied().unwrap_or(0.0).clamp(0.0, 1.0);
            (weight, components.get(index).copied().unwrap_or_default())
        };

        let stride = self.width;
        if let Some(luma) = self.planes.first_mut() {
            for py in top..bottom {
                for px in left..right {
                    let (weight, (value, _, _)) = get(px, py);
                    if weight > 0.0 {
                        let at = py as usize * stride + px as usize;
                        let old = levels.luma(luma.samples.get(at));
                        luma.samples
                            .set(at, levels.luma_code(old + (value - old) * weight));
                    }
                }
            }
        }

        let (frame_width, frame_height) = (self.width as i64, self.height as i64);
        let (across, down) = self.format.chroma.step();
        let (across, down) = (across as i64, down as i64);
        let Some([cb, cr]) = self.planes.get_mut(1..3) else {
            return;
        };
        if left >= right || top >= bottom {
            return;
        }
        for cy in top / down..=(bottom - 1) / down {
            for cx in left / across..=(right - 1) / across {
                let mut covered = 0.0_f32;
                let mut weights = 0.0_f32;
                let (mut blue, mut red) = (0.0_f32, 0.0_f32);
                for py in cy * down..((cy + 1) * down).min(frame_height) {
                    for px in cx * across..((cx + 1) * across).min(frame_width) {
                        covered += 1.0;
                        if (left..right).contains(&px) && (top..bottom).contains(&py) {
                            let (weight, (_, b, r)) = get(px, py);
                            weights += weight;
                            blue += weight * b;
                            red += weight * r;
                        }
                    }
                }
                if weights > 0.0 {
                    let at = cy as usize * cb.width + cx as usize;
                    let keep = 1.0 - weights / covered;
                    let old_blue = levels.chroma(cb.samples.get(at));
                    let old_red = levels.chroma(cr.samples.get(at));
                    let blue = old_blue * keep + blue / covered;
                    let red = old_red * keep + red / covered;
                    cb.samples.set(at, levels.chroma_code(blue));
                    cr.samples.set(at, levels.chroma_code(red));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
