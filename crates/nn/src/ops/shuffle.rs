//! Space to depth and back, over `[B, C, T, H, W]`.
//!
//! The channel order is `(c, pt, ph, pw)` with the input channel slowest, which is
//! the order of the LTX autoencoder's down- and upsampling stages.

use candle_core::{Result, Tensor, bail};

/// `[B, C, T pt, H ph, W pw]` to `[B, C pt ph pw, T, H, W]`.
///
/// # Errors
/// When an axis is no multiple of its factor.
pub fn space_to_depth(x: &Tensor, factors: [usize; 3]) -> Result<Tensor> {
    let (b, c, t, h, w) = x.dims5()?;
    let [pt, ph, pw] = factors;
    if pt * ph * pw == 0 || !t.is_multiple_of(pt) || !h.is_multiple_of(ph) || !w.is_multiple_of(pw)
    {
        bail!(
            "space_to_depth: {:?} is not divisible by {factors:?}",
            x.dims()
        );
    }
    x.reshape(vec![b, c, t / pt, pt, h / ph, ph, w / pw, pw])?
        .permute(vec![0, 1, 3, 5, 7, 2, 4, 6])?
        .contiguous()?
        .reshape((b, c * pt * ph * pw, t / pt, h / ph, w / pw))
}

/// `[B, C pt ph pw, T, H, W]` to `[B, C, T pt, H ph, W pw]`.
///
/// # Errors
/// When the channels are no multiple of the factors' product.
pub fn depth_to_space(x: &Tensor, factors: [usize; 3]) -> Result<Tensor> {
    let (b, c, t, h, w) = x.dims5()?;
    let [pt, ph, pw] = factors;
    let product = pt * ph * pw;
    if product == 0 || !c.is_multiple_of(product) {
        bail!(
            "depth_to_space: {:?} has no channels for {factors:?}",
            x.dims()
        );
    }
    x.reshape(vec![b, c / product, pt, ph, pw, t, h, w])?
        .permute(vec![0, 1, 5, 2, 6, 3, 7, 4])?
        .contiguous()?
        .reshape((b, c / product, t * pt, h * ph, w * pw))
}
