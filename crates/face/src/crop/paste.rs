//! Putting a crop back into its frame.

use super::Placement;
use crate::geometry::{Rect, to_pixel_centres};
use crate::patch::{Patch, rise};
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
        let over = if ratio <= 1.05 {
            1
        } else {
            (ratio.ceil() as usize).min(8)
        };
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
}
