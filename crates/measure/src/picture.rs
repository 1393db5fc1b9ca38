//! Two pictures side by side.

pub mod brisque;
pub mod motion;
mod natural;
pub mod niqe;
pub mod psnr;
pub mod resample;
pub mod ssim;

pub use psnr::{PSNR_CAP, psnr, squared_error};
pub use ssim::ssim;

use media::image::Rgb8;

/// Luma of RGB pixels by the weights of BT.601 (0.299, 0.587, 0.114), 0..255, not rounded.
pub fn luma(image: &Rgb8) -> Vec<f32> {
    image
        .data
        .as_chunks::<3>()
        .0
        .iter()
        .map(|&[r, g, b]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b))
        .collect()
}

/// One channel (0 red, 1 green, 2 blue) as floats.
pub fn channel(image: &Rgb8, index: usize) -> Vec<f32> {
    image
        .data
        .as_chunks::<3>()
        .0
        .iter()
        .map(|pixel| pixel.get(index).copied().map_or(0.0, f32::from))
        .collect()
}

/// Similarity on luma, as Wang et al. measured it; `None` for pictures of different size or smaller than the window.
pub fn ssim_luma(a: &Rgb8, b: &Rgb8) -> Option<f64> {
    same_size(a, b).then(|| ssim(&luma(a), &luma(b), a.width, a.height))?
}

/// Mean of the similarities of red, green and blue, which many papers print as SSIM.
pub fn ssim_rgb(a: &Rgb8, b: &Rgb8) -> Option<f64> {
    if !same_size(a, b) {
        return None;
    }
    let mut sum = 0.0;
    for index in 0..3 {
        sum += ssim(&channel(a, index), &channel(b, index), a.width, a.height)?;
    }
    Some(sum / 3.0)
}

/// Whether two pictures can be compared pixel by pixel.
pub fn same_size(a: &Rgb8, b: &Rgb8) -> bool {
    (a.width, a.height) == (b.width, b.height)
}
