//! Laying a made mouth over its frame: colour and grain as recorded, a border that nobody sees.

use super::lips::Mouth;
use crate::ProjectError;
use face::Rect;
use face::crop::Placement;
use media::Frame;
use media::compose::{Feather, Mask, SizeError, blend_border, match_grain};
use units::FrameIndex;

/// Over which part of the crop's side the border fades.
const FEATHER: f32 = 0.09;

/// Crop pixels over which the border's difference is averaged before it is spread inwards.
const SMOOTH: usize = 12;

/// Puts a made mouth into a frame. `size` is the crop's side in pixels.
pub(crate) fn lay(
    frame: &mut Frame,
    placement: &Placement,
    mouth: &Mouth,
    size: usize,
    output: FrameIndex,
    seed: u64,
) -> Result<(), ProjectError> {
    let recorded = placement.extract(&frame.to_rgb8(), size).to_f32();
    let (width, height) = (mouth.image.width, mouth.image.height);
    // A crop that is recorded everywhere but in the box, so that the box has surroundings to be fitted to.
    let mut made = recorded.clone();
    for y in 0..height {
        for x in 0..width {
            made.set_pixel(mouth.x + x, mouth.y + y, mouth.image.pixel(x, y));
        }
    }
    let edges = [mouth.x, mouth.y, mouth.x + width, mouth.y + height].map(|pixels| pixels as f32);
    let [left, top, right, bottom] = edges;
    let feather = Feather {
        radius: FEATHER * size as f32,
    };
    let mask = feather.apply(&Mask::rectangle(size, size, (left, top, right, bottom)));
    let made = blend_border(&made, &recorded, &mask, SMOOTH)
        .and_then(|made| {
            match_grain(
                &made,
                &recorded,
                &mask,
                seed.wrapping_mul(0x9e37_79b9).wrapping_add(output.0),
            )
        })
        .map_err(|error: SizeError| ProjectError::fault("render", error))?;
    let unit = 1.0 / size as f32;
    let area = Rect::new(left * unit, top * unit, right * unit, bottom * unit);
    let Some(patch) = placement.paste(&made, &area, FEATHER, frame.width(), frame.height()) else {
        return Ok(());
    };
    frame
        .put_region_rgb(patch.x as i64, patch.y as i64, &patch.image, &patch.alpha)
        .map_err(|error| ProjectError::fault("render", error))
}
