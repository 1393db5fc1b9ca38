//! Putting a crop back into its frame.

use super::Placement;
use crate::geometry::{Rect, to_pixel_centres};
use crate::patch::{Patch, rise};
use media::compose::Mask;
use media::image::{Affine, RgbF32};

impl Placement {
    /// What a made crop contributes to a frame of `width` x `height`: the crop's part `area` (crop
    /// units, 0..1), drawn in place with weights that rise from 0 at its border to 1 over
    /// `feather` (crop units). `None` where that part lies outside the frame.
    ///
    /// Where the crop is finer than the frame, every frame pixel averages the crop pixels in it.
    pub fn paste(
        &self,
        crop: &RgbF32,
        area: &Rect,
        feather: f32,
        width: usize,
        height: usize,
    ) -> Option<Patch> {
        let (x, y, across, down) = self.bounds(area).pixels(width, height);
        if across == 0 || down == 0 || crop.width == 0 || crop.height == 0 {
            return None;
        }
        let to_crop = self.crop_to_frame(crop.width).inverse()?;
        let from_patch = Affine::translation(x as f32, y as f32);
        let ratio = crop.width as f64 / self.side().max(1.0);
        let over = over(ratio);
        let fine = Affine::scale(1.0 / over as f32, 1.0 / over as f32);
        let map = to_pixel_centres(&to_crop.compose(&from_patch).compose(&fine));
        let drawn = crop.warp_affine(across * over, down * over, &map);
        let image = if over == 1 {
            drawn
        } else {
            drawn.resize(across, down)
        };
        let alpha = (0..across * down)
            .map(|i| {
                let centre = [(x + i % across) as f32 + 0.5, (y + i / across) as f32 + 0.5];
                let [u, v] = self.to_unit(centre);
                let inside = (u - area.left)
                    .min(area.right - u)
                    .min(v - area.top)
                    .min(area.bottom - v);
                rise(inside, feather)
            })
            .collect();
        Some(Patch { x, y, image, alpha })
    }

    /// The same for a part of a crop of `size` pixels whose top left pixel is at `origin`, weighed by a mask as large as
    /// the part. Colours are drawn only where the mask is above zero.
    pub fn paste_masked(
        &self,
        part: &RgbF32,
        mask: &Mask,
        origin: (usize, usize),
        size: usize,
        width: usize,
        height: usize,
    ) -> Option<Patch> {
        let (left, top, across, down) = mask.bounds()?;
        let unit = 1.0 / size.max(1) as f32;
        let edge = |pixels: usize| pixels as f32 * unit;
        // The mask is read between its pixels: half a pixel further out.
        let area = Rect::new(
            edge(origin.0 + left),
            edge(origin.1 + top),
            edge(origin.0 + left + across),
            edge(origin.1 + top + down),
        )
        .grow(0.5 * unit);
        let (x, y, columns, rows) = self.bounds(&area).pixels(width, height);
        if columns == 0 || rows == 0 || part.width != mask.width || part.height != mask.height {
            return None;
        }
        let to_part = Affine::translation(-(origin.0 as f32), -(origin.1 as f32))
            .compose(&self.crop_to_frame(size).inverse()?);
        let map = to_pixel_centres(&to_part.compose(&Affine::translation(x as f32, y as f32)));
        let over = over(size as f64 / self.side().max(1.0));
        let taps: Vec<f32> = (0..over)
            .map(|tap| (tap as f32 + 0.5) / over as f32 - 0.5)
            .collect();
        let share = 1.0 / (over * over) as f32;
        let weights = Plane {
            width: mask.width,
            height: mask.height,
            pixels: mask.values.as_chunks::<1>().0,
        };
        let colours = Plane {
            width: part.width,
            height: part.height,
            pixels: part.data.as_chunks::<3>().0,
        };
        let mut image = RgbF32::new(columns, rows);
        let mut alpha = vec![0.0; columns * rows];
        let pixels = image.data.as_chunks_mut::<3>().0.iter_mut().zip(&mut alpha);
        for (index, (pixel, alpha)) in pixels.enumerate() {
            let (column, row) = ((index % columns) as f32, (index / columns) as f32);
            let (u, v) = map.apply(column, row);
            // Zero beyond the border, which is a mask's value there.
            let outside =
                u < 0.0 || v < 0.0 || u > (mask.width - 1) as f32 || v > (mask.height - 1) as f32;
            *alpha = if outside { 0.0 } else { weights.at(u, v)[0] };
            if *alpha <= 0.0 {
                continue;
            }
            for down in &taps {
                for across in &taps {
                    let (u, v) = map.apply(column + across, row + down);
                    for (value, sample) in pixel.iter_mut().zip(colours.at(u, v)) {
                        *value += sample * share;
                    }
                }
            }
        }
        Some(Patch { x, y, image, alpha })
    }
}

/// Samples across a frame pixel, for crops of `ratio` pixels a frame pixel.
fn over(ratio: f64) -> usize {
    if ratio <= 1.05 {
        1
    } else {
        (ratio.ceil() as usize).min(8)
    }
}

/// Pixels of some channels, read between their centres.
struct Plane<'a, const C: usize> {
    width: usize,
    height: usize,
    pixels: &'a [[f32; C]],
}

impl<const C: usize> Plane<'_, C> {
    #[inline]
    fn at(&self, x: f32, y: f32) -> [f32; C] {
        let x = x.max(0.0).min((self.width - 1) as f32);
        let y = y.max(0.0).min((self.height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let (u, v) = (x - left as f32, y - top as f32);
        let (right, bottom) = (
            (left + 1).min(self.width - 1),
            (top + 1).min(self.height - 1),
        );
        let pixel = |x: usize, y: usize| {
            self.pixels
                .get(y * self.width + x)
                .copied()
                .unwrap_or([0.0; C])
        };
        let (a, b, c, d) = (
            pixel(left, top),
            pixel(right, top),
            pixel(left, bottom),
            pixel(right, bottom),
        );
        std::array::from_fn(|channel| {
            let above = a[channel] + (b[channel] - a[channel]) * u;
            let below = c[channel] + (d[channel] - c[channel]) * u;
            above + (below - above) * v
        })
    }
}
