//! Patches of pixels as channels, and back.

use candle_core::Tensor;

use crate::error::{ModelError, Result};

/// `[B, C, F, H, W]` to `[B, C p p, F, H/p, W/p]`; the channel is `c p^2 + x p + y`, with
/// the offset in the row slower than that in the column (LTX-Video `causal_video_autoencoder.py`,
/// `patchify`).
pub(super) fn patchify(video: &Tensor, p: usize) -> Result<Tensor> {
    let (b, c, f, h, w) = video.dims5()?;
    if p == 0 || !h.is_multiple_of(p) || !w.is_multiple_of(p) {
        return Err(ModelError::input(
            "video",
            format!("{h} rows and {w} columns are no multiples of the patch size {p}"),
        ));
    }
    Ok(video
        .reshape(vec![b, c, f, h / p, p, w / p, p])?
        .permute(vec![0, 1, 6, 4, 2, 3, 5])?
        .contiguous()?
        .reshape((b, c * p * p, f, h / p, w / p))?)
}

/// The inverse of [`patchify`].
pub(super) fn unpatchify(x: &Tensor, p: usize) -> Result<Tensor> {
    let (b, c, f, h, w) = x.dims5()?;
    let c = c / (p * p).max(1);
    Ok(x.reshape(vec![b, c, p, p, f, h, w])?
        .permute(vec![0, 1, 4, 5, 3, 6, 2])?
        .contiguous()?
        .reshape((b, c, f, h * p, w * p))?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Values printed by LTX-Video's `patchify`.
    #[test]
    fn width_offset_is_slower_than_height_offset() {
        let video = Tensor::arange(0_f32, 192.0, &Device::Cpu)
            .unwrap()
            .reshape((1, 3, 1, 8, 8))
            .unwrap();
        let patches = patchify(&video, 4).unwrap();
        let first: Vec<f32> = (0..20)
            .map(|c| {
                let cell = patches.get(0).unwrap().get(c).unwrap();
                cell.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
            })
            .collect();
        let wanted = [
            0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27, 64, 72, 80, 88,
        ];
        assert_eq!(first, wanted.map(|n: u8| f32::from(n)));
        let back = unpatchify(&patches, 4).unwrap();
        assert_eq!(
            back.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            video.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
    }
}
